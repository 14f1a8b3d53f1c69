/** The laws of managers, for every start method. */
import { assert, describe } from "@effect/vitest"
import { Effect, Fiber, Formatter, Option, Scope, Stream } from "effect"
import { inspect } from "node:util"
import { Manager, Pool, Process, ProcessError } from "../../src/index.ts"
import * as T from "../fixtures/manager.ts"
import { bounded, defectOf, numbers, reasonOf } from "./assertions.ts"
import { makeEvents } from "./events.ts"
import { makeGate } from "./gate.ts"
import { laws } from "./law.ts"
import type { Method } from "./methods.ts"
import { makeTracer } from "./spans.ts"

const { Counter, counters } = T

/** With a server of its own. */
const withCounter = <A, E, R>(use: (counter: (typeof Counter)["Service"]) => Effect.Effect<A, E, R>) =>
  Effect.provide(Effect.flatMap(Counter, use), Manager.layer(counters))

const withBank = <A, E, R>(use: (bank: T.Bank["Service"]) => Effect.Effect<A, E, R>) =>
  Effect.provide(Effect.flatMap(T.Bank, use), Manager.layer(T.bank))

export const suite = ({ claims, layer, name }: Method): void => {
  const law = laws(layer, 20_000)

  describe(`Manager on ${name}`, () => {
    law(
      "gives the service of the layer, whose methods run in the server",
      () =>
        withCounter((counter) =>
          Effect.gen(function*() {
            assert.strictEqual(yield* counter.add(2), 2)
            assert.strictEqual(yield* counter.add(3), 5)
            assert.strictEqual(yield* counter.get(), 5)
            const there = yield* counter.where()
            assert.strictEqual(there.pid !== process.pid, claims.signals)
            assert.strictEqual(there.isMain, name === "inline")
            assert.isTrue(Manager.isProxy(counter))
          })
        )
    )

    law(
      "a stream may be taken slowly, and while other calls are made",
      () =>
        withCounter((counter) =>
          Effect.gen(function*() {
            yield* Stream.runForEach(counter.upTo(100), () => counter.add(1))
            assert.strictEqual(yield* counter.get(), 100)
            const slow = yield* Effect.forkChild(Stream.runForEach(counter.upTo(100), () => Effect.never))
            assert.strictEqual(yield* counter.add(1), 101)
            yield* Fiber.interrupt(slow)
            assert.deepStrictEqual(yield* Stream.runCollect(counter.upTo(3)), [1, 2, 3])
          })
        )
    )

    law(
      "whoever prints a proxy does not print how its server is reached",
      () =>
        withCounter((counter) =>
          Effect.sync(() => {
            for (
              const text of [
                inspect(counter, { depth: 9, showHidden: true }),
                JSON.stringify(counter),
                Formatter.format(counter)
              ]
            ) {
              assert.notInclude(text, "key")
              assert.notInclude(text, "path")
            }
          })
        )
    )

    law("a call after the end of its scope says so", () =>
      Effect.gen(function*() {
        const counter = yield* withCounter(Effect.succeed)
        const exit = yield* Effect.exit(counter.add(1))
        const reason = (defectOf(exit) as ProcessError.ProcessError).reason
        assert.include(["WorkerExited", "Closed"], reason._tag)
      }))

    law("its layer is released when the scope of the proxy ends", () =>
      Effect.gen(function*() {
        const events = yield* makeEvents
        yield* Effect.provide(Effect.flatMap(T.Farewell, ({ to }) => to(events.path)), Manager.layer(T.farewell))
        yield* events.until("released")
      }))

    law("a typed error arrives as its class", () =>
      withCounter((counter) =>
        Effect.gen(function*() {
          const error = yield* Effect.flip(counter.take(4))
          assert.instanceOf(error, T.Overdrawn)
          assert.strictEqual(error.by, 4)
        })
      ))

    law(
      "values cross as in a task: by structured clone, with handles",
      () =>
        withCounter((counter) =>
          Effect.gen(function*() {
            const values = [
              undefined,
              null,
              new Map([["a", new Set([1n])]]),
              new Date(7),
              new Float64Array([0.5, NaN]),
              /x/gi
            ]
            for (const value of values) assert.deepStrictEqual(yield* counter.echo(value), value)
            const large = new Uint8Array(4 * 1024 * 1024).map((_, i) => i % 251)
            assert.strictEqual(Buffer.compare((yield* counter.echo(large)) as Uint8Array, large), 0)
            const error = (yield* counter.echo(new RangeError("kept"))) as Error
            assert.instanceOf(error, RangeError)
            assert.strictEqual(error.message, "kept")
          })
        )
    )

    law(
      "what cannot cross fails the call with CodecFailed, and nothing else",
      () =>
        withCounter((counter) =>
          Effect.gen(function*() {
            assert.strictEqual(reasonOf(yield* Effect.exit(counter.echo({ f: () => 1 })))._tag, "CodecFailed")
            const reason = reasonOf(yield* Effect.exit(counter.uncrossable()))
            assert.strictEqual(reason._tag, "CodecFailed")
            assert.strictEqual((reason as ProcessError.CodecFailed).phase, "success")
            assert.strictEqual(yield* counter.add(1), 1)
          })
        )
    )

    law(
      "a defect arrives with its class, its message, the stack of the server, and where it was called",
      () =>
        withCounter((counter) =>
          Effect.gen(function*() {
            const defect = defectOf(yield* Effect.exit(counter.crash("out of paper"))) as Error
            assert.instanceOf(defect, TypeError)
            assert.strictEqual(defect.message, "out of paper")
            assert.match(
              defect.stack!,
              /fixtures\/manager\.ts[^]*\n {4}at method "crash" of "Counters" of file:.* in the server at /
            )
            assert.strictEqual(yield* counter.add(1), 1)
          })
        )
    )

    law("an interrupted call is interrupted in the server", () =>
      withCounter((counter) =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const fiber = yield* Effect.forkChild(counter.wait(events.path))
          yield* events.until("waits")
          yield* Fiber.interrupt(fiber)
          yield* events.until("interrupted")
        })
      ))

    law("many calls are under way at once", () =>
      withCounter((counter) =>
        Effect.gen(function*() {
          const sums = yield* Effect.forEach(numbers(500), () => counter.add(1), { concurrency: "unbounded" })
          assert.deepStrictEqual([...sums].sort((a, b) => a - b), numbers(500).map((i) => i + 1))
        })
      ))

    describe("a method that streams", () => {
      law("gives all in order, and then its end or its error", () =>
        withCounter((counter) =>
          Effect.gen(function*() {
            assert.deepStrictEqual(yield* Stream.runCollect(counter.upTo(100)), numbers(100).map((i) => i + 1))
            const seen: Array<number> = []
            const error = yield* Effect.flip(
              Stream.runForEach(counter.broken(3), (i) => Effect.sync(() => seen.push(i)))
            )
            assert.deepStrictEqual(seen, [1, 2, 3])
            assert.instanceOf(error, T.Overdrawn)
          })
        ))

      law("is stopped where nobody takes any more", () =>
        withCounter((counter) =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const some = yield* Stream.runCollect(Stream.take(counter.endless(events.path), 4))
            assert.deepStrictEqual(some, [1, 2, 3, 1])
            yield* events.until("stopped")
          })
        ))
    })

    describe("a span", () => {
      law(
        "around a call is the parent of the call's, and that of the method's",
        () =>
          withCounter((counter) =>
            Effect.gen(function*() {
              const calls = {
                spanned: counter.spanned(),
                spannedStream: Effect.map(Stream.runCollect(counter.spannedStream()), ([first]) => first!)
              }
              for (const [name, call] of Object.entries(calls)) {
                const { spans, tracer } = makeTracer()
                const [here, there] = yield* Effect.withSpan(
                  Effect.all([Effect.orDie(Effect.currentSpan), call]),
                  "outer"
                ).pipe(Effect.withTracer(tracer))
                assert.strictEqual(there.name, `Manager.Counters.${name}`)
                assert.strictEqual(there.traceId, here.traceId)
                const between = spans.find(({ spanId }) => spanId === there.parent)
                assert.strictEqual(between?.name, `Manager.Counters.${name}`)
                assert.strictEqual(Option.getOrUndefined(between!.parent)?.spanId, here.spanId)
              }
            })
          )
      )
    })

    describe("that does not start", () => {
      law("fails with StartFailed and the failure of its layer", () =>
        Effect.gen(function*() {
          const exit = yield* Effect.exit(Effect.provide(T.Nothing, Manager.layer(T.refuses)))
          const reason = reasonOf(exit)
          assert.strictEqual(reason._tag, "StartFailed")
          assert.strictEqual(((reason as ProcessError.StartFailed).cause as T.Overdrawn).by, 7)
        }))

      if (claims.exits) {
        law("because its process has ended fails with WorkerExited", () =>
          Effect.gen(function*() {
            const reason = reasonOf(yield* Effect.exit(Effect.provide(T.Nothing, Manager.layer(T.dies))))
            assert.strictEqual(reason._tag, "WorkerExited")
          }))
      }
    })

    describe("whose server", () => {
      if (claims.exits) {
        law(
          "has ended fails every call with WorkerExited, at once, and those that come later",
          () =>
            withCounter((counter) =>
              Effect.gen(function*() {
                const events = yield* makeEvents
                const pending = yield* Effect.forkChild(counter.wait(events.path))
                const mute = yield* Effect.forkChild(counter.waitAdmittingNothing(events.path))
                const stream = yield* Effect.forkChild(Stream.runDrain(counter.endless(events.path)))
                yield* events.until("waits", 2)
                const began = performance.now()
                const exits = [
                  yield* Effect.exit(counter.exit(4)),
                  yield* Fiber.await(pending),
                  yield* Fiber.await(stream),
                  yield* Effect.exit(counter.get())
                ]
                assert.isBelow(performance.now() - began, 1000)
                for (const exit of exits) {
                  const reason = reasonOf(exit)
                  assert.strictEqual(reason._tag, "WorkerExited")
                  assert.deepStrictEqual((reason as ProcessError.WorkerExited).status, { _tag: "Exited", code: 4 })
                }
                // its type has no place for it
                const defect = defectOf(yield* Fiber.await(mute))
                assert.isTrue(ProcessError.isProcessError(defect))
              })
            )
        )
      }

      if (claims.signals) {
        law("is killed fails the calls with the signal", () =>
          withCounter((counter) =>
            Effect.gen(function*() {
              const events = yield* makeEvents
              const { pid } = yield* counter.where()
              const pending = yield* Effect.forkChild(counter.wait(events.path))
              yield* events.until("waits")
              process.kill(pid, "SIGKILL")
              const reason = reasonOf(yield* Fiber.await(pending).pipe(bounded("the end of a call", 1)))
              assert.strictEqual(reason._tag, "WorkerExited")
              assert.strictEqual((reason as ProcessError.WorkerExited).pid, pid)
            })
          ))
      }

      law(
        "belongs to a scope that has ended is Closed, for calls under way and for later ones",
        () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const [counter, pending] = yield* withCounter((counter) =>
              Effect.gen(function*() {
                const pending = yield* Effect.forkDetach(counter.wait(events.path))
                yield* events.until("waits")
                return [counter, pending] as const
              })
            )
            for (const exit of [yield* Fiber.await(pending), yield* Effect.exit(counter.get())]) {
              assert.include(["Closed", "WorkerExited"], reasonOf(exit)._tag)
            }
          })
      )
    })

    describe("a proxy", () => {
      law(
        "in a payload works in a child, and in a grandchild, and comes back",
        () =>
          withCounter((counter) =>
            Effect.gen(function*() {
              const pids = yield* Effect.forEach(
                numbers(2),
                () => Effect.flatMap(Process.start(T.addsTo, { counter, times: 10 }), Process.join),
                {
                  concurrency: "unbounded"
                }
              )
              assert.strictEqual(pids.every((pid) => pid !== process.pid), claims.signals)
              assert.strictEqual(yield* counter.get(), 20)
              const child = yield* Process.start(T.passesOn, counter)
              const back = yield* Process.join(child)
              assert.strictEqual(yield* back.add(1), 24)
            })
          )
      )

      law("goes through a call of another one", () =>
        withCounter((counter) =>
          Effect.gen(function*() {
            const back = (yield* counter.echo({ counter })) as { readonly counter: typeof counter }
            assert.strictEqual(yield* back.counter.add(6), 6)
          })
        ))

      if (claims.signals) {
        law(
          "whose process is killed ends its calls in the server",
          () =>
            withCounter((counter) =>
              Effect.gen(function*() {
                const events = yield* makeEvents
                const child = yield* Process.start(T.waitsOn, { counter, path: events.path }, { daemon: true })
                yield* events.until("waits")
                yield* Process.kill(child)
                yield* events.until("interrupted")
              })
            )
        )
      }
    })

    describe("an object that a method gives", () => {
      law(
        "stays in the server until its scope ends, and is Closed then",
        () =>
          withBank((bank) =>
            Effect.gen(function*() {
              const account = yield* Effect.scoped(Effect.gen(function*() {
                const [one, two] = [yield* bank.open("one"), yield* bank.open("two")]
                assert.strictEqual(yield* one.put(2), 2)
                assert.strictEqual(yield* one.put(3), 5)
                assert.strictEqual(yield* two.put(1), 1)
                assert.strictEqual(yield* two.name(), "two")
                assert.deepStrictEqual(yield* bank.live(), ["one", "two"])
                return one
              }))
              yield* bank.until(0).pipe(bounded("the end of two objects"))
              assert.strictEqual(reasonOf(yield* Effect.exit(account.put(1)))._tag, "Closed")
            })
          )
      )

      law("that fails is none", () =>
        withBank((bank) =>
          Effect.gen(function*() {
            assert.instanceOf(yield* Effect.flip(Effect.scoped(bank.open(""))), T.Overdrawn)
            assert.deepStrictEqual(yield* bank.live(), [])
          })
        ))

      law(
        "that is dropped fails the calls that are under way with Closed",
        () =>
          withBank((bank) =>
            Effect.gen(function*() {
              const events = yield* makeEvents
              const calls = yield* Effect.scoped(Effect.gen(function*() {
                const account = yield* bank.open("one")
                const calls = yield* Effect.all([
                  Effect.forkDetach(account.wait(events.path)),
                  Effect.forkDetach(Stream.runDrain(account.watch(events.path)))
                ])
                yield* events.until("waits", 2)
                return calls
              }))
              for (const call of calls) {
                const exit = yield* Fiber.await(call).pipe(bounded("the end of a call"))
                assert.strictEqual(reasonOf(exit)._tag, "Closed")
              }
              yield* events.until("interrupted", 2)
            })
          )
      )

      law(
        "is held by whoever keeps a method of it, until that is out of sight",
        () =>
          withBank((bank) =>
            Effect.gen(function*() {
              const pool = yield* Pool.make({ processes: 1 })
              yield* Effect.scoped(Effect.flatMap(bank.open("one"), (account) => Pool.apply(pool, T.keepsPut, account)))
              assert.strictEqual(yield* Pool.apply(pool, T.usesPut, 2), 3)
              yield* Pool.apply(pool, T.forgetsPut)
              yield* bank.until(0).pipe(bounded("the end of an object"))
            })
          )
      )

      law("is held by the calls of it that run", () =>
        withBank((bank) =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            yield* Effect.scoped(Effect.gen(function*() {
              const pool = yield* Pool.make({ processes: 1 })
              yield* Effect.scoped(Effect.gen(function*() {
                const account = yield* bank.open("one")
                yield* Pool.apply(pool, T.leavesCalls, { account, path: events.path })
                yield* events.until("waits", 2)
              }))
              yield* Pool.apply(pool, T.collects)
              assert.deepStrictEqual(yield* bank.live(), ["one"])
              assert.notInclude(events.seen(), "interrupted")
            }))
            yield* bank.until(0).pipe(bounded("the end of an object"))
          })
        ))

      law("is held by hold until its scope ends, in sight or not", () =>
        withBank((bank) =>
          Effect.gen(function*() {
            const gate = yield* makeGate
            const pool = yield* Pool.make({ processes: 1 })
            const account = yield* Effect.scoped(Effect.gen(function*() {
              const account = yield* bank.open("one")
              yield* Pool.apply(pool, T.leavesHeld, { account, path: gate.path })
              yield* gate.until(1)
              return account
            }))
            yield* Pool.apply(pool, T.collects)
            assert.strictEqual(yield* Effect.scoped(Effect.flatMap(Manager.hold(account), ({ put }) => put(3))), 3)
            yield* gate.open
            // its scope ends some time after that, in sight of nobody
            yield* Effect.raceFirst(bank.until(0), Effect.forever(Pool.apply(pool, T.collects))).pipe(
              bounded("the end of an object")
            )
            assert.strictEqual(reasonOf(yield* Effect.exit(Effect.scoped(Manager.hold(account))))._tag, "Closed")
            assert.strictEqual(yield* Effect.scoped(Manager.hold(bank)), bank)
            const defect = defectOf(yield* Effect.exit(Effect.scoped(Manager.hold({})))) as Error
            assert.include(defect.message, "Manager.hold: this is no proxy")
          })
        ))

      law("travels, and is the same one there", () =>
        withBank((bank) =>
          Effect.scoped(Effect.gen(function*() {
            const account = yield* bank.open("one")
            yield* Effect.flatMap(Process.start(T.puts, { account }), Process.join)
            assert.strictEqual(yield* account.put(1), 6)
          }))
        ))

      if (claims.signals) {
        law("is held by whoever was sent it, until that dies", () =>
          withBank((bank) =>
            Effect.gen(function*() {
              const events = yield* makeEvents
              const outer = yield* Effect.scope
              const child = yield* Effect.scoped(Effect.gen(function*() {
                const account = yield* bank.open("one")
                const child = yield* Process.start(T.puts, { account, path: events.path }, { daemon: true })
                  .pipe(Scope.provide(outer))
                yield* events.until("waits")
                return child
              }))
              assert.deepStrictEqual(yield* bank.live(), ["one"])
              yield* Process.kill(child)
              yield* bank.until(0).pipe(bounded("the end of an object"))
            })
          ))

        law("is dropped when the process that asked for it is killed", () =>
          withBank((bank) =>
            Effect.gen(function*() {
              const events = yield* makeEvents
              const child = yield* Process.start(T.opens, { bank, path: events.path }, { daemon: true })
              yield* events.until("waits")
              assert.deepStrictEqual(yield* bank.live(), ["of a child"])
              yield* Process.kill(child)
              yield* bank.until(0).pipe(bounded("the end of an object"))
            })
          ))
      }
    })

    law("one layer is one server, however many use it; two are two", () =>
      Effect.gen(function*() {
        const add = Effect.flatMap(Counter, (counter) => counter.add(1))
        const layer = Manager.layer(counters)
        const users = Effect.all([add, add, add], { concurrency: 3 })
        assert.deepStrictEqual([...(yield* Effect.provide(users, layer))].sort(), [1, 2, 3])
        const both = yield* Effect.all([Effect.provide(add, layer), Effect.provide(add, Manager.layer(counters))], {
          concurrency: 2
        })
        assert.deepStrictEqual(both, [1, 1])
      }))
  })
}
