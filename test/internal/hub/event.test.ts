import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { clearAlone, makeEventObject, setAlone, State } from "../../../src/internal/hub/event.ts"
import { drive } from "./drive.ts"
import type { Question } from "./drive.ts"

type Step =
  | { readonly does: "set" | "clear" | "wait" | "isSet" | "die"; readonly slot: number }
  | { readonly does: "setAlone" }
  | { readonly does: "clearAlone" }
  | { readonly does: "withdraw"; readonly index: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constantFrom("set" as const, "clear" as const, "wait" as const, "wait" as const, "isSet" as const),
      slot: fc.integer({ min: 1, max: 3 })
    })
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("setAlone" as const) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("clearAlone" as const) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("withdraw" as const), index: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("die" as const), slot: fc.integer({ min: 1, max: 3 }) }) }
)

const follow = (steps: ReadonlyArray<Step>): void => {
  const words = new Int32Array(1)
  const event = drive(makeEventObject(words))
  const letGo = new Set<Question>()
  const waits: Array<Question> = []
  let isSet = false
  for (const step of steps) {
    if (step.does === "withdraw") {
      event.open()[step.index]?.withdraw()
    } else if (step.does === "setAlone") {
      const isAwaited = waits.some((question) => question.isOpen())
      assert.strictEqual(setAlone(words), !isAwaited, "who waits is let go by the hub")
      if (!isAwaited) isSet = true
    } else if (step.does === "clearAlone") {
      assert.isTrue(clearAlone(words))
      isSet = false
    } else if (step.does === "die") {
      event.kill(step.slot)
    } else if (step.does === "wait") {
      const question = event.ask(step.slot, "wait")
      waits.push(question)
      if (isSet) letGo.add(question)
    } else {
      const waiting = event.open()
      if (step.does !== "isSet") isSet = step.does === "set"
      assert.strictEqual(event.ask(step.slot, step.does).answer(), isSet)
      if (step.does === "set") { for (const question of waiting) letGo.add(question) }
    }
    for (const question of waits) assert.strictEqual(question.isAnswered(), letGo.has(question))
    const isAwaited = waits.some((question) => question.isOpen())
    assert.strictEqual(words[0], isSet ? State.Set : isAwaited ? State.Awaited : State.Clear)
  }
}

describe("the event of a hub", () => {
  it("lets go who waits when it is set, and says so in its word, under every order of calls, withdrawals and deaths", () => {
    fc.assert(fc.property(fc.array(step, { maxLength: 30, size: "max" }), follow), { numRuns: 1000 })
  })

  it("all who waited go, also when it is cleared at once", () => {
    const event = drive(makeEventObject(new Int32Array(1)))
    const early = [event.ask(1, "wait"), event.ask(2, "wait")]
    event.ask(3, "set")
    event.ask(3, "clear")
    assert.isTrue(early.every((question) => question.isAnswered()))
    assert.isTrue(event.ask(1, "wait").isOpen())
  })
})
