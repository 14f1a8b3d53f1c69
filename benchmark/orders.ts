/** What the harness asks of an arm, and the sizes of the workloads: the same for all contenders. */

interface Common {
  readonly processes: number
  /** Threads or OS processes, where a contender has both. */
  readonly method: "threads" | "processes"
  /** A contender's further choice, such as its tuned options. */
  readonly variant?: string
}

export interface ApplyOrder extends Common {
  readonly work: "apply"
  readonly tasks: number
  readonly inFlight: number
  readonly warmUp: number
}

export interface MapOrder extends Common {
  readonly work: "map"
  readonly items: number
  /** Items per message where a contender has no chunking of its own. */
  readonly chunk: number
}

export interface StartOrder extends Common {
  readonly work: "start"
}

export interface SkewOrder extends Common {
  readonly work: "skew"
  /** What each task costs, in the units of `burn`. */
  readonly costs: ReadonlyArray<number>
}

export type Order = ApplyOrder | MapOrder | StartOrder | SkewOrder

export const processes = 2

type Choice = Pick<Common, "method" | "variant">

export const apply = (choice: Choice): ApplyOrder => (
  { work: "apply", processes, tasks: 20_000, inFlight: 64, warmUp: 10_000, ...choice }
)

/** The chunk is what Python's `Pool.map` would choose: a quarter of a worker's share. */
export const map = (choice: Choice): MapOrder => (
  { work: "map", processes, items: 1_000_000, chunk: 125_000, ...choice }
)

export const start = (choice: Choice): StartOrder => ({ work: "start", processes, ...choice })

export const skew = (choice: Choice): SkewOrder => ({
  work: "skew",
  processes,
  costs: Array.from({ length: 1_000 }, (_, index) => index < 4 ? 100 : 1),
  ...choice
})
