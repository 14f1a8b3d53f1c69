/** The laws of listeners that need no child: who is let in, who is not, and what becomes of each. */
import { assert, describe, it, vi } from "@effect/vitest"
import { Effect, Exit, Fiber, Logger, Option, References, Scope } from "effect"
import dns from "node:dns"
import { existsSync, readdirSync, readlinkSync, renameSync, statSync, writeFileSync } from "node:fs"
import { Server } from "node:net"
import { dirname, join } from "node:path"
import { inspect } from "node:util"
import { Connection, Listener, Pipe, SharedEvent } from "../../src/index.ts"
import { mostGuests, mostVisitors } from "../../src/internal/listener/hall.ts"
import { serve, visit, visitWithKey } from "../internal/listener/stranger.ts"
import type { Stranger } from "../internal/listener/stranger.ts"
import { bounded, defectOf, numbers, reasonOf } from "./assertions.ts"
import { addressOf, isDone, makeFolder } from "./ListenerSuite.ts"
import type { Kind } from "./ListenerSuite.ts"

const authKey = "a key that nobody reads in a message"

const law = <E>(title: string, body: () => Effect.Effect<unknown, E, Scope.Scope>, limitMillis = 20_000): void =>
  it.live(title, () => Effect.scoped(body()), limitMillis)

const listenAt = (kind: Kind, options: Partial<Parameters<typeof Listener.make>[0]> = {}) =>
  Effect.flatMap(addressOf(kind), (address) => Listener.make({ address, authKey, ...options }))

const call = <A = unknown>({ address }: Listener.Listener) => Listener.connect<A>(address, { authKey })

const accepted = <A = unknown>(listener: Listener.Listener) => Listener.accept<A>(listener).pipe(bounded("a client"))

/** Both ends of a connection. */
const pair = (listener: Listener.Listener) => Effect.all([call(listener), accepted(listener)])

const next = (end: Connection.Connection<unknown>) => Connection.receive(end).pipe(bounded("a message"))

/** One who knows the key comes in, whoever else is there. */
const comesIn = (listener: Listener.Listener) =>
  Effect.gen(function*() {
    const [client, server] = yield* pair(listener)
    yield* Connection.send(client, "in")
    assert.strictEqual(yield* next(server), "in")
  }).pipe(bounded("one with the key comes in", 3))

const reasonWith = <A, E>(effect: Effect.Effect<A, E>) => Effect.map(Effect.exit(effect), reasonOf)

/** A socket file at which nobody listens: what a process leaves that was killed. */
const makeStale = Effect.gen(function*() {
  const folder = yield* makeFolder
  const [one, path] = [join(folder, "one"), join(folder, "stale")]
  yield* Effect.scoped(Effect.andThen(
    Listener.make({ address: { path: one }, authKey }),
    Effect.sync(() => renameSync(one, path))
  ))
  assert.isTrue(statSync(path).isSocket())
  return path
})

const newcomers = (kind: Kind): void => {
  describe("a client", () => {
    law(
      "with the key comes in at once, beside those that say nothing, or slowly, or nonsense",
      () =>
        Effect.gen(function*() {
          const listener = yield* listenAt(kind)
          yield* visit(listener.address)
          const slow = yield* visit(listener.address)
          slow.say(Buffer.from("em"))
          const halfWay = yield* visit(listener.address)
          halfWay.say(Buffer.from([...Buffer.from("empl"), 1, 1, 32, 0, 1, 2, 3]))
          yield* comesIn(listener)
          for (const nonsense of ["GET / HTTP/1.1\r\n\r\n", "\0\0\0\0\0\0\0\0", "empl\x01\x03$\0"]) {
            const stranger = yield* visit(listener.address)
            stranger.say(Buffer.from(nonsense, "latin1"))
            yield* stranger.closed
            assert.strictEqual(stranger.heard().length, 0)
          }
          slow.say(Buffer.from("p"))
          yield* comesIn(listener)
        })
    )

    law("that does not come to an end is turned away when its time is over", () =>
      Effect.gen(function*() {
        const listener = yield* listenAt(kind, { handshakeTimeout: "100 millis" })
        const [silent, slow] = [yield* visit(listener.address), yield* visit(listener.address)]
        slow.say(Buffer.from("emp"))
        yield* silent.closed
        yield* slow.closed
        yield* comesIn(listener)
      }))

    law("that announces a large frame is turned away at its header", () =>
      Effect.gen(function*() {
        const listener = yield* listenAt(kind)
        const stranger = yield* visit(listener.address)
        stranger.say(Buffer.from([...Buffer.from("empl"), 1, 1, 255, 255]))
        yield* stranger.closed
        yield* comesIn(listener)
      }))

    law("that says again what another has said is turned away", () =>
      Effect.gen(function*() {
        const listener = yield* listenAt(kind)
        const { hello, proof } = yield* visitWithKey(listener.address, authKey)
        const again = yield* visit(listener.address)
        again.say(hello)
        yield* again.until(76)
        again.say(proof)
        yield* again.closed
        yield* accepted(listener)
        yield* comesIn(listener)
      }))

    law("with another key learns it at once, and the key is in no message", () =>
      Effect.gen(function*() {
        const listener = yield* listenAt(kind)
        const waiting = yield* Effect.forkChild(Listener.accept(listener), { startImmediately: true })
        const reason = yield* reasonWith(Effect.scoped(Listener.connect(listener.address, { authKey: "another key" })))
          .pipe(
            bounded("a refusal", 3)
          )
        assert.strictEqual(reason._tag, "AuthenticationFailed")
        for (const shown of [inspect(reason), inspect(listener, { showHidden: true, depth: 9 })]) {
          assert.notInclude(shown, authKey)
          assert.notInclude(shown, "another key")
        }
        yield* call(listener)
        yield* Fiber.join(waiting).pipe(bounded("a client"))
      }))

    law("that is turned away is told of at debug level, and is nobody's failure", () =>
      Effect.gen(function*() {
        const logged: Array<string> = []
        const logger = Logger.make<unknown, void>(({ logLevel, message }) =>
          void logged.push(`${logLevel} ${String(message)}`)
        )
        const listening = listenAt(kind).pipe(
          Effect.provide(Logger.layer([logger])),
          Effect.provideService(References.MinimumLogLevel, "Debug")
        )
        const listener = yield* listening
        const stranger = yield* visit(listener.address)
        stranger.say(Buffer.from("nonsense"))
        yield* stranger.closed
        yield* comesIn(listener)
        assert.strictEqual(logged.length, 1)
        assert.match(
          logged[0]!,
          /^Debug A client of the Listener at .* was turned away: it said what no client says\.$/
        )
      }))

    law("has a place also where more than may be there are half-way", () =>
      Effect.gen(function*() {
        const listener = yield* listenAt(kind)
        const strangers: Array<Stranger> = []
        for (const _ of numbers(mostVisitors)) strangers.push(yield* visit(listener.address))
        yield* comesIn(listener)
        // the one that has been there longest had to go
        yield* strangers[0]!.closed
      }))

    law("is told to come again when too many wait to be accepted", () =>
      Effect.gen(function*() {
        const listener = yield* listenAt(kind)
        yield* Effect.forEach(numbers(mostGuests), () => call(listener), { concurrency: 16 })
        const reason = yield* reasonWith(Effect.scoped(Listener.connect(listener.address, { authKey, deadline: 0 })))
        assert.strictEqual(reason._tag, "TimedOut")
        assert.include(reason.message, "too many others")
        const patient = yield* Effect.forkChild(call(listener), { startImmediately: true })
        yield* accepted(listener)
        yield* Fiber.join(patient).pipe(bounded("a place"))
      }))
  })

  law("two hundred come at once, and all are served", () =>
    Effect.gen(function*() {
      const listener = yield* listenAt(kind)
      const serving = yield* Effect.forkChild(
        Effect.forEach(numbers(200), () =>
          Effect.scoped(Effect.gen(function*() {
            const end = yield* Listener.accept(listener)
            yield* Connection.send(end, yield* next(end))
          })), { concurrency: 50, discard: true })
      )
      const found = yield* Effect.forEach(numbers(200), (n) =>
        Effect.scoped(Effect.gen(function*() {
          const end = yield* call(listener)
          yield* Connection.send(end, n)
          return yield* next(end)
        })), { concurrency: "unbounded" })
      assert.deepStrictEqual(found, [...numbers(200)])
      yield* Fiber.join(serving).pipe(bounded("all served"))
    }))
}

const accepting = (kind: Kind): void => {
  describe("accept", () => {
    law("that is interrupted, whenever that is, loses nobody", () =>
      Effect.gen(function*() {
        const count = 100
        const listener = yield* listenAt(kind)
        yield* Effect.forkChild(
          Effect.forEach(numbers(count), (n) => Effect.flatMap(call(listener), (end) => Connection.send(end, n)), {
            concurrency: 5
          })
        )
        const found: Array<unknown> = []
        let random = 1
        while (found.length < count) {
          random = (random * 16807) % 2147483647
          const fiber = yield* Effect.forkChild(Listener.accept(listener), { startImmediately: random % 2 === 0 })
          for (let turns = random % 5; turns > 0; turns--) yield* Effect.yieldNow
          yield* Fiber.interrupt(fiber)
          const exit = yield* Fiber.await(fiber)
          if (Exit.isSuccess(exit)) found.push(yield* next(exit.value))
          else if (random % 3 === 0) found.push(yield* Effect.flatMap(Listener.accept(listener), next))
        }
        assert.deepStrictEqual(found.sort((a, b) => Number(a) - Number(b)), [...numbers(count)])
      }).pipe(bounded("all clients", 15)))

    law(
      "fails with Closed when the scope of the listener ends, and who waits outside sees the end",
      () =>
        Effect.gen(function*() {
          const scope = yield* Scope.make()
          const listener = yield* Scope.provide(listenAt(kind), scope)
          const [taken, mine] = yield* pair(listener)
          const outside = yield* call(listener)
          yield* accepted(listener)
          const waiting = yield* Effect.forkChild(Listener.accept(listener), { startImmediately: true })
          const early = yield* visit(listener.address)
          yield* Scope.close(scope, Exit.void)
          assert.strictEqual(reasonOf(yield* Fiber.await(waiting).pipe(bounded("the end", 3)))._tag, "Closed")
          assert.strictEqual((yield* reasonWith(Effect.scoped(Listener.accept(listener))))._tag, "Closed")
          yield* early.closed
          // those that were accepted go on
          yield* Connection.send(taken, "still there")
          assert.strictEqual(yield* next(mine), "still there")
          yield* Connection.close(outside)
          const late = yield* reasonWith(Effect.scoped(Listener.connect(listener.address, { authKey, deadline: 0 })))
          assert.strictEqual(late._tag, "TimedOut")
        })
    )

    law("leaves who was not accepted to see the end", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const listener = yield* Scope.provide(listenAt(kind), scope)
        const outside = yield* call(listener)
        yield* Scope.close(scope, Exit.void)
        assert.isTrue(isDone(yield* Effect.exit(next(outside))))
      }))

    law("takes one that has left again, and what it had sent", () =>
      Effect.gen(function*() {
        const listener = yield* listenAt(kind)
        yield* Effect.scoped(Effect.flatMap(call(listener), (end) => Connection.send(end, "was here")))
        const end = yield* accepted(listener)
        assert.strictEqual(yield* next(end), "was here")
        assert.isTrue(isDone(yield* Effect.exit(next(end))))
      }))
  })
}

const messages = (kind: Kind): void => {
  describe("a connection", () => {
    law(
      "ends with the scope that has it: Closed here, Done there, after all that was sent",
      () =>
        Effect.gen(function*() {
          const listener = yield* listenAt(kind)
          const scope = yield* Scope.make()
          const client = yield* Scope.provide(call(listener), scope)
          const server = yield* accepted(listener)
          yield* Effect.forEach(numbers(50), (n) => Connection.send(client, n), { discard: true })
          const waiting = yield* Effect.forkChild(Connection.receive(client), { startImmediately: true })
          yield* Scope.close(scope, Exit.void)
          assert.strictEqual(reasonOf(yield* Fiber.await(waiting).pipe(bounded("the end", 3)))._tag, "Closed")
          assert.strictEqual((yield* reasonWith(Connection.send(client, 1)))._tag, "Closed")
          for (const n of numbers(50)) assert.strictEqual(yield* next(server), n)
          assert.isTrue(isDone(yield* Effect.exit(next(server))))
          assert.isFalse(yield* Connection.poll(server, "1 hour"))
          assert.strictEqual((yield* reasonWith(Connection.send(server, 1)))._tag, "Closed")
        })
    )

    law("holds up a sender whose messages nobody reads", () =>
      Effect.gen(function*() {
        const listener = yield* listenAt(kind)
        const [client, server] = yield* pair(listener)
        let sent = 0
        const sending = yield* Effect.forkChild(
          Effect.forEach(numbers(1000), () => Effect.map(Connection.send(client, "x"), () => sent++), { discard: true })
        )
        assert.isTrue(yield* Connection.poll(server, "5 seconds"))
        for (const _ of numbers(20)) yield* Effect.yieldNow
        assert.isAtMost(sent, 256)
        for (const _ of numbers(1000)) assert.strictEqual(yield* next(server), "x")
        yield* Fiber.join(sending)
      }))

    law("refuses to send what is too large for either side, and goes on", () =>
      Effect.gen(function*() {
        const listener = yield* listenAt(kind, { maxMessageBytes: 1000 })
        const [client, server] = yield* pair(listener)
        for (const end of [client, server]) {
          for (const large of [new Uint8Array(1001), "x".repeat(1001), { x: "y".repeat(990) }]) {
            const reason = yield* reasonWith(Connection.send(end, large))
            assert.isTrue(reason._tag === "MessageTooLarge" && reason.limit === 1000, reason._tag)
          }
        }
        yield* Connection.send(client, new Uint8Array(1000))
        assert.deepStrictEqual(yield* next(server), new Uint8Array(1000))
      }))

    law(
      "ends when two gigabytes are announced, before memory is taken: the receiver is told, others go on",
      () =>
        Effect.gen(function*() {
          const listener = yield* listenAt(kind, { maxMessageBytes: 1000 })
          const [client, server] = yield* pair(listener)
          const stranger = yield* visitWithKey(listener.address, authKey)
          const end = yield* accepted(listener)
          // a message of raw bytes: 1000 of them, and then one that claims all that a frame can have
          const header = (length: number): Buffer => {
            const bytes = Buffer.from([2, 0, 0, 0, 0, 0, 0, 0])
            bytes.writeUInt16LE((length ^ (length >>> 16) ^ 0x200 ^ 0x5ac3) & 0xffff, 2)
            bytes.writeUInt32LE(length, 4)
            return bytes
          }
          const before = process.memoryUsage().arrayBuffers
          stranger.say(Buffer.concat([header(1000), Buffer.alloc(1000), header(2 ** 31 - 1), Buffer.alloc(5000)]))
          yield* stranger.closed
          assert.isBelow(process.memoryUsage().arrayBuffers - before, 16 * 1024 * 1024)
          assert.deepStrictEqual(yield* next(end), new Uint8Array(1000))
          for (const _ of numbers(2)) {
            const reason = yield* reasonWith(Connection.receive(end))
            assert.isTrue(reason._tag === "MessageTooLarge" && reason.size === 2 ** 31 - 1, reason._tag)
          }
          assert.strictEqual((yield* reasonWith(Connection.send(end, 1)))._tag, "Closed")
          yield* Connection.send(client, "unharmed")
          assert.strictEqual(yield* next(server), "unharmed")
        })
    )

    law("with one who speaks another language after the handshake ends", () =>
      Effect.gen(function*() {
        const listener = yield* listenAt(kind)
        for (const words of [Buffer.from("something else"), Buffer.from([4, 0, 0xc3, 0x5e, 0, 0, 0, 0])]) {
          const stranger = yield* visitWithKey(listener.address, authKey)
          const end = yield* accepted(listener)
          stranger.say(words)
          assert.isTrue(isDone(yield* Effect.exit(next(end))))
          yield* stranger.closed
        }
      }))

    law("carries handles only where it stays on this machine, and never itself", () =>
      Effect.gen(function*() {
        const listener = yield* listenAt(kind)
        const [client, server] = yield* pair(listener)
        const [, end] = yield* Pipe.make<unknown>()
        for (const own of [client, server, listener]) {
          const reason = yield* reasonWith(Connection.send(client, { own }))
          assert.strictEqual(reason._tag, "NotShareable")
        }
        const sent = yield* Effect.exit(Connection.send(client, { deep: [end] }))
        if (kind === "TCP") {
          const reason = reasonOf(sent)
          assert.strictEqual(reason._tag, "NotShareable")
          assert.match(reason.message, /message\.deep\[0\] is a Connection.*TCP/)
          yield* Connection.send(end, "still here")
        } else {
          assert.isTrue(Exit.isSuccess(sent))
        }
        const [pipeEnd] = yield* Pipe.make<unknown>()
        const reason = yield* reasonWith(Connection.send(pipeEnd, client))
        assert.strictEqual(reason._tag, "NotShareable")
        assert.include(reason.message, "make a Pipe")
      }))
  })
}

/** Where somebody has listened, and nobody does. */
const free = (kind: Kind) =>
  Effect.flatMap(
    addressOf(kind),
    (address) => Effect.map(Effect.scoped(Listener.make({ address, authKey })), (listener) => listener.address)
  )

const reaching = (kind: Kind): void => {
  describe("connect", () => {
    law("may come before its listener", () =>
      Effect.gen(function*() {
        const address = yield* free(kind)
        const calling = yield* Effect.forkChild(Listener.connect(address, { authKey }), { startImmediately: true })
        const first = yield* reasonWith(Effect.scoped(Listener.connect(address, { authKey, deadline: 0 })))
        assert.strictEqual(first._tag, "TimedOut")
        const listener = yield* Listener.make({ address, authKey })
        yield* Fiber.join(calling).pipe(bounded("a connection"))
        yield* accepted(listener)
      }))

    law("gives up at its deadline, and says where and why", () =>
      Effect.gen(function*() {
        const address = yield* free(kind)
        const reason = yield* reasonWith(Effect.scoped(Listener.connect(address, { authKey, deadline: "100 millis" })))
          .pipe(bounded("its deadline", 3))
        assert.isTrue(reason._tag === "TimedOut" && reason.limitMillis === 100, reason._tag)
        assert.match(reason.message, kind === "TCP" ? /127\.0\.0\.1:\d+.*ECONNREFUSED/ : /socket.*ENOENT/)
      }))

    law("that is interrupted, whenever that is, leaves no connection", () =>
      Effect.gen(function*() {
        const listener = yield* listenAt(kind)
        let connected = 0
        for (const round of numbers(60)) {
          const calling = yield* Effect.forkChild(Effect.scoped(call(listener)), { startImmediately: true })
          for (let turns = round % 7; turns > 0; turns--) yield* Effect.promise(() => new Promise(setImmediate))
          yield* Fiber.interrupt(calling)
          if (Exit.isSuccess(yield* Fiber.await(calling))) connected++
        }
        // those of which it is accepted that they were there have left
        const counting = Effect.gen(function*() {
          for (let found = 0;; found++) {
            const end = yield* Listener.accept(listener).pipe(Effect.timeoutOption("200 millis"))
            if (Option.isNone(end)) return found
            assert.isTrue(isDone(yield* Effect.exit(next(end.value))))
          }
        })
        assert.isAtLeast(yield* counting, connected)
        yield* comesIn(listener)
      }))

    law("that is interrupted leaves nothing behind", () =>
      Effect.gen(function*() {
        const listener = yield* listenAt(kind)
        const calling = yield* Effect.forkChild(
          Effect.scoped(Effect.andThen(call(listener), Effect.never)),
          { startImmediately: true }
        )
        yield* Fiber.interrupt(calling)
        yield* comesIn(listener)
      }))
  })
}

export const suite = (kind: Kind): void => {
  describe(`Listener over ${kind}`, () => {
    newcomers(kind)
    accepting(kind)
    messages(kind)
    reaching(kind)

    law("an address at which somebody listens is refused, and that one is not disturbed", () =>
      Effect.gen(function*() {
        const listener = yield* listenAt(kind)
        const reason = yield* reasonWith(Effect.scoped(Listener.make({ address: listener.address, authKey })))
        assert.strictEqual(reason._tag, "StartFailed")
        assert.match(reason.message, /EADDRINUSE/)
        yield* comesIn(listener)
      }))
  })
}

/** What does not depend on the address, or only on a path. */
export const once = (): void => {
  describe("Listener", () => {
    law("without an address makes a private one, and leaves nothing of it", () =>
      Effect.gen(function*() {
        const path = yield* Effect.scoped(Effect.gen(function*() {
          const listener = yield* Listener.make({ authKey })
          assert.isTrue(Listener.isListener(listener))
          const { address } = listener
          if (!("path" in address)) return assert.fail("it is a path")
          assert.strictEqual(statSync(dirname(address.path)).mode & 0o777, 0o700)
          yield* comesIn(listener)
          return address.path
        }))
        assert.isFalse(existsSync(dirname(path)))
      }))

    law(
      "is given up while the name of its host is looked up, and does not stay open when that is found",
      () =>
        Effect.gen(function*() {
          const asked = Promise.withResolvers<(error: null, address: string, family: number) => void>()
          const lookup = vi.spyOn(dns, "lookup").mockImplementation(
            ((...args: ReadonlyArray<unknown>) => asked.resolve(args.at(-1) as never)) as never
          )
          const closed = Promise.withResolvers<Server>()
          const close = Server.prototype.close
          const closing = vi.spyOn(Server.prototype, "close").mockImplementation(function(this: Server, done) {
            closed.resolve(this)
            return close.call(this, done)
          })
          yield* Effect.addFinalizer(() =>
            Effect.sync(() => {
              lookup.mockRestore()
              closing.mockRestore()
            })
          )
          const address = { host: "a.name.that.takes.long", port: 0 }
          const making = yield* Effect.forkChild(Effect.scoped(Listener.make({ address, authKey })))
          const found = yield* Effect.promise(() => asked.promise)
          yield* Fiber.interrupt(making).pipe(bounded("the end of the interrupted", 2))
          found(null, "127.0.0.1", 4)
          const server = yield* Effect.promise(() => closed.promise).pipe(bounded("the end of the listener"))
          assert.isFalse(server.listening)
        })
    )

    law("at a path removes its file, and takes over what a dead process has left", () =>
      Effect.gen(function*() {
        const path = yield* makeStale
        yield* Effect.scoped(Effect.flatMap(Listener.make({ address: { path }, authKey }), comesIn))
        assert.deepStrictEqual(readdirSync(dirname(path)), [])
      }))

    law("of several that want the same stale path one has it", () =>
      Effect.gen(function*() {
        for (const _ of numbers(10)) {
          const path = yield* makeStale
          const make = Effect.exit(Listener.make({ address: { path }, authKey }))
          yield* Effect.scoped(Effect.gen(function*() {
            const exits = yield* Effect.all(numbers(6).map(() => make), { concurrency: "unbounded" })
            const made = exits.filter(Exit.isSuccess)
            assert.strictEqual(made.length, 1)
            yield* comesIn(made[0]!.value)
            assert.deepStrictEqual(readdirSync(dirname(path)), ["stale"])
          }))
        }
      }))

    law("never touches a file that is no socket, and says what is wrong with a place", () =>
      Effect.gen(function*() {
        const folder = yield* makeFolder
        const file = join(folder, "file")
        writeFileSync(file, "precious")
        const wrong: ReadonlyArray<readonly [Listener.Address, RegExp]> = [
          [{ path: file }, /no socket.*ENOTSOCK/],
          [{ path: folder }, /no socket/],
          [{ path: join(folder, "none", "socket") }, /folder is not there.*ENOENT/],
          [{ path: join(folder, "x".repeat(200)) }, /shorter.*ENAMETOOLONG/],
          [{ host: "192.0.2.1", port: 0 }, /EADDRNOTAVAIL/]
        ]
        for (const [address, words] of wrong) {
          const reason = yield* reasonWith(Effect.scoped(Listener.make({ address, authKey })))
          assert.strictEqual(reason._tag, "StartFailed")
          assert.match(reason.message, words)
        }
        assert.strictEqual(statSync(file).size, 8)
        assert.deepStrictEqual(readdirSync(folder), ["file"])
      }))

    law("says which addresses no later try could reach", () =>
      Effect.gen(function*() {
        const folder = yield* makeFolder
        for (const address of [{ path: join(folder, "x".repeat(200)) }, { host: "no-such-host.invalid", port: 1 }]) {
          const reason = yield* reasonWith(Effect.scoped(Listener.connect(address, { authKey })))
          assert.strictEqual(reason._tag, "Closed")
          assert.match(reason.message, /cannot be reached/)
        }
      }))

    if (existsSync("/proc/self/fd")) {
      law("leaves no socket behind, however its clients have ended", () =>
        Effect.gen(function*() {
          const sockets = Effect.sync(() =>
            readdirSync("/proc/self/fd").filter((fd) => {
              try {
                return readlinkSync(`/proc/self/fd/${fd}`).startsWith("socket:")
              } catch {
                return false // the folder itself
              }
            }).length
          )
          const before = yield* sockets
          yield* Effect.scoped(Effect.gen(function*() {
            const listener = yield* Listener.make({ authKey })
            const [client, server] = yield* pair(listener)
            yield* pair(listener)
            yield* call(listener)
            yield* Effect.forkScoped(Connection.receive(server))
            yield* Connection.send(client, new Uint8Array(100_000))
            yield* visit(listener.address)
            yield* reasonWith(Effect.scoped(Listener.connect(listener.address, { authKey: "other" })))
          }))
          const after: Effect.Effect<void> = Effect.flatMap(
            sockets,
            (count) => count <= before ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), after)
          )
          yield* after.pipe(bounded("the end of all sockets", 3))
        }))
    }

    if (process.platform === "linux") {
      law("may have an abstract name, of which there is no file", () =>
        Effect.gen(function*() {
          const address = { path: `\0a-listener-of-the-tests-${process.pid}` }
          const listener = yield* Listener.make({ address, authKey })
          yield* comesIn(listener)
          const reason = yield* reasonWith(Effect.scoped(Listener.make({ address, authKey })))
          assert.strictEqual(reason._tag, "StartFailed")
        }))
    }

    law("takes bytes as a key, and what cannot be is a defect", () =>
      Effect.gen(function*() {
        const bytes = new Uint8Array([1, 2, 3])
        const listener = yield* Listener.make({ authKey: bytes })
        bytes.fill(0) // it has a copy
        const client = yield* Listener.connect(listener.address, { authKey: new Uint8Array([1, 2, 3]) })
        yield* Connection.close(client)
        const { address } = listener
        const wrong: ReadonlyArray<Effect.Effect<unknown, unknown, Scope.Scope>> = [
          Listener.make({ authKey: "" }),
          Listener.make({ authKey: new Uint8Array(0) }),
          Listener.make({ authKey: undefined as unknown as string }),
          Listener.make({ authKey, address: { path: "" } }),
          Listener.make({ authKey, address: { host: "127.0.0.1", port: 65_536 } }),
          Listener.make({ authKey, maxMessageBytes: 0 }),
          Listener.make({ authKey, maxMessageBytes: 2 ** 31 }),
          Listener.make({ authKey, handshakeTimeout: 0 }),
          Listener.connect(address, { authKey: "" }),
          Listener.connect(address, { authKey, deadline: -1 }),
          Listener.connect({ host: "127.0.0.1", port: 0 }, { authKey })
        ]
        for (const effect of wrong) {
          assert.instanceOf(defectOf(yield* Effect.exit(Effect.scoped(effect))), RangeError)
        }
      }))
  })

  describe("a server that is none", () => {
    const tries = (address: Listener.Address) =>
      reasonWith(Effect.scoped(Listener.connect(address, { authKey, handshakeTimeout: "200 millis", deadline: 0 })))
        .pipe(bounded("an answer", 3))

    law(
      "cannot pass for one by sending back what it hears, nor by what a client of its own says",
      () =>
        Effect.gen(function*() {
          const mirror = yield* serve(({ heard, say, socket }) => {
            socket.on("data", () => say(heard()))
          })
          assert.strictEqual((yield* tries(mirror))._tag, "AuthenticationFailed")
          // it stands between a client and a real server of another key
          const listener = yield* Listener.make({ authKey: "another key" })
          const real = yield* visit(listener.address)
          const between = yield* serve(({ say, socket }) => {
            socket.on("data", (block: Buffer) => real.say(block))
            real.socket.on("data", say)
          })
          assert.strictEqual((yield* tries(between))._tag, "AuthenticationFailed")
        })
    )

    law(
      "and says nothing is TimedOut, nonsense is AuthenticationFailed, and hanging up is nobody's being there",
      () =>
        Effect.gen(function*() {
          const silent = yield* serve(() => {})
          const late = yield* tries(silent)
          assert.isTrue(late._tag === "TimedOut" && late.limitMillis === 200, late._tag)
          const other = yield* serve(({ say }) => say(Buffer.from("220 mail.example ESMTP\r\n")))
          assert.strictEqual((yield* tries(other))._tag, "AuthenticationFailed")
          const gone = yield* serve(({ socket }) => void socket.destroy())
          assert.strictEqual((yield* tries(gone))._tag, "TimedOut")
        })
    )

    law("learns nothing from a client's first words that would let it in elsewhere", () =>
      Effect.gen(function*() {
        let heard: Stranger | undefined
        const address = yield* serve((client) => heard = client)
        yield* tries(address)
        assert.strictEqual(heard!.heard().length, 40)
      }))
  })

  describe("what is shared", () => {
    law("a message that cannot be opened fails its own receive", () =>
      Effect.gen(function*() {
        const listener = yield* Listener.make({ authKey })
        const [client, server] = yield* pair(listener)
        yield* Effect.scoped(Effect.flatMap(SharedEvent.make(), (event) => Connection.send(client, event)))
        yield* Connection.send(client, "next")
        yield* Effect.exit(next(server))
        assert.strictEqual(yield* next(server), "next")
      }))
  })
}
