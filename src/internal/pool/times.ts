/**
 * How long things took.
 */
import type * as Metric from "effect/Metric"

/** A histogram that is cheap to add to: what Effect's own takes from it is made when it is read. */
export interface Times {
  readonly counts: Array<number>
  count: number
  sum: number
  min: number
  max: number
}

/** In milliseconds; each is four times the one before. */
export const boundaries: ReadonlyArray<number> = [0.016, 0.064, 0.25, 1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536]

export const makeTimes = (): Times => ({
  counts: boundaries.map(() => 0).concat(0),
  count: 0,
  sum: 0,
  min: Infinity,
  max: -Infinity
})

export const addTime = (times: Times, millis: number, items: number): void => {
  let bucket = 0
  while (bucket < boundaries.length && millis > boundaries[bucket]!) bucket++
  times.counts[bucket]! += items
  times.count += items
  times.sum += millis * items
  if (millis < times.min) times.min = millis
  if (millis > times.max) times.max = millis
}

export const addTimes = (all: Times, some: Times): Times => {
  some.counts.forEach((count, i) => all.counts[i]! += count)
  all.count += some.count
  all.sum += some.sum
  all.min = Math.min(all.min, some.min)
  all.max = Math.max(all.max, some.max)
  return all
}

export const histogramOf = ({ count, counts, max, min, sum }: Times): Metric.HistogramState => {
  let below = 0
  const buckets = boundaries.map((boundary, i): [number, number] => [boundary, below += counts[i]!])
  // as Effect's own says it that has seen nothing
  return { buckets, count, sum, min: count === 0 ? Number.MAX_VALUE : min, max: count === 0 ? -Number.MAX_VALUE : max }
}
