import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { makeChain } from "../../../src/internal/hub/chain.ts"

type Step =
  | { readonly does: "push" | "shift" }
  | { readonly does: "leave"; readonly at: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ does: fc.constantFrom("push" as const, "shift" as const) }),
  fc.record({ does: fc.constant("leave" as const), at: fc.nat(9) })
)

const follow = (steps: ReadonlyArray<Step>): void => {
  const chain = makeChain<number>()
  const model: Array<number> = []
  const ways: Array<readonly [number, () => void]> = []
  let next = 0

  for (const step of steps) {
    if (step.does === "push") {
      const value = next++
      ways.push([value, chain.push(value)])
      model.push(value)
    } else if ("at" in step) {
      // also those that have left
      const [value, leave] = ways[step.at] ?? [-1, () => {}]
      leave()
      if (model.includes(value)) model.splice(model.indexOf(value), 1)
    } else {
      assert.strictEqual(chain.shift(), model.shift())
    }
    assert.strictEqual(chain.size(), model.length)
    assert.strictEqual(chain.first(), model[0])
  }
  while (model.length > 0) assert.strictEqual(chain.shift(), model.shift())
  assert.isUndefined(chain.shift())
}

describe("a chain", () => {
  it("does what an array does", () => {
    fc.assert(fc.property(fc.array(step, { maxLength: 40, size: "max" }), follow), { numRuns: 1000 })
  })
})
