import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { makeConditionObject } from "../../../src/internal/hub/condition.ts"
import { drive } from "./drive.ts"
import type { Driver, Question } from "./drive.ts"

const make = (): Driver => drive(makeConditionObject)

interface Waiter {
  readonly slot: number
  readonly token: number
  question: Question | undefined
  isNotified: boolean
}

const enterAndWait = (condition: Driver, slot: number): Waiter => {
  const token = condition.ask(slot, "enter").answer() as number // enter answers with a token
  return { slot, token, question: condition.ask(slot, "wait", token), isNotified: false }
}

type Step =
  | { readonly does: "enter"; readonly slot: number }
  | { readonly does: "wait" | "leave" | "quit"; readonly index: number }
  | { readonly does: "notify"; readonly count: number }
  | { readonly does: "die"; readonly slot: number }

const slot = fc.integer({ min: 1, max: 3 })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ does: fc.constant("enter" as const), slot }) },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constantFrom("wait" as const, "wait" as const, "leave" as const, "quit" as const),
      index: fc.nat(5)
    })
  },
  { weight: 3, arbitrary: fc.record({ does: fc.constant("notify" as const), count: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("die" as const), slot }) }
)

const follow = (steps: ReadonlyArray<Step>): void => {
  const condition = make()
  let waiters: ReadonlyArray<Waiter> = []
  /** The notifications that nobody has used or lost. */
  let open = 0
  const notify = (count: number): void => {
    const next = waiters.filter((waiter) => !waiter.isNotified).slice(0, count)
    for (const waiter of next) waiter.isNotified = true
    open += next.length
  }
  /** Those go, and what they had is open again. */
  const leave = (gone: (waiter: Waiter) => boolean): number => {
    const had = waiters.filter((waiter) => gone(waiter) && waiter.isNotified).length
    waiters = waiters.filter((waiter) => !gone(waiter))
    open -= had
    return had
  }
  const act = (step: Step): void => {
    if (step.does === "enter") {
      const token = condition.ask(step.slot, "enter").answer() as number // enter answers with a token
      waiters = [...waiters, { slot: step.slot, token, question: undefined, isNotified: false }]
      return
    }
    if (step.does === "notify") {
      condition.ask(9, "notify", step.count)
      return notify(step.count)
    }
    if (step.does === "die") {
      condition.kill(step.slot)
      return notify(leave(({ slot }) => slot === step.slot))
    }
    const waiter = waiters[step.index]
    if (waiter === undefined) return
    if (step.does === "wait") {
      waiter.question ??= condition.ask(waiter.slot, "wait", waiter.token)
    } else if (step.does === "quit") {
      waiter.question?.withdraw()
      condition.ask(waiter.slot, "quit", waiter.token)
      notify(leave((one) => one === waiter))
    } else if (waiter.question?.isAnswered() === true) {
      condition.ask(waiter.slot, "leave", waiter.token)
      leave((one) => one === waiter)
    }
  }
  for (const step of steps) {
    act(step)
    for (const { isNotified, question } of waiters) {
      if (question !== undefined) assert.strictEqual(question.isAnswered(), isNotified)
    }
    assert.strictEqual(waiters.filter((waiter) => waiter.isNotified).length, open)
  }
}

describe("the condition of a hub", () => {
  it("wakes as many as were notified, and loses none, under every order of calls, interruptions and deaths", () => {
    fc.assert(fc.property(fc.array(step, { maxLength: 40, size: "max" }), follow), { numRuns: 2000 })
  })

  it("a notification between entering and waiting is not missed", () => {
    const condition = make()
    const token = condition.ask(2, "enter").answer()
    condition.ask(3, "notify", 1)
    assert.isTrue(condition.ask(2, "wait", token).isAnswered())
  })

  it("wakes those first that have waited longest, and as many as there are", () => {
    const condition = make()
    const waiters = [1, 2, 3].map((slot) => enterAndWait(condition, slot))
    condition.ask(1, "notify", 2)
    assert.deepStrictEqual(waiters.map(({ question }) => question!.isAnswered()), [true, true, false])
    condition.ask(1, "notify", Infinity)
    assert.isTrue(waiters[2]!.question!.isAnswered())
  })

  it("hands the notification of one that died on, but not to another of the same process", () => {
    const condition = make()
    enterAndWait(condition, 2)
    const neighbour = enterAndWait(condition, 2)
    const other = enterAndWait(condition, 3)
    condition.ask(1, "notify", 1)
    condition.kill(2)
    assert.isFalse(neighbour.question!.isAnswered())
    assert.isTrue(other.question!.isAnswered())
  })

  it("the death of one that waits eats no notification", () => {
    const condition = make()
    enterAndWait(condition, 2)
    const other = enterAndWait(condition, 3)
    condition.kill(2)
    assert.isTrue(other.question!.isOpen())
    condition.ask(1, "notify", 1)
    assert.isTrue(other.question!.isAnswered())
  })
})
