/** The laws of what goes wrong between a proxy and its server: frames, limits, greetings, ends that are given away. */
import { assert, describe } from "@effect/vitest"
import { Effect, Exit, Fiber, Schedule, Scope, Stream } from "effect"
import { Connection, Listener, Manager, Pipe, Process, StartMethod } from "../../src/index.ts"
import type { ProcessError } from "../../src/index.ts"
import { openHall } from "../../src/internal/listener/hall.ts"
import type { Hall } from "../../src/internal/listener/hall.ts"
import { encodeMessage } from "../../src/internal/manager/messages.ts"
import * as Counters from "../fixtures/manager.ts"
import * as Proxied from "../fixtures/proxied.ts"
import * as T from "../fixtures/wire.ts"
import { visitWithKey } from "../internal/listener/stranger.ts"
import { bounded, defectOf, reasonOf } from "./assertions.ts"
import { makeEvents } from "./events.ts"
import { laws } from "./law.ts"
import { addressOf, isDone } from "./ListenerSuite.ts"
import type { Kind } from "./ListenerSuite.ts"
import { wayTo } from "./ManagerRemoteSuite.ts"
import type { Method } from "./methods.ts"

const authKey = "a key of the tests"
const maxMessageBytes = 64 * 1024
const tooMany = 1024 * 1024

type Use<A, E, R> = (wires: T.Wires["Service"]) => Effect.Effect<A, E, R>

const withWires = <A, E, R>(use: Use<A, E, R>) =>
  Effect.provide(Effect.flatMap(T.Wires, use), Manager.layer(T.wires, { maxMessageBytes }))

const connected = <A, E, R>(options: Parameters<typeof Manager.connect>[1], use: Use<A, E, R>) =>
  Effect.provide(Effect.flatMap(T.Wires, use), Manager.connect(T.wires, options))

const detached = () => {
  const buffer = new ArrayBuffer(8)
  structuredClone(buffer, { transfer: [buffer] })
  return buffer
}

/** Its other end is over. */
const isOver = (receiver: Connection.Connection<never, unknown>) =>
  Effect.map(Effect.exit(Connection.receive(receiver).pipe(bounded("the end of a pipe"))), isDone)

export const suite = ({ claims, layer, name }: Method): void => {
  const law = laws(layer, 20_000)

  describe(`The wire of a manager on ${name}`, () => {
    law(
      "an answer that is too large, or that nobody can frame, fails its own call and nothing else",
      () =>
        withWires((wires) =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const pending = yield* Effect.forkChild(wires.wait(events.path))
            yield* events.until("waits")
            const large = reasonOf(yield* Effect.exit(wires.give(tooMany)))
            assert.strictEqual(large._tag, "MessageTooLarge")
            assert.strictEqual((large as ProcessError.MessageTooLarge).limit, maxMessageBytes)
            assert.include(large.message, "Manager \"Wires\", give")
            const unframed = reasonOf(yield* Effect.exit(wires.detached()))
            assert.strictEqual(unframed._tag, "CodecFailed")
            assert.strictEqual((unframed as ProcessError.CodecFailed).phase, "success")
            assert.include(unframed.message, "Manager \"Wires\", detached")
            assert.strictEqual(yield* wires.get(), 7)
            assert.isUndefined(pending.pollUnsafe())
            yield* Fiber.interrupt(pending)
            yield* events.until("interrupted")
          })
        )
    )

    law(
      "an element that is too large ends its stream, and what made it stops",
      () =>
        withWires((wires) =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const seen: Array<number> = []
            const exit = yield* Effect.exit(
              Stream.runForEach(wires.grow(tooMany, events.path), ({ length }) => Effect.sync(() => seen.push(length)))
            )
            assert.strictEqual(reasonOf(exit)._tag, "MessageTooLarge")
            assert.deepStrictEqual(seen, [1])
            yield* events.until("stopped")
            assert.strictEqual(yield* wires.get(), 7)
          })
        )
    )

    law(
      "a payload that is too large, or that nobody can frame, fails its own call and nothing else",
      () =>
        withWires((wires) =>
          Effect.gen(function*() {
            const large = reasonOf(yield* Effect.exit(wires.keep(new Uint8Array(tooMany))))
            assert.strictEqual(large._tag, "MessageTooLarge")
            const unframed = reasonOf(yield* Effect.exit(wires.keep({ buffer: detached() })))
            assert.strictEqual(unframed._tag, "CodecFailed")
            assert.strictEqual((unframed as ProcessError.CodecFailed).phase, "payload")
            assert.strictEqual(yield* wires.get(), 7)
          })
        )
    )

    law("what does not fit its schema says whose it is", () =>
      withWires((wires) =>
        Effect.gen(function*() {
          const reason = reasonOf(yield* Effect.exit(wires.count("1" as unknown as number)))
          assert.strictEqual(reason._tag, "CodecFailed")
          assert.include(reason.message, "Manager \"Wires\", count: the payload does not fit its schema")
          const defect = defectOf(yield* Effect.exit(wires.mute("1" as unknown as number)))
          assert.include((defect as ProcessError.ProcessError).message, "Manager \"Wires\", mute: the payload")
        })
      ))

    law(
      "an end of a pipe stays where the call with it cannot be sent",
      () =>
        withWires((wires) =>
          Effect.gen(function*() {
            const [receiver, sender] = yield* Pipe.simplex<number>()
            const exit = yield* Effect.exit(wires.keep({ sender, large: new Uint8Array(tooMany) }))
            assert.strictEqual(reasonOf(exit)._tag, "MessageTooLarge")
            yield* Connection.send(sender, 3)
            assert.strictEqual(yield* Connection.receive(receiver), 3)
          })
        )
    )

    law(
      "an end of a pipe is over where the call with it finds nobody",
      () =>
        withWires((wires) =>
          Effect.gen(function*() {
            const drawer = yield* Effect.scoped(wires.drawer())
            const [receiver, sender] = yield* Pipe.simplex<number>()
            assert.strictEqual(reasonOf(yield* Effect.exit(drawer.keep(sender)))._tag, "Closed")
            assert.isTrue(yield* isOver(receiver))
          })
        )
    )

    law("a proxy whose server has ended is Closed elsewhere, and says so", () =>
      Effect.gen(function*() {
        const wires = yield* withWires(Effect.succeed)
        const child = yield* Process.start(T.failsOn, wires)
        const { _tag, message } = yield* Process.join(child)
        assert.strictEqual(_tag, "Closed")
        assert.include(message, "nobody listens there any more")
      }))

    law(
      "a task that is sent a proxy waits for the import of what that needs, and requires nothing",
      () =>
        withWires((wires) =>
          Effect.gen(function*() {
            const child = yield* Process.start(Proxied.calls, wires)
            assert.deepStrictEqual(yield* Process.join(child), [])
          })
        )
    )

    if (claims.parallel) {
      law(
        "a server that computes for longer than the silenceTimeout of a client over TCP is Closed, and for less is not",
        () =>
          Effect.gen(function*() {
            const [receiver, announce] = yield* Pipe.simplex<Listener.Address>()
            yield* Process.start(T.serves, { authKey, announce }, { daemon: true })
            const address = yield* Connection.receive(receiver)
            yield* connected({ address, authKey }, (wires) => wires.compute(700))
            const exit = yield* Effect.exit(
              connected({ address, authKey, silenceTimeout: 200 }, (wires) => wires.compute(1500))
            )
            assert.strictEqual(reasonOf(exit)._tag, "Closed")
          })
      )
    }

    if (claims.exits) {
      law("a server that ends before anybody is connected is WorkerExited", () =>
        Effect.gen(function*() {
          const reason = reasonOf(yield* Effect.exit(Effect.provide(T.Nobody, Manager.layer(T.endsEarly))))
          assert.strictEqual(reason._tag, "WorkerExited")
          assert.deepStrictEqual((reason as ProcessError.WorkerExited).status, { _tag: "Exited", code: 5 })
        }))
    }
  })
}

/** Answers whoever comes with these bytes, once it has said something. */
const answering = (kind: Kind, bytes: Uint8Array) =>
  Effect.acquireRelease(
    Effect.gen(function*() {
      const terms = { key: Buffer.from(authKey), limit: maxMessageBytes, patienceMillis: 10_000 }
      const hall = (yield* Effect.flatMap(addressOf(kind), (address) =>
        Effect.promise(() => openHall(address, terms, () => {})))) as Hall // it may listen there
      hall.whenReady(() => {
        const { socket } = hall.take()!
        socket.once("data", () =>
          void socket.end(bytes))
        socket.resume()
      })
      return hall
    }),
    (hall) =>
      Effect.sync(() => hall.close())
  )

/** What a client says first, of this version. */
const hello = (version: number) => Buffer.concat([Buffer.from("empm"), Buffer.from([version, 0, 0, 0, 0, 0, 0, 0])])
/** The welcome of a Listener ends there. */
const welcomeBytes = 84

/** Has the key, and says of which version it is, and at once what it calls. */
const callsAs = (address: Listener.Address, version: number, n: number) =>
  Effect.gen(function*() {
    const client = yield* visitWithKey(address, authKey)
    const request = { _tag: "Request", id: "1", tag: "Traces.leave", payload: { value: n, marked: false }, headers: [] }
    client.say(Buffer.concat([hello(version), encodeMessage(request, maxMessageBytes)]))
    const said = yield* client.until(welcomeBytes + hello(version).length)
    return { client, said: said.subarray(welcomeBytes) }
  })

export const aloneSuite = (kind: Kind): void => {
  const law = laws(StartMethod.layerInline, 20_000)
  const get: Use<number, ProcessError.ProcessError, never> = (wires) => wires.get()

  const served = (options?: Partial<Manager.ServeOptions>) =>
    Effect.flatMap(addressOf(kind), (address) => Manager.serve(T.wires, { address, authKey, ...options }))

  /** It is refused before anything is called. */
  const refused = (address: Listener.Address, options?: Partial<Manager.ConnectOptions>) =>
    Effect.map(Effect.exit(connected({ address, authKey, ...options }, get)), reasonOf)

  describe(`The wire of Manager.connect over ${kind}`, () => {
    law("a server sends no more than its client takes", () =>
      Effect.gen(function*() {
        const { address } = yield* served()
        yield* connected({ address, authKey, maxMessageBytes }, (wires) =>
          Effect.gen(function*() {
            const reason = reasonOf(yield* Effect.exit(wires.give(tooMany)))
            assert.strictEqual(reason._tag, "MessageTooLarge")
            assert.strictEqual(yield* wires.get(), 7)
          }))
      }))

    law("a client that cannot read what comes hangs up, and its next call connects anew", () =>
      Effect.gen(function*() {
        const { address } = yield* served()
        const way = yield* wayTo(address)
        const events = yield* makeEvents
        yield* connected({ address: way.address, authKey }, (wires) =>
          Effect.gen(function*() {
            const pending = yield* Effect.forkChild(wires.wait(events.path))
            yield* events.until("waits")
            way.say("what no manager says")
            const exit = yield* Fiber.await(pending).pipe(bounded("the end of a call", 1))
            assert.strictEqual(reasonOf(exit)._tag, "Closed")
            assert.strictEqual(yield* wires.get().pipe(bounded("an answer")), 7)
            yield* events.until("interrupted")
          }))
      }))

    law("a Listener that somebody accepts at is no manager", () =>
      Effect.gen(function*() {
        const address = yield* addressOf(kind)
        const listener = yield* Listener.make({ address, authKey })
        yield* Effect.forkScoped(Effect.forever(
          Effect.flatMap(Listener.accept(listener), (end) => Effect.ignore(Connection.receive(end)))
        ))
        const reason = yield* refused(listener.address)
        assert.strictEqual(reason._tag, "AuthenticationFailed")
        assert.include(reason.message, "Listener")
      }))

    law("a Listener that nobody accepts at is TimedOut", () =>
      Effect.gen(function*() {
        const address = yield* addressOf(kind)
        const listener = yield* Listener.make({ address, authKey })
        const reason = yield* refused(listener.address, { handshakeTimeout: 200 })
        assert.strictEqual(reason._tag, "TimedOut")
        assert.include(reason.message, "which manager it is")
      }))

    law("another manager is refused by its name", () =>
      Effect.gen(function*() {
        const address = yield* addressOf(kind)
        const server = yield* Manager.serve(Counters.counters, { address, authKey })
        const reason = yield* refused(server.address)
        assert.strictEqual(reason._tag, "AuthenticationFailed")
        assert.include(reason.message, "it is the manager \"Counters\"")
      }))

    law(
      "a manager with other methods is refused by the first that differ, and by how many more there are",
      () =>
        Effect.gen(function*() {
          const address = yield* addressOf(kind)
          const server = yield* Manager.serve(T.otherWires, { address, authKey })
          const reason = yield* refused(server.address)
          assert.strictEqual(reason._tag, "AuthenticationFailed")
          assert.match(reason.message, /it has no "compute"; it has no "count"; it has no "detached"; and 10 more\. /)
        })
    )

    law("a manager of another version of what is said is refused by it", () =>
      Effect.gen(function*() {
        const { address } = yield* answering(kind, hello(9))
        const reason = yield* refused(address)
        assert.strictEqual(reason._tag, "AuthenticationFailed")
        assert.include(reason.message, "version 9")
      }))

    law("noise where a manager says its name is refused", () =>
      Effect.gen(function*() {
        const { address } = yield* answering(kind, Buffer.from("HTTP/1.1 400 Bad Request"))
        const reason = yield* refused(address)
        assert.strictEqual(reason._tag, "AuthenticationFailed")
        assert.include(reason.message, "no manager")
      }))

    law(
      "a client of another version hears that of the server, and nothing that it says is decoded",
      () =>
        Effect.gen(function*() {
          const { address } = yield* Effect.flatMap(addressOf(kind), (address) =>
            Manager.serve(T.traces, { address, authKey }))
          const use = (traces: T.Traces["Service"]) =>
            Effect.gen(function*() {
              const waiting = yield* Effect.forkChild(traces.wait(), { startImmediately: true })
              assert.deepStrictEqual(yield* traces.all(), [])
              const { client } = yield* callsAs(address, 9, 3)
              yield* client.closed
              assert.deepStrictEqual(client.heard().subarray(welcomeBytes), hello(1))
              assert.deepStrictEqual(yield* traces.all(), [])
              assert.isUndefined(waiting.pollUnsafe(), "it goes on")
              // the same of this version is a call, and is answered behind what the server says of itself
              const { client: ours, said } = yield* callsAs(address, 1, 4)
              yield* ours.until(welcomeBytes + hello(1).length + said.readUInt32LE(8) + 1)
              assert.deepStrictEqual(yield* traces.all(), [4])
              assert.isUndefined(waiting.pollUnsafe(), "it goes on")
              yield* Fiber.interrupt(waiting)
            })
          yield* Effect.provide(Effect.flatMap(T.Traces, use), Manager.connect(T.traces, { address, authKey }))
        })
    )

    law("whoever has proven the key and does not say what it is has to go", () =>
      Effect.gen(function*() {
        const { address } = yield* served({ handshakeTimeout: 200 })
        const end = yield* Listener.connect<unknown>(address, { authKey })
        assert.isTrue(isDone(yield* Effect.exit(Connection.receive(end).pipe(bounded("the end of a connection")))))
      }))

    law("a call that waits for a connection when the scope ends is Closed", () =>
      Effect.gen(function*() {
        const { address } = yield* served()
        const way = yield* wayTo(address)
        const waiting = yield* connected({ address: way.address, authKey, schedule: Schedule.spaced(50) }, (wires) =>
          Effect.gen(function*() {
            way.close()
            const exit = yield* Effect.exit(wires.get())
            // the first that comes may still find the old one
            if (Exit.isSuccess(exit)) {
              assert.fail("the way is closed")
            }
            return yield* Effect.forkDetach(wires.get(), { startImmediately: true })
          }))
        const exit = yield* Fiber.await(waiting).pipe(bounded("the end of a call"))
        assert.strictEqual(reasonOf(exit)._tag, "Closed")
      }))
  })
}

/** Handles reach this machine only. */
export const heldSuite = (): void => {
  const law = laws(StartMethod.layerInline, 20_000)

  describe("An answer on its way", () => {
    law("that nobody waits for any more closes the ends in it", () =>
      Effect.gen(function*() {
        const { address } = yield* Effect.flatMap(addressOf("a path"), (address) =>
          Manager.serve(T.wires, { address, authKey }))
        const from = yield* addressOf("a path")
        const way = yield* wayTo(address, from as { readonly path: string })
        const scope = yield* Scope.fork(yield* Effect.scope)
        yield* connected({ address: from, authKey }, (wires) =>
          Effect.gen(function*() {
            const [receiver, sender] = yield* Scope.provide(Pipe.simplex<number>(), scope)
            yield* wires.get()
            const events = yield* makeEvents
            way.hold()
            const call = yield* Effect.forkChild(wires.echo(sender), { startImmediately: true })
            const other = yield* Effect.forkChild(wires.wait(events.path), { startImmediately: true })
            yield* events.until("waits") // the server has answered the one before
            yield* Fiber.interrupt(call)
            way.letGo()
            assert.isTrue(yield* isOver(receiver))
            yield* Fiber.interrupt(other)
          }))
      }))
  })
}
