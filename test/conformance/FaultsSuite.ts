/** Faults on purpose, for every start method. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Faults, Pool, Process } from "../../src/index.ts"
import * as T from "../fixtures/tasks.ts"
import { reasonOf } from "./assertions.ts"
import { live } from "./law.ts"
import type { Body } from "./law.ts"
import type { Method } from "./methods.ts"

const tagOf = (exit: Exit.Exit<unknown, unknown>): string => reasonOf(exit)._tag

/** A turn of the event loop. */
const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))

export const suite = ({ layer, name }: Method): void => {
  const law = <E>(title: string, faults: Faults.Options, body: Body<E>): void =>
    live(Faults.layer(faults).pipe(Layer.provide(layer)), title, body, 30_000)

  describe(`Faults on ${name}`, () => {
    law("crash: the worker of that item dies, and nothing else is lost", { crash: [3] }, () =>
      Effect.gen(function*() {
        const pool = yield* Pool.make({ processes: 2 })
        const exits = yield* Effect.forEach([1, 2, 3, 4, 5], (x) => Effect.exit(Pool.apply(pool, T.square, x)))
        assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, true, false, true, true])
        assert.strictEqual(tagOf(exits[2]!), "WorkerExited")
        assert.strictEqual((yield* Pool.stats(pool)).restarts, 1)
      }))

    law(
      "crash: in a chunk, what came before it is kept and what comes after runs elsewhere",
      { crash: [4] },
      () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          const items = [1, 2, 3, 4, 5, 6, 7, 8]
          assert.deepStrictEqual(
            yield* Pool.map(pool, T.square, items, { chunkSize: 8, retryOnCrash: 1 }),
            items.map((x) => x * x)
          )
          assert.strictEqual((yield* Pool.stats(pool)).restarts, 1)
        })
    )

    law(
      "crash: an item that kills its worker each time fails when its retries are used up",
      { crash: [1, 2, 3] },
      () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          const exit = yield* Effect.exit(Pool.apply(pool, T.square, 1, { retryOnCrash: 2 }))
          assert.strictEqual(tagOf(exit), "WorkerExited")
          assert.strictEqual((yield* Pool.stats(pool)).restarts, 3)
          assert.strictEqual(yield* Pool.apply(pool, T.square, 3), 9)
        })
    )

    law("crash: a process too", { crash: [1] }, () =>
      Effect.gen(function*() {
        const process = yield* Process.start(T.square, 3)
        assert.strictEqual(tagOf(yield* Process.wait(process)), "WorkerExited")
      }))

    it.effect(
      "delay: the result comes late, in the time of the Clock, and the others do not",
      () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          const first = yield* Effect.forkChild(Pool.apply(pool, T.square, 1), { startImmediately: true })
          assert.strictEqual(yield* Pool.apply(pool, T.square, 2), 4)
          assert.isUndefined(first.pollUnsafe())
          // its result may still be on its way: then the delay begins later
          const hours = Effect.forever(Effect.andThen(TestClock.adjust("1 hour"), turn))
          assert.strictEqual(yield* Effect.raceFirst(Fiber.join(first), hours), 1)
        }).pipe(
          Effect.scoped,
          Effect.provide(Faults.layer({ delay: { 1: "1 hour" } }).pipe(Layer.provide(layer)))
        ),
      30_000
    )

    law(
      "delay: what its worker says afterwards keeps its order, its end too",
      { delay: { 1: 30, 2: 30 }, crash: [3] },
      () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          const calls = yield* Effect.forEach([1, 2, 3, 4], (x) => Effect.forkChild(Pool.apply(pool, T.square, x)))
          const exits = yield* Effect.forEach(calls, Fiber.await)
          assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, true, false, true])
        })
    )

    law("refuseStart: that child does not come up", { refuseStart: [2] }, () =>
      Effect.gen(function*() {
        const exit = yield* Effect.exit(Effect.scoped(Pool.make({ processes: 2 })))
        assert.strictEqual(tagOf(exit), "StartFailed")
        const pool = yield* Pool.make({ processes: 1 })
        assert.strictEqual(yield* Pool.apply(pool, T.square, 2), 4)
      }))

    law(
      "refuseStart: a pool tries again where a worker has died",
      { crash: [1], refuseStart: [2, 3] },
      () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          assert.strictEqual(yield* Pool.apply(pool, T.square, 3, { retryOnCrash: 1 }), 9)
          assert.strictEqual((yield* Pool.stats(pool)).restarts, 3)
        })
    )

    it.live("a number that is none of an item is a RangeError that names the option", () =>
      Effect.gen(function*() {
        for (
          const [faults, words] of [
            [{ crash: [0] }, "Faults.layer: crash"],
            [{ delay: { 0: 1 } }, "Faults.layer: delay"],
            [{ delay: { 1: -1 } }, "Faults.layer: delay of item 1"],
            [{ refuseStart: [1.5] }, "Faults.layer: refuseStart"]
          ] as ReadonlyArray<readonly [Faults.Options, string]>
        ) {
          const exit = yield* Effect.exit(
            Effect.scoped(Layer.build(Faults.layer(faults).pipe(Layer.provide(layer))))
          )
          assert.isTrue(Exit.hasDies(exit))
          assert.include(String(exit), words)
        }
      }))
  })
}
