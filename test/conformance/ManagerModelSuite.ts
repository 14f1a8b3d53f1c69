/**
 * What four clients do to hosted objects in many calls is what they would do one after the other.
 *
 * `MANAGER_CALLS` is how many calls each of them makes, `MANAGER_SEED` what they are: a failure names it.
 */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { Manager, Process } from "../../src/index.ts"
import * as T from "../fixtures/managerModel.ts"
import type { Call, Kind } from "../fixtures/managerModel.ts"
import { growing, map as mapModel, ref as refModel, set as setModel } from "../linearizability/models.ts"
import { linearize, showHistory } from "../linearizability/search.ts"
import type { Model, Operation } from "../linearizability/search.ts"
import { numbers } from "./assertions.ts"
import { laws } from "./law.ts"
import type { Method } from "./methods.ts"

const seed = Number(process.env["MANAGER_SEED"] ?? Math.floor(Math.random() * 2 ** 31))
const callsOfEach = (name: string): number => Number(process.env["MANAGER_CALLS"] ?? (name === "spawn" ? 10_000 : 2000))

type Done = Operation<Call>

const [clients, fibersEach] = [4, 4]
const writers = numbers(clients * fibersEach)

interface Outcome {
  /** Of each writer, in its order. */
  readonly done: ReadonlyArray<ReadonlyArray<Done>>
  readonly ref: number
  readonly map: ReadonlyArray<readonly [string, number]>
  readonly list: ReadonlyArray<number>
  readonly set: ReadonlyArray<number>
  readonly left: ReadonlyArray<number>
}

const makeObjects = Effect.gen(function*() {
  const objects: T.Objects = {
    ref: yield* Manager.ref(0),
    map: yield* Manager.map<string, number>(),
    list: yield* Manager.list<number>(),
    set: yield* Manager.set<number>(),
    queue: yield* Manager.queue<number>()
  }
  return objects
})

const runLong = (callsEach: number) =>
  Effect.gen(function*() {
    const objects = yield* makeObjects
    const client = (number: number) => {
      const own = writers.slice(number * fibersEach, (number + 1) * fibersEach)
      const plan = { seed, objects, writers: own, callsEach: callsEach / fibersEach }
      return Effect.flatMap(Process.start(T.runsLongPlan, plan), Process.join)
    }
    const done = yield* Effect.forEach(numbers(clients), client, { concurrency: "unbounded" })
    const outcome: Outcome = {
      done: done.flat(),
      ref: yield* objects.ref.get(),
      map: yield* objects.map.entries(),
      list: yield* objects.list.values(),
      set: yield* objects.set.values(),
      left: yield* Effect.forEach(numbers(yield* objects.queue.size()), () => objects.queue.take())
    }
    return outcome
  })

const callsOn = (calls: ReadonlyArray<Call>, on: Kind, method: string): ReadonlyArray<any> =>
  calls.flatMap(([kind, name, value]) => kind === on && name === method ? [value] : [])

/** Each value of them, and how often. */
const counted = <A>(values: ReadonlyArray<A>): ReadonlyMap<A, number> => {
  const counts = new Map<A, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return counts
}

const isOwn = ([, , first]: Call): boolean =>
  typeof first === "string" ? !T.sharedKeys.includes(first) : typeof first === "number" && first >= T.sharedValues

/** What nobody else touches is, in the order of its writer, what the model says. */
const ownBy = <State>(model: Model<State, Call>, done: ReadonlyArray<Done>): State =>
  done.reduce((state, { answer, call }) => {
    const [next, expected] = model.step(state, call)!
    assert.deepStrictEqual(answer, expected, JSON.stringify(call))
    return next
  }, model.initial)

const ownOf = <State>(all: Outcome["done"], on: Kind, model: Model<State, Call>): ReadonlyArray<State> =>
  all.map((done) => ownBy(model, done.filter(({ call }) => call[0] === on && isOwn(call))))

/** By the plans alone, and not by what was answered. */
const checkTotals = (plans: ReadonlyArray<ReadonlyArray<Call>>, { done, ref, map, list, set, left }: Outcome): void => {
  const calls = plans.flat()
  assert.strictEqual(ref, callsOn(calls, "ref", "updateWith").reduce((sum: number, n) => sum + n, 0))

  const ownEntries = (ownOf(done, "map", mapModel)).flat()
  const expected = new Map([...counted(callsOn(calls, "map", "update")), ...ownEntries])
  assert.deepStrictEqual([...map].sort(), [...expected].sort())

  const shared = callsOn(calls, "set", "add").filter((value) => value < T.sharedValues)
  const ownValues = ownOf(done, "set", setModel).flat()
  assert.deepStrictEqual(new Set(set), new Set([...shared, ...ownValues]))
  assert.strictEqual(set.length, new Set(set).size)

  plans.forEach((plan, writer) => {
    const own = (values: ReadonlyArray<number>) => values.filter((value) => T.writerOf(value) === writer)
    assert.deepStrictEqual(own(list), callsOn(plan, "list", "push"), `what writer ${writer} has pushed`)
    const taken = done.flat().filter(({ call: [on, method] }) => on === "queue" && method === "take")
    const through = [...taken.map(({ answer }) => answer as number), ...left]
    assert.deepStrictEqual(
      own(through).sort((a, b) => a - b),
      callsOn(plan, "queue", "offer"),
      `what writer ${writer} has offered`
    )
  })
  assert.strictEqual(list.length, callsOn(calls, "list", "push").length)
}

const pairs = (values: ReadonlyArray<number>) => values.slice(1).map((value, i) => [values[i]!, value] as const)

/** Of each producer, every taker has the values in their order; what is left was offered after what is taken. */
const checkOrder = ({ done, left }: Outcome): void => {
  const takers = done.map((all) =>
    all.flatMap(({ answer, call: [on, method] }) => on === "queue" && method === "take" ? [answer as number] : [])
  )
  for (const producer of writers) {
    const own = (values: ReadonlyArray<number>) => values.filter((value) => T.writerOf(value) === producer)
    for (const taker of takers) {
      for (const [one, next] of pairs([...own(taker), ...own(left).slice(0, 1)])) assert.isBelow(one, next)
    }
    for (const [one, next] of pairs(own(left))) assert.isBelow(one, next)
  }
}

/** A map is linearizable where each of its keys is, and a set where each of its values is: the history is cut by them. */
const checkHistory = ({ done, list }: Outcome): void => {
  const all = done.flat()
  const historyOf = (on: Kind): ReadonlyArray<Done> => all.filter(({ call }) => call[0] === on)
  const search = (what: string, model: Model<any, Call>, history: ReadonlyArray<Done>): void => {
    assert.isDefined(linearize(model, history), `${what} has no order:\n${showHistory(history).slice(0, 10_000)}`)
  }
  search("the ref", refModel, historyOf("ref"))
  search("the list", growing, historyOf("list"))
  for (const { answer, call: [, method, value] } of historyOf("list")) {
    if (method === "push") assert.strictEqual(list[Number(answer) - 1], value, "it is where its answer has said")
  }
  for (const key of T.sharedKeys) {
    search(`the key ${key}`, mapModel, historyOf("map").filter(({ call: [, , one] }) => one === key))
  }
  for (const [value, history] of Map.groupBy(historyOf("set"), ({ call: [, , one] }) => one)) {
    search(`the value ${String(value)}`, setModel, history)
  }
}

export const suite = ({ layer, name }: Method): void => {
  const law = laws(layer, 120_000)
  const calls = callsOfEach(name)

  describe(`Manager's objects with many clients on ${name}`, () => {
    law(
      `${clients} clients x ${calls} mixed calls leave what a sequential model says, and every answer has its place ` +
        `(MANAGER_SEED=${seed})`,
      () =>
        Effect.gen(function*() {
          const outcome = yield* Effect.provide(Effect.scoped(runLong(calls)), Manager.layerObjects())
          const plans = writers.map((writer) => T.longPlan(seed, writer, calls / fibersEach))
          checkTotals(plans, outcome)
          checkOrder(outcome)
          checkHistory(outcome)
        })
    )
  })
}
