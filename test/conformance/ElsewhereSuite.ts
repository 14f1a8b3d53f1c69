/**
 * What fails, hangs or surprises elsewhere, held against this pool. The rows are those of the README beside this file: S1 to
 * S40 are CPython's, the others are pools for Node. What PoolSuite holds already is not repeated here.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Option, Stream } from "effect"
import { spawn } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { Pool, Process, ProcessError, StartMethod } from "../../src/index.ts"
import { livingBodies } from "../../src/internal/start/child.ts"
import * as X from "../fixtures/elsewhere.ts"
import * as Lean from "../fixtures/lean.ts"
import * as T from "../fixtures/tasks.ts"
import { defectOf, numbers, reasonOf, squares } from "./assertions.ts"
import { makeEvents } from "./events.ts"
import { makeGate } from "./gate.ts"
import { laws } from "./law.ts"
import type { Method } from "./methods.ts"

const reasonOfCall = <R>(call: Effect.Effect<unknown, unknown, R>): Effect.Effect<ProcessError.Reason, never, R> =>
  Effect.map(Effect.exit(call), reasonOf)

/** The names of a pool's workers: one that takes the place of another has a new one. */
const workersOf = (pool: Pool.Pool): Effect.Effect<ReadonlyArray<string>, ProcessError.ProcessError> =>
  Effect.map(Pool.broadcast(pool, T.current), (all) => all.map(({ self }) => self.name))

/** So many numbers, and then an error. */
const breaksAfter = function*(count: number): Generator<number, void, undefined> {
  for (let i = 0; i < count; i++) yield i
  throw new RangeError("broken source")
}

const within = (limit: Duration.Input, what: string) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.timeoutOrElse(effect, {
    duration: limit,
    orElse: () => Effect.die(new Error(`${what} took longer than ${Duration.format(Duration.fromInputUnsafe(limit))}`))
  })

/** Runs a program of the fixtures to its end. */
const run = (program: string, env: Record<string, string>) =>
  Effect.callback<{ readonly code: number | null; readonly output: string }>((resume) => {
    const file = fileURLToPath(new URL(`../fixtures/programs/${program}.ts`, import.meta.url))
    const child = spawn(process.execPath, [file], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NODE_OPTIONS: "", ...env }
    })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (block: Buffer) => (output += String(block)))
    child.once("close", (code) => resume(Effect.succeed({ code, output })))
    return Effect.sync(() => void child.kill("SIGKILL"))
  }).pipe(within("20 seconds", program))

/** Those of these processes that are still there after so long. They are nobody's children here: only /proc knows. */
const alive = (pids: ReadonlyArray<number>, millis: number): Effect.Effect<ReadonlyArray<number>> =>
  Effect.gen(function*() {
    const deadline = performance.now() + millis
    for (;;) {
      const left = pids.filter((pid) => existsSync(`/proc/${pid}`) && !isZombie(pid))
      if (left.length === 0 || performance.now() > deadline) return left
      yield* Effect.sleep("20 millis")
    }
  })

const isZombie = (pid: number): boolean => {
  try {
    return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))
  } catch {
    return true // it has ended meanwhile
  }
}

export const suite = ({ claims, layer, name }: Method): void => {
  const law = laws(layer)

  describe(`What fails elsewhere, on ${name}`, () => {
    if (claims.parallel) {
      describe("S1", () => {
        for (const measured of [false, true]) {
          law(
            `S1: nothing waits behind a slow item while a worker is idle, ${
              measured ? "on a warm pool" : "on a cold one"
            }`,
            () =>
              Effect.gen(function*() {
                const gate = yield* makeGate
                const events = yield* makeEvents
                const pool = yield* Pool.make({ processes: 2 })
                const told = { path: gate.path, name: "slow" }
                const work = { path: events.path, name: "done", millis: 5 }
                const short = { ...told, work }
                if (measured) yield* Pool.map(pool, X.worksOrPasses, Array.from({ length: 10 }, () => short))
                const seen = events.seen().length
                // by Python's rule the first would share a chunk with four others
                const items = [{ ...told, work: undefined }, ...Array.from({ length: 39 }, () => short)]
                const map = yield* Effect.forkChild(Pool.map(pool, X.worksOrPasses, items))
                yield* events.until("done", seen + 39)
                yield* gate.open
                yield* Fiber.join(map)
              })
          )
        }
      })
    }

    describe("S2 and S3", () => {
      if (claims.exits) {
        const exited = (code: number): ProcessError.ExitStatus => ({ _tag: "Exited", code })
        const signaled = (signal: string, number: number): ProcessError.ExitStatus => ({
          _tag: "Signaled",
          signal,
          number
        })
        const ends: ReadonlyArray<readonly [X.End, ProcessError.ExitStatus]> = [
          ["exit 0", exited(0)],
          ["exit 3", exited(3)],
          ["exit in a finally", exited(4)],
          ["an exception out of a timer", exited(1)],
          ["an unhandled rejection", exited(1)],
          ...claims.signals
            ? [
              ["SIGKILL", signaled("SIGKILL", 9)],
              ["SIGTERM", signaled("SIGTERM", 15)],
              ["abort", signaled("SIGABRT", 6)]
            ] as const
            : []
        ]
        for (const [end, status] of ends) {
          law(
            `S2: a worker that ends by ${end} in a task fails that task with WorkerExited, and is replaced`,
            () =>
              Effect.gen(function*() {
                const pool = yield* Pool.make({ processes: 2 })
                const before = yield* workersOf(pool)
                const pids = yield* Pool.broadcast(pool, T.pid)
                const reason = yield* reasonOfCall(Pool.apply(pool, X.endsBy, end))
                assert.strictEqual(reason._tag, "WorkerExited")
                if (reason._tag !== "WorkerExited") return
                assert.deepStrictEqual(reason.status, status)
                assert.strictEqual(reason.task, "endsBy")
                assert.include(pids, reason.pid)
                const after = yield* workersOf(pool)
                assert.strictEqual(after.length, 2)
                assert.strictEqual(after.filter((worker) => !before.includes(worker)).length, 1)
                assert.deepStrictEqual(yield* Pool.map(pool, T.square, numbers(20)), squares(20))
              }).pipe(Effect.provide(claims.captured!))
          )
        }
      }

      law(
        "S3: whatever a task throws or fails with ends its call, and its worker lives on",
        () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 1 })
            const before = yield* workersOf(pool)
            for (const what of X.throwables) {
              defectOf(yield* Effect.exit(Pool.apply(pool, X.throwsWhat, what)))
              const failed = Exit.findErrorOption(yield* Effect.exit(Pool.apply(pool, X.failsWhat, what)))
              assert.isTrue(Option.isSome(failed), what)
              const error = Option.getOrUndefined(failed)
              const refused = ProcessError.isProcessError(error) ? error.reason._tag : undefined
              assert.strictEqual(refused, X.crossing.includes(what) ? undefined : "CodecFailed", what)
            }
            assert.deepStrictEqual(yield* workersOf(pool), before)
          })
      )
    })

    describe("S4 to S9", () => {
      law(
        "S4: an error class with any constructor arrives with its name, message and own fields",
        () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 1 })
            const failed = Option.getOrThrow(
              Exit.findErrorOption(yield* Effect.exit(Pool.apply(pool, X.failsDemandingly)))
            )
            const died = defectOf(yield* Effect.exit(Pool.apply(pool, X.throwsDemandingly)))
            for (const error of [failed, died] as ReadonlyArray<X.DemandingError>) {
              assert.instanceOf(error, Error)
              assert.strictEqual(error.name, "DemandingError")
              assert.strictEqual(error.message, "wrong in THE KITCHEN")
              assert.strictEqual(error.code, 7)
            }
            assert.strictEqual(yield* Pool.apply(pool, T.square, 3), 9)
          })
      )

      law(
        "S4: an error or a result that cannot be decoded fails its own call; those around it have their results",
        () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 1 })
            const before = yield* workersOf(pool)
            const { error, result, around } = yield* Effect.all({
              error: reasonOfCall(Pool.apply(pool, X.failsUnreadably)),
              result: reasonOfCall(Pool.apply(pool, X.givesUnreadably)),
              around: Effect.forEach(numbers(100), (i) => Pool.apply(pool, T.square, i), { concurrency: "unbounded" })
            }, { concurrency: "unbounded" })
            assert.strictEqual(error._tag, "CodecFailed")
            if (error._tag === "CodecFailed") assert.strictEqual(error.phase, "error")
            assert.strictEqual(result._tag, "CodecFailed")
            if (result._tag === "CodecFailed") assert.strictEqual(result.phase, "success")
            assert.deepStrictEqual(around, squares(100))
            assert.deepStrictEqual(yield* workersOf(pool), before)
          })
      )

      law("S5: twenty results that cannot cross cost no worker", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          const before = yield* workersOf(pool)
          const reasons = yield* Effect.forEach(numbers(20), () => reasonOfCall(Pool.apply(pool, T.givesFunction)), {
            concurrency: "unbounded"
          })
          for (const reason of reasons) {
            assert.strictEqual(reason._tag, "CodecFailed")
            assert.include(reason.message, "result.list[0].callback")
          }
          assert.deepStrictEqual(yield* workersOf(pool), before)
        }))

      law(
        "S6: items of which none can cross fail map with CodecFailed, and none of them runs",
        () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const pool = yield* Pool.make({ processes: 2 })
            const item = {
              path: events.path,
              name: "a",
              get refused(): never {
                throw new Error("a getter")
              }
            }
            const reason = yield* reasonOfCall(Pool.map(pool, T.usesScope, Array.from({ length: 10 }, () => item)))
            assert.strictEqual(reason._tag, "CodecFailed")
            const mixed = [{ path: events.path, name: "a" }, item]
            assert.strictEqual((yield* reasonOfCall(Pool.map(pool, T.usesScope, mixed)))._tag, "CodecFailed")
            yield* Pool.close(pool)
            assert.deepStrictEqual(events.seen(), [])
          })
      )

      for (const chunkSize of ["auto", 1, 2, 4] as const) {
        law(
          `S7: with chunkSize ${chunkSize}, a broken source gives the results before it and then its own error`,
          () =>
            Effect.gen(function*() {
              const pool = yield* Pool.make({ processes: 2 })
              for (const good of [0, 1, 3, 7]) {
                for (const call of [Pool.imap, Pool.imapUnordered]) {
                  const results: Array<number> = []
                  const exit = yield* call(pool, T.square, breaksAfter(good), { chunkSize }).pipe(
                    Stream.runForEach((one) => Effect.sync(() => results.push(one))),
                    Effect.exit
                  )
                  assert.deepStrictEqual(results.toSorted((a, b) => a - b), squares(good))
                  if (call === Pool.imap) assert.deepStrictEqual(results, squares(good))
                  assert.strictEqual((defectOf(exit) as Error).message, "broken source")
                }
              }
            })
        )
      }

      law(
        "S7: map over a broken source ends with its error, again and again, and the pool goes on",
        () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 2 })
            const liar = Object.assign({ [Symbol.iterator]: () => breaksAfter(0) }, { length: 1, size: 1 })
            for (const source of [() => breaksAfter(0), () => breaksAfter(0), () => breaksAfter(3), () => liar]) {
              const defect = defectOf(yield* Effect.exit(Pool.map(pool, T.square, source(), { chunkSize: 1 })))
              assert.instanceOf(defect, RangeError)
              assert.notInclude((defect as Error).stack, "at task", "it is not taken for an error of a worker")
            }
            assert.deepStrictEqual(yield* Pool.map(pool, T.square, numbers(10)), squares(10))
          })
      )

      law("S8: map fails with the first of two large failures, and the pool closes", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          const bytes = 1024 * 1024
          const error = yield* Effect.flip(Pool.map(pool, X.failsLargely, [bytes, bytes], { chunkSize: 1 }))
          assert.strictEqual((error as Error).message.length, bytes)
          yield* within("10 seconds", "closing")(Pool.close(pool))
        }))

      law(
        "S9: a defect has its class, the line where it was thrown, the task, the worker and its pid",
        () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 1 })
            const [worker] = yield* Process.activeChildren
            const defect = defectOf(yield* Effect.exit(Pool.apply(pool, T.throws, "out of range"))) as Error
            assert.instanceOf(defect, RangeError)
            assert.match(defect.stack!, /fixtures\/tasks\.ts:\d+:\d+/)
            assert.include(defect.stack, `at task "throws"`)
            assert.include(defect.stack, `${worker!.name} (pid ${worker!.pid})`)
          })
      )
    })

    describe("S10 to S18", () => {
      law("S10: a consumer that throws ends its own call only", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          const consumer = (): never => {
            throw new Error("a bug of the consumer")
          }
          const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
            Effect.map(Pool.apply(pool, T.square, 1), consumer),
            Effect.flatMap(Pool.applyAsync(pool, T.square, 1), (fiber) => Effect.map(Fiber.join(fiber), consumer)),
            Stream.runForEach(Pool.imap(pool, T.square, numbers(100)), consumer),
            Stream.runForEach(Pool.imapUnordered(pool, T.square, numbers(100)), consumer),
            Stream.runForEach(Pool.imapExit(pool, T.square, numbers(100)), consumer)
          ]
          const { exits, others } = yield* Effect.all({
            exits: Effect.forEach(calls, Effect.exit, { concurrency: "unbounded" }),
            others: Effect.forEach(numbers(100), (i) => Pool.apply(pool, T.square, i), { concurrency: "unbounded" })
          }, { concurrency: "unbounded" })
          for (const exit of exits) assert.strictEqual((defectOf(exit) as Error).message, "a bug of the consumer")
          assert.deepStrictEqual(others, squares(100))
          assert.deepStrictEqual(yield* Pool.map(pool, T.square, numbers(10)), squares(10))
        }))

      law(
        "S12: a pool that is terminated while it closes settles what it had, and both calls end",
        () =>
          Effect.gen(function*() {
            const gate = yield* makeGate
            const pool = yield* Pool.make({ processes: 1 })
            const pending = yield* Effect.forEach(
              ["a", "b"],
              (name) => Pool.applyAsync(pool, X.passes, { path: gate.path, name })
            )
            yield* gate.until(1)
            const closing = yield* Effect.forkChild(Pool.close(pool), { startImmediately: true })
            yield* within("10 seconds", "terminating")(Pool.terminate(pool))
            yield* within("10 seconds", "closing")(Fiber.join(closing))
            for (const fiber of pending) assert.strictEqual(reasonOf(yield* Fiber.await(fiber))._tag, "Closed")
            assert.strictEqual(livingBodies(), 0)
          })
      )

      law("S12: a pool may be terminated by the continuation of its own failing task", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          const behind = yield* Pool.applyAsync(pool, T.never)
          const call = Pool.apply(pool, T.squareRoot, -1).pipe(Effect.tapCause(() => Pool.terminate(pool)))
          const error = yield* within("10 seconds", "terminating")(Effect.flip(call))
          assert.instanceOf(error, T.NegativeInput)
          assert.strictEqual(reasonOf(yield* Fiber.await(behind))._tag, "Closed")
        }))

      if (claims.parallel) {
        for (const [how, code] of [["process.exit", 5], ["an uncaught exception", 1]] as const) {
          it.live(
            `S13: a program that ends by ${how} with its pool open ends at once, and no worker is left`,
            () =>
              Effect.gen(function*() {
                const end = yield* run("forgotten", { MULTIPROCESSING_START_METHOD: name, ENDS_BY: how })
                assert.strictEqual(end.code, code, end.output)
                const pids = [...end.output.matchAll(/^pid (\d+)$/gm)].map(([, pid]) => Number(pid))
                assert.strictEqual(pids.length, 2, end.output)
                assert.deepStrictEqual(yield* alive(pids, 2000), [])
              }),
            30_000
          )
        }
      }

      law("S15: a pool in a worker of a pool in a worker, and one in a process", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          assert.deepStrictEqual(yield* Pool.apply(pool, X.nestsPools, 1), [1, 4, 9])
          const child = yield* Process.start(T.hasPool, [1, 2, 3])
          assert.deepStrictEqual(yield* Process.join(child), [1, 4, 9])
        }))

      if (claims.signals) {
        law("S17: a worker that is sent SIGINT goes on with its task", () =>
          Effect.gen(function*() {
            const gate = yield* makeGate
            const pool = yield* Pool.make({ processes: 1 })
            const before = yield* workersOf(pool)
            const [pid] = yield* Pool.broadcast(pool, T.pid)
            const running = yield* Pool.applyAsync(pool, X.passes, { path: gate.path, name: "a" })
            yield* gate.until(1)
            yield* Effect.sync(() => process.kill(pid!, "SIGINT"))
            yield* gate.open
            assert.strictEqual(yield* Fiber.join(running), before[0])
            assert.deepStrictEqual(yield* workersOf(pool), before)
          }))
      }

      for (const bytes of [200 * 1024, 16 * 1024 * 1024]) {
        law(
          `S18: a pool whose results of ${bytes} bytes nobody has taken closes; they can be taken afterwards`,
          () =>
            Effect.gen(function*() {
              const pool = yield* Pool.make({ processes: 2 })
              const fibers = yield* Effect.forEach(numbers(4), () => Pool.applyAsync(pool, T.fills, bytes))
              yield* within("20 seconds", "closing")(Pool.close(pool))
              for (const fiber of fibers) assert.strictEqual((yield* Fiber.join(fiber)).length, bytes)
            })
        )
      }
    })

    describe("S21 to S40", () => {
      if (claims.signals) {
        law(
          "S21: a worker that is killed while it is sent a large payload costs nobody anything",
          () =>
            Effect.gen(function*() {
              const pool = yield* Pool.make({ processes: 1 })
              const [pid] = yield* Pool.broadcast(pool, T.pid)
              const bytes = new Uint8Array(16 * 1024 * 1024).fill(7)
              // it reads no more: its pipe is full in the middle of the payload
              yield* Effect.sync(() => process.kill(pid!, "SIGSTOP"))
              const sent = yield* Pool.applyAsync(pool, T.echo, bytes)
              yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve))) // a microtask posts it
              yield* Effect.sync(() => process.kill(pid!, "SIGKILL"))
              assert.deepStrictEqual(yield* Fiber.join(sent), bytes)
              assert.notDeepEqual(yield* Pool.broadcast(pool, T.pid), [pid!])
            })
        )

        law(
          "S21: a worker that is killed in the middle of its report leaves its neighbour alone",
          () =>
            Effect.gen(function*() {
              const gate = yield* makeGate
              const pool = yield* Pool.make({ processes: 2 })
              const neighbour = yield* Pool.applyAsync(pool, X.passes, { path: gate.path, name: "a" })
              yield* gate.until(1)
              const reason = yield* reasonOfCall(Pool.apply(pool, T.diesMidFrame, 1000))
              assert.strictEqual(reason._tag, "WorkerExited")
              yield* gate.open
              assert.include(yield* workersOf(pool), yield* Fiber.join(neighbour))
            })
        )
      }

      for (const [buffer, most] of [[8, 64], [undefined, 2000]] as const) {
        law(
          `S22: a source without end is read no further than the consumer takes it, with buffer ${buffer}`,
          () =>
            Effect.gen(function*() {
              const pool = yield* Pool.make({ processes: 2 })
              for (const call of [Pool.imap, Pool.imapUnordered, Pool.imapExit] as ReadonlyArray<typeof Pool.imap>) {
                let pulled = 0
                const endless = function*(): Generator<number, void, undefined> {
                  for (;;) yield pulled++
                }
                const parked = yield* Deferred.make<void>()
                const consumer = yield* Effect.forkChild(
                  call(pool, T.square, endless(), { buffer }).pipe(
                    Stream.rechunk(1),
                    Stream.runForEach(() => Effect.andThen(Deferred.succeed(parked, undefined), Effect.never))
                  )
                )
                yield* Deferred.await(parked)
                // the pool has all the time it wants to read on
                assert.deepStrictEqual(yield* Pool.map(pool, T.square, numbers(5000)), squares(5000))
                assert.isAtMost(pulled, most)
                yield* Fiber.interrupt(consumer)
              }
            })
        )
      }

      law("S23: giving up on a result, as get(timeout) does, leaves the task running", () =>
        Effect.gen(function*() {
          const gate = yield* makeGate
          const pool = yield* Pool.make({ processes: 1 })
          const running = yield* Pool.applyAsync(pool, X.passes, { path: gate.path, name: "a" })
          yield* gate.until(1)
          assert.isTrue(Option.isNone(yield* Effect.timeoutOption(Fiber.join(running), "20 millis")))
          yield* gate.open
          assert.deepStrictEqual([yield* Fiber.join(running)], yield* workersOf(pool))
          assert.deepStrictEqual(gate.came(), ["a"])
        }))

      law(
        "S31: a limit, a closed pool and a refused value are told apart by catchReason",
        () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 1 })
            const told = (call: Effect.Effect<unknown, ProcessError.ProcessError>) =>
              call.pipe(
                Effect.catchReason("ProcessError", "TimedOut", () => Effect.succeed("too slow")),
                Effect.catchReason("ProcessError", "CodecFailed", () => Effect.succeed("refused")),
                Effect.catchReason("ProcessError", "Closed", () => Effect.succeed("closed"))
              )
            assert.strictEqual(yield* told(Pool.apply(pool, T.never, undefined, { timeout: "20 millis" })), "too slow")
            assert.strictEqual(yield* told(Pool.apply(pool, T.echo, () => 1)), "refused")
            yield* Pool.close(pool)
            assert.strictEqual(yield* told(Pool.apply(pool, T.square, 1)), "closed")
          })
      )

      law("S35: a pool of 65 workers starts, works and ends", () =>
        Effect.gen(function*() {
          // they share the processors while they start: the last of them may take long
          const patient = name === "spawn" ? StartMethod.layerSpawnWith({ startTimeout: "2 minutes" }) : layer
          const pool = yield* Effect.provide(Pool.make({ processes: 65 }), patient)
          const places = yield* Pool.broadcast(pool, Lean.place)
          assert.strictEqual(places.length, 65)
          if (claims.parallel) assert.strictEqual(new Set(places).size, 65)
          assert.deepStrictEqual(yield* Pool.map(pool, Lean.doubles, numbers(1000)), numbers(1000).map((x) => x * 2))
          yield* Pool.close(pool)
          assert.strictEqual(livingBodies(), 0)
        }), 150_000)
    })

    describe("Python's own tests", () => {
      law("test_empty_iterable: an empty source gives an empty answer, to every call", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          for (const chunkSize of ["auto", 1] as const) {
            assert.deepStrictEqual(yield* Pool.map(pool, T.square, [], { chunkSize }), [])
            for (const call of [Pool.imap, Pool.imapUnordered, Pool.imapExit] as ReadonlyArray<typeof Pool.imap>) {
              for (const items of [[], Stream.empty]) {
                assert.deepStrictEqual(yield* Stream.runCollect(call(pool, T.square, items, { chunkSize })), [])
              }
            }
          }
        }))

      law(
        "TestPoolNotLeakOnFailure: a pool of which one worker comes up fails, and none is left",
        () =>
          Effect.gen(function*() {
            const gate = yield* makeGate // its folder
            const pool = Pool.make({ processes: 4, initializer: X.onlyInOne(`${gate.path}.once`) })
            const reason = yield* reasonOfCall(pool)
            assert.strictEqual(reason._tag, "StartFailed")
            assert.strictEqual(livingBodies(), 0)
          })
      )

      law(
        "test_context: a pool whose scope has ended takes no work, however the scope ended",
        () =>
          Effect.gen(function*() {
            for (const end of [Effect.void, Effect.fail("wrong")]) {
              let escaped: Pool.Pool | undefined
              yield* Effect.exit(Effect.scoped(Effect.gen(function*() {
                escaped = yield* Pool.make({ processes: 1 })
                assert.deepStrictEqual(yield* Pool.map(escaped, T.square, numbers(10)), squares(10))
                yield* end
              })))
              const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
                Pool.apply(escaped!, T.square, 1),
                Pool.map(escaped!, T.square, numbers(10)),
                Stream.runCollect(Pool.imap(escaped!, T.square, numbers(10))),
                Effect.flatMap(Pool.applyAsync(escaped!, T.square, 1), Fiber.join)
              ]
              for (const call of calls) assert.strictEqual((yield* reasonOfCall(call))._tag, "Closed")
              yield* Pool.close(escaped!)
              yield* Pool.terminate(escaped!)
            }
          })
      )

      law(
        "test_release_task_refs: payloads and results are let go of when their calls are over, here and in the workers",
        () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 1 })
            const references = yield* Effect.gen(function*() {
              const items = numbers(10).map((id) => ({ id }))
              const results = [
                ...yield* Pool.map(pool, X.remembers, items),
                ...yield* Stream.runCollect(Pool.imap(pool, X.remembers, items)),
                yield* Pool.apply(pool, X.remembers, items[0]!)
              ]
              return [...items, ...results].map((one) => new WeakRef<object>(one))
            })
            assert.strictEqual(references.length, 31)
            assert.strictEqual(yield* Pool.apply(pool, X.remembered), 0, "in the worker")
            yield* X.collectGarbage
            assert.strictEqual(references.filter((one) => one.deref() !== undefined).length, 0, "here")
          })
      )
    })

    if (claims.exits) {
      describe("the peers' table of crashes", () => {
        law(
          "2.2: process.exit(3) in a task ends its call with that code; a task beside it has its result",
          () =>
            Effect.gen(function*() {
              const gate = yield* makeGate
              const pool = yield* Pool.make({ processes: 2 })
              yield* Pool.map(pool, T.square, numbers(100))
              const innocent = yield* Pool.applyAsync(pool, X.passes, { path: gate.path, name: "innocent" })
              yield* gate.until(1)
              const reason = yield* within("5 seconds", "the call")(reasonOfCall(Pool.apply(pool, T.exits, 3)))
              assert.strictEqual(reason._tag, "WorkerExited")
              if (reason._tag === "WorkerExited") assert.deepStrictEqual(reason.status, { _tag: "Exited", code: 3 })
              yield* gate.open
              assert.include(yield* workersOf(pool), yield* Fiber.join(innocent))
              assert.deepStrictEqual(gate.came(), ["innocent"], "it ran once")
            })
        )

        law("2.2: the call after process.exit(3) does not wait for the new worker", () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 2 })
            const before = yield* workersOf(pool)
            yield* Effect.exit(Pool.apply(pool, T.exits, 3))
            const { self } = yield* Pool.apply(pool, T.current)
            assert.include(before, self.name)
          }))
      })
    }

    if (claims.killsBusy) {
      describe("the peers' table of cancellation", () => {
        law(
          "2.2: an aborted spin stops, at the cost of its worker; a task beside it has its result",
          () =>
            Effect.gen(function*() {
              const gate = yield* makeGate
              const events = yield* makeEvents
              const pool = yield* Pool.make({ processes: 2, gracePeriod: "100 millis" })
              const before = yield* workersOf(pool)
              const innocent = yield* Pool.applyAsync(pool, X.passes, { path: gate.path, name: "innocent" })
              yield* gate.until(1)
              const spin = yield* Effect.forkChild(Pool.apply(pool, T.spins, { path: events.path, name: "a" }))
              yield* events.until("a started")
              yield* within("5 seconds", "the abort")(Fiber.interrupt(spin))
              const left = (yield* Process.activeChildren).map((child) => child.name).filter((one) =>
                before.includes(one)
              )
              assert.strictEqual(left.length, 1, "its worker has gone when the call has ended")
              yield* gate.open
              assert.deepStrictEqual([yield* Fiber.join(innocent)], left)
              assert.deepStrictEqual(gate.came(), ["innocent"], "it ran once")
            })
        )

        law("2.2: the call after an aborted spin is served in less than a second", () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const pool = yield* Pool.make({ processes: 2, gracePeriod: "100 millis" })
            yield* Pool.map(pool, T.square, numbers(100))
            const spin = yield* Effect.forkChild(Pool.apply(pool, T.spins, { path: events.path, name: "a" }))
            yield* events.until("a started")
            yield* Fiber.interrupt(spin)
            // the fixed waits of others are one second and more
            const next = within("1 second", "the next call")(Pool.apply(pool, T.square, 3))
            assert.strictEqual(yield* next, 9)
          }))

        law("2.2: an item that runs out of time costs its own worker only", () =>
          Effect.gen(function*() {
            const gate = yield* makeGate
            const events = yield* makeEvents
            const pool = yield* Pool.make({ processes: 2, gracePeriod: "50 millis" })
            const before = yield* workersOf(pool)
            const innocent = yield* Pool.applyAsync(pool, X.passes, { path: gate.path, name: "innocent" })
            yield* gate.until(1)
            const spin = Pool.apply(pool, T.spins, { path: events.path, name: "a" }, { timeout: "100 millis" })
            assert.strictEqual((yield* reasonOfCall(spin))._tag, "TimedOut")
            yield* gate.open
            assert.include(before, yield* Fiber.join(innocent))
            assert.deepStrictEqual(gate.came(), ["innocent"], "it ran once")
            assert.deepStrictEqual(yield* Pool.map(pool, T.square, numbers(20)), squares(20))
          }))

        law(
          "2.2: right after an item that ran out of time, broadcast is answered by every worker",
          () =>
            Effect.gen(function*() {
              const events = yield* makeEvents
              const pool = yield* Pool.make({ processes: 2, gracePeriod: "50 millis" })
              const spin = Pool.apply(pool, T.spins, { path: events.path, name: "a" }, { timeout: "100 millis" })
              yield* Effect.exit(spin)
              const workers = yield* workersOf(pool)
              assert.strictEqual(workers.length, 2)
            })
        )

        law(
          "2.3: a scope that fails while a worker computes ends with the grace period, not after five seconds",
          () =>
            Effect.gen(function*() {
              const events = yield* makeEvents
              const closes = Effect.scoped(Effect.gen(function*() {
                const pool = yield* Pool.make({ processes: 2, gracePeriod: "100 millis" })
                yield* Pool.applyAsync(pool, T.spins, { path: events.path, name: "a" })
                yield* events.until("a started")
                return yield* Effect.fail("enough")
              }))
              assert.deepStrictEqual(yield* within("4 seconds", "the scope")(Effect.exit(closes)), Exit.fail("enough"))
              assert.strictEqual(livingBodies(), 0)
            })
        )
      })
    }

    describe("what the peers' users report", () => {
      if (claims.parallel) {
        law("2.3: a defect in one task leaves the task beside it alone", () =>
          Effect.gen(function*() {
            const gate = yield* makeGate
            const pool = yield* Pool.make({ processes: 2 })
            const innocent = yield* Pool.applyAsync(pool, X.passes, { path: gate.path, name: "innocent" })
            yield* gate.until(1)
            defectOf(yield* Effect.exit(Pool.apply(pool, T.throws, "bug")))
            yield* gate.open
            assert.include(yield* workersOf(pool), yield* Fiber.join(innocent))
          }))

        law("piscina#1043: a cold pool uses all its workers, however it is asked", () =>
          Effect.gen(function*() {
            const ways: ReadonlyArray<
              (pool: Pool.Pool, items: ReadonlyArray<T.Told>) => Effect.Effect<ReadonlyArray<string>, unknown>
            > = [
              (pool, items) => Pool.map(pool, X.passes, items),
              (pool, items) => Stream.runCollect(Pool.imap(pool, X.passes, items)),
              (pool, items) => Stream.runCollect(Pool.imapUnordered(pool, X.passes, Stream.fromIterable(items))),
              (pool, items) => Effect.forEach(items, (one) => Pool.apply(pool, X.passes, one), { concurrency: 3 })
            ]
            for (const way of ways) {
              const gate = yield* makeGate
              const pool = yield* Pool.make({ processes: 3 })
              const items = ["a", "b", "c"].map((name) => ({ path: gate.path, name }))
              const call = yield* Effect.forkChild(way(pool, items))
              // none has ended yet: each is in a worker of its own
              yield* gate.until(3)
              yield* gate.open
              assert.strictEqual(new Set(yield* Fiber.join(call)).size, 3)
              yield* Pool.close(pool)
            }
          }))
      }

      if (claims.exits) {
        law(
          "bullmq#1533: workers that exit between tasks are restarted so often, and then the pool says why not",
          () =>
            Effect.gen(function*() {
              const pool = yield* Pool.make({ processes: 1, restartIntensity: { max: 2, within: "1 minute" } })
              const served: Array<number> = []
              const storm = Effect.forEach(numbers(1000), (i) =>
                Effect.map(Pool.apply(pool, T.repliesAndExits, i), (one) => {
                  served.push(one)
                }))
              const reason = yield* reasonOfCall(storm)
              assert.strictEqual(reason._tag, "RestartLimitExceeded")
              if (reason._tag === "RestartLimitExceeded") {
                assert.strictEqual(reason.restarts, 3)
              }
              assert.isAtLeast(served.length, 3, "what they replied before is not lost")
              assert.deepStrictEqual(served, numbers(served.length))
              assert.strictEqual(livingBodies(), 0)
            })
        )

        law(
          "bullmq#1587: when the pool gives up, everything that waits in it ends with that",
          () =>
            Effect.gen(function*() {
              const pool = yield* Pool.make({ processes: 1, restartIntensity: { max: 0, within: "1 minute" } })
              const last = yield* Pool.applyAsync(pool, T.exits, 3)
              const waiting = yield* Effect.forEach(numbers(3), (i) => Pool.applyAsync(pool, T.square, i))
              const map = yield* Effect.forkChild(Pool.map(pool, T.square, numbers(100)), { startImmediately: true })
              assert.strictEqual(reasonOf(yield* Fiber.await(last))._tag, "WorkerExited")
              for (const fiber of [...waiting, map] as ReadonlyArray<Fiber.Fiber<unknown, unknown>>) {
                assert.strictEqual(reasonOf(yield* Fiber.await(fiber))._tag, "RestartLimitExceeded")
              }
            })
        )
      }

      law("2.4: of 70,000 calls at once each gets its own answer", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          const count = 70_000
          const results = yield* Effect.forEach(numbers(count), (i) => Pool.apply(pool, T.square, i), {
            concurrency: "unbounded"
          })
          assert.deepStrictEqual(results, squares(count))
        }))

      law(
        "piscina#869: a timeout does not count the time in the queue, of map and of imap neither",
        () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 1 })
            const items = Array.from({ length: 8 }, () => 100)
            const options = { timeout: "600 millis" } as const // less than all of them together
            assert.deepStrictEqual(yield* Pool.map(pool, T.busy, items, options), items)
            assert.deepStrictEqual(yield* Stream.runCollect(Pool.imap(pool, T.busy, items, options)), items)
          })
      )
    })
  })
}
