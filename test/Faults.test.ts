import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Faults, Pool, StartMethod } from "../src/index.ts"
import { suite } from "./conformance/FaultsSuite.ts"
import { methods } from "./conformance/methods.ts"
import * as O from "./fixtures/observed.ts"
import * as T from "./fixtures/tasks.ts"

for (const method of methods) suite(method)

describe("inline under a TestClock", () => {
  it.effect("tasks sleep in its time", () =>
    Effect.gen(function*() {
      const pool = yield* Pool.make({ processes: 2 })
      const hours = yield* Effect.forkChild(Pool.map(pool, O.sleeps, [3_600_000, 1000, 7_200_000]))
      yield* TestClock.adjust("2 hours")
      assert.isUndefined(hours.pollUnsafe())
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* Fiber.join(hours), [3_600_000, 1000, 7_200_000])
    }).pipe(Effect.scoped, Effect.provide(StartMethod.layerInline)), 10_000)

  it.effect("an item's timeout counts in its time", () =>
    Effect.gen(function*() {
      const pool = yield* Pool.make({ processes: 1 })
      const call = yield* Effect.forkChild(Pool.apply(pool, O.sleeps, 3_600_000, { timeout: "1 minute" }))
      yield* TestClock.adjust("59 seconds")
      assert.isUndefined(call.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.isTrue(Exit.isFailure(yield* Fiber.await(call)))
    }).pipe(Effect.scoped, Effect.provide(StartMethod.layerInline)), 10_000)

  it.effect("a delayed result is late in its time", () =>
    Effect.gen(function*() {
      const pool = yield* Pool.make({ processes: 1 })
      const call = yield* Effect.forkChild(Pool.apply(pool, T.square, 3))
      yield* TestClock.adjust("59 minutes")
      assert.isUndefined(call.pollUnsafe())
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(call), 9)
    }).pipe(
      Effect.scoped,
      Effect.provide(Faults.layer({ delay: { 1: "1 hour" } }).pipe(Layer.provide(StartMethod.layerInline)))
    ), 10_000)
})
