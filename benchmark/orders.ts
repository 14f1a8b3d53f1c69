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

/** Children one after the other, each for one call. */
export interface ChildOrder extends Common, Trips {
  readonly work: "child"
}

export interface SkewOrder extends Common {
  readonly work: "skew"
  /** What each task costs, in the units of `burn`. */
  readonly costs: ReadonlyArray<number>
}

/** Work that is over quickly is done several times in one process: its figure is the median of the trips. */
export interface Trips {
  readonly warmUp: number
  readonly trips: number
}

export interface TypedOrder extends Common, Trips {
  readonly work: "typed"
  readonly numbers: number
  /** The numbers lie in so many Float64Arrays. */
  readonly parts: number
}

export interface PayloadOrder extends Common, Trips {
  readonly work: "payload"
  readonly bytes: number
  /** Its buffer moves to the worker and back, where that is possible. */
  readonly moves: boolean
}

/** The numbers lie in shared memory, and stay there. */
export interface InPlaceOrder extends Common, Trips {
  readonly work: "inPlace"
  readonly numbers: number
  /** As many workers, each with its own range of the numbers. */
  readonly parts: number
}

/** So many processes, each of which does the step so often, all at the same time. */
export interface CellOrder extends Common {
  readonly work: "cell"
  /** One more in a shared number; or nothing, under a lock. */
  readonly step: "update" | "lock"
  readonly steps: number
}

/** Messages of one size between two that talk. */
export interface PipeOrder extends Common {
  readonly work: "pipe"
  /** All one way, and one back at the end; or each is answered by one as long before the next. */
  readonly pattern: "stream" | "pingPong"
  readonly messages: number
  readonly bytes: number
}

/** Small numbers through one queue: as many from each producer, and as many to each consumer. */
export interface QueueOrder extends Common {
  readonly work: "queue"
  readonly producers: number
  readonly consumers: number
  readonly items: number
}

/** Calls of one object that lives in a server process. */
export interface ManagerOrder extends Common {
  readonly work: "manager"
  /** `get` of a ref, `set` of a map, or `get` of a service that gives a number. */
  readonly object: "ref" | "map" | "service"
  readonly clients: number
  /** Of each client. */
  readonly calls: number
  /** So many of them at once: fibers, or threads. */
  readonly lanes: number
}

export type Order =
  | ApplyOrder
  | MapOrder
  | TypedOrder
  | StartOrder
  | ChildOrder
  | SkewOrder
  | PayloadOrder
  | InPlaceOrder
  | CellOrder
  | PipeOrder
  | QueueOrder
  | ManagerOrder

export const processes = 2

type Choice = Pick<Common, "method" | "variant">

export const apply = (choice: Choice): ApplyOrder => (
  { work: "apply", processes, tasks: 20_000, inFlight: 64, warmUp: 100_000, ...choice }
)

/** The chunk is what Python's `Pool.map` would choose: a quarter of a worker's share. */
export const map = (choice: Choice): MapOrder => (
  { work: "map", processes, items: 1_000_000, chunk: 125_000, ...choice }
)

export const start = (choice: Choice): StartOrder => ({ work: "start", processes, ...choice })

export const child = (choice: Choice): ChildOrder => ({ work: "child", processes: 1, warmUp: 2, trips: 15, ...choice })

export const skew = (choice: Choice): SkewOrder => ({
  work: "skew",
  processes,
  costs: Array.from({ length: 1_000 }, (_, index) => index < 4 ? 100 : 1),
  ...choice
})

/** Where a trip takes a fraction of a millisecond, it matters how much of the code is compiled: all that will be. */
export const many: Trips = { warmUp: 1_000, trips: 101 }
/** Where most of a trip is copying. */
export const few: Trips = { warmUp: 10, trips: 15 }

/** As many parts as are best for ours. */
export const typed = (choice: Choice & Trips): TypedOrder => (
  { work: "typed", processes, numbers: 1_000_000, parts: 2, ...choice }
)

export const payload = (choice: Choice & Trips & Pick<PayloadOrder, "moves">): PayloadOrder => (
  { work: "payload", processes, bytes: 16 * 2 ** 20, ...choice }
)

export const inPlace = (choice: Choice & Trips): InPlaceOrder => (
  { work: "inPlace", processes, numbers: 1_000_000, parts: processes, ...choice }
)

export const cell = (choice: Choice & Pick<CellOrder, "step" | "steps" | "processes">): CellOrder => (
  { work: "cell", ...choice }
)

export const pipe = (choice: Choice & Pick<PipeOrder, "pattern" | "messages" | "bytes">): PipeOrder => (
  { work: "pipe", processes: 1, ...choice }
)

export const queue = (choice: Choice & Pick<QueueOrder, "producers" | "consumers" | "items">): QueueOrder => (
  { work: "queue", processes: choice.producers + choice.consumers, ...choice }
)

export const manager = (
  choice: Choice & Pick<ManagerOrder, "object" | "clients" | "calls" | "lanes">
): ManagerOrder => (
  { work: "manager", processes: choice.clients, ...choice }
)

/** Before the clock runs, the same with a part of it. At least some: what is rare is long. */
export const warmUpOf = (count: number): number => Math.ceil(count / 10)
