/**
 * Two ends, the wire between them, and those that carry an end from one holder to the next: driven step by step by random
 * choices, and compared with what was sent.
 */
import { assert } from "@effect/vitest"
import {
  accepts,
  attach,
  close,
  freshLuggage,
  giveUp,
  hear,
  inboxSize,
  Kind,
  makeEnd,
  mayAttach,
  nextFrame,
  offer,
  pack,
  resumeOf,
  take
} from "../../../src/internal/line/end.ts"
import type { End, Frame, Luggage, Side } from "../../../src/internal/line/end.ts"
import { bytesOf, messageOf, Tag } from "../../../src/internal/line/message.ts"
import type { Message } from "../../../src/internal/line/message.ts"

export type Step = "send" | "take" | "deliver" | "meet" | "move" | "open" | "close" | "die" | "scope"

interface Wire {
  /** What is on its way to each side; `undefined` is the end of it. */
  readonly toward: readonly [Array<Frame | undefined>, Array<Frame | undefined>]
  /** The holders that are at it. */
  readonly ends: readonly [End, End]
}

export interface World {
  readonly ends: [End | undefined, End | undefined]
  readonly luggage: [Luggage | undefined, Luggage | undefined]
  readonly sent: readonly [Array<number>, Array<number>]
  readonly received: readonly [Array<number>, Array<number>]
  readonly dead: [boolean, boolean]
  readonly capacity: number
  wire: Wire | undefined
  /** How often something happened. */
  events: number
}

const nature = (side: Side, capacity: number) => ({ side, capacity, sends: true, receives: true })

export const makeWorld = (capacity: number): World => ({
  ends: [makeEnd(nature(0, capacity), freshLuggage), makeEnd(nature(1, capacity), freshLuggage)],
  luggage: [undefined, undefined],
  sent: [[], []],
  received: [[], []],
  dead: [false, false],
  capacity,
  wire: undefined,
  events: 0
})

const other = (side: Side): Side => side === 0 ? 1 : 0

const numbered = (n: number): Message => messageOf(Tag.Text, Buffer.from(String(n)))

const numberOf = (message: Message): number => Number(Buffer.from(bytesOf(message)).toString())

/** A wire may cut what is said together. */
const singly = (frame: Frame): ReadonlyArray<Frame> =>
  frame.kind === Kind.Data ? frame.messages.map((message) => ({ kind: Kind.Data, messages: [message] })) : [frame]

/** Says what is to be said, and checks the window. */
const flush = ({ capacity, wire }: World, end: End): void => {
  assert.isAtMost(end.outbox.length, capacity)
  assert.isAtMost(inboxSize(end), capacity)
  if (wire === undefined || wire.ends[end.side] !== end) return
  for (let frame = nextFrame(end); frame !== undefined; frame = nextFrame(end)) {
    wire.toward[other(end.side)].push(...singly(frame))
  }
  if (!end.wire) wire.toward[other(end.side)].push(undefined)
}

const deliver = (world: World, side: Side): void => {
  const { wire } = world
  if (wire === undefined || wire.toward[side].length === 0) return
  world.events++
  const end = wire.ends[side]
  const frame = wire.toward[side].shift()
  if (frame === undefined) {
    if (end.wire) giveUp(end, "ended")
    if (!wire.ends[other(side)].wire) world.wire = undefined
    return
  }
  hear(end, frame)
  flush(world, end)
}

/** The newcomer is known to the other, or both are new. */
const meet = (world: World): void => {
  const [first, second] = world.ends
  if (first === undefined || second === undefined || world.dead[0] || world.dead[1]) return
  const resumes = [resumeOf(first), resumeOf(second)] as const
  if (first.wire && second.wire) return
  if (!mayAttach(first, resumes[1]) || !mayAttach(second, resumes[0])) return
  world.events++
  world.wire = { toward: [[], []], ends: [first, second] }
  attach(first, resumes[1])
  attach(second, resumes[0])
  flush(world, first)
  flush(world, second)
}

/** The process is gone; what it has said is with the system. */
const die = (world: World, side: Side): void => {
  const end = world.ends[side]
  world.dead[side] = true
  world.luggage[side] = undefined
  world.ends[side] = undefined
  if (end !== undefined && world.wire?.ends[side] === end && end.wire) {
    world.wire.toward[other(side)].push(undefined)
    end.wire = false
  } else if (world.ends[other(side)]?.wire === false) {
    giveUp(world.ends[other(side)]!, "ended") // as the hub says
  }
}

const receive = (world: World, side: Side): boolean => {
  const end = world.ends[side]
  const message = end === undefined ? undefined : take(end)
  if (end === undefined || message === undefined) return false
  world.events++
  world.received[side].push(numberOf(message))
  flush(world, end)
  return true
}

const move = (world: World, side: Side): void => {
  const end = world.ends[side]
  if (end === undefined || end.local !== "open") return
  world.luggage[side] = pack(end)
  world.events++
  flush(world, end)
  world.ends[side] = undefined
}

export const step = (world: World, kind: Step, side: Side): void => {
  const end = world.ends[side]
  switch (kind) {
    case "send": {
      if (end === undefined || !accepts(end)) return
      const n = world.sent[side].length
      offer(end, numbered(n))
      world.sent[side].push(n)
      return flush(world, end)
    }
    case "take":
      return void receive(world, side)
    case "deliver":
      return deliver(world, side)
    case "meet":
      return meet(world)
    case "move":
      return move(world, side)
    case "open": {
      const luggage = world.luggage[side]
      if (luggage === undefined) return
      world.luggage[side] = undefined
      world.ends[side] = makeEnd(nature(side, world.capacity), luggage)
      return
    }
    case "close":
    case "scope":
      if (end === undefined) return
      close(end, kind === "close" ? "closed" : "scope")
      return flush(world, end)
    case "die":
      return die(world, side)
  }
}

/** What was received is what was sent, from its beginning on: nothing is lost, nothing comes twice, the order is kept. */
export const check = ({ received, sent }: World): void => {
  for (const side of [0, 1] as const) {
    assert.deepStrictEqual(received[side], sent[other(side)].slice(0, received[side].length))
  }
}

/** Goes on until nothing more happens. */
export const settle = (world: World): void => {
  for (let round = 0; round < 10_000; round++) {
    const before = world.events
    for (const side of [0, 1] as const) {
      step(world, "open", side)
      step(world, "deliver", side)
      receive(world, side)
    }
    meet(world)
    if (before === world.events) return
  }
  assert.fail("it does not come to rest")
}
