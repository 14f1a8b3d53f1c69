/**
 * What a pool tells of itself: counts, metrics, and that something has changed.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { Engine } from "./engine.ts"
import type { State } from "./model.ts"
import * as Table from "./Table.ts"
import { addTimes, boundaries, histogramOf, makeTimes } from "./times.ts"
import type { Times } from "./times.ts"
import type { Worker } from "./worker.ts"

// ---------------------------------------------------------------------------------------------------- counts

export interface Counts {
  /** Items that wait, in the pool or with a worker. */
  readonly queued: number
  /** Items that run: a worker runs one at a time. */
  readonly running: number
  readonly completed: number
  readonly failed: number
  readonly restarts: number
  readonly killed: number
}

export const countsOf = ({ completed, failed, jobs, killed, restarts, workers }: State): Counts => {
  let queued = 0
  let running = 0
  Table.forEach(jobs, ({ waiting }) => {
    queued += waiting
  })
  for (const { chunks, items } of workers.values()) {
    const busy = chunks.length > 0 ? 1 : 0
    running += busy
    queued += Math.max(0, items - busy)
  }
  return { queued, running, completed, failed, restarts, killed }
}

// ---------------------------------------------------------------------------------------------------- workers

export interface WorkerStats {
  readonly pid: number
  readonly tasks: number
  readonly startUpMillis: number
  readonly busyMillis: number
  readonly idleMillis: number
  readonly rssBytes: number
}

/** A child that does not answer in this time has ended, or is just starting. */
const patienceMillis = 500

/** Asks every worker for its memory. */
export const workersOf = (engine: Engine): Effect.Effect<ReadonlyArray<WorkerStats>> =>
  Effect.suspend(() =>
    Effect.forEach(
      Array.from(engine.workers.values()).filter(({ child }) => child !== undefined && child.status() === undefined),
      (worker) => Effect.map(memoryOf(worker), (rssBytes) => statsOf(engine.state, worker, rssBytes)),
      { concurrency: "unbounded" }
    )
  )

const statsOf = (state: State, { child, id, readyAt, runningSince }: Worker, rssBytes: number): WorkerStats => {
  const worker = state.workers.get(id)
  const now = performance.now()
  // the item that runs has not been reported
  const current = worker !== undefined && worker.chunks.length > 0 && runningSince > 0 ? now - runningSince : 0
  const busyMillis = (worker?.busyMillis ?? 0) + current
  return {
    pid: child?.pid ?? 0,
    tasks: worker?.tasks ?? 0,
    startUpMillis: child?.startUpMillis ?? 0,
    busyMillis,
    idleMillis: Math.max(0, now - readyAt - busyMillis),
    rssBytes
  }
}

const memoryOf = ({ child }: Worker): Effect.Effect<number> =>
  Effect.callback<number>((resume) => {
    const give = (bytes: number | undefined): void => {
      clearTimeout(impatient)
      resume(Effect.succeed(bytes ?? 0))
    }
    const impatient = setTimeout(give, patienceMillis, 0)
    child?.memory(give)
    return Effect.sync(() => clearTimeout(impatient))
  })

// ---------------------------------------------------------------------------------------------------- metrics

type Counted = "completed" | "failed" | "restarts" | "killed"

interface Totals extends Record<Counted, number> {
  readonly queueTimes: Times
  readonly runTimes: Times
}

/** All pools of a name, in one registry of metrics: those that live, and what those that have ended have counted. */
interface Family {
  readonly living: Set<Engine>
  readonly ended: Totals
}

const families = new WeakMap<object, Map<string, Family>>()

const addTotals = (all: Totals, some: Totals): Totals => {
  all.completed += some.completed
  all.failed += some.failed
  all.restarts += some.restarts
  all.killed += some.killed
  addTimes(all.queueTimes, some.queueTimes)
  addTimes(all.runTimes, some.runTimes)
  return all
}

const countedBy = ({ queueTimes, runTimes, state }: Engine): Totals => ({ ...state, queueTimes, runTimes })

const noTotals = (): Totals => ({
  completed: 0,
  failed: 0,
  restarts: 0,
  killed: 0,
  queueTimes: makeTimes(),
  runTimes: makeTimes()
})

const totalsOf = ({ ended, living }: Family): Totals =>
  [ended, ...Array.from(living, countedBy)].reduce(addTotals, noTotals())

const prefix = "multiprocessing_pool"

/** Read when somebody asks: a pool does nothing for them while it works. */
const register = (pool: string, family: Family, context: Context.Context<never>): void => {
  const attributes = { pool }
  const ignore = (): void => {}
  const gauge = (name: string, description: string, value: (engine: Engine) => number): void => {
    const get = (): Metric.GaugeState<number> => ({
      value: Array.from(family.living).reduce((sum, engine) => sum + value(engine), 0)
    })
    const metric = Metric.gauge(`${prefix}_${name}`, { description, attributes })
    Metric.registerUnsafe(metric, context, { get, update: ignore, modify: ignore })
  }
  const counter = (name: Counted, description: string): void => {
    const metric = Metric.counter(`${prefix}_${name}`, { description, attributes, incremental: true })
    const get = (): Metric.CounterState<number> => ({ count: totalsOf(family)[name], incremental: true })
    Metric.registerUnsafe(metric, context, { get, update: ignore, modify: ignore })
  }
  const histogram = (name: string, description: string, times: (totals: Totals) => Times): void => {
    const metric = Metric.histogram(`${prefix}_${name}`, { description, attributes, boundaries })
    const get = (): Metric.HistogramState => histogramOf(times(totalsOf(family)))
    Metric.registerUnsafe(metric, context, { get, update: ignore, modify: ignore })
  }
  gauge("queued", "Items that wait", ({ state }) => countsOf(state).queued)
  gauge("running", "Items that run", ({ state }) => countsOf(state).running)
  gauge("workers", "Workers that are there", ({ state }) => state.workers.size)
  counter("completed", "Items that have succeeded")
  counter("failed", "Items that have failed")
  counter("restarts", "Workers that have crashed")
  counter("killed", "Workers that were killed because they did not stop")
  histogram("queue_time_millis", "How long items waited for a worker, in milliseconds", (totals) => totals.queueTimes)
  histogram("run_time_millis", "How long items ran, in milliseconds", (totals) => totals.runTimes)
}

/** Shows a pool in the metrics of the context that it was made in. Returns what its end calls. */
export const showMetrics = (engine: Engine): () => void => {
  const { context, name } = engine.options
  const registry = Context.get(context, Metric.MetricRegistry)
  let known = families.get(registry)
  if (known === undefined) families.set(registry, known = new Map())
  let family = known.get(name)
  if (family === undefined) {
    known.set(name, family = { living: new Set(), ended: noTotals() })
    register(name, family, context)
  }
  const own = family
  own.living.add(engine)
  return () => {
    if (own.living.delete(engine)) addTotals(own.ended, countedBy(engine))
  }
}
