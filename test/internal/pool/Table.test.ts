import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import * as Table from "../../../src/internal/pool/Table.ts"

type Step = "add" | "addMany" | "replace" | "remove" | "removeMany" | "clear"
const steps = Arbitrary.array(
  Arbitrary.schema(Schema.Literals(["add", "addMany", "replace", "remove", "removeMany", "clear"])),
  { maxLength: 40 }
)
const begin = Arbitrary.schema(Schema.Literals([1, 2 ** 31 - 20, 2 ** 32 - 20, 2 ** 45 + 3]))
const choices = Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))), {
  maxLength: 40
})

interface Walk {
  readonly steps: ReadonlyArray<Step>
  /** Which key is replaced or removed. */
  readonly choices: ReadonlyArray<number>
  /** The first key. Each fifth is one that falls on the place of another. */
  readonly begin: number
}

/** Takes the same steps with a table and with a map. */
const walk = (path: Walk, check: (table: Table.Table<string>, model: Map<number, string>) => void): void => {
  const table = Table.makeTable<string>()
  const model = new Map<number, string>()
  let next = path.begin
  path.steps.forEach((step, turn) => {
    const count = step === "addMany" || step === "removeMany" ? 20 : 1
    for (let i = 0; i < count; i++) {
      const keys = Array.from(model.keys())
      const known = keys[((path.choices[turn] ?? 0) + 7 * i) % Math.max(1, keys.length)] ?? 3
      if (step === "add" || step === "addMany") {
        next += next % 5 === 0 ? 64 : 1
        Table.set(table, next, `${next}`)
        model.set(next, `${next}`)
      } else if (step === "replace" && model.has(known)) {
        Table.set(table, known, `new ${known}`)
        model.set(known, `new ${known}`)
      } else if (step === "remove" || step === "removeMany") {
        assert.strictEqual(Table.remove(table, known), model.get(known))
        model.delete(known)
      } else if (step === "clear") {
        Table.clear(table)
        model.clear()
      }
    }
    check(table, model)
  })
}

const options = { arbitrary: { runs: 500, size: 40 } }
const walks = { steps, choices, begin }

describe("Table", () => {
  it.prop("gives what a map gives, in the order of the keys", walks, (path) => {
    walk(path, (table, model) => {
      assert.strictEqual(table.size, model.size)
      for (const [key, value] of model) assert.strictEqual(Table.get(table, key), value)
      assert.isUndefined(Table.get(table, 2 ** 50))
      assert.deepStrictEqual(Table.valuesOf(table), Array.from(model.values()))
      const some: Array<string> = []
      Table.forEach(table, (value) => some.push(value))
      assert.sameMembers(some, Array.from(model.values()))
    })
  }, options)

  it.prop("keeps nothing alive that has been taken out, and some room free", walks, (path) => {
    walk(path, (table, { size }) => {
      assert.strictEqual(table.values.filter((value) => value !== undefined).length, size)
      assert.strictEqual(table.keys.filter((key) => key !== 0).length, size)
      assert.isAtMost(size * 2, table.keys.length)
      assert.isAtMost(table.keys.length, Math.max(16, size * 16))
    })
  }, options)
})
