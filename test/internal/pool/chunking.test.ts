import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { autoSize, chunkMillis, maxChunkItems, nextMean } from "../../../src/internal/pool/chunking.ts"

const count = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
/** From nothing to minutes, small and large alike. */
const millisOf = (power: number): number => power === -10 ? 0 : 10 ** power
const power = count(-10, 5)
const workers = count(1, 64)
const waiting = count(0, 10_000_000)
const options = { arbitrary: { runs: 2000, size: 1000 } }

describe("chunking", () => {
  it.prop("a chunk has at least one item and at most the limit", { power, waiting, workers }, (given) => {
    for (const complete of [false, true]) {
      const size = autoSize({ ...given, itemMillis: millisOf(given.power), complete })
      assert.isTrue(Number.isInteger(size) && size >= 1 && size <= maxChunkItems, `${size}`)
    }
  }, options)

  it.prop("a chunk takes no longer than it should, unless one item does", { power, waiting, workers }, (given) => {
    const itemMillis = millisOf(given.power)
    const size = autoSize({ ...given, itemMillis, complete: false })
    assert.isTrue(size === 1 || size * itemMillis <= chunkMillis * 1.000001, `${size}`)
    // and no shorter: one more item would be too much
    assert.isTrue(size === maxChunkItems || (size + 1) * itemMillis > chunkMillis * 0.999999, `${size}`)
  }, options)

  it.prop("the last items are shared out evenly: each worker gets two chunks", { power, waiting, workers }, (given) => {
    const shape = { ...given, itemMillis: millisOf(given.power) }
    const size = autoSize({ ...shape, complete: true })
    assert.isAtMost(size, Math.max(1, Math.ceil(given.waiting / (2 * given.workers))))
    assert.isAtMost(size, autoSize({ ...shape, complete: false }))
  }, options)

  it.prop("an item of unknown cost travels alone", { waiting, workers }, (given) => {
    for (const complete of [false, true]) assert.strictEqual(autoSize({ ...given, itemMillis: undefined, complete }), 1)
  }, options)

  it.prop("an estimate lies between what was estimated and what was measured", {
    items: count(1, 20_000),
    mean: power,
    sample: power
  }, ({ items, mean, sample }) => {
    const [before, measured] = [millisOf(mean), millisOf(sample)]
    const next = nextMean(before, items, measured * items)
    const slack = 1e-9 * Math.max(before, measured)
    assert.isAtLeast(next, Math.min(before, measured) - slack)
    assert.isAtMost(next, Math.max(before, measured) + slack)
    assert.closeTo(nextMean(undefined, items, measured * items), measured, slack)
  }, options)

  it.prop("a batch moves the estimate more than a single item does", { mean: power, sample: power }, (given) => {
    const [before, measured] = [millisOf(given.mean), millisOf(given.sample)]
    const distance = (items: number): number => Math.abs(nextMean(before, items, measured * items) - measured)
    assert.isAtMost(distance(100), distance(1) + 1e-9 * Math.max(before, measured))
  }, options)
})
