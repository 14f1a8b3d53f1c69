import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import {
  autoSize,
  chunkMillis,
  fitting,
  maxChunkBytes,
  maxChunkItems,
  nextMean,
  weightOf,
  weightOfAll
} from "../../../src/internal/pool/chunking.ts"

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

// ---------------------------------------------------------------------------------------------------- weights

const length = count(0, 2_000_000)

/** The same weight in many forms, which a caller may give. */
const forms: ReadonlyArray<(bytes: number) => unknown> = [
  (bytes) => "x".repeat(bytes),
  (bytes) => new ArrayBuffer(bytes),
  (bytes) => new Uint8Array(bytes),
  (bytes) => new DataView(new ArrayBuffer(bytes)),
  (bytes) => ({ text: "x".repeat(bytes) }),
  (bytes) => ({ deep: { text: "x".repeat(bytes) } }),
  (bytes) => ["x".repeat(bytes)],
  (bytes) => Array.from({ length: Math.ceil(bytes / 8) }, () => 1.5)
]

/** Values that have no bottom, or that are none of ours. */
const odd = (): ReadonlyArray<unknown> => {
  const cyclic: Record<string, unknown> = { a: 1 }
  cyclic["self"] = cyclic
  cyclic["others"] = [cyclic, cyclic]
  const ring: Array<unknown> = []
  ring.push(ring)
  let deep: unknown = "bottom"
  for (let i = 0; i < 100_000; i++) deep = i % 2 === 0 ? [deep] : { deep }
  const throwing = Object.defineProperty({}, "secret", {
    enumerable: true,
    get: () => {
      throw new Error("not for you")
    }
  })
  const detached = new ArrayBuffer(100)
  const view = new DataView(detached)
  structuredClone(detached, { transfer: [detached] })
  const holes = new Array<unknown>(4_000_000_000)
  return [cyclic, ring, deep, throwing, detached, view, holes, () => 1, Symbol("s"), 1n, null, undefined, NaN]
}

/** It has a thousand fields, and in each of them as many. */
const endless = (): { readonly value: unknown; readonly looks: () => number } => {
  const keys = Array.from({ length: 1000 }, (_, i) => `key${i}`)
  let looks = 0
  const value: unknown = new Proxy({}, {
    get: () => {
      looks++
      return value
    },
    ownKeys: () => keys,
    getOwnPropertyDescriptor: () => ({ configurable: true, enumerable: true, value: 1 })
  })
  return { value, looks: () => looks }
}

describe("weights", () => {
  it.prop("a value weighs what its texts and buffers weigh, and little more", {
    bytes: length,
    form: count(0, forms.length - 1)
  }, ({ bytes, form }) => {
    const weight = weightOf(forms[form]!(bytes))
    assert.isTrue(weight >= bytes && weight <= bytes + 256, `${weight}`)
  }, { arbitrary: { runs: 200, size: 1000 } })

  it("a value without a bottom, or with a trap, weighs something too", () => {
    for (const value of odd()) {
      const weight = weightOf(value)
      assert.isTrue(Number.isFinite(weight) && weight > 0, `${weight}`)
      assert.strictEqual(weightOfAll([value, value]), 2 * weight)
      assert.isAtLeast(fitting([value, value], 0, 2), 1)
    }
  })

  it("a large value costs a few looks", () => {
    const { looks, value } = endless()
    assert.isAbove(weightOf(value), 0)
    assert.isAtMost(looks(), 500)
  })

  it("numbers weigh the same by themselves and together", () => {
    assert.strictEqual(weightOfAll([]), 0)
    for (const numbers of [[1], [1, 2.5, NaN], Array.from({ length: 1000 }, (_, i) => i)]) {
      assert.strictEqual(weightOfAll(numbers), numbers.reduce((sum, number) => sum + weightOf(number), 0))
    }
  })

  const sizes = Arbitrary.array(Arbitrary.schema(count(0, 700_000)), { minLength: 1, maxLength: 30 })
  const place = count(0, 29)

  it.prop("as many items go into a message as weigh no more than it may, and at least one", {
    sizes,
    place,
    most: count(1, 40)
  }, ({ most, place, sizes }) => {
    const items = sizes.map((bytes) => "x".repeat(bytes))
    const from = place % items.length
    const fits = fitting(items, from, most)
    assert.isTrue(Number.isInteger(fits) && fits >= 1 && fits <= most, `${fits}`)
    const taken = items.slice(from, from + fits)
    assert.isTrue(taken.length === 1 || weightOfAll(taken) <= maxChunkBytes, `${fits}`)
    // and no fewer: the next would be too much
    const next = items[from + fits]
    assert.isTrue(fits === most || next === undefined || weightOfAll([...taken, next]) > maxChunkBytes, `${fits}`)
  }, options)

  it.prop("of small items as many go into a message as may", {
    length: count(1, 2 * maxChunkItems),
    place: count(0, 2 * maxChunkItems),
    most: count(1, maxChunkItems),
    kind: count(0, 3)
  }, ({ kind, length, most, place }) => {
    const item = [1, null, "short", { a: 1, b: 2 }][kind]!
    const enough = Math.min(most, Math.floor(maxChunkBytes / weightOf(item)))
    const items = Array.from({ length }, () => item)
    const from = place % length
    assert.isAtLeast(fitting(items, from, most), Math.min(enough, length - from))
    if (kind === 0) assert.strictEqual(fitting(items, from, most), most)
  }, { arbitrary: { runs: 300, size: 10_000 } })
})
