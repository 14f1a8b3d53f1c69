import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { bundle, handOut, numberAt, tagAt, takeIn, unbundle } from "../../../src/internal/hub/bundle.ts"
import type { Content, Item } from "../../../src/internal/hub/bundle.ts"
import { decodeFrame, encodeFrame, maxFrameBytes } from "../../../src/internal/protocol/frames.ts"

const content: fc.Arbitrary<Content> = fc.oneof(
  fc.double(),
  fc.string(),
  fc.boolean(),
  fc.constantFrom(null, undefined, -0, "\ud800"),
  fc.uint8Array({ maxLength: 8 }),
  fc.constantFrom(20_000, 70_000).map((size) => new Uint8Array(size).fill(7))
)

const travelled = <A>(value: A): A => decodeFrame(Buffer.concat(encodeFrame(value, maxFrameBytes))) as A

describe("a bundle", () => {
  it("carries what nobody can change as it is, and bytes, through a frame", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(2), content), { maxLength: 20 }), (some) => {
        const contents = some.map(([, one]) => one)
        const parcels = unbundle(travelled(bundle({ tags: some.map(([tag]) => tag), contents })))
        assert.deepStrictEqual([...parcels.contents], contents)
        assert.deepStrictEqual(contents.map((_, i) => tagAt(parcels.tags, i)), some.map(([tag]) => tag))
      }),
      { numRuns: 200 }
    )
  })

  it("keeps the number of each item, neighbours or not", () => {
    fc.assert(fc.property(fc.uniqueArray(fc.nat(30)), fc.nat(1), (some, spread) => {
      const items = some.toSorted((a, b) => a - b).map((number, i): Item => ({ number, tag: i * spread, content: i }))
      const { contents, numbers, tags } = takeIn(travelled(handOut(items)))
      const back = contents.map((one, i): Item => ({ number: numberAt(numbers, i), tag: tagAt(tags, i), content: one }))
      assert.deepStrictEqual(back, items)
    }))
  })
})
