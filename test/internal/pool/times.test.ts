import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import * as fc from "fast-check"
import { addTime, addTimes, boundaries, histogramOf, makeTimes } from "../../../src/internal/pool/times.ts"

/** Also the boundaries themselves, and what is above the last. */
const millis = fc.oneof(
  fc.double({ min: 0, max: 100_000, noNaN: true }),
  fc.constantFrom(...boundaries),
  fc.constantFrom(0, 1e6)
)
const measured = fc.array(fc.tuple(millis, fc.integer({ min: 1, max: 5 })), { maxLength: 20 })

const timesOf = (all: ReadonlyArray<readonly [number, number]>) => {
  const times = makeTimes()
  for (const [one, items] of all) addTime(times, one, items)
  return times
}

const same = (actual: Metric.HistogramState, expected: Metric.HistogramState): void => {
  assert.deepStrictEqual({ ...actual, sum: 0 }, { ...expected, sum: 0 })
  assert.closeTo(actual.sum, expected.sum, 1e-9 * (1 + expected.sum))
}

describe("times", () => {
  it("are the histogram that Effect's own metric makes of each of them", () => {
    fc.assert(fc.property(measured, (all) => {
      const metric = Metric.histogram("times", { boundaries })
      const state = Effect.runSync(
        Effect.gen(function*() {
          for (const [one, items] of all) {
            for (let i = 0; i < items; i++) yield* Metric.update(metric, one)
          }
          return yield* Metric.value(metric)
        }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
      )
      same(histogramOf(timesOf(all)), state)
    }))
  })

  it("of several, added, are those of all of them", () => {
    fc.assert(fc.property(measured, measured, (some, more) => {
      same(histogramOf(addTimes(timesOf(some), timesOf(more))), histogramOf(timesOf([...some, ...more])))
    }))
  })
})
