/**
 * A place where so many parties wait for each other, and then all go on; in any process, round after round.
 *
 * ```ts run
 * import { Effect } from "effect"
 * import { SharedBarrier } from "effect-multiprocessing"
 *
 * const program = Effect.scoped(Effect.gen(function*() {
 *   const barrier = yield* SharedBarrier.make(2)
 *   // it may be sent to other threads and processes: here both parties are fibers of this one
 *   return yield* Effect.all([SharedBarrier.wait(barrier), SharedBarrier.wait(barrier)], { concurrency: 2 })
 * }))
 *
 * console.log(await Effect.runPromise(program))
 * // => [ 0, 1 ]
 * ```
 *
 * **Laws**
 *
 * - Nobody goes on before all have come. Then all of them do, each with its own place in the order in which they came.
 * - The action runs once a round, before anybody goes on.
 * - A party that is interrupted while it waits, or whose process dies, breaks the barrier: the others would wait for ever.
 *   They, and all who come later, fail with {@link BarrierBroken} until it is reset.
 *
 * **What it costs**
 *
 * A question to the hub of the process that made it, and its answer. It needs no shared memory, so it crosses to every
 * process. A process whose event loop is blocked lets nobody go on.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import type { Pipeable } from "effect/Pipeable"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { BarrierTypeId, makeBarrier } from "./internal/handles/barrier.ts"
import type { BarrierHandle } from "./internal/handles/barrier.ts"
import type { Act, Arrival } from "./internal/hub/barrier.ts"
import { ask } from "./internal/sync/asking.ts"
import type { Asked } from "./internal/sync/asking.ts"
import { BarrierBroken, brokenBecause } from "./internal/sync/broken.ts"
import { checkedCount } from "./internal/sync/checks.ts"
import { owned } from "./internal/sync/owned.ts"
import type { ProcessError } from "./ProcessError.ts"

export { BarrierBroken }

/**
 * A barrier. It may sit anywhere inside a payload, a result or a message, and is the same barrier there.
 *
 * @category models
 * @since 0.1.0
 */
export interface SharedBarrier extends Pipeable {
  readonly [BarrierTypeId]: typeof BarrierTypeId
  /** How many wait for each other. */
  readonly parties: number
}

/**
 * Is this value a {@link SharedBarrier}?
 *
 * @category guards
 * @since 0.1.0
 */
export const isSharedBarrier = (u: unknown): u is SharedBarrier => hasProperty(u, BarrierTypeId)

/**
 * For payload schemas: `Schema.Struct({ start: SharedBarrier.schema, ... })`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const schema: Schema.Codec<SharedBarrier, SharedBarrier> = Schema.declare(isSharedBarrier, {
  identifier: "SharedBarrier",
  expected: "a SharedBarrier"
})

const askedOf = (self: SharedBarrier): Asked => {
  const { home } = self as SharedBarrier & BarrierHandle // every SharedBarrier is made here or by the codec
  return { name: "SharedBarrier", home }
}

/** Says how it ended to the barrier, and what went wrong to the owner's log: those who wait get a sentence only. */
const observed = (action: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.tapCause(action, (cause) =>
    Cause.hasInterruptsOnly(cause)
      ? Effect.void
      : Effect.logError("The action of a SharedBarrier failed: the barrier is broken", cause))

const failureOf = (exit: Exit.Exit<void>): string | undefined => {
  if (Exit.isSuccess(exit)) return undefined
  const error = Cause.squash(exit.cause)
  return `its action failed: ${error instanceof Error ? error.message : String(error)}`
}

/** Its fibers belong to the scope, and have what `make` had. */
const actor = (action: Effect.Effect<void>): Effect.Effect<Act, never, Scope.Scope> =>
  Effect.gen(function*() {
    const fibers = yield* FiberSet.make<void>()
    const run = yield* FiberSet.runtime(fibers)()
    const watched = observed(action)
    return (done) => void run(watched).addObserver((exit) => done(failureOf(exit)))
  })

/**
 * A new barrier for so many parties, which belongs to this scope: when it ends, everybody who waits, and will, fails with
 * `Closed`.
 *
 * **Options**
 *
 * - `action`: runs when all have come, before anybody goes on: once a round, in the process of the owner, with the services
 *   that `make` has here. When it fails or is interrupted, the barrier is broken. It ends with the scope.
 *
 * **Gotchas**
 *
 * `parties` that are no whole number of 1 or more are a `RangeError` defect.
 *
 * **Example** (Phases of a simulation)
 *
 * ```ts
 * import { Console, Effect } from "effect"
 * import { Pool, SharedBarrier, Task } from "effect-multiprocessing"
 *
 * export const simulate = Task.make("simulate", {
 *   module: import.meta.url,
 *   handler: ({ barrier, part }: { readonly barrier: SharedBarrier.SharedBarrier; readonly part: number }) =>
 *     Effect.gen(function*() {
 *       for (let phase = 0; phase < 3; phase++) yield* SharedBarrier.wait(barrier)
 *       return part
 *     })
 * })
 *
 * const program = Effect.gen(function*() {
 *   const barrier = yield* SharedBarrier.make(4, { action: Console.log("a phase is over") })
 *   const pool = yield* Pool.make({ processes: 4 })
 *   return yield* Pool.map(pool, simulate, [0, 1, 2, 3].map((part) => ({ barrier, part })), { chunkSize: 1 })
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (parties: number, options?: {
  readonly action?: Effect.Effect<void> | undefined
}): Effect.Effect<SharedBarrier, ProcessError, Scope.Scope> =>
  Effect.gen(function*() {
    checkedCount(parties, 1, "SharedBarrier.make: parties")
    const act = options?.action === undefined ? undefined : yield* actor(options.action)
    return yield* owned("SharedBarrier.make", () => {
      const { handle, release } = makeBarrier(parties, act)
      return { handle: handle as BarrierHandle & SharedBarrier, release } // every handle is Pipeable
    })
  })

/**
 * Waits until all parties have come, and gives the place of this one in the order of their coming, from 0.
 *
 * **Details**
 *
 * - Fails with {@link BarrierBroken} when the barrier is broken or reset meanwhile, or is broken already.
 * - Fails with `ProcessError` (`Closed`) when its scope has ended, or its process.
 *
 * **Gotchas**
 *
 * Interrupting it breaks the barrier, also by `Effect.timeout`: the others would wait for one that does not come.
 *
 * @category combinators
 * @since 0.1.0
 */
export const wait = (self: SharedBarrier): Effect.Effect<number, BarrierBroken | ProcessError> =>
  Effect.flatMap(
    Effect.suspend(() => ask<Arrival>(askedOf(self), "wait")),
    (arrival) =>
      typeof arrival === "number"
        ? Effect.succeed(arrival)
        : Effect.fail(brokenBecause("SharedBarrier", "SharedBarrier.reset", arrival))
  )

/**
 * Makes it as new. Whoever waits at this moment fails with {@link BarrierBroken}; the barrier is not broken then.
 *
 * @category combinators
 * @since 0.1.0
 */
export const reset = (self: SharedBarrier): Effect.Effect<void, ProcessError> =>
  Effect.suspend(() => Effect.asVoid(ask(askedOf(self), "reset")))

/**
 * Breaks it: whoever waits, and whoever comes, fails with {@link BarrierBroken} until it is reset.
 *
 * @category combinators
 * @since 0.1.0
 */
export const abort = (self: SharedBarrier): Effect.Effect<void, ProcessError> =>
  Effect.suspend(() => Effect.asVoid(ask(askedOf(self), "abort")))

/**
 * Is it broken, at this moment? One whose owner is gone is.
 *
 * @category getters
 * @since 0.1.0
 */
export const isBroken = (self: SharedBarrier): Effect.Effect<boolean> =>
  Effect.orElseSucceed(Effect.suspend(() => ask<boolean>(askedOf(self), "isBroken")), () => true)
