import { assert, describe, it } from "@effect/vitest"
import { Cause, ConfigProvider, Effect, Exit, Fiber, Option, Schema } from "effect"
import type { Layer, Scope } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Few from "./golden/few.ts"
import * as Tasks from "./golden/tasks.ts"
import { Pool, Process, ProcessError, StartMethod, Task } from "../src/index.ts"

const { ProcessError: Wrapper } = ProcessError
type Started<A> = Effect.Effect<A, unknown, StartMethod.StartMethod | Scope.Scope>

/** Wherever a child is used, it is gone with the scope; nothing takes longer than this. */
const inScope = <A, LE>(effect: Started<A>, layer: Layer.Layer<StartMethod.StartMethod, LE>) =>
  Effect.scoped(effect).pipe(Effect.provide(layer), Effect.timeout("20 seconds"))

const failureOf = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<ProcessError.ProcessError> =>
  Effect.map(Effect.exit(effect), (exit) => {
    const error = Option.getOrUndefined(Exit.findErrorOption(exit))
    if (ProcessError.isProcessError(error)) return error
    return assert.fail(`no ProcessError, but: ${Exit.isSuccess(exit) ? "a success" : Cause.pretty(exit.cause)}`)
  })

const { layerInline, layerSpawn, layerThreads } = StartMethod
const capture = StartMethod.layerSpawnWith({ stdio: "capture" })
const small = StartMethod.layerSpawnWith({ maxMessageBytes: 10_000 })

/** One task in a pool of one. */
const pooled = <P, A, E>(task: Task.Task<P, A, E>, payload: P, options?: Pool.ApplyOptions): Started<A> =>
  Effect.flatMap(Pool.make({ processes: 1 }), (pool) => Pool.apply(pool, task, payload, options))

const process_ = <P, A, E>(task: Task.Task<P, A, E>, payload: P, options?: Process.StartOptions<never>): Started<A> =>
  Effect.flatMap(Process.start(task, payload, { name: "Child", ...options }), Process.join)

/** A task of this very file, which no child can load. */
const inTestFile = Task.sync("inTestFile", { module: import.meta.url, handler: () => 0 })

const constructed = (reason: ProcessError.Reason): Effect.Effect<never, ProcessError.ProcessError> =>
  Effect.fail(new Wrapper({ reason }))

const chosen = (name: string) =>
  Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ MULTIPROCESSING_START_METHOD: name })))

/** What fails, and how: by real use, except for what nothing raises yet. */
const cases: Record<string, Effect.Effect<unknown, unknown>> = {
  // TimedOut
  "an item runs longer than its timeout": inScope(
    pooled(Tasks.sleeps, undefined, { timeout: "50 millis" }),
    layerInline
  ),
  "an item of a map runs longer than its timeout": inScope(
    Effect.flatMap(
      Pool.make({ name: "Scans", processes: 1 }),
      (pool) => Pool.map(pool, Tasks.sleeps, [undefined], { timeout: "50 millis" })
    ),
    layerThreads
  ),

  // StartMethodUnavailable
  "the environment names no start method": StartMethod.StartMethod.pipe(
    Effect.provide(StartMethod.layerConfig),
    chosen("frok")
  ),
  "a closure is to be forked under another start method": inScope(Process.forkSync(Effect.void), layerInline),
  "a task waits for something in a copy of this process": inScope(
    Effect.flatMap(Process.start(Tasks.sleeps), Process.join),
    StartMethod.layerFork
  ),
  "a module is not there that the fork server is to load": StartMethod.StartMethod.pipe(
    Effect.provide(StartMethod.layerForkServer({ preload: ["no-such-package"] }))
  ),

  // StartFailed
  "the initializer of a pool fails": inScope(
    Pool.make({ processes: 1, initializer: Tasks.fails("no database") }),
    layerThreads
  ),
  "the initializer of a process fails": inScope(
    Process.start(Tasks.square, 3, { initializer: Tasks.fails("no database") }),
    layerInline
  ),
  "the initializer of a process ends it": inScope(
    Process.start(Tasks.square, 3, { name: "Child", initializer: Tasks.ends(3) }),
    layerThreads
  ),
  "the initializer is not defined by its module": inScope(
    Pool.make({ processes: 1, initializer: Tasks.notThereEither() }),
    layerThreads
  ),
  "the module of the initializer cannot be loaded": inScope(
    Pool.make({ processes: 1, initializer: Tasks.brokenToo() }),
    layerThreads
  ),
  "the executable is not there": inScope(
    process_(Tasks.square, 3),
    StartMethod.layerSpawnWith({ execPath: "/nowhere/node" })
  ),
  "the executable ends before the child is ready": inScope(
    process_(Tasks.square, 3),
    StartMethod.layerSpawnWith({ execArgv: ["--no-such-flag"], stdio: "capture" })
  ),
  "the working directory is not there": inScope(
    process_(Tasks.square, 3),
    StartMethod.layerSpawnWith({ cwd: "/nowhere" })
  ),
  "the child is not ready in time": inScope(
    process_(Tasks.square, 3),
    StartMethod.layerThreadsWith({ startTimeout: "1 millis" })
  ),

  // WorkerExited
  "a worker exits": inScope(pooled(Tasks.exits, 7), layerThreads),
  "a process is killed": inScope(process_(Tasks.killsItself, undefined), layerSpawn),
  "a process is terminated": inScope(
    Effect.gen(function*() {
      const child = yield* Process.start(Tasks.sleeps, undefined, { name: "Child" })
      yield* Process.terminate(child)
      return yield* Process.join(child)
    }),
    layerSpawn
  ),
  "a thread ends by an exception that nobody caught": inScope(pooled(Tasks.throwsLater, undefined), layerThreads),
  "a process ends by an exception that nobody caught": inScope(process_(Tasks.throwsLater, undefined), capture),

  // TaskNotFound
  "the module defines no task": inScope(pooled(Tasks.notThere, undefined), layerThreads),
  "the module defines other tasks": inScope(
    pooled(Task.sync("encod", { module: Few.encode.module, handler: () => 0 }), undefined),
    layerThreads
  ),
  "the module is not there": inScope(pooled(Tasks.nowhere, undefined), layerThreads),
  "the module cannot be loaded": inScope(pooled(Tasks.broken, undefined), layerThreads),
  "the module is a test file, in a thread": inScope(pooled(inTestFile, undefined), layerThreads),
  "the module is a test file, in a process": inScope(pooled(inTestFile, undefined), layerSpawn),
  "the module starts a pool outside of a task": inScope(pooled(Tasks.misnamed, undefined), layerThreads),

  // CodecFailed
  "a function in a payload": inScope(pooled(Tasks.echo, { jobs: [{ "on done": () => 1 }] }), layerInline),
  "a payload that does not fit its schema": inScope(
    pooled(Tasks.typed, { sizes: [Option.some(1), Option.some("two")] } as any),
    layerInline
  ),
  "a payload that cannot be decoded": inScope(pooled(Tasks.readsNothing, "text"), layerInline),
  "a function in the payload of an initializer": inScope(
    Pool.make({ processes: 1, initializer: Tasks.fine([() => 1]) }),
    layerInline
  ),
  "an iterator in a payload": inScope(pooled(Tasks.echo, { all: [1].values() }), layerThreads),
  "a function in a result": inScope(pooled(Tasks.givesFunction, undefined), layerInline),
  "an iterator in a result": inScope(pooled(Tasks.givesIterator, undefined), layerInline),
  "a result that does not fit its schema": inScope(pooled(Tasks.givesWrongType, undefined), layerInline),
  "a result that cannot be decoded": inScope(pooled(Tasks.writesNothing, undefined), layerInline),
  "a function in an error": inScope(pooled(Tasks.failsWithFunction, undefined), layerInline),
  "a message that cannot cross (constructed)": constructed(
    new ProcessError.CodecFailed({ phase: "message", message: "the message is a function, which cannot cross." })
  ),

  // NotShareable
  "a pool in a payload": inScope(
    Effect.gen(function*() {
      const pool = yield* Pool.make({ processes: 1 })
      return yield* Pool.apply(pool, Tasks.echo, [{ pool }])
    }),
    layerInline
  ),
  "a process in a payload": inScope(
    Effect.gen(function*() {
      const child = yield* Process.start(Tasks.square, 3)
      return yield* process_(Tasks.echo, new Map([["child", child]]))
    }),
    layerInline
  ),
  "a pool in a result": inScope(
    Effect.flatMap(
      Pool.make({ processes: 1 }),
      (pool) => Pool.apply(pool, Tasks.givesPool)
    ),
    layerInline
  ),
  "a process in a result": inScope(
    Effect.flatMap(Process.start(Tasks.givesProcess, undefined, { name: "Child" }), Process.join),
    layerInline
  ),

  // Closed
  "a pool that was closed": inScope(
    Effect.gen(function*() {
      const pool = yield* Pool.make({ name: "Scans", processes: 1 })
      yield* Pool.close(pool)
      return yield* Pool.apply(pool, Tasks.square, 3)
    }),
    layerInline
  ),
  "a pool that is terminated while it works": inScope(
    Effect.gen(function*() {
      const pool = yield* Pool.make({ processes: 1 })
      const working = yield* Pool.applyAsync(pool, Tasks.sleeps)
      yield* Pool.terminate(pool)
      return yield* Fiber.join(working)
    }),
    layerInline
  ),

  // RestartLimitExceeded
  "the workers of a pool die too often": inScope(
    Effect.gen(function*() {
      const pool = yield* Pool.make({ processes: 1, restartIntensity: { max: 0, within: "10 seconds" } })
      yield* Effect.exit(Pool.apply(pool, Tasks.exits, 7))
      return yield* Pool.apply(pool, Tasks.square, 3)
    }),
    layerThreads
  ),

  // MessageTooLarge
  "a payload that is too large": inScope(pooled(Tasks.echo, "x".repeat(20_000)), small),
  "a result that is too large": inScope(pooled(Tasks.givesMuch, 20_000), small),
  "a defect that is too large": inScope(pooled(Tasks.throwsMuch, 20_000), small),
  "a payload of an initializer that is too large": inScope(
    Pool.make({ processes: 1, initializer: Tasks.fine("x".repeat(20_000)) }),
    small
  ),

  // not raised by anything yet
  "a wrong authentication key (constructed)": constructed(
    new ProcessError.AuthenticationFailed({ message: "the peer has another authentication key." })
  ),
  "shared memory that is not there (constructed)": constructed(
    new ProcessError.SharedMemoryFailed({ kind: "NotFound", message: "there is no shared memory of that name." })
  )
}

// ---------------------------------------------------------------------------------------------------- rendering

const root = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "")

/** Without what differs from machine to machine and from run to run. */
const normalise = (text: string): string =>
  text
    .replaceAll(process.execPath, "<node>")
    .replaceAll(root, "<root>")
    .replaceAll(/imported from \S+/g, "imported from <runner>")
    .replaceAll(/pid \d+/g, "pid <pid>")
    .replaceAll(/\b\d+ bytes are\b/g, "<size> bytes are")
    .replaceAll(/takes \d+ bytes/g, "takes <size> bytes")
    .replaceAll(/Node\.js v[\d.]+/g, "Node.js <version>")
    .replaceAll(/(\n\s+at [^\n]*:\d+:\d+\)?)+/g, "\n    at <frames>")

const renderField = (name: string, value: unknown): string => {
  if (name === "pid" || name === "size") return `<${name}>`
  if (value instanceof Error) return normalise(`${value.name}: ${value.message}`)
  return typeof value === "string" ? normalise(value) : JSON.stringify(value)
}

/** The fields of a reason; `message` and `cause` are not enumerable, as in every Error. */
const fieldsOf = (reason: ProcessError.Reason): Record<string, unknown> => {
  const { _tag, ...fields } = { ...reason } as Record<string, unknown>
  const cause = "cause" in reason ? reason.cause : undefined
  return { ...fields, ...(cause === undefined ? {} : { cause }), message: reason.message }
}

const render = ({ reason }: ProcessError.ProcessError): string =>
  [
    reason._tag,
    ...Object.entries(fieldsOf(reason)).map(([name, value]) =>
      `${name}: ${renderField(name, value).replaceAll("\n", "\n  ")}`.replaceAll(/ +$/gm, "")
        .replace("threads, forkserver, fork, inline", "threads, <forks>, inline")
        .replace("threads, inline", "threads, <forks>, inline")
    )
  ].join("\n")

/** Where there are no forks these fail otherwise. */
const ofForks = new Set([
  "a module is not there that the fork server is to load",
  "a task waits for something in a copy of this process"
])
const hasForks = Effect.runSync(StartMethod.available).includes("fork")
const isHere = (name: string): boolean => hasForks || !ofForks.has(name)

const golden = fileURLToPath(new URL("./golden/process-errors.txt", import.meta.url))
const update = process.env["UPDATE_GOLDEN"] === "1"

const head =
  `How every ProcessError reads. UPDATE_GOLDEN=1 writes this file anew; a change to it is reviewed like code.\n\n`
const readGolden = (): Map<string, string> => {
  const sections = readFileSync(golden, "utf8").split(/^# /m).slice(1)
  return new Map(sections.map((section) => {
    const [name, ...lines] = section.trimEnd().split("\n")
    return [name!, lines.join("\n")]
  }))
}

describe("the message of a ProcessError", () => {
  const rendered = new Map<string, string>()
  const expected = update ? new Map<string, string>() : readGolden()

  for (const [name, failing] of Object.entries(cases)) {
    if (!isHere(name)) continue
    it.live(`is as agreed: ${name}`, () =>
      Effect.map(failureOf(failing), (error) => {
        rendered.set(name, render(error))
        assert.strictEqual(error.message, error.reason.message)
        if (!update) assert.strictEqual(rendered.get(name), expected.get(name))
      }))
  }

  if (update) {
    it("is written down anew", () => {
      assert.deepStrictEqual(Array.from(rendered.keys()), Object.keys(cases), "cases that failed or were left out")
      writeFileSync(golden, head + Array.from(rendered, ([name, text]) => `# ${name}\n${text}\n`).join("\n"))
    })
  }

  if (!update) {
    it("is agreed for these cases and no others, and for every reason", () => {
      assert.deepStrictEqual(Array.from(expected.keys()), Object.keys(cases))
      const reasons = new Set(Array.from(expected.values(), (text) => text.split("\n")[0]))
      const declared = ProcessError.Reason.members.map((member) => member.identifier)
      assert.sameMembers(Array.from(reasons), declared)
    })
  }

  if (!update) {
    it("names the task, the initializer, the child, the pool or the setting that it is about", () => {
      const subject =
        /task "|initializer "|\bPool\b|\bScans\b|\bChild\b|MULTIPROCESSING_START_METHOD|start method "|fork server|start method here/
      for (const [name, text] of expected) {
        if (name.endsWith("(constructed)")) continue
        assert.match(text.slice(text.indexOf("\nmessage: ")), subject, name)
        assert.notInclude(text, "[object Object]", name)
      }
    })
  }

  if (!update) {
    it("tells that a test file cannot be a task's module, and what to do", () => {
      for (const [name, text] of expected) {
        if (name.startsWith("the module is a test file")) {
          assert.match(
            text,
            /A test file cannot be loaded outside its test runner: put the task into a file of its own/,
            name
          )
        }
      }
    })
  }
})

// ---------------------------------------------------------------------------------------------------- the class

const died = new Wrapper({
  reason: new ProcessError.WorkerExited({
    pid: 42,
    status: { _tag: "Signaled", signal: "SIGKILL", number: 9 },
    task: "scan",
    message: "worker 42 was ended by SIGKILL"
  })
})

describe("a ProcessError", () => {
  it.effect("is caught by its tag", () =>
    Effect.gen(function*() {
      const failed: Effect.Effect<number, ProcessError.ProcessError | Cause.NoSuchElementError> = Effect.fail(died)
      const pid = yield* failed.pipe(
        Effect.catchTag("ProcessError", (error) =>
          Effect.succeed(error.reason._tag === "WorkerExited" ? error.reason.pid : 0)),
        Effect.catchTag("NoSuchElementError", () =>
          Effect.succeed(-1))
      )
      assert.strictEqual(pid, 42)
    }))

  it.effect("is caught by its reason, and by no other reason", () =>
    Effect.gen(function*() {
      const failed: Effect.Effect<string, ProcessError.ProcessError> = Effect.fail(died)
      const signal = failed.pipe(
        Effect.catchReason("ProcessError", "Closed", () => Effect.succeed("closed")),
        Effect.catchReason("ProcessError", "WorkerExited", ({ status }) =>
          Effect.succeed(status._tag === "Signaled" ? status.signal : "")),
        Effect.catchReason("ProcessError", "TimedOut", () =>
          Effect.succeed("late"))
      )
      assert.strictEqual(yield* signal, "SIGKILL")
      const still = yield* Effect.flip(Effect.catchReason(failed, "ProcessError", "Closed", () =>
        Effect.succeed("")))
      assert.strictEqual(still, died)
    }))

  it.effect("is caught by reasons of several kinds at once", () =>
    Effect.gen(function*() {
      const failed: Effect.Effect<string, ProcessError.ProcessError> = Effect.fail(died)
      const text = failed.pipe(Effect.catchReasons("ProcessError", {
        WorkerExited: ({ task }) => Effect.succeed(`died in ${task}`),
        Closed: ({ what }) => Effect.succeed(`${what} is closed`)
      }))
      assert.strictEqual(yield* text, "died in scan")
    }))

  it("has the message and the cause of its reason, and says its name", () => {
    const cause = new RangeError("below")
    const error = new Wrapper({ reason: new ProcessError.StartFailed({ startMethod: "spawn", message: "up", cause }) })
    assert.strictEqual(error.message, "up")
    assert.strictEqual(error.cause, cause)
    assert.strictEqual(died.cause, undefined)
    assert.strictEqual(String(died), "ProcessError: worker 42 was ended by SIGKILL")
    assert.match(Cause.pretty(Cause.fail(died)), /ProcessError: worker 42 was ended by SIGKILL/)
    assert.instanceOf(died, Error)
  })

  it("is told from other errors by its guard", () => {
    assert.isTrue(ProcessError.isProcessError(died))
    for (const other of [new Error("x"), died.reason, { _tag: "ProcessError" }, undefined, "ProcessError"]) {
      assert.isFalse(ProcessError.isProcessError(other))
    }
  })

  it.effect("goes through its schema and comes back as an instance, with every reason", () =>
    Effect.gen(function*() {
      const message = "text"
      const reasons: ReadonlyArray<ProcessError.Reason> = [
        new ProcessError.TimedOut({ task: "t", limitMillis: 5, message }),
        new ProcessError.StartMethodUnavailable({ startMethod: "fork", message }),
        new ProcessError.StartFailed({ startMethod: "spawn", message, cause: new RangeError("below") }),
        died.reason,
        new ProcessError.WorkerExited({ pid: 1, status: { _tag: "Exited", code: 7 }, message }),
        new ProcessError.TaskNotFound({ module: "file:///m.ts", task: "t", message }),
        new ProcessError.CodecFailed({ phase: "error", message }),
        new ProcessError.NotShareable({ handle: "Pool", message }),
        new ProcessError.Closed({ what: "Pool", message }),
        new ProcessError.RestartLimitExceeded({ restarts: 3, message }),
        new ProcessError.AuthenticationFailed({ message }),
        new ProcessError.MessageTooLarge({ size: 5, limit: 4, message }),
        new ProcessError.SharedMemoryFailed({ kind: "OutOfBounds", message })
      ]
      assert.sameMembers(
        Array.from(new Set(reasons.map(({ _tag }) => _tag as string))),
        ProcessError.Reason.members.map((member) => member.identifier)
      )
      for (const reason of reasons) {
        const wire = structuredClone(yield* Schema.encodeEffect(Wrapper)(new Wrapper({ reason })))
        const arrived = yield* Schema.decodeEffect(Wrapper)(wire)
        assert.instanceOf(arrived, Wrapper)
        assert.strictEqual(Object.getPrototypeOf(arrived.reason), Object.getPrototypeOf(reason))
        assert.strictEqual(arrived.message, reason.message)
        const { cause, ...fields } = fieldsOf(arrived.reason)
        const { cause: expectedCause, ...expected } = fieldsOf(reason)
        assert.deepStrictEqual(fields, expected)
        assert.strictEqual((cause as Error | undefined)?.message, (expectedCause as Error | undefined)?.message)
      }
    }))

  for (const [name, layer] of [["inline", layerInline], ["threads", layerThreads]] as const) {
    it.live(`crosses as an instance where a task declares it as its error: ${name}`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(inScope(pooled(Tasks.failsAtBorder, "no more"), layer))
        assert.instanceOf(error, Wrapper)
        const { reason } = error as ProcessError.ProcessError
        assert.instanceOf(reason, ProcessError.Closed)
        assert.deepStrictEqual(fieldsOf(reason), { what: "Queue", message: "no more" })
      }))
  }
})

describe("an ExitStatus", () => {
  it.effect("goes through its schema", () =>
    Effect.gen(function*() {
      for (
        const status of [{ _tag: "Exited", code: 3 }, { _tag: "Signaled", signal: "SIGTERM", number: 15 }] as const
      ) {
        const wire = yield* Schema.encodeEffect(ProcessError.ExitStatus)(status)
        assert.deepStrictEqual(yield* Schema.decodeEffect(ProcessError.ExitStatus)(wire), status)
      }
    }))
})
