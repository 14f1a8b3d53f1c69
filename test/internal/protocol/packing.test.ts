import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { bufferOfBlock, packNumbers } from "../../../src/internal/protocol/packing.ts"

describe("numbers in bulk", () => {
  it("become one block that reads as they did, also those that JSON does not know", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.double(), fc.integer()), { minLength: 64, maxLength: 200 }), (numbers) => {
        const block = packNumbers(numbers)
        assert.instanceOf(block, Float64Array)
        assert.strictEqual(bufferOfBlock(block)?.byteLength, 8 * numbers.length)
        assert.strictEqual(block.length, numbers.length)
        for (let i = 0; i < numbers.length; i++) assert.isTrue(Object.is(block[i], numbers[i]))
      })
    )
  })

  it("stay as they are where one value is none, wherever it stands", () => {
    const others = ["5", null, undefined, 5n, true, [5]]
    for (let at = 0; at < 64; at++) {
      const values: Array<unknown> = Array.from({ length: 64 }, (_, i) => i)
      values[at] = others[at % others.length]
      assert.strictEqual(packNumbers(values), values)
    }
  })

  it("stay as they are where they are few", () => {
    const values = Array.from({ length: 63 }, (_, i) => i)
    assert.strictEqual(packNumbers(values), values)
    assert.isUndefined(bufferOfBlock(values))
  })
})
