/** The search for an order finds it where there is one, and only there. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import type { Call } from "../fixtures/managerModel.ts"
import { list, map, models, queue, ref } from "./models.ts"
import { linearize } from "./search.ts"
import type { Model, Operation } from "./search.ts"

type Told = readonly [from: number, to: number, call: Call, answer: unknown]

/** Each of its own client. */
const history = (...told: ReadonlyArray<Told>): ReadonlyArray<Operation<Call>> =>
  told.map(([from, to, call, answer], client) => ({ client, call, answer, called: BigInt(from), answered: BigInt(to) }))

const hasOrder = <State>(model: Model<State, Call>, ...told: ReadonlyArray<Told>): void =>
  assert.isDefined(linearize(model, history(...told)))

const hasNone = <State>(model: Model<State, Call>, ...told: ReadonlyArray<Told>): void =>
  assert.isUndefined(linearize(model, history(...told)))

describe("a history", () => {
  it("that is empty, or of one call after the other, has the order of its calls", () => {
    hasOrder(ref)
    const calls = history([0, 1, ["ref", "set", 1], undefined], [2, 3, ["ref", "get"], 1])
    assert.deepStrictEqual(linearize(ref, calls.toReversed()), calls)
  })

  it("of calls at once has an order where one explains the answers", () => {
    hasOrder(ref, [0, 9, ["ref", "set", 1], undefined], [1, 2, ["ref", "get"], 1], [3, 4, ["ref", "get"], 1])
    hasOrder(ref, [0, 9, ["ref", "set", 1], undefined], [1, 2, ["ref", "get"], 0], [3, 4, ["ref", "get"], 1])
    // what writes the value that is there already has its place all the same
    hasOrder(
      ref,
      [0, 1, ["ref", "set", 1], undefined],
      [2, 9, ["ref", "set", 1], undefined],
      [3, 4, ["ref", "update"], 2],
      [5, 6, ["ref", "get"], 1]
    )
    hasOrder(queue, [0, 9, ["queue", "take"], 7], [1, 2, ["queue", "offer", 7], undefined])
  })

  it("with a stale read has none", () => {
    hasNone(ref, [0, 1, ["ref", "set", 1], undefined], [2, 3, ["ref", "get"], 0])
    hasNone(ref, [0, 9, ["ref", "set", 1], undefined], [1, 2, ["ref", "get"], 1], [3, 4, ["ref", "get"], 0])
    hasNone(map, [0, 1, ["map", "set", "a", 1], undefined], [2, 3, ["map", "entries"], []])
  })

  it("with a lost update has none", () => {
    hasNone(ref, [0, 9, ["ref", "update"], 1], [1, 8, ["ref", "update"], 1])
    hasNone(ref, [0, 3, ["ref", "update"], 1], [1, 4, ["ref", "update"], 2], [5, 6, ["ref", "get"], 1])
    hasNone(map, [0, 9, ["map", "getOrSet", "a", 1], 1], [1, 8, ["map", "getOrSet", "a", 2], 2])
  })

  it("with a value that is taken twice, out of order, or before it is there has none", () => {
    const offer = (from: number, value: number): Told => [from, from + 1, ["queue", "offer", value], undefined]
    hasNone(queue, offer(0, 7), [2, 9, ["queue", "take"], 7], [3, 8, ["queue", "take"], 7])
    hasNone(queue, offer(0, 7), offer(2, 8), [4, 5, ["queue", "take"], 8])
    hasNone(queue, [0, 1, ["queue", "take"], 7], offer(2, 7))
    hasNone(queue, offer(0, 7), [2, 3, ["queue", "poll"], []])
    hasNone(list, [0, 1, ["list", "push", 7], 1], [2, 9, ["list", "pop"], 7], [3, 8, ["list", "shift"], 7])
  })

  it("is searched once for each state: many reads at once are no more work than few", () => {
    const reads = Array.from({ length: 40 }, (_, i): Told => [i, 1000 + i, ["ref", "get"], 0])
    hasOrder(ref, ...reads)
    hasNone(ref, ...reads, [2000, 2001, ["ref", "get"], 1])
  })
})

/** What happens to each call: when it takes place, and how long before and after that its client is under way. */
const moment = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 }))
const call = Schema.Literals(["get", "set", "update", "getAndSet"])
const taken = Arbitrary.array(
  Arbitrary.schema(Schema.Struct({ method: call, at: moment, before: moment, after: moment })),
  { minLength: 1, maxLength: 10 }
)

const callOf = (method: string, n: number): Call =>
  method === "get" || method === "update" ? ["ref", method] : ["ref", method, n]

/** Where each call takes place at one moment between its beginning and its end. */
const played = (steps: ReadonlyArray<{ readonly method: string } & Record<"at" | "before" | "after", number>>) => {
  let state: unknown = models["ref"]!.initial
  return steps
    .map((step, n) => ({ ...step, call: callOf(step.method, n + 10), at: step.at * 100 + n }))
    .sort((a, b) => a.at - b.at)
    .map(({ after, at, before, call }, client): Operation<Call> => {
      const [next, answer] = models["ref"]!.step(state, call)!
      state = next
      return { client, call, answer, called: BigInt(at - before * 50), answered: BigInt(at + after * 50) }
    })
}

describe("any history", () => {
  it.prop("whose calls took place has an order", { taken }, ({ taken }) => {
    assert.isDefined(linearize(ref, played(taken)))
  }, { arbitrary: { runs: 300 } })

  it.prop("with an answer that nothing can explain has none", { taken, at: moment }, ({ at, taken }) => {
    const told = played(taken)
    const wrong = told.map((one, i) =>
      i === at % told.length ? { ...one, answer: one.answer === undefined ? null : 1_000_000 } : one
    )
    assert.isUndefined(linearize(ref, wrong))
  }, { arbitrary: { runs: 300 } })

  it.prop("has an order if and only if some permutation of it is one", { taken, wrong: moment }, ({ taken, wrong }) => {
    const few = played(taken.slice(0, 5))
    // an answer of another call: now and then it can be explained
    const told = few.map((one, i) => i === wrong % 6 ? { ...one, answer: few[wrong % few.length]!.answer } : one)
    assert.strictEqual(linearize(ref, told) !== undefined, permutations(told).some(explains))
  }, { arbitrary: { runs: 300 } })
})

// ---------------------------------------------------------------------------------------------------- by brute force

const permutations = <A>(values: ReadonlyArray<A>): ReadonlyArray<ReadonlyArray<A>> =>
  values.length === 0
    ? [[]]
    : values.flatMap((one, i) => permutations(values.toSpliced(i, 1)).map((others) => [one, ...others]))

const explains = (order: ReadonlyArray<Operation<Call>>): boolean => {
  let state: unknown = models["ref"]!.initial
  return order.every((one, i) => {
    if (order.slice(i + 1).some(({ answered }) => answered < one.called)) return false
    const [next, answer] = models["ref"]!.step(state, one.call)!
    state = next
    return answer === one.answer
  })
}
