/** The laws of listeners and of what they accept, for every start method: over a path, and over TCP. */
import { assert, describe } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Option, Stream } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Connection, Listener, Pipe, Process, SharedMemory, SharedValue } from "../../src/index.ts"
import * as T from "../fixtures/listener.ts"
import { bounded, numbers, reasonOf } from "./assertions.ts"
import { makeEvents } from "./events.ts"
import { laws } from "./law.ts"
import type { Method } from "./methods.ts"

export const isDone = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Option.match(Exit.findErrorOption(exit), { onNone: () => false, onSome: Cause.isDone })

/** A folder that goes with the scope. */
export const makeFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "listener-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

export type Kind = "a path" | "TCP"
export const kinds: ReadonlyArray<Kind> = ["a path", "TCP"]

/** An address where nobody listens. */
export const addressOf = (kind: Kind) =>
  kind === "TCP"
    ? Effect.succeed<Listener.Address>({ host: "127.0.0.1", port: 0 })
    : Effect.map(makeFolder, (folder): Listener.Address => ({ path: join(folder, "socket") }))

const { authKey } = T

const listen = (kind: Kind) => Effect.flatMap(addressOf(kind), (address) => Listener.make({ address, authKey }))

const next = <A>(end: Connection.Connection<never, A>) => Connection.receive(end).pipe(bounded("a message"))

const accepted = <A = unknown>(listener: Listener.Listener) => Listener.accept<A>(listener).pipe(bounded("a client"))

/** Structured clone carries it. */
const anything: ReadonlyArray<unknown> = [
  "",
  new Uint8Array(0),
  undefined,
  null,
  -0,
  "text \ud83d\ude00 \ud800",
  [],
  { deep: new Map([["a", new Set([1n])]]) },
  new Uint8Array([1, 2, 3]),
  new Float64Array([0.5, Number.NaN]),
  new Date(7),
  /x/gi,
  "last"
]

const overKind = ({ claims, layer, name }: Method, kind: Kind): void => {
  const law = laws(layer, 20_000)

  describe(`over ${kind} on ${name}`, () => {
    law("any value goes there and back, in order", () =>
      Effect.gen(function*() {
        const listener = yield* listen(kind)
        const child = yield* Process.start(T.connectsAndEchoes, listener.address)
        const end = yield* accepted(listener)
        for (const value of anything) yield* Connection.send(end, value)
        for (const value of anything) assert.deepStrictEqual(yield* next(end), value)
        const large = new Uint8Array(16 * 1024 * 1024).map((_, i) => i % 251)
        yield* Connection.send(end, large)
        assert.strictEqual(Buffer.compare((yield* next(end)) as Uint8Array, large), 0)
        yield* Connection.close(end)
        yield* Process.join(child).pipe(bounded("the end of a child"))
      }))

    law("a child listens, and its parent connects", () =>
      Effect.gen(function*() {
        const address = yield* addressOf(kind)
        const [receiver, sender] = yield* Pipe.simplex<Listener.Address>()
        const child = yield* Process.start(T.acceptsAndEchoes, { address, clients: 3, end: sender })
        const at = yield* next(receiver)
        const ask = (n: number) =>
          Effect.scoped(Effect.gen(function*() {
            const end = yield* Listener.connect<number>(at, { authKey })
            yield* Connection.send(end, n)
            return yield* next(end)
          }))
        assert.deepStrictEqual(yield* Effect.forEach(numbers(3), ask, { concurrency: 3 }), [0, 1, 2])
        yield* Process.join(child).pipe(bounded("the end of a child"))
      }))

    law("classes arrive as classes where both sides have schemas", () =>
      Effect.gen(function*() {
        const listener = yield* listen(kind)
        yield* Process.start(T.sellsOverListener, listener.address)
        const end = yield* Listener.accept(listener, { schema: T.Order }).pipe(bounded("a client"))
        yield* Connection.send(end, new T.Order({ id: 7, at: new Date(1) }))
        const order = yield* next(end)
        assert.instanceOf(order, T.Order)
        assert.strictEqual(order.id, 8)
      }))

    law("a child with another key is refused, and one with the key comes in", () =>
      Effect.gen(function*() {
        const listener = yield* listen(kind)
        const waiting = yield* Effect.forkChild(Listener.accept(listener), { startImmediately: true })
        const wrong = yield* Process.start(T.triesWithKey, { address: listener.address, key: "another" })
        assert.strictEqual(yield* Process.join(wrong).pipe(bounded("a refusal")), "AuthenticationFailed")
        const right = yield* Process.start(T.triesWithKey, { address: listener.address, key: authKey })
        assert.strictEqual(yield* Process.join(right).pipe(bounded("an entrance")), "in")
        yield* Fiber.join(waiting).pipe(bounded("a client"))
      }))

    law("a child streams many, and then comes the end", () =>
      Effect.gen(function*() {
        const listener = yield* listen(kind)
        yield* Process.start(T.sendsMany, { address: listener.address, count: 5000 })
        const end = yield* accepted<number>(listener)
        const sum = yield* Stream.runFold(Connection.toStream(end), () => 0, (total: number, n) => total + n).pipe(
          bounded("all messages")
        )
        assert.strictEqual(sum, 12_497_500)
        assert.isTrue(isDone(yield* Effect.exit(next(end))))
      }))

    if (claims.signals) {
      law("a client that is killed is the end, after what it had sent", () =>
        Effect.gen(function*() {
          const listener = yield* listen(kind)
          const child = yield* Process.start(T.sendsAndDies, { address: listener.address, count: 20 })
          const end = yield* accepted<number>(listener)
          const all = yield* Stream.runCollect(Connection.toStream(end)).pipe(bounded("the end"))
          assert.deepStrictEqual(all, [...numbers(20)])
          assert.deepInclude(yield* Process.exited(child), { signal: "SIGKILL" })
        }))

      law(
        "a server that is killed is the end within a second, and its place can be taken",
        () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const address = yield* addressOf(kind)
            const [receiver, sender] = yield* Pipe.simplex<Listener.Address>()
            const child = yield* Process.start(T.acceptsAndHolds, { address, end: sender, path: events.path })
            const at = yield* next(receiver)
            const end = yield* Listener.connect(at, { authKey })
            yield* events.until("accepted")
            const waiting = yield* Effect.forkChild(Connection.receive(end), { startImmediately: true })
            yield* Process.kill(child)
            assert.isTrue(isDone(yield* Fiber.await(waiting).pipe(bounded("the end", 1))))
            assert.strictEqual(reasonOf(yield* Effect.exit(Connection.send(end, 1)))._tag, "Closed")
            yield* Process.exited(child)
            const successor = yield* Listener.make({ address: at, authKey })
            assert.deepStrictEqual(successor.address, at)
          })
      )
    }
  })
}

/** Handles live on this machine. */
const handles = ({ layer, name }: Method): void => {
  const law = laws(layer, 20_000)

  describe(`handles over a path on ${name}`, () => {
    if (SharedMemory.reach === "processes") {
      law("arrive working", () =>
        Effect.gen(function*() {
          const cell = yield* SharedValue.make("int32", 41)
          const listener = yield* listen("a path")
          const child = yield* Process.start(T.bumpsOverListener, listener.address)
          yield* Connection.send(yield* accepted(listener), cell)
          yield* Process.join(child).pipe(bounded("an update"))
          assert.strictEqual(yield* SharedValue.get(cell), 42)
        }))
    }

    law("that are ends of pipes move", () =>
      Effect.gen(function*() {
        const [receiver, sender] = yield* Pipe.simplex<string>()
        const listener = yield* listen("a path")
        yield* Process.start(T.greetsOverListener, listener.address)
        yield* Connection.send(yield* accepted(listener), sender)
        assert.strictEqual(yield* next(receiver), "through a listener")
      }))
  })
}

export const suite = (method: Method): void => {
  describe("Listener", () => {
    for (const kind of kinds) overKind(method, kind)
    handles(method)
  })
}
