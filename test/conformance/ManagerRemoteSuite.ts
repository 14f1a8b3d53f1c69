/** The laws of managers that are a program of their own, over a path and over TCP. */
import { assert, describe } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Schedule, Scope } from "effect"
import { createServer } from "node:net"
import type { Socket } from "node:net"
import { Connection, Listener, Manager, Pipe, Process, StartMethod } from "../../src/index.ts"
import type { ProcessError, Task } from "../../src/index.ts"
import * as T from "../fixtures/manager.ts"
import { bounded, defectOf, moment, numbers, reasonOf } from "./assertions.ts"
import { makeEvents } from "./events.ts"
import { laws } from "./law.ts"
import { addressOf, isDone } from "./ListenerSuite.ts"
import type { Kind } from "./ListenerSuite.ts"
import type { Method } from "./methods.ts"

const authKey = "a key of the tests"

type Use<A, E, R> = (bank: T.Bank["Service"]) => Effect.Effect<A, E, R>

const connected = <A, E, R>(options: Parameters<typeof Manager.connect>[1], use: Use<A, E, R>) =>
  Effect.provide(Effect.flatMap(T.Bank, use), Manager.connect(T.bank, options))

/** In this process. */
const served = (kind: Kind, leaseTimeout?: number) =>
  Effect.flatMap(addressOf(kind), (address) => Manager.serve(T.bank, { address, authKey, leaseTimeout }))

export interface Way {
  readonly address: Listener.Address
  readonly cut: () => void
  /** From now on it lets nobody in. */
  readonly shut: () => void
  readonly reopen: () => void
  /** Completes when so many were not let in, since it was shut. */
  readonly refused: (count: number) => Effect.Effect<void>
  /** So many were not. */
  readonly refusals: () => number
  /** Says something to the clients, as if it came from the server. */
  readonly say: (text: string) => void
  /** What the server says waits here, until it is let go. */
  readonly hold: () => void
  readonly letGo: () => void
}

/** A way to an address that can be cut; it begins at a port, or at a path. */
export const wayTo = (address: Listener.Address, from?: Listener.Address) =>
  Effect.acquireRelease(
    Effect.callback<Way & { readonly close: () => void }>(
      (resume) => {
        const sockets = new Set<Socket>()
        const clients = new Set<Socket>()
        const servers = new Set<Socket>()
        const waits = new Set<() => void>()
        let isShut = false
        let refused = 0
        const refuse = (socket: Socket): void => {
          socket.destroy()
          refused++
          for (const check of waits) check()
        }
        const server = createServer((socket) => {
          if (isShut) return refuse(socket)
          const further = "path" in address ? undefined : address
          const there = new (socket.constructor as new() => Socket)().connect(
            further ?? { path: (address as { readonly path: string }).path }
          )
          clients.add(socket)
          servers.add(there)
          for (const one of [socket, there]) {
            sockets.add(one)
            one.on("error", () => {})
            one.on("close", () => {
              socket.destroy()
              there.destroy()
            })
          }
          socket.pipe(there)
          there.on("data", (block) => void socket.write(block))
          there.on("end", () => void socket.end())
        })
        const cut = (): void => {
          for (const socket of sockets) socket.destroy()
          for (const all of [sockets, clients, servers]) all.clear()
        }
        const way = {
          cut,
          close: () => {
            server.close()
            cut()
          },
          shut: () => {
            isShut = true
            refused = 0
            cut()
          },
          reopen: () => {
            isShut = false
          },
          refused: (count: number) =>
            Effect.callback<void>((resume) => {
              const check = (): void => {
                if (refused >= count) resume(Effect.void)
              }
              waits.add(check)
              check()
              return Effect.sync(() => waits.delete(check))
            }).pipe(bounded(`${count} refused`)),
          refusals: () => refused,
          say: (text: string) => clients.forEach((client) => void client.write(text)),
          hold: () => servers.forEach((server) => void server.pause()),
          letGo: () => servers.forEach((server) => void server.resume())
        }
        const listening = (): void => {
          const bound = server.address()
          const at = typeof bound === "string" ? { path: bound } : { host: "127.0.0.1", port: bound!.port }
          resume(Effect.succeed({ ...way, address: at }))
        }
        if (from !== undefined && "path" in from) server.listen(from.path, listening)
        else server.listen(0, "127.0.0.1", listening)
      }
    ),
    ({ close }) => Effect.sync(close)
  )

/** One that is opened now, and lost: when it is dropped, whoever has lost its connection before had to be back. */
const timer = (address: Listener.Address) =>
  Effect.gen(function*() {
    const way = yield* wayTo(address)
    const context = yield* Layer.build(
      Manager.connect(T.bank, { address: way.address, authKey, schedule: Schedule.recurs(0) })
    )
    yield* Context.get(context, T.Bank).open("timer")
    return way.shut
  })

export const aloneSuite = (kind: Kind): void => {
  const law = laws(StartMethod.layerInline, 20_000)

  describe(`Manager.connect over ${kind}`, () => {
    law("gives the service, whose objects are in the server", () =>
      Effect.gen(function*() {
        const { address } = yield* served(kind)
        yield* connected({ address, authKey }, (bank) =>
          Effect.gen(function*() {
            yield* Effect.scoped(Effect.gen(function*() {
              const account = yield* bank.open("one")
              assert.strictEqual(yield* account.put(3), 3)
            }))
            yield* bank.until(0)
          }))
      }))

    law("with another key fails with AuthenticationFailed, and the server goes on", () =>
      Effect.gen(function*() {
        const { address } = yield* served(kind)
        const exit = yield* Effect.exit(connected({ address, authKey: "another" }, (bank) => bank.live()))
        assert.strictEqual(reasonOf(exit)._tag, "AuthenticationFailed")
        assert.deepStrictEqual(yield* connected({ address, authKey }, (bank) => bank.live()), [])
      }))

    law("where nobody listens fails with TimedOut", () =>
      Effect.gen(function*() {
        const address = kind === "TCP" ? { host: "127.0.0.1", port: 1 } : yield* addressOf(kind)
        const exit = yield* Effect.exit(connected({ address, authKey, deadline: 0 }, (bank) => bank.live()))
        assert.strictEqual(reasonOf(exit)._tag, "TimedOut")
      }))

    law("to whoever says nonsense once it has proven the key, the server hangs up", () =>
      Effect.gen(function*() {
        const { address } = yield* served(kind)
        const end = yield* Listener.connect<unknown>(address, { authKey })
        yield* Connection.send(end, null)
        assert.isTrue(isDone(yield* Effect.exit(Connection.receive(end).pipe(bounded("the end of a connection")))))
        assert.deepStrictEqual(yield* connected({ address, authKey }, (bank) => bank.live()), [])
      }))

    law(
      "a connection that is cut is made again; a call under way fails with Closed, its objects stay",
      () =>
        Effect.gen(function*() {
          const { address } = yield* served(kind)
          const way = yield* wayTo(address)
          yield* connected({ address: way.address, authKey }, (bank) =>
            Effect.scoped(Effect.gen(function*() {
              const account = yield* bank.open("one")
              assert.strictEqual(yield* account.put(5), 5)
              const events = yield* makeEvents
              const pending = yield* Effect.forkChild(Effect.exit(bank.until(7)))
              const other = yield* Effect.forkChild(Effect.exit(account.wait(events.path)))
              yield* events.until("waits")
              way.cut()
              const exit = yield* Fiber.join(pending).pipe(bounded("the end of a call"))
              assert.isTrue(Exit.isFailure(exit))
              const error = defectOf(exit) as ProcessError.ProcessError // its type has no place for it
              assert.strictEqual(error.reason._tag, "Closed")
              assert.strictEqual(reasonOf(yield* Fiber.join(other))._tag, "Closed")
              assert.strictEqual(yield* account.put(5), 10)
              assert.deepStrictEqual(yield* bank.live(), ["one"])
            })))
          yield* connected({ address, authKey }, (bank) => bank.until(0)).pipe(bounded("the end of an object"))
        })
    )

    law(
      "an object is held again as soon as the way is open, however often it was tried before",
      () =>
        Effect.gen(function*() {
          const { address } = yield* served(kind, 1500)
          const way = yield* wayTo(address)
          const options = { address: way.address, authKey, schedule: Schedule.recurs(0) }
          yield* connected(options, (bank) =>
            Effect.gen(function*() {
              const account = yield* bank.open("one")
              const lose = yield* timer(address)
              way.shut()
              yield* way.refused(3)
              way.reopen()
              lose()
              yield* connected({ address, authKey }, (bank) => bank.until(1)).pipe(bounded("the end of an object"))
              assert.deepStrictEqual(yield* bank.live(), ["one"])
              assert.strictEqual(yield* account.put(1), 1)
            }))
        })
    )

    law(
      "a call that comes while there is no connection waits as long as the schedule goes on, and is answered",
      () =>
        Effect.gen(function*() {
          const { address } = yield* served(kind)
          const way = yield* wayTo(address)
          yield* connected({ address: way.address, authKey, schedule: Schedule.spaced(20) }, (bank) =>
            Effect.gen(function*() {
              yield* bank.live()
              way.shut()
              yield* way.refused(1) // its connection is known to be lost
              const calls = [
                yield* Effect.forkChild(bank.live(), { startImmediately: true }),
                yield* Effect.forkChild(bank.until(0), { startImmediately: true })
              ]
              yield* way.refused(5)
              for (const call of calls) {
                assert.isUndefined(call.pollUnsafe(), "it waits")
              }
              way.reopen()
              const answers = yield* Effect.forEach(calls, (call) =>
                Fiber.join<unknown, unknown>(call)).pipe(
                  bounded("the answers")
                )
              assert.deepStrictEqual(answers, [[], undefined])
            }))
        })
    )

    law(
      "a call that comes while there is no connection is TimedOut when the schedule ends, and the next one tries again",
      () =>
        Effect.gen(function*() {
          const { address } = yield* served(kind)
          const way = yield* wayTo(address)
          yield* connected({ address: way.address, authKey, schedule: Schedule.recurs(2) }, (bank) =>
            Effect.gen(function*() {
              // nobody holds an object meanwhile, which would be looked for
              const call = Effect.exit(Effect.scoped(bank.open("one"))).pipe(bounded("the end of a call"))
              yield* bank.live()
              way.shut()
              yield* way.refused(1) // its connection is known to be lost
              assert.strictEqual(reasonOf(yield* call)._tag, "TimedOut")
              const before = way.refusals()
              assert.strictEqual(reasonOf(yield* call)._tag, "TimedOut")
              assert.strictEqual(way.refusals() - before, 3)
              way.reopen()
              assert.isTrue(Exit.isSuccess(yield* call))
            }))
        })
    )

    law("a value on its way over a connection that is cut is not lost", () =>
      Effect.gen(function*() {
        const { address } = yield* Manager.serve(Manager.objects, { address: yield* addressOf(kind), authKey })
        const way = yield* wayTo(address)
        const count = 200
        const queueAt = (address: Listener.Address) =>
          Effect.map(
            Layer.build(Manager.connect(Manager.objects, { address, authKey })),
            (context) => Effect.provide(Manager.queue<number>({ name: "jobs" }), context)
          ).pipe(Effect.flatten)
        const near = yield* queueAt(address)
        const far = yield* queueAt(way.address)
        yield* Effect.forEach(numbers(count), near.offer, { concurrency: "unbounded" })
        const seen = new Set<number>()
        for (let i = 0; seen.size < count; i++) {
          const taking = yield* Effect.forkChild(Effect.exit(far.take()), { startImmediately: true })
          if (i % 2 === 0) yield* Effect.andThen(moment(i % 13), Effect.sync(way.cut))
          const exit = yield* Fiber.join(taking).pipe(bounded(`value ${seen.size}`))
          if (Exit.isSuccess(exit)) seen.add(exit.value)
          else assert.strictEqual(reasonOf(exit)._tag, "Closed")
        }
        assert.strictEqual(yield* near.size(), 0)
      }))

    law(
      "a wait at a condition ends with its connection, and so does what runs under its lock",
      () =>
        Effect.gen(function*() {
          const { address } = yield* Manager.serve(Manager.objects, { address: yield* addressOf(kind), authKey })
          const way = yield* wayTo(address)
          const far = yield* Layer.build(Manager.connect(Manager.objects, { address: way.address, authKey }))
          const condition = yield* Effect.provide(Manager.condition(), far)
          const entered = yield* Deferred.make<void>()
          const waits = Effect.andThen(Deferred.succeed(entered, undefined), Effect.exit(Manager.wait(condition)))
          let goesOn = false
          const goneOn = Effect.sync(() => {
            goesOn = true
          })
          const waiting = yield* Effect.forkChild(
            Manager.withLock(condition.lock, Effect.andThen(waits, Effect.andThen(Effect.yieldNow, goneOn)))
          )
          yield* Deferred.await(entered)
          yield* Manager.withLock(condition.lock, Effect.void)
          way.shut()
          const exit = yield* Fiber.await(waiting).pipe(bounded("the end of a wait"))
          assert.strictEqual(reasonOf(exit)._tag, "Closed")
          assert.isFalse(goesOn)
        })
    )

    law("who does not come back loses its objects after the leaseTimeout", () =>
      Effect.gen(function*() {
        const { address } = yield* served(kind, 50)
        const way = yield* wayTo(address)
        const scope = yield* Scope.fork(yield* Effect.scope)
        yield* connected({ address: way.address, authKey, schedule: Schedule.recurs(0) }, (bank) =>
          Effect.gen(function*() {
            yield* Scope.provide(bank.open("one"), scope)
            way.shut()
            yield* connected({ address, authKey }, (bank) =>
              bank.until(0)).pipe(bounded("the end of an object"))
          }))
      }))
  })
}

export const suite = ({ claims, layer, name }: Method): void => {
  const law = laws(layer, 20_000)

  describe(`Manager.connect from a child on ${name}`, () => {
    law(
      "holds again what it was sent, and what it has asked for, when its way is open again",
      () =>
        Effect.gen(function*() {
          const address = yield* addressOf("a path")
          yield* Manager.serve(T.bank, { address, authKey, leaseTimeout: 1500 })
          const way = yield* wayTo(address, yield* addressOf("a path"))
          const options = { address: way.address, authKey, schedule: Schedule.recurs(0) }
          const events = yield* makeEvents
          const outer = yield* Effect.scope
          yield* connected(options, (bank) =>
            Effect.gen(function*() {
              const start = <P, A, E>(task: Task.Task<P, A, E, never>, payload: P) =>
                Process.start(task, payload).pipe(Scope.provide(outer))
              const children = yield* Effect.scoped(Effect.gen(function*() {
                const account = yield* bank.open("sent")
                const children = [
                  yield* start(T.puts, { account, path: events.path }),
                  yield* start(T.opens, { bank, path: events.path })
                ]
                yield* events.until("waits", 2)
                return children
              }))
              const lose = yield* timer(address)
              way.shut()
              // some of them are not the children's
              yield* way.refused(8)
              way.reopen()
              lose()
              yield* connected({ address, authKey }, (bank) => bank.until(2)).pipe(bounded("the end of an object"))
              assert.deepStrictEqual([...(yield* bank.live())].sort(), ["of a child", "sent"])
              yield* Effect.forEach(children, Process.terminate)
            }))
        })
    )
  })

  if (!claims.signals) return

  describe(`Manager.serve in a program of its own on ${name}`, () => {
    law("is waited for when it is killed and started again", () =>
      Effect.gen(function*() {
        const address = yield* addressOf("a path")
        const start = Effect.gen(function*() {
          const [receiver, announce] = yield* Pipe.simplex<Listener.Address>()
          const child = yield* Process.start(T.servesBank, { address, authKey, announce }, { daemon: true })
          yield* Connection.receive(receiver)
          return child
        })
        const first = yield* start
        const events = yield* makeEvents
        yield* connected({ address, authKey }, (bank) =>
          Effect.gen(function*() {
            const user = yield* Process.start(T.opens, { bank, path: events.path }, { daemon: true })
            yield* events.until("waits")
            assert.deepStrictEqual(yield* bank.live(), ["of a child"])
            yield* Process.kill(user)
            const mine = yield* bank.open("mine")
            assert.strictEqual(yield* mine.name(), "mine")
            yield* Process.kill(first)
            yield* Process.exited(first)
            const again = yield* Effect.forkChild(bank.live())
            yield* start
            assert.deepStrictEqual(yield* Fiber.join(again), [])
            // as its first object, as mine was of the other
            for (const name of ["one", "two", "three"]) yield* bank.open(name)
            assert.strictEqual(reasonOf(yield* Effect.exit(mine.name()))._tag, "Closed")
          }))
      }))
  })
}
