/** What the chaos does: all of it follows from a seed, so that a failure can be looked for again. */
import type { WorkKind } from "../fixtures/chaos.ts"

export type PoolName = "plain" | "recycled" | "fleeting"
export type CallName = "apply" | "applyAsync" | "map" | "imap" | "imapUnordered" | "imapExit" | "broadcast"
export type TaskName = "work" | "tiny" | "moves" | "reads" | "nests" | "who"
export type Kind = WorkKind | "unreadable" | "unreadableResult"

export interface ItemPlan {
  readonly id: number
  readonly kind: Kind
  /** Milliseconds, an exit code, bytes, characters or items, as its kind has it. */
  readonly size: number
}

export interface CallPlan {
  readonly name: string
  readonly pool: PoolName
  readonly call: CallName
  readonly task: TaskName
  readonly items: ReadonlyArray<ItemPlan>
  readonly chunkSize: number | "auto"
  readonly buffer: number | undefined
  /** Where the items come from; a "dry" source fails after the last. */
  readonly source: "array" | "stream" | "dry"
  /** How many results the consumer takes; all of them if undefined. */
  readonly take: number | undefined
  /** How long the consumer thinks about some of the results. */
  readonly consumerMillis: number
  /** Of an item; so short that any may be late, or so long that none is. */
  readonly timeoutMillis: number | undefined
  readonly retries: number
  /** It is given up after so many milliseconds. */
  readonly stop: { readonly by: "interrupt" | "limit"; readonly afterMillis: number } | undefined
}

/** No item takes so long that ends at all. */
export const wideMillis = 20_000

// ---------------------------------------------------------------------------------------------------- random

export interface Random {
  /** An integer from 0 to below this. */
  readonly below: (end: number) => number
  readonly between: (first: number, last: number) => number
  readonly chance: (share: number) => boolean
  readonly oneOf: <A>(values: ReadonlyArray<A>) => A
  /** One of these, each as often as its number says. */
  readonly weighted: <A>(values: ReadonlyArray<readonly [number, A]>) => A
}

/** A stream of numbers for each pair: "mulberry32". */
export const makeRandom = (seed: number, stream: number): Random => {
  let state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(stream + 1, 0x85ebca6b)) >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (end: number): number => Math.floor(next() * end)
  return {
    below,
    between: (first, last) => first + below(last - first + 1),
    chance: (share) => next() < share,
    oneOf: (values) => values[below(values.length)]!,
    weighted: (values) => {
      let rest = next() * values.reduce((sum, [weight]) => sum + weight, 0)
      return (values.find(([weight]) => (rest -= weight) < 0) ?? values[0]!)[1]
    }
  }
}

// ---------------------------------------------------------------------------------------------------- items

const single: ReadonlyArray<readonly [number, Kind]> = [
  [3, "ok"],
  [3, "slow"],
  [3, "busy"],
  [2, "fails"],
  [1, "throws"],
  [3, "exits"],
  [1, "exitsOnce"],
  [1, "uncaught"],
  [3, "stuck"],
  [3, "spins"],
  [1, "unsendable"],
  [1, "unsendableError"],
  [1, "unpostable"]
]

const among: ReadonlyArray<readonly [number, Kind]> = [
  [60, "ok"],
  [6, "slow"],
  [6, "busy"],
  [2, "fails"],
  [1, "throws"],
  [1, "exits"],
  [1, "exitsOnce"],
  [1, "stuck"],
  [2, "spins"],
  [1, "unsendable"],
  [1, "unsendableError"],
  [1, "unpostable"]
]

/** It ends its worker by itself. */
export const isCrash = (kind: Kind): boolean => kind === "exits" || kind === "exitsOnce" || kind === "uncaught"

/** It ends only when somebody ends it. */
export const isEndless = (kind: Kind): boolean => kind === "stuck" || kind === "spins"

const mega = 1 << 20

const sizeOf = (random: Random, kind: Kind): number => {
  switch (kind) {
    case "slow":
    case "busy":
      return random.between(1, 25)
    case "exits":
    case "exitsOnce":
      return random.between(20, 99)
    case "text":
    case "bytes":
      return random.chance(0.02) ? 32 * mega : random.between(mega, 4 * mega)
    default:
      return 0
  }
}

// ---------------------------------------------------------------------------------------------------- calls

type Shape = Pick<CallPlan, "call" | "task" | "items">

/** Calls of many items, by how the results come. */
const many: ReadonlyArray<CallName> = ["map", "map", "imap", "imapUnordered", "imapExit"]

const shapes: ReadonlyArray<readonly [number, (random: Random, pool: PoolName, item: MakeItem) => Shape]> = [
  [8, (random, pool, item) => ({
    call: random.oneOf(["apply", "applyAsync"] as const),
    task: "work",
    // what nobody catches is printed where the output is not captured
    items: [item(random.weighted(pool === "plain" ? single : single.filter(([, kind]) => kind !== "uncaught")))]
  })],
  [6, (random, _pool, item) => {
    let rest = 2
    const kinds = Array.from({ length: random.between(1, 24) }, () => random.weighted(among))
    const items = kinds.map((kind) => item((isCrash(kind) || isEndless(kind)) && rest-- <= 0 ? "ok" : kind))
    return { call: random.oneOf(many), task: "work", items }
  }],
  [4, (random, pool, item) => ({
    call: random.oneOf(many),
    task: "tiny",
    // where workers are replaced after some items, many items are many workers
    items: Array.from(
      { length: random.below(pool === "recycled" ? 100 : random.oneOf([10, 200, 2000])) },
      () => item("ok")
    )
  })],
  [1, (random, _pool, item) => ({
    call: random.oneOf(many),
    task: "work",
    items: Array.from({ length: random.between(1, 3) }, () => item(random.oneOf(["text", "bytes"])))
  })],
  [1.5, (random, _pool, item) => {
    const call = random.oneOf(["apply", ...many] as const)
    const kinds = Array.from(
      { length: call === "apply" ? 1 : random.between(1, 6) },
      (): Kind => random.chance(0.1) ? "exits" : "ok"
    )
    return {
      call,
      task: "moves",
      items: kinds.map((kind) => item(kind, kind === "ok" ? random.oneOf([0, 0, 2 * mega]) : undefined))
    }
  }],
  [1, (random, _pool, item) => {
    const kinds = Array.from(
      { length: random.between(1, 12) },
      () => random.weighted<Kind>([[10, "ok"], [1, "unreadable"], [1, "unreadableResult"]])
    )
    return { call: random.oneOf(many), task: "reads", items: kinds.map((kind) => item(kind)) }
  }],
  [1, (_random, _pool, item) => ({ call: "broadcast", task: "who", items: [item("ok")] })],
  [0.2, (random, _pool, item) => ({ call: "apply", task: "nests", items: [item("ok", random.between(1, 50))] })]
]

type MakeItem = (kind: Kind, size?: number) => ItemPlan

const stopOf = (random: Random): CallPlan["stop"] =>
  random.chance(0.5)
    ? { by: random.oneOf(["interrupt", "limit"] as const), afterMillis: random.below(random.oneOf([3, 30, 120])) }
    : undefined

const timeoutOf = (random: Random, endless: boolean): number | undefined =>
  endless || random.chance(0.1) ? random.between(10, 60) : random.chance(0.1) ? wideMillis : undefined

/** How many numbers the items of a lane may have. */
const idsPerLane = 1e9

/** The calls of one lane, one after the other, without end. */
export const calls = function*(seed: number, lane: number): Generator<CallPlan, never, undefined> {
  const random = makeRandom(seed, lane)
  let id = lane * idsPerLane
  const item: MakeItem = (kind, size) => ({ id: ++id, kind, size: size ?? sizeOf(random, kind) })
  for (let number = 1;; number++) {
    const pool = random.oneOf(["plain", "plain", "recycled", "fleeting"] as const)
    const shape = random.weighted(shapes)(random, pool, item)
    const stop = stopOf(random)
    const endless = stop === undefined && shape.items.some(({ kind }) => isEndless(kind))
    const streams = shape.call.startsWith("imap")
    yield {
      name: `${lane}.${number}`,
      pool,
      ...shape,
      chunkSize: random.oneOf(["auto", "auto", 1, 2, 3, 7, 100]),
      buffer: random.oneOf([undefined, undefined, 1, 3, 20]),
      source: random.oneOf(["array", "array", "stream", "dry"]),
      take: streams && random.chance(0.2) ? random.between(1, shape.items.length + 1) : undefined,
      consumerMillis: streams && random.chance(0.2) ? random.between(1, 5) : 0,
      timeoutMillis: shape.call === "broadcast" ? undefined : timeoutOf(random, endless),
      retries: random.oneOf([0, 0, 0, 1, 2]),
      stop
    }
  }
}
