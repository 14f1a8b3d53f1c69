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
import {
  amount,
  growingTo,
  guarded as guardedModel,
  map as mapModel,
  namespace as namespaceModel,
  ref as refModel,
  set as setModel
} from "../linearizability/models.ts"
import { linearize, showHistory } from "../linearizability/search.ts"
import type { Model, Operation } from "../linearizability/search.ts"
import { numbers } from "./assertions.ts"
import { laws } from "./law.ts"
import type { Method } from "./methods.ts"

const seed = Number(process.env["MANAGER_SEED"] ?? Math.floor(Math.random() * 2 ** 31))
const callsOfEach = (name: string): number =>
  Number(process.env["MANAGER_CALLS"] ?? (name === "inline" ? 2000 : 10_000))

type Done = Operation<Call>

const [clients, fibersEach] = [4, 4]
const writers = numbers(clients * fibersEach)

interface Outcome {
  /** Of each writer, in its order. */
  readonly done: ReadonlyArray<ReadonlyArray<Done>>
  readonly ref: number
  readonly cell: number
  readonly map: ReadonlyArray<readonly [string, number]>
  readonly list: ReadonlyArray<number>
  readonly front: ReadonlyArray<number>
  readonly set: ReadonlyArray<number>
  readonly left: ReadonlyArray<number>
  readonly namespace: { readonly left: number; readonly right: number }
  readonly guarded: number
}

const makeObjects = Effect.gen(function*() {
  const objects: T.LongObjects = {
    ref: yield* Manager.ref(0),
    cell: yield* Manager.ref(0),
    map: yield* Manager.map<string, number>(),
    list: yield* Manager.list<number>(),
    front: yield* Manager.list<number>(),
    set: yield* Manager.set<number>(),
    queue: yield* Manager.queue<number>(),
    namespace: yield* Manager.namespace(T.Pair, { left: 0, right: 0 }),
    guarded: { lock: yield* Manager.lock(), number: yield* Manager.ref(0) }
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
      cell: yield* objects.cell.get(),
      map: yield* objects.map.entries(),
      list: yield* objects.list.values(),
      front: yield* objects.front.values(),
      set: yield* objects.set.values(),
      left: yield* Effect.forEach(numbers(yield* objects.queue.size()), () => objects.queue.take()),
      namespace: yield* objects.namespace.all(),
      guarded: yield* objects.guarded.number.get()
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

const sumOf = (all: ReadonlyArray<number>): number => all.reduce((sum, n) => sum + n, 0)

const isOwnBy = (writer: number) => ([, method, first]: Call): boolean => {
  if (method === "setAll" || method === "entries") return true
  return typeof first === "string" ? T.isKeyOf(writer)(first) : typeof first === "number" && first >= T.sharedValues
}

/** Of all entries it knows its own. */
const answerTo = (writer: number, { answer, call: [, method] }: Done): unknown =>
  method === "entries" ? (answer as Outcome["map"]).filter(([key]) => T.isKeyOf(writer)(key)) : answer

/** What nobody else touches is, in the order of its writer, what the model says: what was there after each of them. */
const ownBy = <State>(
  model: Model<State, Call>,
  writer: number,
  done: ReadonlyArray<Done>
): ReadonlyArray<readonly [Done, State]> => {
  let state = model.initial
  return done.map((one) => {
    const [next, expected] = model.step(state, one.call)!
    assert.deepStrictEqual(answerTo(writer, one), expected, JSON.stringify(one.call))
    state = next
    return [one, state]
  })
}

const ownOf = <State>(all: Outcome["done"], on: Kind, model: Model<State, Call>) =>
  all.map((done, writer) => {
    const isOwn = isOwnBy(writer)
    return ownBy(model, writer, done.filter(({ call }) => call[0] === on && isOwn(call)))
  })

const lastOf = <State>(all: Outcome["done"], on: Kind, model: Model<State, Call>): ReadonlyArray<State> =>
  ownOf(all, on, model).map((own) => own.at(-1)?.[1] ?? model.initial)

const isOf = (on: Kind, ...methods: ReadonlyArray<string>) => ({ call: [kind, method] }: Done): boolean =>
  kind === on && methods.includes(method)

/** What one has taken, in its order. */
const takenBy = (done: ReadonlyArray<Done>): ReadonlyArray<number> =>
  done.filter(isOf("queue", "take", "poll")).flatMap(({ answer }) => answer as number | ReadonlyArray<number>)

const isGiven = ({ call: [on, , key] }: Done): boolean => on === "map" && String(key).startsWith("given")

/** By the plans alone, and not by what was answered, where that does not say itself whether something was done. */
const checkTotals = (plans: ReadonlyArray<ReadonlyArray<Call>>, outcome: Outcome): void => {
  const { done, guarded, map, namespace, ref, set } = outcome
  const calls = plans.flat()
  assert.strictEqual(ref, sumOf(callsOn(calls, "ref", "updateWith")))

  const tried = done.flat().filter(isOf("guarded", "addIfAvailable")).filter(({ answer }) => answer !== undefined)
  const added = [...callsOn(calls, "guarded", "add"), ...tried.map(({ call }) => call[2] as number)]
  assert.strictEqual(guarded, sumOf(added), "what is read and written under the lock")

  const updates = counted(callsOn(calls, "namespace", "update"))
  const ofBoth = callsOn(calls, "namespace", "updateAll").length
  assert.deepStrictEqual(namespace, {
    left: (updates.get("left") ?? 0) + ofBoth,
    right: (updates.get("right") ?? 0) + ofBoth
  })

  const given = done.flat().filter(isGiven).map(({ answer, call }) => [call[2] as string, answer as number] as const)
  const ownEntries = lastOf(done, "map", mapModel).flat()
  const expected = new Map([...counted(callsOn(calls, "map", "update")), ...given, ...ownEntries])
  assert.deepStrictEqual([...map].sort(), [...expected].sort())

  const shared = callsOn(calls, "set", "add").filter((value) => value < T.sharedValues)
  const ownValues = lastOf(done, "set", setModel).flat()
  assert.deepStrictEqual(new Set(set), new Set([...shared, ...ownValues]))
  assert.strictEqual(set.length, new Set(set).size)
}

/** What each writer has put into the lists and the queue. */
const checkWriters = (
  plans: ReadonlyArray<ReadonlyArray<Call>>,
  { done, front, left, list }: Outcome
): void => {
  const calls = plans.flat()
  const pushed = (some: ReadonlyArray<Call>): ReadonlyArray<number> =>
    some.flatMap(([on, method, value]) => on === "list" && method.startsWith("push") ? value as number : [])
  plans.forEach((plan, writer) => {
    const own = (values: ReadonlyArray<number>) => values.filter((value) => T.writerOf(value) === writer)
    assert.deepStrictEqual(own(list), pushed(plan), `what writer ${writer} has pushed`)
    const inserted = plan.flatMap(([on, method, , value]) => on === "front" && method === "insert" ? [value] : [])
    assert.deepStrictEqual(own(front).toReversed(), inserted, `what writer ${writer} has inserted`)
    const through = [...done.flatMap(takenBy), ...left]
    assert.deepStrictEqual(
      own(through).sort((a, b) => a - b),
      callsOn(plan, "queue", "offer"),
      `what writer ${writer} has offered`
    )
  })
  assert.strictEqual(list.length, pushed(calls).length)
  assert.strictEqual(front.length, callsOn(calls, "front", "insert").length)
}

const pairs = (values: ReadonlyArray<number>) => values.slice(1).map((value, i) => [values[i]!, value] as const)

/** Of each producer, every taker has the values in their order; what is left was offered after what is taken. */
const checkOrder = ({ done, left }: Outcome): void => {
  const takers = done.map(takenBy)
  for (const producer of writers) {
    const own = (values: ReadonlyArray<number>) => values.filter((value) => T.writerOf(value) === producer)
    for (const taker of takers) {
      for (const [one, next] of pairs([...own(taker), ...own(left).slice(0, 1)])) assert.isBelow(one, next)
    }
    for (const [one, next] of pairs(own(left))) assert.isBelow(one, next)
  }
}

/** What was called after another one had been answered stands before it. */
const checkFront = ({ done, front }: Outcome): void => {
  const byValue = new Map(done.flat().filter(isOf("front", "insert")).map((one) => [one.call[3], one]))
  let lastCall = 0n
  for (const value of front.toReversed()) {
    const { answered, called } = byValue.get(value)!
    assert.isTrue(answered > lastCall, `${value} was in before one that stands behind it was called for`)
    if (called > lastCall) lastCall = called
  }
}

/** Who does not get the lock now is not alone with it. */
const checkLock = (guarded: ReadonlyArray<Done>): void => {
  for (const one of guarded.filter(({ answer }) => answer === undefined)) {
    assert.isTrue(
      guarded.some((other) => other !== one && other.called < one.answered && other.answered > one.called),
      `nobody had the lock that client ${one.client} did not get`
    )
  }
}

const changing = (one: Done, by: number): Done => ({ ...one, call: [one.call[0], "change", by], answer: undefined })

/** What was asked for how many there are, and what has changed that. */
const sizesOfMap = ({ done }: Outcome): ReadonlyArray<Done> => {
  const own = ownOf(done, "map", mapModel).flatMap((some) =>
    some.map(([one, after], i) => changing(one, after.length - (some[i - 1]?.[1].length ?? 0)))
  )
  const others = done.flat().flatMap((one): ReadonlyArray<Done> => {
    const [on, method, , value] = one.call
    if (on !== "map") return []
    if (method === "size") return [one]
    if (method === "entries") {
      return [{ ...one, call: ["map", "size"], answer: (one.answer as Outcome["map"]).length }]
    }
    if (method === "update") return [changing(one, one.answer === 1 ? 1 : 0)]
    return isGiven(one) ? [changing(one, one.answer === value ? 1 : 0)] : []
  })
  return [...own, ...others].filter(({ call: [, , by] }) => by !== 0)
}

const sizesOfSet = ({ done }: Outcome): ReadonlyArray<Done> =>
  done.flat().flatMap((one): ReadonlyArray<Done> => {
    if (isOf("set", "size")(one)) return [one]
    if (!isOf("set", "add", "remove")(one) || one.answer === false) return []
    return [changing(one, one.call[1] === "add" ? 1 : -1)]
  })

/** A map is linearizable where each of its keys is, and a set where each of its values is: the history is cut by them. */
const checkHistory = (outcome: Outcome): void => {
  const { cell, done, list } = outcome
  const all = done.flat()
  const historyOf = (on: Kind): ReadonlyArray<Done> => all.filter(({ call }) => call[0] === on)
  const search = (what: string, model: Model<any, Call>, history: ReadonlyArray<Done>): void => {
    assert.isDefined(linearize(model, history), `${what} has no order:\n${showHistory(history).slice(0, 10_000)}`)
  }
  search("the ref", refModel, historyOf("ref"))
  const end = process.hrtime.bigint()
  const last: Done = { client: -1, call: ["cell", "get"], answer: cell, called: end, answered: end }
  search("the cell", refModel, [...historyOf("cell"), last])
  search("the list", growingTo(list), historyOf("list"))
  for (const { answer, call: [, method, value] } of historyOf("list")) {
    if (!method.startsWith("push")) continue
    const values = [value].flat()
    const end = Number(answer)
    assert.deepStrictEqual(list.slice(end - values.length, end), values, "it is where its answer has said")
  }
  search("the namespace", namespaceModel, historyOf("namespace"))
  const guarded = historyOf("guarded")
  checkLock(guarded)
  search("what is guarded", guardedModel, guarded.filter(({ answer }) => answer !== undefined))
  const ofKeys = historyOf("map").filter((one) => isGiven(one) || T.sharedKeys.includes(String(one.call[2])))
  for (const [key, history] of Map.groupBy(ofKeys, ({ call: [, , one] }) => one)) {
    search(`the key ${String(key)}`, mapModel, history)
  }
  search("the size of the map", amount, sizesOfMap(outcome))
  const ofValues = historyOf("set").filter(({ call: [, method] }) => method !== "size")
  for (const [value, history] of Map.groupBy(ofValues, ({ call: [, , one] }) => one)) {
    search(`the value ${String(value)}`, setModel, history)
  }
  search("the size of the set", amount, sizesOfSet(outcome))
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
          checkWriters(plans, outcome)
          checkOrder(outcome)
          checkFront(outcome)
          checkHistory(outcome)
        })
    )
  })
}
