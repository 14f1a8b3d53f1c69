import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Logger } from "effect"
import { TestClock } from "effect/testing"
import { waitAtClose } from "../../../src/internal/start/handle.ts"

/** What is logged, and a wait at the end of a scope. */
const wait = Effect.gen(function*() {
  const logged: Array<string> = []
  const ended = yield* Deferred.make<void>()
  let givenUp = 0
  const waiting = waitAtClose(Deferred.await(ended), "it does not end", () => Effect.sync(() => void givenUp++))
  const logger = Logger.layer([
    Logger.make(({ logLevel, message }) => void logged.push(`${logLevel}: ${String(message)}`))
  ])
  const fiber = yield* Effect.forkChild(Effect.provide(waiting, logger), { startImmediately: true })
  return { ended, fiber, logged, givenUp: () => givenUp }
})

describe("a wait for children at the end of their scope", () => {
  it.effect("says for whom it waits after 5 seconds, once, and goes on waiting", () =>
    Effect.gen(function*() {
      const { ended, fiber, logged } = yield* wait
      yield* TestClock.adjust("4900 millis")
      assert.deepStrictEqual(logged, [])
      yield* TestClock.adjust("200 millis")
      assert.deepStrictEqual(logged, ["Warn: it does not end"])
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(logged, 1)
      assert.isUndefined(fiber.pollUnsafe())
      yield* Deferred.succeed(ended, undefined)
      yield* Fiber.join(fiber)
    }))

  it.effect("that is short says nothing; one that is given up does what it was told", () =>
    Effect.gen(function*() {
      const short = yield* wait
      yield* Deferred.succeed(short.ended, undefined)
      yield* Fiber.join(short.fiber)
      const other = yield* wait
      yield* Fiber.interrupt(other.fiber)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([...short.logged, ...other.logged], [])
      assert.deepStrictEqual([short.givenUp(), other.givenUp()], [0, 1])
    }))
})
