import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import * as Deque from "../../../src/internal/pool/Deque.ts"

type Step = "push" | "pushMany" | "pushFront" | "shift" | "shiftMany" | "clear"
const steps = Arbitrary.array(
  Arbitrary.schema(Schema.Literals(["push", "pushMany", "pushFront", "shift", "shiftMany", "clear"])),
  { maxLength: 40 }
)
/** More than the deque leaves standing at its front. */
const many = 1500

/** Takes the same steps with a deque and with an array. */
const walk = (path: ReadonlyArray<Step>, check: (deque: Deque.Deque<number>, model: Array<number>) => void): void => {
  const deque = Deque.makeDeque<number>()
  const model: Array<number> = []
  let next = 0
  for (const step of path) {
    const count = step === "pushMany" || step === "shiftMany" ? many : 1
    if (step === "push" || step === "pushMany") {
      for (let i = 0; i < count; i++) Deque.push(deque, next + i)
      for (let i = 0; i < count; i++) model.push(next++)
    } else if (step === "shift" || step === "shiftMany") {
      const taken = Array.from({ length: count }, () => Deque.shift(deque)).filter((value) => value !== undefined)
      assert.deepStrictEqual(taken, model.splice(0, count))
    } else if (step === "pushFront") {
      Deque.pushFront(deque, next)
      model.unshift(next++)
    } else {
      Deque.clear(deque)
      model.length = 0
    }
    check(deque, model)
  }
}

const options = { arbitrary: { runs: 300, size: 40 } }

describe("Deque", () => {
  it.prop("gives what an array gives, in its order", { steps }, ({ steps }) => {
    walk(steps, (deque, model) => {
      assert.strictEqual(Deque.size(deque), model.length)
      assert.strictEqual(Deque.peek(deque), model[0])
    })
  }, options)

  it.prop("keeps nothing alive that has been taken out, and little room for it", { steps }, ({ steps }) => {
    walk(steps, (deque, model) => {
      for (let i = 0; i < deque.head; i++) assert(deque.items[i] === undefined)
      assert.isAtMost(deque.items.length, 2 * model.length + 1026)
      if (model.length === 0) assert.strictEqual(deque.items.length, 0)
    })
  }, options)
})
