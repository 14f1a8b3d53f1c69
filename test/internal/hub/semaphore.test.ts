import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { makeSemaphoreObject, tooMany } from "../../../src/internal/hub/semaphore.ts"
import { permitWords } from "../../../src/internal/memory/permits.ts"
import { drive } from "./drive.ts"
import type { Driver, Question } from "./drive.ts"

const make = (permits: number, bounded = false): Driver =>
  drive(makeSemaphoreObject(permits, bounded, new Int32Array(permitWords)))

/** How many a stranger can take; leaves nothing behind. */
const freeOf = (semaphore: Driver): number => {
  const taken: Array<Question> = []
  while (taken.at(-1)?.isAnswered() ?? true) taken.push(semaphore.ask(99, "take", 1))
  semaphore.kill(99)
  return taken.length - 1
}

type Step =
  | { readonly does: "take" | "release"; readonly slot: number; readonly count: number }
  | { readonly does: "withdraw"; readonly index: number }
  | { readonly does: "die"; readonly slot: number }

const slot = fc.integer({ min: 1, max: 3 })
const count = fc.integer({ min: 1, max: 3 })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ does: fc.constantFrom("take" as const, "release" as const), slot, count }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant("withdraw" as const), index: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("die" as const), slot }) }
)

interface Waiting {
  readonly question: Question
  readonly slot: number
  readonly count: number
}

/** Every permit that is out is an element: the slot that has it. */
const makeModel = (permits: number, bounded: boolean) => {
  const out: Array<number> = []
  const granted = new Set<Question>()
  let queue: Array<Waiting> = []
  let total = permits
  const serve = (): void => {
    while (queue.length > 0 && out.length + queue[0]!.count <= total) {
      const { count, question, slot } = queue.shift()!
      for (let i = 0; i < count; i++) out.push(slot)
      granted.add(question)
    }
  }
  const leave = (leaves: (waiting: Waiting) => boolean): void => {
    queue = queue.filter((waiting) => !leaves(waiting))
  }
  return {
    granted,
    free: () => total - out.length,
    take: (waiting: Waiting): void => {
      queue.push(waiting)
      serve()
    },
    release: (slot: number, count: number): number => {
      if (bounded && count > out.length) return tooMany
      for (let i = 0; i < count; i++) {
        const from = out.includes(slot) ? slot : out[0]
        if (from === undefined) total++
        else out.splice(out.lastIndexOf(from), 1)
      }
      serve()
      return total - out.length
    },
    withdraw: (question: Question): void => {
      leave((waiting) => waiting.question === question)
      serve()
    },
    die: (slot: number): void => {
      leave((waiting) => waiting.slot === slot)
      for (let i = out.length - 1; i >= 0; i--) if (out[i] === slot) out.splice(i, 1)
      serve()
    }
  }
}

const follow = (permits: number, bounded: boolean, steps: ReadonlyArray<Step>): void => {
  const semaphore = make(permits, bounded)
  const model = makeModel(permits, bounded)
  let takes: ReadonlyArray<Question> = []
  for (const step of steps) {
    if (step.does === "take") {
      const question = semaphore.ask(step.slot, "take", step.count)
      takes = [...takes, question]
      model.take({ question, slot: step.slot, count: step.count })
    } else if (step.does === "release") {
      assert.strictEqual(
        semaphore.ask(step.slot, "release", step.count).answer(),
        model.release(step.slot, step.count)
      )
    } else if (step.does === "withdraw") {
      const question = semaphore.open()[step.index]
      if (question === undefined) continue
      question.withdraw()
      model.withdraw(question)
    } else {
      semaphore.kill(step.slot)
      model.die(step.slot)
      // some may be answered while the others of the process are withdrawn: it does not hear that, and has it no more
      takes = takes.filter(({ slot }) => slot !== step.slot)
    }
    for (const question of takes) assert.strictEqual(question.isAnswered(), model.granted.has(question))
  }
  for (const question of semaphore.open()) {
    question.withdraw()
    model.withdraw(question)
  }
  assert.strictEqual(freeOf(semaphore), model.free())
}

describe("the semaphore of a hub", () => {
  it("does what a model with single permits does, under every order of calls, withdrawals and deaths", () => {
    fc.assert(
      fc.property(fc.nat(4), fc.boolean(), fc.array(step, { maxLength: 30, size: "max" }), follow),
      { numRuns: 2000 }
    )
  })

  it("a large request that waits is not overtaken", () => {
    const semaphore = make(3)
    semaphore.ask(2, "take", 2)
    const large = semaphore.ask(3, "take", 3)
    const small = semaphore.ask(4, "take", 1)
    assert.isTrue(large.isOpen() && small.isOpen())
    assert.strictEqual(semaphore.ask(2, "release", 2).answer(), 0)
    assert.isTrue(large.isAnswered())
    assert.isTrue(small.isOpen())
  })

  it("a large request that is withdrawn lets those behind it go", () => {
    const semaphore = make(1)
    const large = semaphore.ask(2, "take", 2)
    const small = semaphore.ask(3, "take", 1)
    large.withdraw()
    assert.isTrue(small.isAnswered())
  })

  it("what another has released does not come back a second time when its taker dies", () => {
    const semaphore = make(2, true)
    semaphore.ask(2, "take", 2)
    assert.strictEqual(semaphore.ask(3, "release", 1).answer(), 1)
    semaphore.kill(2)
    assert.strictEqual(freeOf(semaphore), 2)
  })

  it("bounded, it refuses more than are taken, and changes nothing", () => {
    const semaphore = make(2, true)
    semaphore.ask(2, "take", 1)
    assert.strictEqual(semaphore.ask(2, "release", 2).answer(), tooMany)
    assert.strictEqual(freeOf(semaphore), 1)
  })
})
