import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { availableParallelism } from "node:os"
import { Pool, StartMethod } from "../../../src/index.ts"
import { engineOf } from "../../../src/internal/pool/engine.ts"

const optionsOf = (options?: Pool.Options<never>) =>
  Effect.scoped(Effect.map(Pool.make(options), (pool) => engineOf(pool).options)).pipe(
    Effect.provide(StartMethod.layerInline)
  )

describe("the options of a pool", () => {
  it.effect("are what the docs say where they are left out", () =>
    Effect.gen(function*() {
      const { graceMillis, idleMillis, maxMemory, maxRestarts, maxTasks, processes, restartMillis } = yield* optionsOf()
      assert.strictEqual(processes, availableParallelism())
      assert.deepStrictEqual([maxRestarts, restartMillis, graceMillis], [5 * processes, 10_000, 1000])
      assert.deepStrictEqual([maxTasks, maxMemory, idleMillis], [undefined, undefined, undefined])
    }))

  it.effect("are what they are given as", () =>
    Effect.gen(function*() {
      const options = yield* optionsOf({
        processes: 3,
        restartIntensity: { max: 7, within: "2 seconds" },
        gracePeriod: "40 millis",
        maxTasksPerChild: 9,
        maxMemoryPerChild: 2 ** 30,
        idleTimeToLive: "3 seconds"
      })
      const { graceMillis, idleMillis, maxMemory, maxRestarts, maxTasks, processes, restartMillis } = options
      assert.deepStrictEqual(
        [processes, maxRestarts, restartMillis, graceMillis, maxTasks, maxMemory, idleMillis],
        [3, 7, 2000, 40, 9, 2 ** 30, 3000]
      )
    }))
})
