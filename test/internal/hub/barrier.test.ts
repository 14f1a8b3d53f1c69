import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { makeBarrierObject } from "../../../src/internal/hub/barrier.ts"
import { drive } from "./drive.ts"
import type { Driver, Question } from "./drive.ts"

/** A barrier whose action ends when the test says so. */
const makeActing = (parties: number): Driver & {
  readonly runs: () => number
  readonly end: (failure?: string) => boolean
} => {
  let runs = 0
  let running: ((failure: string | undefined) => void) | undefined
  const barrier = drive(makeBarrierObject(parties, (done) => {
    assert.isUndefined(running, "one action at a time")
    runs++
    running = done
  }))
  const end = (failure?: string): boolean => {
    const done = running
    running = undefined
    done?.(failure)
    return done !== undefined
  }
  return { ...barrier, runs: () => runs, end }
}

const waits = (barrier: Driver, count: number): ReadonlyArray<Question> =>
  Array.from({ length: count }, (_, i) => barrier.ask(i + 1, "wait"))

const answers = (questions: ReadonlyArray<Question>): ReadonlyArray<unknown> =>
  questions.map((question) => question.answer())

const isBroken = (barrier: Driver): boolean => barrier.ask(9, "isBroken").answer() === true

type Step =
  | { readonly does: "wait" | "die"; readonly slot: number }
  | { readonly does: "withdraw"; readonly index: number }
  | { readonly does: "end"; readonly failure: string | undefined }
  | { readonly does: "reset" | "abort" }

const slot = fc.integer({ min: 1, max: 4 })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ does: fc.constant("wait" as const), slot }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant("end" as const), failure: fc.constant(undefined) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("end" as const), failure: fc.constant("it failed") }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("withdraw" as const), index: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("die" as const), slot }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constantFrom("reset" as const, "reset" as const, "abort" as const) }) }
)

/** What is expected of each wait: a place, "broken", or nothing yet. */
const makeModel = (parties: number, acts: boolean) => {
  const expected = new Map<Question, number | "broken" | undefined>()
  let isBroken = false
  /** The waits of the round whose action runs. */
  let acting: ReadonlyArray<Question> | undefined
  const open = (): ReadonlyArray<Question> =>
    [...expected].flatMap(([question, value]) => value === undefined ? [question] : [])
  const letGo = (round: ReadonlyArray<Question>): void => round.forEach((one, index) => expected.set(one, index))
  const turnAway = (): void => open().forEach((one) => expected.set(one, "broken"))
  const proceed = (): void => {
    while (acting === undefined && open().length >= parties) {
      if (acts) acting = open().slice(0, parties)
      else letGo(open().slice(0, parties))
    }
  }
  const breakUp = (): void => {
    isBroken = true
    turnAway()
  }
  return {
    expected,
    isBroken: () => isBroken,
    wait: (question: Question): void => {
      expected.set(question, isBroken ? "broken" : undefined)
      proceed()
    },
    leave: (questions: ReadonlyArray<Question>): void => {
      if (questions.length === 0) return
      for (const question of questions) expected.delete(question)
      breakUp()
    },
    end: (failure: string | undefined): void => {
      const round = acting ?? []
      acting = undefined
      if (round.every((one) => expected.has(one) && expected.get(one) === undefined)) {
        if (failure === undefined) letGo(round)
        else breakUp()
      }
      proceed()
    },
    reset: (): void => {
      isBroken = false
      turnAway()
    },
    abort: breakUp
  }
}

const follow = (parties: number, acts: boolean, steps: ReadonlyArray<Step>): void => {
  const barrier = acts ? makeActing(parties) : { ...drive(makeBarrierObject(parties, undefined)), end: () => false }
  const model = makeModel(parties, acts)
  const act = (step: Step): void => {
    if (step.does === "wait") {
      model.wait(barrier.ask(step.slot, "wait"))
    } else if (step.does === "withdraw") {
      const question = barrier.open()[step.index]
      question?.withdraw()
      model.leave(question === undefined ? [] : [question])
    } else if (step.does === "die") {
      const leaving = barrier.open().filter(({ slot }) => slot === step.slot)
      barrier.kill(step.slot)
      // the first to go breaks it; the others are turned away before they could go
      model.leave(leaving)
    } else if (step.does === "end") {
      if (barrier.end(step.failure)) model.end(step.failure)
    } else {
      barrier.ask(9, step.does)
      model[step.does]()
    }
  }
  for (const step of steps) {
    act(step)
    for (const [question, value] of model.expected) {
      const answer = question.answer()
      assert.strictEqual(typeof answer === "string" ? "broken" : answer, value)
    }
    assert.strictEqual(isBroken(barrier), model.isBroken())
  }
}

describe("the barrier of a hub", () => {
  it("does what a model does, under every order of calls, withdrawals, deaths and ends of actions", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), fc.boolean(), fc.array(step, { maxLength: 30, size: "max" }), follow),
      { numRuns: 2000 }
    )
  })

  it("lets all go when the last has come, each with its place, round after round", () => {
    const barrier = drive(makeBarrierObject(3, undefined))
    for (let round = 0; round < 3; round++) {
      const early = waits(barrier, 2)
      assert.isTrue(early.every((question) => question.isOpen()))
      assert.strictEqual(barrier.ask(3, "wait").answer(), 2)
      assert.deepStrictEqual(answers(early), [0, 1])
    }
  })

  it("lets nobody go while the action runs; who comes meanwhile is of the next round", () => {
    const barrier = makeActing(2)
    const first = waits(barrier, 2)
    const second = waits(barrier, 2)
    assert.strictEqual(barrier.runs(), 1)
    assert.isTrue([...first, ...second].every((question) => question.isOpen()))
    barrier.end()
    assert.deepStrictEqual(answers(first), [0, 1])
    assert.strictEqual(barrier.runs(), 2)
    assert.isTrue(second.every((question) => question.isOpen()))
    barrier.end()
    assert.deepStrictEqual(answers(second), [0, 1])
  })

  it("is broken by an action that fails, and good again after a reset", () => {
    const barrier = makeActing(2)
    const round = waits(barrier, 2)
    barrier.end("its action failed")
    assert.deepStrictEqual(answers(round), ["its action failed", "its action failed"])
    assert.isTrue(isBroken(barrier))
    assert.isString(barrier.ask(1, "wait").answer())
    barrier.ask(1, "reset")
    assert.isFalse(isBroken(barrier))
    const next = waits(barrier, 2)
    barrier.end()
    assert.deepStrictEqual(answers(next), [0, 1])
  })

  it("an action that ends after a reset decides nothing about the round that came after", () => {
    const barrier = makeActing(2)
    waits(barrier, 2)
    barrier.ask(1, "reset")
    const next = waits(barrier, 2)
    barrier.end("too late")
    assert.isTrue(next.every((question) => question.isOpen()))
    assert.strictEqual(barrier.runs(), 2)
    barrier.end()
    assert.deepStrictEqual(answers(next), [0, 1])
  })

  it("is broken by one that is withdrawn, and by one that dies", () => {
    for (const leave of ["withdraw", "die"] as const) {
      const barrier = drive(makeBarrierObject(3, undefined))
      const [first, second] = waits(barrier, 2)
      if (leave === "withdraw") first!.withdraw()
      else barrier.kill(1)
      assert.isString(second!.answer())
      assert.isTrue(isBroken(barrier))
    }
  })

  it("a process that dies without waiting breaks nothing", () => {
    const barrier = drive(makeBarrierObject(2, undefined))
    const early = barrier.ask(1, "wait")
    barrier.kill(5)
    assert.strictEqual(barrier.ask(2, "wait").answer(), 1)
    assert.strictEqual(early.answer(), 0)
  })
})
