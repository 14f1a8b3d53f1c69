import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { Pool, Process, ProcessError, StartMethod } from "../../../src/index.ts"
import * as Tasks from "./tasks.ts"

const limit = "10 seconds"

const reasonOf = (exit: Exit.Exit<unknown, unknown>): string => {
  const error = Exit.findErrorOption(exit)
  return error._tag === "Some" && ProcessError.isProcessError(error.value) ? error.value.reason._tag : String(exit)
}

describe("a child whose channel breaks", () => {
  for (const way of Tasks.ways) {
    it.live(`fails the item that it holds, and a new worker takes its place: it ${way}`, () =>
      Effect.gen(function*() {
        const pool = yield* Pool.make({ processes: 1, gracePeriod: "100 millis" })
        const exit = yield* Effect.exit(Pool.apply(pool, Tasks.breaksChannel, way).pipe(Effect.timeout(limit)))
        assert.strictEqual(reasonOf(exit), "WorkerExited")
        assert.strictEqual(yield* Pool.apply(pool, Tasks.square, 3).pipe(Effect.timeout(limit)), 9)
      }).pipe(Effect.scoped, Effect.provide(StartMethod.layerSpawn)), 30_000)

    it.live(`ends: a process that ${way}`, () =>
      Effect.gen(function*() {
        const child = yield* Process.start(Tasks.breaksChannel, way)
        const exit = yield* Process.wait(child).pipe(Effect.timeout(limit))
        assert.strictEqual(reasonOf(exit), "WorkerExited")
      }).pipe(Effect.scoped, Effect.provide(StartMethod.layerSpawn)), 30_000)
  }
})
