import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { makeRow } from "../../../src/internal/hub/row.ts"

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ does: fc.constant("push" as const), by: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constantFrom("shift" as const, "insert" as const), by: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("remove" as const), by: fc.nat(60) }) }
)

describe("the row of a queue", () => {
  it("is in the order of its numbers, whatever leaves and comes back", () => {
    fc.assert(fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
      const row = makeRow<{ readonly number: number }>()
      let model: Array<number> = []
      const out: Array<number> = []
      let last = 0
      for (const { by, does } of steps) {
        if (does === "push") {
          row.push({ number: last += by })
          model.push(last)
        } else if (does === "shift") {
          const gone = model.splice(0, by)
          assert.deepStrictEqual(row.shift(by).map(({ number }) => number), gone)
          out.push(...gone)
        } else if (does === "insert") {
          const [number] = out.splice(by, 1)
          if (number === undefined) continue
          row.insert({ number })
          model = [...model, number].toSorted((a, b) => a - b)
        } else {
          assert.strictEqual(row.remove(by), model.includes(by))
          model = model.filter((number) => number !== by)
        }
        assert.deepStrictEqual(Array.from({ length: row.size() }, (_, i) => row.at(i).number), model)
      }
    }))
  })

  it("lets go of what has left, of many", () => {
    const row = makeRow<{ readonly number: number }>()
    for (let number = 0; number < 20_000; number++) row.push({ number })
    let next = 0
    while (row.size() > 0) for (const { number } of row.shift(7)) assert.strictEqual(number, next++)
    assert.strictEqual(next, 20_000)
  })
})
