/**
 * Short histories of hosted objects, of three clients at once in workers of their own, are linearizable.
 *
 * `MANAGER_HISTORIES` is how many there are of each kind of object, `MANAGER_SEED` what they are: a failure names it.
 */
import { assert, describe } from "@effect/vitest"
import { Arbitrary, Cause, Effect, Fiber, Schema } from "effect"
import type { Scope } from "effect"
import { Manager, Pool } from "../../src/index.ts"
import type { ProcessError } from "../../src/index.ts"
import * as T from "../fixtures/managerModel.ts"
import type { Call } from "../fixtures/managerModel.ts"
import { models } from "../linearizability/models.ts"
import { linearize, overlaps, showHistory } from "../linearizability/search.ts"
import type { Operation } from "../linearizability/search.ts"
import { bounded } from "./assertions.ts"
import { laws } from "./law.ts"
import type { Method } from "./methods.ts"

const seed = Number(process.env["MANAGER_SEED"] ?? Math.floor(Math.random() * 2 ** 31))
const histories = Number(process.env["MANAGER_HISTORIES"] ?? 30)

const small = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 }))
const place = Schema.Int.check(Schema.isBetween({ minimum: -2, maximum: 2 }))
const key = Schema.Literals(["a", "b"])
const call = <Payload extends ReadonlyArray<Schema.Top>>(method: string, ...payload: Payload) =>
  Schema.Tuple([Schema.Literal(method), ...payload])

const entry = Schema.Tuple([key, small])
const attribute = Schema.Literals(["left", "right"])

type Kind = keyof T.ShortObjects

const shortCalls: ReadonlyArray<readonly [Kind, Schema.Codec<readonly [string, ...Array<unknown>]>]> = [
  [
    "ref",
    Schema.Union([
      call("get"),
      call("set", small),
      call("getAndSet", small),
      call("update"),
      call("updateWith", small)
    ])
  ],
  [
    "map",
    Schema.Union([
      call("get", key),
      call("has", key),
      call("set", key, small),
      call("setAll", Schema.Tuple([entry, entry])),
      call("getOrSet", key, small),
      call("remove", key),
      call("update", key),
      call("size"),
      call("entries"),
      call("clear")
    ])
  ],
  [
    "list",
    Schema.Union([
      call("get", place),
      call("set", place, small),
      call("push", small),
      call("pushAll", Schema.Tuple([small, small])),
      call("insert", place, small),
      call("pop"),
      call("shift"),
      call("remove", place),
      call("update", place),
      call("length"),
      call("slice", place, place),
      call("values"),
      call("clear")
    ])
  ],
  [
    "set",
    Schema.Union([
      call("add", small),
      call("has", small),
      call("remove", small),
      call("size"),
      call("values"),
      call("clear")
    ])
  ],
  // whoever polls may take what others wait for
  ["queue", Schema.Union([call("offer", small), call("offer", small), call("take"), call("size")])],
  ["queue", Schema.Union([call("offer", small), call("offer", small), call("poll"), call("size")])],
  ["event", Schema.Union([call("set"), call("clear"), call("isSet")])],
  ["event", Schema.Union([call("set"), call("wait"), call("isSet")])],
  [
    "namespace",
    Schema.Union([
      call("get", attribute),
      call("all"),
      call("set", attribute, small),
      call("setAll", Schema.Struct({ left: small, right: small })),
      call("update", attribute),
      call("updateAll")
    ])
  ],
  ["permits", Schema.Union([call("take", Schema.Literals([1, 2])), call("take", Schema.Literal(1)), call("release")])]
]

type Calls = ReadonlyArray<Call>

/** Who would take more than it has offered, or wait for what it has not set, asks instead: nobody waits for ever. */
const withoutHanging = (calls: Calls): Calls => {
  let left = 0
  let isSet = false
  return calls.map((call): Call => {
    const [on, method] = call
    if (method === "offer") left++
    if (on === "event" && method === "set") isSet = true
    if (method === "wait" && !isSet) return ["event", "isSet"]
    if (on !== "queue" || method !== "take" || left-- > 0) return call
    left = 0
    return ["queue", "size"]
  })
}

/** Who ends lets go of what it has, also where it does not say so. */
const withRelease = (calls: Calls): Calls => calls[0]?.[0] === "permits" ? [...calls, ["permits", "release"]] : calls

/** Of three clients, up to six calls each. */
const shortPlans = ([kind, schema]: (typeof shortCalls)[number]) => {
  const calls = Arbitrary.map(
    Arbitrary.array(Arbitrary.schema(schema), { minLength: 1, maxLength: 6 }),
    (calls) => withRelease(withoutHanging(calls.map(([method, ...payload]): Call => [kind, method, ...payload])))
  )
  return Arbitrary.all([calls, calls, calls])
}

const made = (
  kind: Kind
): Effect.Effect<T.ShortObjects[Kind], ProcessError.ProcessError, Manager.Objects | Scope.Scope> => {
  if (kind === "ref") return Manager.ref(0)
  if (kind === "map") return Manager.map<string, number>()
  if (kind === "list") return Manager.list<number>()
  if (kind === "event") return Manager.event()
  if (kind === "namespace") return Manager.namespace(T.Pair, { left: 0, right: 0 })
  if (kind === "permits") return Manager.semaphore(2)
  return kind === "set" ? Manager.set<number>() : Manager.queue<number>()
}

const runShort = (pool: Pool.Pool, kind: Kind, plans: ReadonlyArray<Calls>) =>
  Effect.scoped(Effect.gen(function*() {
    const [objects, ready, go] = [{ [kind]: yield* made(kind) }, yield* Manager.queue<number>(), yield* Manager.event()]
    const running = yield* Effect.forkScoped(
      Effect.forEach(
        plans,
        (calls, client) => Pool.apply(pool, T.runsShortPlan, { client, calls, objects, ready, go }),
        { concurrency: "unbounded" }
      )
    )
    yield* Effect.forEach(plans, () => ready.take())
    yield* go.set()
    return (yield* Fiber.join(running)).flat()
  })).pipe(bounded(`the end of ${JSON.stringify(plans)}`))

/** Who calls is what a model may want to know, behind all that is sent. */
const withClient = (one: Operation<Call>): Operation<Call> => ({ ...one, call: [...one.call, one.client] })

/** How many pairs of calls were under way at once, in all histories. */
const checkShort = (pool: Pool.Pool, calls: (typeof shortCalls)[number]) =>
  Effect.gen(function*() {
    const [kind] = calls
    let together = 0
    const isLinearizable = (plans: ReadonlyArray<Calls>) =>
      Effect.map(runShort(pool, kind, plans), (history) => {
        together += overlaps(history)
        if (linearize(models[kind]!, history.map(withClient)) === undefined) {
          assert.fail(`it has no order:\n${showHistory(history)}`)
        }
        return true
      }).pipe(Effect.catchCause((cause) => Effect.fail(new Error(Cause.pretty(cause)))))
    const result = yield* Arbitrary.checkEffect(shortPlans(calls), isLinearizable, { runs: histories, seed })
    const failure = Arbitrary.formatCheckFailure(result)
    if (failure !== undefined) assert.fail(`A ${kind} (MANAGER_SEED=${seed}). ${failure}`)
    return together
  })

export const suite = ({ layer, name }: Method): void => {
  const law = laws(layer, 120_000)

  describe(`a hosted object on ${name}`, () => {
    law("of any kind answers as if its clients came one after the other", () =>
      Effect.gen(function*() {
        // the server and the workers are the same for all histories
        const pool = yield* Pool.make({ processes: 3 })
        for (const calls of shortCalls) {
          assert.isAbove(yield* checkShort(pool, calls), 0, "no two calls were under way at once")
        }
      }).pipe(Effect.scoped, Effect.provide(Manager.layerObjects())))
  })
}
