/** The laws of Process, for every start method. */
import { assert, describe } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Option, Stream } from "effect"
import { Pool, Process } from "../../src/index.ts"
import type { ProcessError, Task } from "../../src/index.ts"
import * as T from "../fixtures/tasks.ts"
import { livingBodies } from "../../src/internal/start/child.ts"
import { reasonOf } from "./assertions.ts"
import { makeEvents } from "./events.ts"
import { laws } from "./law.ts"
import type { Method } from "./methods.ts"

export const suite = ({ claims, layer, name }: Method): void => {
  const law = laws(layer)

  describe(`Process on ${name}`, () => {
    describe("ends with", () => {
      law("the task's value and code 0", () =>
        Effect.gen(function*() {
          const child = yield* Process.start(T.square, 12)
          assert.strictEqual(yield* Process.join(child), 144)
          assert.strictEqual(yield* Process.join(child), 144, "join may be repeated")
          assert.deepStrictEqual(yield* Process.exited(child), { _tag: "Exited", code: 0 })
          assert.isFalse(yield* Process.isAlive(child))
          assert.deepStrictEqual(yield* Process.exitStatus(child), Option.some({ _tag: "Exited", code: 0 } as const))
        }))

      law("the task's typed error as an instance of its class, and code 1", () =>
        Effect.gen(function*() {
          const child = yield* Process.start(T.squareRoot, -4)
          const caught = yield* Process.join(child).pipe(
            Effect.catchTag("NegativeInput", (error) => Effect.succeed(error))
          )
          assert.instanceOf(caught, T.NegativeInput)
          assert.strictEqual((caught as T.NegativeInput).input, -4)
          assert.deepStrictEqual(yield* Process.exited(child), { _tag: "Exited", code: 1 })
        }))

      law("a tagged error without a schema that keeps its tag and its fields", () =>
        Effect.gen(function*() {
          const child = yield* Process.start(T.failsPlainly, -4)
          const input = yield* Process.join(child).pipe(
            Effect.catchTag("NegativeInput", (error) => Effect.succeed(error.input))
          )
          assert.strictEqual(input, -4)
        }))

      law("any value that the task fails with", () =>
        Effect.gen(function*() {
          const child = yield* Process.start(T.failsWith, new Map([["a", [1n, new Date(0)]]]))
          const exit = yield* Process.wait(child)
          assert.deepStrictEqual(Exit.findErrorOption(exit), Option.some(new Map([["a", [1n, new Date(0)]]])))
        }))

      law("a defect whose stack shows the remote stack, the task, and the pid", () =>
        Effect.gen(function*() {
          const child = yield* Process.start(T.throws, "out of range")
          const exit = yield* Process.wait(child)
          assert.isTrue(Exit.isFailure(exit))
          const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
          assert.instanceOf(defect, RangeError)
          const { message, stack } = defect as RangeError
          assert.strictEqual(message, "out of range")
          assert.include(stack, "fixtures/tasks.ts")
          assert.include(stack, `task "throws"`)
          assert.include(stack, `pid ${child.pid}`)
          assert.deepStrictEqual(yield* Process.exited(child), { _tag: "Exited", code: 1 })
        }))

      law("interruption, when the task interrupts itself", () =>
        Effect.gen(function*() {
          const child = yield* Process.start(T.interruptsItself)
          const exit = yield* Process.wait(child)
          assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
        }))

      if (claims.exits) {
        law("WorkerExited with the code of process.exit", () =>
          Effect.gen(function*() {
            const child = yield* Process.start(T.exits, 7)
            const reason = reasonOf(yield* Process.wait(child))
            assert.strictEqual(reason._tag, "WorkerExited")
            if (reason._tag !== "WorkerExited") return
            assert.deepStrictEqual(reason.status, { _tag: "Exited", code: 7 })
            assert.strictEqual(reason.pid, child.pid)
            assert.strictEqual(reason.task, "exits")
            assert.strictEqual(Process.exitCode(yield* Process.exited(child)), 7)
          }))

        law("code 1 and the stack in the message, after an unhandled rejection", () =>
          Effect.gen(function*() {
            const child = yield* Process.start(T.rejects, "nobody catches this")
            const reason = reasonOf(yield* Process.wait(child))
            assert.strictEqual(reason._tag, "WorkerExited")
            assert.include(reason.message, "nobody catches this")
            assert.deepStrictEqual(yield* Process.exited(child), { _tag: "Exited", code: 1 })
          }).pipe(Effect.provide(claims.captured!)))
      }

      if (claims.signals) {
        law("WorkerExited with the signal", () =>
          Effect.gen(function*() {
            const child = yield* Process.start(T.killsItself, "SIGKILL")
            const reason = reasonOf(yield* Process.wait(child))
            assert.strictEqual(reason._tag, "WorkerExited")
            if (reason._tag !== "WorkerExited") return
            assert.deepStrictEqual(reason.status, { _tag: "Signaled", signal: "SIGKILL", number: 9 })
            assert.strictEqual(Process.exitCode(reason.status), -9)
          }))
      }

      const { outOfMemory } = claims
      if (outOfMemory !== undefined) {
        law("WorkerExited when it runs out of memory", () =>
          Effect.gen(function*() {
            const child = yield* Process.start(T.exhaustsMemory)
            const reason = reasonOf(yield* Process.wait(child))
            assert.strictEqual(reason._tag, "WorkerExited")
            if (reason._tag !== "WorkerExited") return
            assert.strictEqual(reason.pid, child.pid)
            assert.strictEqual(reason.task, "exhaustsMemory")
            assert.include(reason.message.toLowerCase(), "memory")
            assert.notStrictEqual(Process.exitCode(reason.status), 0)
            assert.strictEqual(
              yield* Effect.flatMap(Process.start(T.square, 3), Process.join),
              9,
              "this process goes on"
            )
          }).pipe(Effect.provide(outOfMemory)))
      }
    })

    describe("what cannot cross", () => {
      law("a payload: CodecFailed with its path, and no child is started", () =>
        Effect.gen(function*() {
          const exit = yield* Effect.exit(Process.start(T.echo, { list: [{ callback: () => 1 }] }))
          const reason = reasonOf(exit)
          assert.strictEqual(reason._tag, "CodecFailed")
          if (reason._tag !== "CodecFailed") return
          assert.strictEqual(reason.phase, "payload")
          assert.include(reason.message, "payload.list[0].callback")
          assert.include(reason.message, `"echo"`)
          assert.deepStrictEqual(yield* Process.activeChildren, [])
        }))

      law("a payload that does not fit its schema: CodecFailed that names the place", () =>
        Effect.gen(function*() {
          const wrong = "nine" as unknown as number // what a caller without types could send
          const reason = reasonOf(yield* Effect.exit(Process.start(T.squareRoot, wrong)))
          assert.strictEqual(reason._tag, "CodecFailed")
          assert.include(reason.message, "the payload does not fit its schema")
        }))

      law("a result: CodecFailed with its path", () =>
        Effect.gen(function*() {
          const reason = reasonOf(yield* Effect.flatMap(Process.start(T.givesFunction), Process.wait))
          assert.strictEqual(reason._tag, "CodecFailed")
          if (reason._tag !== "CodecFailed") return
          assert.strictEqual(reason.phase, "success")
          assert.include(reason.message, "result.list[0].callback")
        }))

      law("a result that does not fit its schema: CodecFailed", () =>
        Effect.gen(function*() {
          const reason = reasonOf(yield* Effect.flatMap(Process.start(T.givesWrongType), Process.wait))
          assert.strictEqual(reason._tag, "CodecFailed")
          assert.include(reason.message, "count")
        }))

      law("an error: CodecFailed with its path", () =>
        Effect.gen(function*() {
          const reason = reasonOf(yield* Effect.flatMap(Process.start(T.failsWithFunction), Process.wait))
          assert.strictEqual(reason._tag, "CodecFailed")
          if (reason._tag !== "CodecFailed") return
          assert.strictEqual(reason.phase, "error")
          assert.include(reason.message, "error.reasons[0]")
        }))

      law("a pool or a process: NotShareable", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          const child = yield* Process.start(T.square, 1)
          for (const [handle, what] of [[pool, "Pool"], [child, "Process"]] as const) {
            const reason = reasonOf(yield* Effect.exit(Process.start(T.echo, { handle })))
            assert.strictEqual(reason._tag, "NotShareable")
            if (reason._tag !== "NotShareable") return
            assert.strictEqual(reason.handle, what)
            assert.include(reason.message, "payload.handle")
          }
        }))

      law("a raw SharedArrayBuffer, where memory is not shared", () =>
        Effect.gen(function*() {
          const shared = new Int32Array(new SharedArrayBuffer(4)).fill(5)
          const exit = yield* Effect.exit(Effect.flatMap(Process.start(T.echo, shared), Process.join))
          if (claims.sharesMemory) {
            assert.isTrue(Exit.isSuccess(exit))
            if (Exit.isSuccess(exit)) assert.strictEqual((exit.value as Int32Array).buffer.byteLength, 4)
          } else assert.strictEqual(reasonOf(exit)._tag, "CodecFailed")
        }))
    })

    describe("what crosses", () => {
      law("plain data, as structured clone has it", () =>
        Effect.gen(function*() {
          const shared = { once: true }
          const value = {
            map: new Map<unknown, unknown>([[1, new Set(["a"])]]),
            date: new Date(5),
            big: 12n,
            bytes: new Uint8Array([1, 2, 3]),
            floats: new Float64Array([1.5, NaN]),
            nothing: undefined,
            zero: -0,
            pair: [shared, shared],
            error: Object.assign(new TypeError("wrong", { cause: new Error("inner") }), { code: "E_WRONG" })
          }
          const back = (yield* Effect.flatMap(Process.start(T.echo, value), Process.join)) as typeof value
          const { error, ...rest } = back
          const { error: sent, ...expected } = value
          assert.deepStrictEqual(rest, expected)
          assert.strictEqual(rest.pair[0], rest.pair[1], "one object stays one object")
          assert.instanceOf(error, TypeError)
          assert.strictEqual(error.message, sent.message)
          assert.strictEqual(error.code, "E_WRONG")
          assert.strictEqual((error.cause as Error).message, "inner")
        }))

      law("with schemas, classes and Options", () =>
        Effect.gen(function*() {
          const back = yield* Effect.flatMap(
            Process.start(T.mirrors, Option.some(new T.Point({ x: 3, y: 4 }))),
            Process.join
          )
          const point = Option.getOrThrow(back)
          assert.instanceOf(point, T.Point)
          assert.strictEqual(point.x, -3)
          assert.strictEqual(point.length, 5)
        }))

      law("a large value", () =>
        Effect.gen(function*() {
          const bytes = new Uint8Array(8 * 1024 * 1024).map((_, i) => i)
          const back = (yield* Effect.flatMap(Process.start(T.echo, bytes), Process.join)) as Uint8Array
          assert.strictEqual(back.length, bytes.length)
          assert.strictEqual(back[1_000_003], bytes[1_000_003])
        }))

      law("a marked buffer moves where it can, and is copied where it cannot", () =>
        Effect.gen(function*() {
          const bytes = new Uint8Array([1, 2, 3])
          assert.strictEqual(yield* Effect.flatMap(Process.start(T.sums, bytes), Process.join), 6)
          assert.strictEqual(bytes.length, claims.moves ? 0 : 3)
        }))
    })

    describe("finding the task", () => {
      const forged = (change: Partial<Task.Task<number, number>>): Task.Task<number, number> => ({
        ...T.square,
        ...change
      })

      law("a module that is not there: TaskNotFound with the cause", () =>
        Effect.gen(function*() {
          const module = new URL("./nowhere.ts", import.meta.url).href
          const reason = reasonOf(yield* Effect.flatMap(Process.start(forged({ module }), 1), Process.wait))
          assert.strictEqual(reason._tag, "TaskNotFound")
          if (reason._tag !== "TaskNotFound") return
          assert.strictEqual(reason.module, module)
          assert.isDefined(reason.cause)
        }))

      law("a name that the module does not define: TaskNotFound that lists those it has", () =>
        Effect.gen(function*() {
          const reason = reasonOf(yield* Effect.flatMap(Process.start(forged({ name: "cube" }), 1), Process.wait))
          assert.strictEqual(reason._tag, "TaskNotFound")
          assert.include(reason.message, `"cube"`)
          assert.include(reason.message, `"square"`)
        }))

      law("a module that throws while it loads: TaskNotFound with the cause", () =>
        Effect.gen(function*() {
          const module = new URL("../fixtures/throwing.ts", import.meta.url).href
          const reason = reasonOf(yield* Effect.flatMap(Process.start(forged({ module }), 1), Process.wait))
          assert.strictEqual(reason._tag, "TaskNotFound")
          assert.include(reason.message, "this module cannot be loaded")
        }))
    })

    describe("ending it", () => {
      law("interrupt runs the task's finalizers, and the outcome is interruption", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const child = yield* Process.start(T.waits, { path: events.path, name: "a" })
          yield* events.until("a started")
          assert.isTrue(yield* Process.isAlive(child))
          assert.deepStrictEqual(yield* Process.exitStatus(child), Option.none())
          yield* Process.interrupt(child)
          const exit = yield* Process.wait(child)
          assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
          assert.deepStrictEqual(events.seen(), ["a started", "a finalized"])
        }))

      law("terminate ends it without finalizers", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const child = yield* Process.start(T.waits, { path: events.path, name: "a" })
          yield* events.until("a started")
          yield* Process.terminate(child)
          const status = yield* Process.exited(child)
          assert.strictEqual(Process.exitCode(status), claims.signals ? -15 : 1)
          assert.strictEqual(reasonOf(yield* Process.wait(child))._tag, "WorkerExited")
          yield* Process.terminate(child)
        }))

      law("kill", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const child = yield* Process.start(T.waits, { path: events.path, name: "a" })
          yield* events.until("a started")
          yield* Process.kill(child)
          assert.strictEqual(Process.exitCode(yield* Process.exited(child)), claims.signals ? -9 : 1)
        }))

      if (claims.killsBusy) {
        law("interrupt ends a task that computes without end after the grace period", () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const child = yield* Process.start(T.spins, { path: events.path, name: "a" }, { gracePeriod: "100 millis" })
            yield* events.until("a started")
            yield* Process.interrupt(child)
            assert.strictEqual(Process.exitCode(yield* Process.exited(child)), claims.signals ? -15 : 1)
          }))
      }

      law("a timeout around join leaves it running", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const child = yield* Process.start(T.waits, { path: events.path, name: "a" }, { daemon: true })
          yield* events.until("a started")
          assert.deepStrictEqual(yield* Process.join(child).pipe(Effect.timeoutOption("20 millis")), Option.none())
          assert.isTrue(yield* Process.isAlive(child))
        }))
    })

    describe("its scope", () => {
      law("joins it on success", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const child = yield* Effect.scoped(Process.start(T.works, { path: events.path, name: "a", millis: 50 }))
          assert.deepStrictEqual(events.seen(), ["a started", "a done"])
          assert.isFalse(yield* Process.isAlive(child))
        }))

      law("ends a daemon on success, and its finalizers run", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const child = yield* Effect.scoped(
            Effect.tap(
              Process.start(T.waits, { path: events.path, name: "a" }, { daemon: true }),
              () => events.until("a started")
            )
          )
          assert.isTrue(child.daemon)
          assert.deepStrictEqual(events.seen(), ["a started", "a finalized"])
          assert.strictEqual(Process.exitCode(yield* Process.exited(child)), claims.signals ? -15 : 1)
        }))

      law("ends every child on failure", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const children: Array<Process.Process<never>> = []
          const exit = yield* Effect.exit(Effect.scoped(Effect.gen(function*() {
            for (const name of ["a", "b"]) {
              children.push(yield* Process.start(T.waits, { path: events.path, name }))
              yield* events.until(`${name} started`)
            }
            return yield* Effect.fail("wrong")
          })))
          assert.deepStrictEqual(exit, Exit.fail("wrong"))
          for (const child of children) assert.isFalse(yield* Process.isAlive(child))
          assert.includeMembers([...events.seen()], ["a finalized", "b finalized"])
        }))

      law("ends every child on interruption, also while it waits to join", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const closing = yield* Deferred.make<void>()
          const fiber = yield* Effect.forkChild(Effect.scoped(Effect.gen(function*() {
            yield* Process.start(T.waits, { path: events.path, name: "a" })
            yield* events.until("a started")
            yield* Deferred.succeed(closing, undefined)
          })))
          yield* Deferred.await(closing)
          yield* Fiber.interrupt(fiber)
          assert.deepStrictEqual(events.seen(), ["a started", "a finalized"])
          assert.deepStrictEqual(yield* Process.activeChildren, [])
        }))

      law("closes with the task: the task's own Scope", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const child = yield* Process.start(T.usesScope, { path: events.path, name: "a" })
          assert.strictEqual(yield* Process.join(child), "a")
          assert.deepStrictEqual(events.seen(), ["a finalized"])
        }))

      law("of a start that is interrupted leaves no child, whenever it is", () =>
        Effect.gen(function*() {
          for (const millis of [0, 1, 5, 20, 60, 150]) {
            const fiber = yield* Effect.forkChild(
              Effect.scoped(Process.start(T.greets, "you", { initializer: T.endlessInitializer() }))
            )
            yield* Effect.sleep(millis)
            yield* Fiber.interrupt(fiber)
            assert.strictEqual(livingBodies(), 0, `interrupted after ${millis} ms`)
          }
        }))
    })

    describe("initializer", () => {
      law("is built before the task and released after it", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const told = { path: events.path, name: "greeting" }
          const child = yield* Process.start(T.greets, "you", { initializer: T.greeting(told) })
          assert.strictEqual(yield* Process.join(child), "hello, you")
          assert.deepStrictEqual(events.seen(), ["greeting built", "greeting released"])
        }))

      law("that fails makes start fail with its cause, and leaves no child", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const told = { path: events.path, name: "greeting" }
          const reason = reasonOf(
            yield* Effect.exit(Process.start(T.greets, "you", { initializer: T.failingInitializer(told) }))
          )
          assert.strictEqual(reason._tag, "StartFailed")
          if (reason._tag !== "StartFailed") return
          assert.include(reason.message, "failingInitializer")
          assert.strictEqual((reason.cause as T.NegativeInput)._tag, "NegativeInput")
          assert.deepStrictEqual(events.seen(), ["greeting built"])
          assert.deepStrictEqual(yield* Process.activeChildren, [])
        }))

      law("that is missing: a defect that says what the task needs", () =>
        Effect.gen(function*() {
          const untyped = T.greets as unknown as Task.Task<string, string> // as a caller without types would
          const exit = yield* Effect.flatMap(Process.start(untyped, "you"), Process.wait)
          assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
          const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
          assert.include((defect as Error).message, "test/Greeting")
          assert.include((defect as Error).message, "Initializer")
        }))
    })

    describe("in the tree of processes", () => {
      law("knows itself and its parent", () =>
        Effect.gen(function*() {
          const child = yield* Process.start(T.current, undefined, { name: "reader", daemon: true })
          const { parent, self } = yield* Process.join(child)
          assert.deepStrictEqual(self, { name: "reader", pid: child.pid, daemon: true, startMethod: name })
          assert.deepStrictEqual(parent, { name: "MainProcess", pid: process.pid })
          if (claims.signals) assert.notStrictEqual(child.pid, process.pid)
          else assert.strictEqual(child.pid, process.pid)
        }))

      law("names its children after itself, and a child may have children", () =>
        Effect.gen(function*() {
          const child = yield* Process.start(T.hasChild)
          const { child: grandchild, me } = yield* Process.join(child)
          assert.match(child.name, /^Process-\d+$/)
          assert.strictEqual(me.name, child.name)
          assert.strictEqual(grandchild.self.name, `${child.name}:1`)
          assert.strictEqual(grandchild.self.startMethod, name)
          assert.deepStrictEqual(grandchild.parent, { name: child.name, pid: child.pid })
        }))

      law("a child that is ended ends its children", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          yield* Effect.exit(Effect.scoped(Effect.gen(function*() {
            yield* Process.start(T.hasWaitingChild, { path: events.path, name: "grandchild" })
            yield* events.until("grandchild started")
            return yield* Effect.fail("enough")
          })))
          assert.deepStrictEqual(events.seen(), ["grandchild started", "grandchild finalized"])
        }))

      law("is among the active children while it lives", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const child = yield* Process.start(T.waits, { path: events.path, name: "a" })
          assert.deepStrictEqual((yield* Process.activeChildren).map((one) => one.name), [child.name])
          assert.isTrue(Process.isProcess(child))
          yield* Process.kill(child)
          yield* Process.exited(child)
          assert.deepStrictEqual(yield* Process.activeChildren, [])
        }))

      law("each run of start is a new child", () =>
        Effect.gen(function*() {
          const start = Process.start(T.square, 5)
          const [one, two] = [yield* start, yield* start]
          assert.notStrictEqual(one.name, two.name)
          assert.strictEqual((yield* Process.join(one)) + (yield* Process.join(two)), 50)
        }))
    })

    const { captured } = claims
    if (captured !== undefined) {
      describe("stdio", () => {
        law("is captured as streams", () =>
          Effect.gen(function*() {
            const child = yield* Process.start(T.prints, { out: "to stdout", err: "to stderr" })
            const text = (stream: Stream.Stream<Uint8Array, ProcessError.ProcessError>) =>
              Stream.mkString(Stream.decodeText(stream))
            assert.strictEqual(yield* text(Process.stdout(child)), "to stdout")
            assert.strictEqual(yield* text(Process.stderr(child)), "to stderr")
            yield* Process.join(child)
            assert.strictEqual(yield* text(Process.stdout(child)), "to stdout", "also later")
          }).pipe(Effect.provide(captured)))

        law("is complete, however much a child has written right before its end", () =>
          Effect.gen(function*() {
            const linesOf = (stream: Stream.Stream<Uint8Array, ProcessError.ProcessError>) =>
              Stream.runCollect(Stream.splitLines(Stream.decodeText(stream)))
            const child = yield* Process.start(T.printsMuch, 5000)
            yield* Process.join(child)
            for (const [stream, name] of [[Process.stdout, "stdout"], [Process.stderr, "stderr"]] as const) {
              const lines = yield* linesOf(stream(child))
              assert.strictEqual(lines.length, 5000)
              assert.match(lines[4999]!, new RegExp(`^4999 to ${name}, .{200}$`))
            }
          }).pipe(Effect.provide(captured)))
      })
    }
  })
}
