/** What is particular to the fork server; what every start method holds is in the suites. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer } from "effect"
import { readdirSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { Pool, Process, StartMethod } from "../src/index.ts"
import type { ProcessError, Task } from "../src/index.ts"
import { reasonOf } from "./conformance/assertions.ts"
import { makeEvents } from "./conformance/events.ts"
import * as F from "./fixtures/forked.ts"
import * as T from "./fixtures/tasks.ts"

const preload = (name: string): URL => new URL(`./fixtures/preloads/${name}.ts`, import.meta.url)
const limit = 60_000

const onServer = <A, E, R>(
  effect: Effect.Effect<A, E, R | StartMethod.StartMethod>,
  options?: StartMethod.ForkServerOptions
): Effect.Effect<A, E | ProcessError.ProcessError, Exclude<R, StartMethod.StartMethod>> =>
  Effect.provide(effect, StartMethod.layerForkServer(options))

/** Why a layer with this preload is not built. */
const refusal = (options: StartMethod.ForkServerOptions): Effect.Effect<ProcessError.Reason> =>
  Effect.map(Effect.exit(onServer(Effect.void, options)), reasonOf)

const run = <P, A, E>(
  task: Task.Task<P, A, E>,
  payload: P
): Effect.Effect<A, E | ProcessError.ProcessError, StartMethod.StartMethod> =>
  Effect.scoped(Effect.flatMap(Process.start(task as Task.Task<unknown, A, E>, payload), Process.join))

const available = Effect.runSync(StartMethod.available).includes("forkserver")

describe.runIf(available)("a fork server", () => {
  it.live("loads its preloads once, and its children have them", () =>
    onServer(
      Effect.gen(function*() {
        const [one, other] = yield* Effect.all([run(F.about, 3), run(F.about, 4)], { concurrency: 2 })
        assert.notStrictEqual(one.pid, other.pid)
        assert.strictEqual(one.loadedIn, one.server)
        assert.strictEqual(other.loadedIn, one.server)
        assert.deepStrictEqual([one.entry, other.entry], [9, 16])
        assert.isFalse(one.isMain)
        assert.isFalse(one.flags.some((flag) => flag.includes("import-meta-resolve")))
      }),
      { preload: [preload("table")] }
    ), limit)

  it.live("finds preloads by path and by the name of a package, from its directory", () =>
    Effect.gen(function*() {
      const options = {
        cwd: fileURLToPath(new URL("./fixtures", import.meta.url)),
        preload: ["./preloads/table.ts", "effect", "node:path"],
        extendEnv: { COLOUR: "green" }
      }
      const { colour, cwd, loadedIn, server } = yield* onServer(run(F.about, 0), options)
      assert.strictEqual(loadedIn, server)
      assert.strictEqual(cwd, options.cwd)
      assert.strictEqual(colour, "green")
    }), limit)

  it.live("one that cannot be loaded fails the layer, with its name and its stack", () =>
    Effect.gen(function*() {
      const missing = yield* refusal({ preload: ["no-such-package"] })
      assert.strictEqual(missing._tag, "StartFailed")
      assert.match(
        missing.message,
        /^the fork server did not start: "no-such-package" could not be preloaded: .*begins with "\.\/"\.$/
      )
      const noFile = yield* refusal({ preload: ["./no-such-file.ts"] })
      assert.match(
        noFile.message,
        /"\.\/no-such-file\.ts" could not be preloaded: there is no file \/.*\/no-such-file\.ts\.$/
      )
      const throws = yield* refusal({ preload: [new URL("./fixtures/throwing.ts", import.meta.url)] })
      assert.strictEqual(throws._tag, "StartFailed")
      assert.include(throws.message, "throwing.ts")
      const { cause } = throws as { readonly cause?: unknown }
      assert.include((cause as Error).stack, "throwing.ts:")
      const exits = yield* refusal({ preload: [preload("exits")] })
      assert.strictEqual(exits._tag, "StartFailed")
      assert.match(
        exits.message,
        /exits\.ts" could not be preloaded: the fork server was ended meanwhile, with code 3\.$/
      )
      const stuck = yield* refusal({ preload: [preload("stuck")] })
      assert.match(
        stuck.message,
        /stuck\.ts" could not be preloaded: it awaits something .* that nothing can bring about any more\.$/
      )
      const late = yield* refusal({ preload: [preload("throws")] })
      assert.match(
        late.message,
        /throws\.ts" could not be preloaded: meanwhile this was thrown, and nobody caught it: too late$/
      )
    }), limit)

  it.live("one that leaves open what copies would share is named, with what it leaves", () =>
    Effect.gen(function*() {
      const left = (name: string, extendEnv: Record<string, string> = {}) =>
        refusal({ preload: ["node:fs", preload(name)], extendEnv })
      for (
        const [reason, what] of [
          [
            yield* left("server"),
            /server\.ts" could not be preloaded: .* open after its import: a server that listens\./
          ],
          [
            yield* left("server", { CLOSES: "unref" }),
            /server\.ts" could not be preloaded: .* open after its import: a socket that nothing waits for/
          ],
          [yield* left("child"), /child\.ts" could not be preloaded: .* a child process/],
          [
            yield* left("thread"),
            /thread\.ts" could not be preloaded: the process has a thread of its own .*"(own|node)"/
          ]
        ] as const
      ) {
        assert.strictEqual(reason._tag, "StartFailed")
        assert.match(reason.message, what)
      }
    }), 2 * limit)

  it.live(
    "is not available where a thread was there before anything was loaded: its preloads are not blamed",
    () =>
      Effect.gen(function*() {
        const loader = fileURLToPath(new URL("./fixtures/loader.ts", import.meta.url))
        const reason = yield* refusal({ preload: ["node:fs"], execArgv: ["--import", loader] })
        assert.strictEqual(reason._tag, "StartMethodUnavailable")
        assert.match(
          reason.message,
          /the process has a thread of its own that a copy would lack, ".*"\. Use StartMethod\.layerSpawn/
        )
      }),
    limit
  )

  it.live("one may have timers that go on, and close what it has opened a moment later", () =>
    Effect.gen(function*() {
      const options = { preload: [preload("timer"), preload("server")], extendEnv: { CLOSES: "soon" } }
      assert.strictEqual(yield* onServer(run(T.square, 3), options), 9)
    }), limit)

  it.live("one that starts processes outside of a task is refused, as in any child", () =>
    Effect.gen(function*() {
      const reason = yield* refusal({ preload: [preload("starts")] })
      assert.strictEqual(reason._tag, "StartFailed")
      assert.include(reason.message, "Process.runMain(program)")
    }), limit)

  it.live("is ended when its layer is interrupted while it loads", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const fiber = yield* Effect.forkChild(
        Effect.exit(refusal({ preload: [preload("never")], extendEnv: { TOLD: events.path } }))
      )
      yield* Effect.yieldNow
      while (events.seen().length === 0) yield* Effect.sleep("5 millis")
      const pid = Number(events.seen()[0])
      yield* Fiber.interrupt(fiber)
      assert.throws(() => process.kill(pid, 0), "ESRCH")
    }), limit)

  it.live("that is not ready in time is killed", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const reason = yield* refusal({
        preload: [preload("never")],
        extendEnv: { TOLD: events.path },
        startTimeout: "2 seconds"
      })
      assert.strictEqual(reason._tag, "StartFailed")
      assert.match(reason.message, /it was not ready within 2000 ms, while it loaded ".*never\.ts", and was killed/)
    }), limit)

  it.live("has children that draw different random numbers", () =>
    onServer(
      Effect.gen(function*() {
        const all = yield* Effect.replicateEffect(run(F.draws, 50), 50, { concurrency: 4 })
        const others = yield* Effect.replicateEffect(run(F.draws, 50), 150, { concurrency: 4 })
        const drawn = [...all, ...others].flat(2)
        assert.strictEqual(drawn.length, 30_000)
        assert.strictEqual(new Set(drawn).size, drawn.length)
      }),
      { preload: [new URL("./fixtures/forked.ts", import.meta.url)] }
    ), 2 * limit)

  it.live("has children that can do all that a process can", () =>
    onServer(
      Effect.gen(function*() {
        const done = yield* run(F.doesEverything, 4)
        assert.deepStrictEqual(done, {
          kept: 12_500,
          isOwnPid: true,
          hash: 64,
          child: "from a child",
          fromThread: 9375,
          fromHttp: "hello",
          fromWasm: 42
        })
      })
    ), limit)

  it.live(
    "that is killed takes its children with it; the next start starts another",
    () =>
      onServer(
        Effect.gen(function*() {
          const before = yield* run(F.about, 0)
          const pool = yield* Pool.make({ processes: 1 })
          const waiting = yield* Effect.forkChild(Effect.exit(Pool.apply(pool, F.sleeps, undefined)))
          const child = yield* Process.start(F.sleeps, undefined)
          yield* Effect.yieldNow
          process.kill(before.server, "SIGKILL")
          assert.strictEqual(reasonOf(yield* Fiber.join(waiting))._tag, "WorkerExited")
          assert.deepStrictEqual(yield* Process.exited(child), { _tag: "Signaled", signal: "SIGKILL", number: 9 })
          const after = yield* run(F.about, 0)
          assert.notStrictEqual(after.server, before.server)
          assert.strictEqual((yield* Pool.apply(pool, F.about, 0)).server, after.server)
        }).pipe(Effect.scoped)
      ),
    limit
  )

  it.live("ends with the last child where its layer ends before that", () =>
    Effect.gen(function*() {
      const { child, server } = yield* onServer(Effect.gen(function*() {
        const { server } = yield* run(F.about, 0)
        return { child: yield* Process.start(F.sleeps, undefined), server }
      }))
      process.kill(server, 0)
      yield* Process.terminate(child)
      assert.strictEqual((yield* Process.exited(child))._tag, "Signaled")
      assert.throws(() => process.kill(server, 0), "ESRCH")
    }).pipe(Effect.scoped), limit)

  it.live("serves one part of a program, and spawn another", () =>
    Effect.gen(function*() {
      const name = Effect.map(Effect.scoped(Effect.flatMap(Process.start(T.current), Process.join)), ({ self }) =>
        self.startMethod)
      const both = yield* Effect.all([
        onServer(name),
        Effect.provide(name, StartMethod.layerSpawn)
      ], { concurrency: 2 })
      assert.deepStrictEqual(both, ["forkserver", "spawn"])
    }), limit)

  it.live("grows no handles, leaves no zombies: many forks, heavy children, some of them killed", () =>
    onServer(
      Effect.gen(function*() {
        const { server } = yield* run(F.about, 0)
        const handles = () => readdirSync(`/proc/${server}/fd`).length
        const own = () => readdirSync("/proc/self/fd").length
        yield* run(F.about, 0)
        const before = [handles(), own()]
        for (let i = 0; i < 60; i++) assert.strictEqual((yield* run(F.about, i)).entry, i * i)
        const heavy = Array.from({ length: 20 }, (_, i) =>
          Effect.scoped(Effect.gen(function*() {
            const child = yield* Process.start(F.doesEverything, 2)
            if (i % 5 === 0) yield* Process.kill(child)
            return yield* Effect.exit(Process.join(child))
          })))
        const exits = yield* Effect.all(heavy, { concurrency: 10 })
        exits.forEach((exit, i) => {
          if (i % 5 === 0) assert.strictEqual(reasonOf(exit)._tag, "WorkerExited")
          else assert.isTrue(Exit.isSuccess(exit), Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "")
        })
        // a socket that is closed says so a turn later
        for (let i = 0; i < 200 && own() > before[1]!; i++) yield* Effect.sleep("5 millis")
        assert.deepStrictEqual([handles(), own()], before)
      }),
      { preload: [new URL("./fixtures/forked.ts", import.meta.url)] }
    ), 2 * limit)
})

it.effect("a fork server's wrong options are RangeErrors", () =>
  Effect.gen(function*() {
    const exit = yield* Effect.exit(onServer(Effect.void, { maxMessageBytes: 1 }))
    assert.include(String(exit), "StartMethod.layerForkServer: maxMessageBytes")
    const layer = StartMethod.layerForkServer({ startTimeout: -1 })
    assert.include(String(yield* Effect.exit(Effect.provide(Effect.void, Layer.fresh(layer)))), "startTimeout")
  }))
