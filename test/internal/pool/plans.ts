/** Plans for a world, and arbitraries of them: with more of some things, and of others less. */
import { Arbitrary, Schema } from "effect"

/**
 * What an item does when it runs. "slow" suspends, and ends by itself or when it is interrupted; "wait" suspends and ends
 * only when it is interrupted; "stubborn" suspends and never ends; "deaf" computes and never ends; "crash" ends its
 * worker. "unsendable" never gets that far: the serializer refuses it.
 */
export type ItemKind = "ok" | "fail" | "slow" | "wait" | "stubborn" | "deaf" | "crash" | "unsendable"

export interface ItemPlan {
  readonly kind: ItemKind
  readonly moves: boolean
}

export interface JobPlan {
  readonly kind: "apply" | "map" | "stream"
  readonly items: ReadonlyArray<ItemPlan>
  readonly task: number
  readonly chunkSize: number | "auto"
  readonly window: number | "auto"
  readonly failFast: boolean
  /** The consumer takes results in the order of the items. */
  readonly ordered: boolean
  readonly retries: number
  readonly timed: boolean
  /** How many items the source gives at once; 0: as many as it is asked for. */
  readonly grain: number
  /** Its items weigh so much that two fill a message. */
  readonly heavy: boolean
  /** For one worker alone: which of those that live; or -1. */
  readonly bound: number
  /** Submitted when so many items of the job before have an outcome. */
  readonly late: number
}

export interface Plan {
  readonly processes: number
  readonly maxRestarts: number
  /** How far the clock moves with each action. */
  readonly tick: number
  /** How long an item of each task runs, in milliseconds. */
  readonly costs: ReadonlyArray<number>
  /** How many workers crash where no item is at fault. */
  readonly faults: number
  readonly interrupts: number
  /** Items after which a worker is replaced; and how many workers say that they have grown too large. */
  readonly maxTasks: number | undefined
  readonly outgrows: number
  /** How often a worker gives back what it has not begun of a chunk. */
  readonly returns: number
  /** How many periods end in which a worker may have been idle; undefined: nobody looks. */
  readonly rests: number | undefined
  readonly closes: boolean
  readonly terminates: boolean
  readonly jobs: ReadonlyArray<JobPlan>
}

// ---------------------------------------------------------------------------------------------------- arbitraries

const between = (minimum: number, maximum: number): Arbitrary.Arbitrary<number> =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

/** One of these; the first is the simplest. */
const oneOf = <A>(values: ReadonlyArray<A>): Arbitrary.Arbitrary<A> =>
  Arbitrary.map(between(0, values.length - 1), (i) => values[i]!)

const times = (count: number, kind: ItemKind, moves: boolean): ReadonlyArray<ItemPlan> =>
  Array.from({ length: count }, () => ({ kind, moves }))

const still = (kind: ItemKind, count = 1): ReadonlyArray<ItemPlan> => times(count, kind, false)

const moving = (kind: ItemKind, count = 1): ReadonlyArray<ItemPlan> => times(count, kind, true)

export const calm = still("ok", 12)

export const mixed: ReadonlyArray<ItemPlan> = [
  ...calm,
  ...still("fail", 2),
  ...still("slow", 2),
  ...still("wait"),
  ...still("deaf"),
  ...still("stubborn"),
  ...still("crash"),
  ...still("unsendable"),
  ...moving("ok")
]

export const deadly: ReadonlyArray<ItemPlan> = [...still("ok", 6), ...still("crash", 2), ...still("slow")]
export const busy: ReadonlyArray<ItemPlan> = [...mixed, ...calm, ...calm]
export const moved: ReadonlyArray<ItemPlan> = [...moving("ok", 4), ...moving("crash"), ...moving("unsendable"), ...calm]
export const endless: ReadonlyArray<ItemPlan> = [
  ...still("ok", 4),
  ...still("slow", 2),
  ...still("wait"),
  ...still("deaf"),
  ...still("stubborn")
]

export interface Tilt {
  readonly length: number
  readonly kinds: ReadonlyArray<JobPlan["kind"]>
  readonly items: ReadonlyArray<ItemPlan>
  readonly timed: ReadonlyArray<boolean>
  readonly failFast: ReadonlyArray<boolean>
  readonly windows: ReadonlyArray<number | "auto">
  readonly chunkSizes: ReadonlyArray<number | "auto">
  readonly heavy: ReadonlyArray<boolean>
  readonly bound: ReadonlyArray<number>
  readonly late: ReadonlyArray<number>
  readonly faults: number
  readonly interrupts: number
  readonly maxTasks: ReadonlyArray<number | undefined>
  readonly outgrows: number
  readonly returns: number
  readonly rests: ReadonlyArray<number | undefined>
  readonly maxRestarts: ReadonlyArray<number>
  readonly ticks: ReadonlyArray<number>
  readonly closes: ReadonlyArray<boolean>
  readonly terminates: ReadonlyArray<boolean>
}

export const even: Tilt = {
  length: 10,
  kinds: ["apply", "map", "stream"],
  items: mixed,
  timed: [false, false, false, true],
  failFast: [false, true],
  windows: ["auto", 1, 2, 3, 5],
  chunkSizes: ["auto", "auto", 1, 2, 3],
  heavy: [false, false, false, true],
  bound: [-1, -1, -1, 0, 1],
  late: [0, 0, 2],
  faults: 3,
  interrupts: 2,
  maxTasks: [undefined, undefined, undefined, 1, 2, 3, 5],
  outgrows: 2,
  returns: 4,
  rests: [undefined, undefined, undefined, 6],
  maxRestarts: [100],
  ticks: [0],
  closes: [false, false, true],
  terminates: [false, false, false, true]
}

const jobs = (tilt: Tilt): Arbitrary.Arbitrary<JobPlan> =>
  Arbitrary.map(
    Arbitrary.all({
      kind: oneOf(tilt.kinds),
      items: Arbitrary.array(oneOf(tilt.items), { maxLength: tilt.length }),
      task: between(0, 1),
      chunkSize: oneOf(tilt.chunkSizes),
      window: oneOf(tilt.windows),
      failFast: oneOf(tilt.failFast),
      ordered: oneOf([false, true]),
      retries: oneOf([0, 0, 1, 2]),
      timed: oneOf(tilt.timed),
      grain: oneOf([0, 0, 1, 2, 7]),
      heavy: oneOf(tilt.heavy),
      bound: oneOf(tilt.bound),
      late: oneOf(tilt.late)
    }),
    (plan) => {
      // a call without items never reaches the pool
      const items = plan.items.length > 0 || plan.kind === "stream" ? plan.items : calm.slice(0, 1)
      return plan.kind === "apply" ? { ...plan, items: items.slice(0, 1) } : { ...plan, items, bound: -1 }
    }
  )

/** A plan, and what happens: each number chooses one of the actions that are possible then. */
export const lives = (
  tilt: Tilt
): { plan: Arbitrary.Arbitrary<Plan>; choices: Arbitrary.Arbitrary<Array<number>> } => ({
  plan: Arbitrary.all({
    processes: between(1, 4),
    maxRestarts: oneOf(tilt.maxRestarts),
    tick: oneOf(tilt.ticks),
    costs: oneOf([[0.01, 4], [0.2, 0.01], [4, 0.2]]),
    faults: between(0, tilt.faults),
    interrupts: between(0, tilt.interrupts),
    maxTasks: oneOf(tilt.maxTasks),
    outgrows: between(0, tilt.outgrows),
    returns: between(0, tilt.returns),
    rests: oneOf(tilt.rests),
    closes: oneOf(tilt.closes),
    terminates: oneOf(tilt.terminates),
    jobs: Arbitrary.array(jobs(tilt), { minLength: 1, maxLength: 4 })
  }),
  choices: Arbitrary.array(between(0, 0xffff), { maxLength: 120 })
})

// ---------------------------------------------------------------------------------------------------- small plans

export const smallJob = (
  kind: JobPlan["kind"],
  kinds: ReadonlyArray<ItemKind>,
  options: Partial<JobPlan> = {}
): JobPlan => ({
  kind,
  items: kinds.map((item) => ({ kind: item, moves: false })),
  task: 0,
  chunkSize: "auto",
  window: "auto",
  failFast: kind === "map",
  ordered: true,
  retries: 0,
  timed: false,
  grain: 0,
  heavy: false,
  bound: -1,
  late: 0,
  ...options
})

/** Two workers, a crash and an interruption. */
export const smallPlan = (jobs: ReadonlyArray<JobPlan>, options: Partial<Plan> = {}): Plan => ({
  processes: 2,
  maxRestarts: 10,
  tick: 0,
  costs: [0.25, 0.25],
  faults: 1,
  interrupts: 1,
  maxTasks: undefined,
  outgrows: 0,
  returns: 0,
  rests: undefined,
  closes: false,
  terminates: false,
  jobs,
  ...options
})
