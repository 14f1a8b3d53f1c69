/** Questions that no process of ours asks: they fail alone, whatever stands in them, and everybody else goes on. */
import { assert, describe, it } from "@effect/vitest"
import { makeBarrierObject } from "../../../src/internal/hub/barrier.ts"
import { bundle } from "../../../src/internal/hub/bundle.ts"
import type { Handed } from "../../../src/internal/hub/bundle.ts"
import { fromStreams } from "../../../src/internal/channel/socket.ts"
import { connectTo } from "../../../src/internal/hub/client.ts"
import { knock } from "../../../src/internal/hub/door.ts"
import { makeHub } from "../../../src/internal/hub/server.ts"
import { Word } from "../../../src/internal/hub/wire.ts"
import type { ToPeer } from "../../../src/internal/hub/wire.ts"
import { makeConditionObject } from "../../../src/internal/hub/condition.ts"
import { eventBytes, makeEventObject } from "../../../src/internal/hub/event.ts"
import type { HubObject, Outcome } from "../../../src/internal/hub/link.ts"
import { makePipeObject } from "../../../src/internal/hub/pipe.ts"
import { makeQueueObject } from "../../../src/internal/hub/queue.ts"
import { makeSemaphoreObject } from "../../../src/internal/hub/semaphore.ts"

/** The cases are the same in every run. */
const seeded = (seed: number) => (): number => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return seed / 2 ** 32
}

type Random = () => number

const oneOf = <A>(random: Random, all: ReadonlyArray<A>): A => all[Math.floor(random() * all.length)]!

const sparse = (): ReadonlyArray<unknown> => new Array(2 ** 32 - 1)

/** Each of them crosses. */
const oddities: ReadonlyArray<() => unknown> = [
  () => undefined,
  () => null,
  () => true,
  () => -1,
  () => 0.5,
  () => Number.NaN,
  () => Infinity,
  () => 2n ** 64n,
  () => "text",
  () => "__proto__",
  () => [],
  () => ({}),
  sparse,
  () => ({ length: 2 ** 53 }),
  () => ({ byteLength: -1 }),
  () => ({ byteLength: 2 ** 33, length: 1 }),
  () => new Map([[1, 2]]),
  () => new Float64Array(2),
  () => new Error("x"),
  () => [sparse(), sparse()],
  () => [null, [{ byteLength: -5 }], Number.NaN]
]

const oddity = (random: Random): unknown => oneOf(random, oddities)()

/** One part of it, or all of it, is something else. */
const spoiled = (random: Random, right: unknown): unknown => {
  if (random() < 0.3 || typeof right !== "object" || right === null) return oddity(random)
  const copy = structuredClone(right) as Record<string, unknown>
  copy[oneOf(random, Object.keys(copy))] = oddity(random)
  return copy
}

/** What is asked of each kind, as it is asked. */
interface Kind {
  readonly make: () => HubObject
  readonly asks: Readonly<Record<string, unknown>>
}

const offered = bundle({ tags: [2, 1, 0], contents: [Uint8Array.of(1, 2), "text", new Uint8Array(20_000)] })
const address = { path: "\0nowhere", secret: "00", pid: 1 }
const claim = { side: 0, epoch: 0, door: address, ticket: "00", met: undefined, failed: false }
const queueAsks = {
  offer: offered,
  take: [3, -1],
  poll: undefined,
  taken: 1,
  back: [1, 2],
  retract: 1,
  done: undefined,
  size: undefined,
  join: undefined,
  tally: undefined
}

const kinds: ReadonlyArray<Kind> = [
  { make: makeQueueObject(Infinity), asks: queueAsks },
  { make: makeQueueObject(5), asks: queueAsks },
  { make: makePipeObject, asks: { claim, leave: claim, release: claim, forsake: claim } },
  { make: makeSemaphoreObject(3, true, new Int32Array(new SharedArrayBuffer(256))), asks: { take: 1, release: 1 } },
  { make: makeConditionObject, asks: { enter: undefined, wait: 1, leave: 1, quit: 1, notify: 1 } },
  { make: makeBarrierObject(3, undefined), asks: { wait: undefined, abort: undefined, reset: undefined } },
  {
    make: makeEventObject(new Int32Array(new SharedArrayBuffer(eventBytes))),
    asks: { wait: undefined, set: undefined, clear: undefined, isSet: undefined }
  }
]

const forger = { slot: 2, pid: 2 }
const honest = { slot: 3, pid: 3 }

/** As the hub asks: what is thrown is the asker's failure. */
const ask = (object: HubObject, operation: string, argument: unknown): (() => void) | undefined => {
  try {
    return object.call(forger, operation, argument, () => {})
  } catch (cause) {
    assert.instanceOf(cause, Error)
    return undefined
  }
}

describe("a question that nobody of ours asks", () => {
  it("fails alone, and is soon over, 40,000 times", () => {
    const random = seeded(11)
    const before = process.memoryUsage().rss
    for (let i = 0; i < 2000; i++) {
      const { asks, make } = kinds[i % kinds.length]!
      const object = make()
      for (let j = 0; j < 20; j++) {
        const operation = random() < 0.95 ? oneOf(random, Object.keys(asks)) : oneOf(random, ["", "__proto__", "end!"])
        const withdraw = ask(object, operation, spoiled(random, asks[operation]))
        if (random() < 0.3) withdraw?.()
      }
      object.gone(forger)
    }
    assert.isBelow(process.memoryUsage().rss - before, 256 * 1024 * 1024)
  }, 60_000)

  it("does not disturb others at the same queue", () => {
    const random = seeded(12)
    for (let i = 0; i < 500; i++) {
      const object = makeQueueObject(Infinity)()
      let taken: Array<unknown> = []
      const take = (): void =>
        void object.call(honest, "take", [100, -1], (answer) => {
          const [, [, , others]] = answer as Handed
          taken = [...taken, ...others]
          take()
        })
      take()
      for (let n = 0; n < 10; n++) {
        const operation = oneOf(random, ["offer", "take", "taken", "back", "retract"] as const)
        const withdraw = ask(object, operation, spoiled(random, queueAsks[operation]))
        object.call(honest, "offer", bundle({ tags: 0, contents: [`honest ${n}`] }), () => {})
        withdraw?.()
      }
      object.gone(forger)
      const mine = taken.filter((one) => String(one).startsWith("honest"))
      assert.strictEqual(new Set(mine).size, 10, `round ${i}`)
    }
  }, 60_000)

  it("ends the connection of whoever asks it, or is answered, and the hub serves others, 20,000 times", async () => {
    const random = seeded(13)
    const hub = makeHub()
    const objects = kinds.map(({ make }) => hub.put(make))
    const right = Object.values(kinds).flatMap(({ asks }, i) =>
      Object.entries(asks).map(([operation, argument]) => [Word.Ask, 7, objects[i]!, operation, argument])
    )
    const visit = async (): Promise<void> => {
      const socket = knock(hub.address())
      const channel = fromStreams<unknown, ToPeer>(socket, socket, 1_000_000)
      const over = new Promise<void>((resolve) => {
        channel.listen((batch) => {
          if (batch.some(([word, request]) => word === Word.Outcome && request === 8)) resolve()
        }, resolve)
      })
      for (let i = 0; i < 10; i++) {
        const batch = Array.from({ length: 10 }, () => spoiled(random, oneOf(random, right)))
        channel.post(random() < 0.05 ? oddity(random) as ReadonlyArray<unknown> : batch) // or none
      }
      channel.post([[Word.Ask, 8, objects[0], "size", undefined]])
      await over
      socket.destroy()
    }
    for (let i = 0; i < 200; i += 10) await Promise.all(Array.from({ length: 10 }, visit))
    const queue = hub.put(makeQueueObject(1))
    const link = connectTo(hub.address(), () => {})
    const size = await new Promise<Outcome>((resolve) => void link.ask(queue, "size", undefined, resolve))
    assert.deepStrictEqual(size, { _tag: "Value", value: 0 })
    for (const object of [...objects, queue]) hub.remove(object)
  }, 60_000)
})
