/**
 * Whoever says nonsense to a server of a manager, before or after it has proven the key, disturbs nobody. What they say
 * follows from `MANAGER_SEED`, which a failure names.
 */
import { assert, describe } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Stream } from "effect"
import type { Scope } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { connect, createServer } from "node:net"
import type { Socket } from "node:net"
import { Connection, Manager, Pipe, Process, StartMethod } from "../../src/index.ts"
import type { Listener } from "../../src/index.ts"
import { encodeFrame, maxFrameBytes, writeHeader } from "../../src/internal/protocol/frames.ts"
import { makeRandom } from "../chaos/plan.ts"
import type { Random } from "../chaos/plan.ts"
import * as T from "../fixtures/managerDeaths.ts"
import { visit, visitWithKey } from "../internal/listener/stranger.ts"
import { bounded, numbers, reasonOf } from "./assertions.ts"
import { laws } from "./law.ts"
import { addressOf } from "./ListenerSuite.ts"
import type { Kind } from "./ListenerSuite.ts"
import type { Method } from "./methods.ts"

const seed = Number(process.env["MANAGER_SEED"] ?? Math.floor(Math.random() * 2 ** 31))
const authKey = "a key of the tests"
const maxMessageBytes = 1024 * 1024

const connected = <A, E, R>(address: Listener.Address, use: (tree: T.Tree["Service"]) => Effect.Effect<A, E, R>) =>
  Effect.provide(Effect.flatMap(T.Tree, use), Manager.connect(T.tree, { address, authKey, maxMessageBytes }))

const served = (kind: Kind) =>
  Effect.flatMap(
    addressOf(kind),
    (address) => Manager.serve(T.tree, { address, authKey, maxMessageBytes, leaseTimeout: 0 })
  )

// ---------------------------------------------------------------------------------------------------- what is said

const bytes = (random: Random, count: number): Uint8Array => Uint8Array.from({ length: count }, () => random.below(256))

const header = (size: number): Buffer => {
  const frame = Buffer.alloc(8)
  writeHeader(frame, size)
  return frame
}

const frameOf = (message: unknown): Uint8Array => Buffer.concat(encodeFrame(message, maxFrameBytes))

/** Bytes that are no frame, or a frame of no value. */
const brokenBytes = (random: Random): ReadonlyArray<Uint8Array> => [
  bytes(random, random.between(8, 4096)),
  Buffer.alloc(100),
  header(maxMessageBytes + 1),
  header(maxFrameBytes),
  Buffer.concat([header(64), bytes(random, 64)]),
  header(0),
  // more attachments than the frame can have
  Buffer.concat([frameOf(new Uint8Array(70_000)).subarray(0, 8), Buffer.alloc(100, 255)])
]

const junk: ReadonlyArray<unknown> = [
  undefined,
  null,
  0,
  -1,
  Number.NaN,
  1n,
  "",
  "1",
  "constructor",
  [],
  [null],
  {},
  { _tag: "Success", value: {} },
  new Map([["a", 1]]),
  new Date(Number.NaN),
  new Uint8Array(3),
  new Error("junk")
]

/** What has some of the looks of a message of effect/rpc. */
const junkMessage = (random: Random): unknown => {
  if (random.chance(0.2)) return random.oneOf(junk)
  const or = (...values: ReadonlyArray<unknown>): unknown =>
    random.chance(0.5) ? random.oneOf(values) : random.oneOf(junk)
  const message: Record<string, unknown> = {
    _tag: or("Request", "Request", "Request", "Ack", "Interrupt", "Eof", "Ping", "Chunk", "Exit", "Defect", "Pong")
  }
  const fields = {
    id: or("7", "8", 7n),
    requestId: or("1", "7", "8"),
    tag: or("Tree.living", "Tree.grow", "Tree.watch", "Leaf.touch", "Leaf.wait", "lease", "Tree.nothing"),
    payload: or(["plain", 1]),
    headers: or([], {}, [["object", "1"]], [["object", "NaN"]], { object: "0" }),
    traceId: or("t"),
    spanId: or("s"),
    sampled: or(true),
    values: or([1]),
    exit: or({ _tag: "Success" })
  }
  for (const [name, value] of Object.entries(fields)) if (random.chance(0.8)) message[name] = value
  return message
}

// ---------------------------------------------------------------------------------------------------- who says it

interface Way {
  readonly address: Listener.Address
  /** As if the client had said it. */
  readonly inject: (bytes: Uint8Array) => void
  /** The server has had enough of its first client. */
  readonly hungUp: Effect.Effect<void>
}

/** A way to the server for a client that has the key, and says more than it means. */
const wayTo = (address: Listener.Address): Effect.Effect<Way, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Way & { readonly close: () => void }>((resume) => {
        const sockets = new Set<Socket>()
        let last: Socket | undefined
        const hungUp = Deferred.makeUnsafe<void>()
        const server = createServer((client) => {
          const there = last = connect({ ...address })
          there.once("end", () => Deferred.doneUnsafe(hungUp, Effect.void))
          there.once("close", () => Deferred.doneUnsafe(hungUp, Effect.void))
          for (const one of [client, there]) {
            sockets.add(one)
            one.on("error", () => {}) // it is hung up
            one.on("close", () => {
              client.destroy()
              there.destroy()
              sockets.delete(one)
            })
          }
          client.pipe(there).pipe(client)
        })
        const close = (): void => {
          server.close()
          for (const socket of sockets) socket.destroy()
        }
        server.listen(0, "127.0.0.1", () => {
          const bound = server.address()
          const port = typeof bound === "object" && bound !== null ? bound.port : 0
          resume(Effect.succeed({
            address: { host: "127.0.0.1", port },
            inject: (bytes) => void last?.write(bytes),
            hungUp: Deferred.await(hungUp),
            close
          }))
        })
      }),
      ({ close }) => Effect.sync(close)
    ),
    ({ address, hungUp, inject }) => ({ address, hungUp, inject })
  )

/** Its own calls may fail of it, and end all the same. */
const saysAmongCalls = (address: Listener.Address, garbage: ReadonlyArray<Uint8Array>, isBroken: boolean) =>
  Effect.scoped(Effect.gen(function*() {
    const way = yield* wayTo(address)
    yield* connected(way.address, (tree) =>
      Effect.gen(function*() {
        yield* tree.living()
        for (const one of garbage) way.inject(one)
        if (isBroken) yield* way.hungUp.pipe(bounded("the end of a connection that is broken", 5))
        yield* Effect.exit(tree.living()).pipe(bounded("the end of a call of who said nonsense", 5))
      }))
  }))

/** Somebody who uses the server all the while, in every way, and must notice nothing. */
const undisturbed = <A, E, R>(address: Listener.Address, attack: Effect.Effect<A, E, R>) =>
  connected(address, (tree) =>
    Effect.scoped(Effect.gen(function*() {
      const kept = yield* tree.grow()
      const waiting = yield* Effect.forkScoped(tree.wait(), { startImmediately: true })
      const streaming = yield* Effect.forkScoped(Stream.runDrain(tree.watch()), { startImmediately: true })
      const calling = yield* Effect.forkScoped(Effect.forever(tree.living()), { startImmediately: true })
      yield* attack
      const leaf = yield* kept.grow()
      assert.isAtLeast(yield* leaf.touch(), 1)
      for (const fiber of [waiting, streaming, calling]) assert.isUndefined(fiber.pollUnsafe(), "it goes on")
      yield* Fiber.interruptAll([waiting, streaming, calling])
    }))).pipe(bounded("somebody was served", 30))

const nothingIsLeft = (address: Listener.Address) =>
  connected(address, (tree) => tree.untilNone()).pipe(bounded("the end of what strangers have begun", 5))

// ---------------------------------------------------------------------------------------------------- the laws

/** Each of them leaves when it is turned away, or when it has said all. */
const strangers = (address: Listener.Address, random: Random) =>
  Effect.forEach(numbers(60), (n) =>
    Effect.scoped(Effect.gen(function*() {
      const stranger = yield* visit(address)
      if (n % 3 === 0) stranger.say(bytes(random, random.between(1, 4096)))
      if (n % 3 === 1) stranger.say(Buffer.from("empl").subarray(0, random.between(0, 4)))
      if (n % 2 === 0) stranger.socket.end()
    })), { concurrency: 10, discard: true })

export const aloneSuite = (kind: Kind): void => {
  const law = laws(StartMethod.layerInline, 60_000)

  describe(`Manager.serve over ${kind}, with garbage (MANAGER_SEED=${seed})`, () => {
    law("is not disturbed by strangers that say nonsense, half of something, or nothing", () =>
      Effect.gen(function*() {
        const { address } = yield* served(kind)
        // these stay, and say nothing any more
        for (const _ of numbers(20)) yield* visit(address)
        yield* undisturbed(address, strangers(address, makeRandom(seed, 0)))
        yield* nothingIsLeft(address)
      }))

    law("is not disturbed by wrong keys", () =>
      Effect.gen(function*() {
        const { address } = yield* served(kind)
        const wrong = Effect.provide(T.Tree, Manager.connect(T.tree, { address, authKey: "another" }))
        yield* undisturbed(
          address,
          Effect.forEach(numbers(20), () =>
            Effect.map(Effect.exit(wrong), (exit) =>
              assert.strictEqual(reasonOf(exit)._tag, "AuthenticationFailed")), {
            concurrency: 5
          })
        )
      }))

    law(
      "is not disturbed by who has the key and says what is no frame, or a frame that is too large",
      () =>
        Effect.gen(function*() {
          const { address } = yield* served(kind)
          const said = numbers(4).flatMap((n) => brokenBytes(makeRandom(seed, n)))
          yield* undisturbed(
            address,
            Effect.forEach(said, (one) => saysAmongCalls(address, [one], true), { concurrency: 4, discard: true })
          )
          yield* nothingIsLeft(address)
        })
    )

    law("is not disturbed by who has the key and says what is no message", () =>
      Effect.gen(function*() {
        const { address } = yield* served(kind)
        const random = makeRandom(seed, 5)
        const said = numbers(60).map(() => numbers(random.between(1, 8)).map(() => frameOf(junkMessage(random))))
        yield* undisturbed(
          address,
          Effect.forEach(said, (some) => saysAmongCalls(address, some, false), { concurrency: 4, discard: true })
        )
        yield* nothingIsLeft(address)
      }))

    law("is not disturbed by who has the key and breaks off in the middle of a frame", () =>
      Effect.gen(function*() {
        const { address } = yield* served(kind)
        const frame = frameOf({ _tag: "Request", id: "7", tag: "Tree.living", payload: "x".repeat(200), headers: [] })
        const breaksOff = (count: number) =>
          Effect.scoped(Effect.gen(function*() {
            const way = yield* wayTo(address)
            yield* connected(
              way.address,
              (tree) => Effect.andThen(tree.living(), Effect.sync(() => way.inject(frame.subarray(0, count))))
            )
          }))
        yield* undisturbed(
          address,
          Effect.forEach([1, 4, 7, 8, 9, 100, frame.length - 1], breaksOff, { concurrency: 4, discard: true })
        )
        yield* nothingIsLeft(address)
      }))
  })
}

const residentBytes = (pid: number): number =>
  1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1])

/** In another process, at a path. */
const servedThere = Effect.gen(function*() {
  const address = yield* addressOf("a path")
  const [receiver, announce] = yield* Pipe.simplex<Listener.Address>()
  const child = yield* Process.start(T.servesTree, { address, authKey, announce }, { daemon: true })
  yield* Connection.receive(receiver)
  return { address, child }
})

/** Its own call hears of it. */
const saysNoMessage = (address: Listener.Address) =>
  Effect.scoped(Effect.gen(function*() {
    const way = yield* wayTo(address)
    yield* connected(way.address, (tree) =>
      Effect.gen(function*() {
        const waiting = yield* Effect.forkChild(tree.wait(), { startImmediately: true })
        yield* tree.living()
        way.inject(frameOf("no message"))
        const exit = yield* Fiber.await(waiting).pipe(bounded("the end of a call of who said no message", 5))
        assert.isTrue(Exit.isFailure(exit))
      }))
  }))

/** The welcome of a Listener ends there. */
const welcomeBytes = 84
const anotherVersion = Buffer.concat([Buffer.from("empm"), Buffer.from([9, 0, 0, 0, 0, 0, 0, 0])])

export const suite = ({ claims, layer, name }: Method): void => {
  if (!claims.signals) return
  const law = laws(layer, 60_000)

  describe(`Manager.serve on ${name}`, () => {
    law(
      "refuses a wrong key, another version and no message, hangs up on no frame, and serves the others",
      () =>
        Effect.gen(function*() {
          const { address } = yield* servedThere
          const serves = connected(address, (tree) => tree.living()).pipe(bounded("an answer", 5))
          const attack = Effect.gen(function*() {
            const wrong = yield* Effect.exit(
              Effect.provide(T.Tree, Manager.connect(T.tree, { address, authKey: "another" }))
            )
            assert.strictEqual(reasonOf(wrong)._tag, "AuthenticationFailed")
            yield* serves
            const stranger = yield* visitWithKey(address, authKey)
            stranger.say(anotherVersion)
            yield* stranger.closed
            assert.strictEqual(stranger.heard().subarray(welcomeBytes).toString("latin1", 0, 4), "empm")
            yield* serves
            yield* saysAmongCalls(address, [Buffer.concat([header(64), Buffer.alloc(64, 255)])], true)
            yield* serves
            yield* saysNoMessage(address)
            yield* serves
          })
          yield* undisturbed(address, attack)
          yield* nothingIsLeft(address)
        })
    )

    if (!existsSync("/proc/self/status")) return

    law("takes no memory for what is only announced", () =>
      Effect.gen(function*() {
        const { address, child } = yield* servedThere
        const announces = Effect.gen(function*() {
          const way = yield* wayTo(address)
          yield* Effect.forkScoped(connected(way.address, (tree) =>
            Effect.gen(function*() {
              yield* tree.living()
              way.inject(Buffer.concat([header(maxFrameBytes), Buffer.alloc(100_000)]))
              return yield* tree.wait()
            })))
        })
        yield* connected(address, (tree) => tree.living())
        const before = residentBytes(child.pid)
        yield* Effect.forEach(numbers(20), () => announces)
        yield* connected(address, (tree) => tree.living())
        assert.isBelow(residentBytes(child.pid) - before, 200 * 1024 * 1024)
      }))
  })
}
