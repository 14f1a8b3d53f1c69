import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import {
  accepts,
  attach,
  detach,
  freshLuggage,
  hear,
  isWriteDue,
  Kind,
  makeEnd,
  nextFrame,
  offer,
  pack,
  resumeOf,
  take,
  windowBytes
} from "../../../src/internal/line/end.ts"
import type { Frame, Side } from "../../../src/internal/line/end.ts"
import { messageOf, Tag } from "../../../src/internal/line/message.ts"
import { check, makeWorld, settle, step } from "./world.ts"
import type { Step } from "./world.ts"

const sideOf: fc.Arbitrary<Side> = fc.constantFrom<Side>(0, 1)

const stepsOf = (...kinds: ReadonlyArray<Step>) =>
  fc.array(fc.tuple(fc.constantFrom(...kinds), sideOf), { minLength: 1, maxLength: 120 })

const usual: ReadonlyArray<Step> = ["send", "send", "send", "take", "take", "deliver", "deliver", "deliver", "meet"]
const moving: ReadonlyArray<Step> = [...usual, "move", "open", "meet"]

const run = (capacity: number, steps: ReadonlyArray<readonly [Step, Side]>) => {
  const world = makeWorld(capacity)
  for (const [kind, side] of steps) {
    step(world, kind, side)
    check(world)
  }
  return world
}

const other = (side: Side): Side => side === 0 ? 1 : 0
const options = { numRuns: 1500 }

describe("an end", () => {
  it("delivers everything once and in order, however its holders move", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), stepsOf(...moving), (capacity, steps) => {
        const world = run(capacity, steps)
        settle(world)
        check(world)
        for (const side of [0, 1] as const) assert.deepStrictEqual(world.received[side], world.sent[other(side)])
      }),
      options
    )
  })

  it("is closed after all that was sent before, however the other moves", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        stepsOf(...moving),
        stepsOf(...moving),
        sideOf,
        (capacity, before, after, side) => {
          const world = run(capacity, before)
          for (let i = 0; world.ends[side] === undefined; i++) step(world, "open", side)
          step(world, "close", side)
          for (const [kind, at] of after) {
            if (kind === "move" && at === side) continue
            step(world, kind, at)
            check(world)
          }
          settle(world)
          assert.deepStrictEqual(world.received[other(side)], world.sent[side], "all that was sent has arrived")
          const reader = world.ends[other(side)]!
          assert.isTrue(world.ends[side]!.over, "who has closed is through")
          assert.isTrue(reader.over ? reader.peer === "ended" : reader.outbox.length > 0 || !reader.wire)
        }
      ),
      options
    )
  })

  it("whose other side dies gives what that had said, and then its end", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        stepsOf(...moving),
        stepsOf(...moving),
        sideOf,
        (capacity, before, after, side) => {
          const world = run(capacity, before)
          // what the other was told through its wire
          const isConnected = world.ends[0]?.wire === true && world.ends[1]?.wire === true
          step(world, "die", side)
          for (const [kind, at] of after) {
            if (at === side && kind !== "deliver") continue
            step(world, kind, at)
            check(world)
          }
          settle(world)
          const moved = after.some(([kind, at]) => kind === "move" && at === other(side))
          if (isConnected && !moved && !before.some(([kind]) => kind === "move")) {
            assert.deepStrictEqual(world.received[other(side)], world.sent[side])
          }
        }
      ),
      options
    )
  })

  it("accepts no more than its window, and more when half of that was read", () => {
    const [one, two] = [0, 1].map((side) =>
      makeEnd({ side: side as Side, capacity: 4, sends: true, receives: true }, freshLuggage)
    ) as [ReturnType<typeof makeEnd>, ReturnType<typeof makeEnd>]
    attach(one, resumeOf(two))
    attach(two, resumeOf(one))
    const pass = (from: typeof one, to: typeof one): number => {
      let count = 0
      for (let frame = nextFrame(from); frame !== undefined; frame = nextFrame(from)) {
        hear(to, frame)
        count += frame.kind === Kind.Data ? frame.messages.length : 1
      }
      return count
    }
    while (accepts(one)) offer(one, messageOf(Tag.Bytes, new Uint8Array(1)))
    assert.strictEqual(one.outbox.length, 4)
    assert.strictEqual(pass(one, two), 4)
    take(two)
    assert.strictEqual(pass(two, one), 0, "one of four is not worth a word")
    take(two)
    assert.strictEqual(pass(two, one), 1)
    assert.strictEqual(one.outbox.length, 2)
    assert.isTrue(accepts(one))
  })

  it("accepts one message however large, and no second", () => {
    const end = makeEnd({ side: 0, capacity: 4, sends: true, receives: true }, freshLuggage)
    offer(end, messageOf(Tag.Bytes, new Uint8Array(3 * 1024 * 1024)))
    assert.isFalse(accepts(end))
  })

  it("wants to write at a quarter of its window, in messages or in bytes, and counts again at another wire", () => {
    const end = makeEnd({ side: 0, capacity: 100, sends: true, receives: true }, freshLuggage)
    const offerSome = (count: number, size: number): void => {
      for (let i = 0; i < count; i++) offer(end, messageOf(Tag.Bytes, new Uint8Array(size)))
    }
    attach(end, { kind: Kind.Resume, epoch: 0, consumed: 0, arrived: 0 })
    offerSome(24, 1)
    assert.isFalse(isWriteDue(end))
    offerSome(1, 1)
    assert.isTrue(isWriteDue(end))
    assert.strictEqual(nextFrame(end)?.kind, Kind.Data)
    assert.isFalse(isWriteDue(end))
    offerSome(3, windowBytes / 16)
    assert.isFalse(isWriteDue(end))
    offerSome(1, windowBytes / 16)
    assert.isTrue(isWriteDue(end))
    assert.strictEqual(nextFrame(end)?.kind, Kind.Data)
    detach(end)
    attach(end, { kind: Kind.Resume, epoch: 1, consumed: 25, arrived: 26 })
    assert.isFalse(isWriteDue(end))
    detach(end)
    attach(end, { kind: Kind.Resume, epoch: 2, consumed: 25, arrived: 25 })
    assert.isTrue(isWriteDue(end))
  })

  it("that has left hears nothing, and says that once", () => {
    const end = makeEnd({ side: 0, capacity: 4, sends: true, receives: true }, freshLuggage)
    attach(end, { kind: Kind.Resume, epoch: 0, consumed: 0, arrived: 0 })
    pack(end)
    assert.deepStrictEqual(nextFrame(end), { kind: Kind.Moved })
    assert.isUndefined(nextFrame(end))
    hear(end, { kind: Kind.Data, messages: [messageOf(Tag.Bytes, new Uint8Array(1))] })
    assert.strictEqual(end.inbox.length, 0)
  })

  const wrong: ReadonlyArray<readonly [string, ReadonlyArray<Frame>]> = [
    ["acknowledges what was not sent", [{ kind: Kind.Ack, consumed: 1 }]],
    ["answers what was not said", [{ kind: Kind.Over }]],
    ["begins again", [{ kind: Kind.Resume, epoch: 0, consumed: 0, arrived: 0 }]],
    [
      "exceeds the window",
      Array.from({ length: 5 }, () => ({ kind: Kind.Data, messages: [messageOf(Tag.Bytes, new Uint8Array(1))] }))
    ]
  ]
  for (const [title, frames] of wrong) {
    it(`does not listen to one that ${title}`, () => {
      const end = makeEnd({ side: 0, capacity: 4, sends: true, receives: true }, freshLuggage)
      attach(end, { kind: Kind.Resume, epoch: 0, consumed: 0, arrived: 0 })
      let thrown: unknown
      try {
        for (const frame of frames) hear(end, frame)
      } catch (cause) {
        thrown = cause
      }
      assert.strictEqual((thrown as { readonly _tag?: string } | undefined)?._tag, "NoLine")
    })
  }
})
