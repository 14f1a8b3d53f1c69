import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber, Option, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { Engine } from "../../../src/internal/pool/engine.ts"
import type { Job } from "../../../src/internal/pool/model.ts"
import { makeMeter, readings } from "../../../src/internal/pool/progress.ts"
import type { Progress } from "../../../src/internal/pool/progress.ts"
import * as Table from "../../../src/internal/pool/Table.ts"

/** What the readings look at of a pool. */
const makePool = () => {
  const state = { completed: 0, failed: 0, restarts: 0, killed: 0, jobs: Table.makeTable<Job>(), workers: new Map() }
  const pool = { state, ended: false, listeners: new Set<() => void>() }
  const tell = (): void => {
    for (const listener of pool.listeners) listener()
  }
  return {
    pool,
    engine: pool as unknown as Engine,
    read: (): Progress => state.completed as unknown as Progress,
    complete: (): void => {
      state.completed++
      tell()
    },
    end: (): void => {
      pool.ended = true
      tell()
    }
  }
}

describe("the progress of a pool", () => {
  it.effect("is told when something has changed, once in its period, and a last time", () =>
    Effect.gen(function*() {
      const { complete, end, engine, read } = makePool()
      const seen: Array<unknown> = []
      const reader = yield* Effect.forkChild(
        Stream.runForEach(readings(engine, read, 100), (one) => Effect.sync(() => void seen.push(one))),
        { startImmediately: true }
      )
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual(seen, [0], "nothing has changed")
      for (let i = 0; i < 20; i++) {
        complete()
        yield* TestClock.adjust(10)
      }
      yield* TestClock.adjust(100)
      assert.isAtMost(seen.length, 4)
      assert.strictEqual(seen.at(-1), 20)
      const before = seen.length
      yield* TestClock.adjust(1000)
      assert.strictEqual(seen.length, before)
      end()
      yield* TestClock.adjust(100)
      yield* Fiber.join(reader)
    }))

  it.effect("has a rate, in items a second since it is looked at, and by that the time that is left", () =>
    Effect.gen(function*() {
      const { engine, pool } = makePool()
      const clock = yield* Clock.Clock
      pool.state.completed = 100 // before
      const read = makeMeter(engine, clock)
      assert.deepStrictEqual(read(), { submitted: 0, done: 0, failed: 0, rate: 0, remaining: Option.none() })
      Table.set(pool.state.jobs, 1, { waiting: 30 } as Job)
      pool.state.completed += 8
      pool.state.failed += 2
      yield* TestClock.adjust("4 seconds")
      const remaining = Option.some(Duration.seconds(12))
      assert.deepStrictEqual(read(), { submitted: 40, done: 10, failed: 2, rate: 2.5, remaining })
    }))

  it.effect("leaves no listener behind: after a change, at its end, and when nobody reads it any more", () =>
    Effect.gen(function*() {
      const { complete, end, engine, pool, read } = makePool()
      const start = Effect.forkChild(Stream.runDrain(readings(engine, read, 100)), { startImmediately: true })
      const first = yield* start
      assert.strictEqual(pool.listeners.size, 1)
      complete()
      assert.strictEqual(pool.listeners.size, 0)
      yield* TestClock.adjust(100)
      assert.strictEqual(pool.listeners.size, 1)
      yield* Fiber.interrupt(first)
      assert.strictEqual(pool.listeners.size, 0)
      const second = yield* start
      end()
      yield* TestClock.adjust(100)
      yield* Fiber.join(second)
      assert.strictEqual(pool.listeners.size, 0)
    }))
})
