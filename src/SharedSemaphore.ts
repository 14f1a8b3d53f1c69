/**
 * Permits that fibers of all processes share: so many at a time may do something.
 *
 * ```ts run
 * import { Effect } from "effect"
 * import { SharedSemaphore } from "effect-multiprocessing"
 *
 * const program = Effect.scoped(Effect.gen(function*() {
 *   const downloads = yield* SharedSemaphore.make(4)
 *   // it may be sent to other threads and processes, in a payload or a message
 *   return yield* SharedSemaphore.withPermits(downloads, 1, Effect.succeed("at most four are in here"))
 * }))
 *
 * console.log(await Effect.runPromise(program))
 * // => at most four are in here
 * ```
 *
 * **Laws**
 *
 * - No more permits are out than there are.
 * - First come, first served: a large request that waits is not overtaken by small ones.
 * - A waiter that is interrupted takes none with it.
 * - What a child has when it ends, however it ends, comes back.
 *
 * **What it costs**
 *
 * In the owner's process a call. From another one the first take is a question to that process and its answer; what is put
 * back while nobody waits lies idle where it was used, and is taken again by one atomic operation, without a message. When
 * others want it, it is taken away, wherever it lies.
 *
 * It crosses to every process, also where shared memory does not reach, or where more than fifteen processes beside the owner use it: there each
 * take and each release is a message. A process whose event loop is blocked gives out no permits of its own semaphores.
 *
 * | to have | use |
 * |---|---|
 * | one at a time, and to know when a holder died | `SharedLock` |
 * | so many at a time | `SharedSemaphore` |
 * | work handed from one to another | a queue, not a semaphore that counts it |
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Pipeable } from "effect/Pipeable"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import {
  givePermits,
  makeSemaphore,
  permitsGranted,
  releasePermits,
  SemaphoreTypeId,
  takePermits
} from "./internal/handles/semaphore.ts"
import type { SemaphoreHandle } from "./internal/handles/semaphore.ts"
import { tooMany } from "./internal/hub/semaphore.ts"
import { ask, holding, inOneGo, obtain } from "./internal/sync/asking.ts"
import type { Asked } from "./internal/sync/asking.ts"
import { checkedCount } from "./internal/sync/checks.ts"
import { effectLast } from "./internal/sync/locking.ts"
import { owned } from "./internal/sync/owned.ts"
import type { ProcessError } from "./ProcessError.ts"

/**
 * A semaphore. It may sit anywhere inside a payload, a result or a message, and is the same semaphore there.
 *
 * @category models
 * @since 0.1.0
 */
export interface SharedSemaphore extends Pipeable {
  readonly [SemaphoreTypeId]: typeof SemaphoreTypeId
  /** As it was made with. */
  readonly permits: number
  /** There are never more. */
  readonly bounded: boolean
}

/**
 * Is this value a {@link SharedSemaphore}?
 *
 * @category guards
 * @since 0.1.0
 */
export const isSharedSemaphore = (u: unknown): u is SharedSemaphore => hasProperty(u, SemaphoreTypeId)

/**
 * For payload schemas: `Schema.Struct({ downloads: SharedSemaphore.schema, ... })`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const schema: Schema.Codec<SharedSemaphore, SharedSemaphore> = Schema.declare(isSharedSemaphore, {
  identifier: "SharedSemaphore",
  expected: "a SharedSemaphore"
})

/** Every SharedSemaphore is made here or by the codec. */
const handleOf = (self: SharedSemaphore): SemaphoreHandle => self as SharedSemaphore & SemaphoreHandle

const askedOf = ({ home }: SemaphoreHandle): Asked => ({ name: "SharedSemaphore", home })

/** The hub says where those may lie idle that it has given. */
const askedFor = (handle: SemaphoreHandle, count: number): Asked => ({
  ...askedOf(handle),
  hear: (at) => permitsGranted(handle, count, at as number)
})

/**
 * A new semaphore with so many permits, which belongs to this scope: when it ends, everybody who waits, and will, fails with
 * `Closed`.
 *
 * **Options**
 *
 * - `bounded`: releasing more than were taken is a defect (default `false`: there are more permits from then on).
 *
 * **Gotchas**
 *
 * `permits` that are no whole number of 0 or more are a `RangeError` defect.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (permits: number, options?: {
  readonly bounded?: boolean | undefined
}): Effect.Effect<SharedSemaphore, ProcessError, Scope.Scope> =>
  Effect.suspend(() => {
    checkedCount(permits, 0, "SharedSemaphore.make: permits")
    return owned("SharedSemaphore.make", () => {
      const { handle, release } = makeSemaphore(permits, options?.bounded ?? false)
      return { handle: handle as SemaphoreHandle & SharedSemaphore, release } // every handle is Pipeable
    })
  })

/** How many may be taken at once. */
const checkedTake = ({ bounded, permits }: SharedSemaphore, count: number, what: string): number => {
  checkedCount(count, 1, `${what}: permits`)
  if (!bounded || count <= permits) return count
  throw new RangeError(
    `${what}: ${count} permits were asked for, but this bounded SharedSemaphore has ${permits}, and never more. ` +
      `Ask for 1 to ${permits}.`
  )
}

/**
 * Runs an effect with so many permits. Waits for them, interruptibly; they come back however the effect ends.
 *
 * **Gotchas**
 *
 * - Like Effect's own semaphore it does not know who has a permit: code that takes one inside of `withPermits` may wait for
 *   itself.
 * - More than a bounded semaphore has are a `RangeError` defect. One that is not bounded may have them one day, so it waits.
 *
 * **Example** (No more than two tasks of a pool talk to the database)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Pool, SharedSemaphore, Task } from "effect-multiprocessing"
 *
 * export const store = Task.make("store", {
 *   module: import.meta.url,
 *   handler: ({ database, row }: { readonly database: SharedSemaphore.SharedSemaphore; readonly row: number }) =>
 *     SharedSemaphore.withPermits(database, 1, Effect.succeed(`row ${row} is stored`))
 * })
 *
 * const program = Effect.gen(function*() {
 *   const database = yield* SharedSemaphore.make(2)
 *   const pool = yield* Pool.make({ processes: 8 })
 *   return yield* Pool.map(pool, store, [1, 2, 3].map((row) => ({ database, row })))
 * })
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const withPermits: {
  (self: SharedSemaphore, permits: number): <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | ProcessError, R>
  <A, E, R>(
    self: SharedSemaphore,
    permits: number,
    effect: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | ProcessError, R>
} = effectLast((self: SharedSemaphore, permits: number, effect: Effect.Effect<never>) => using(self, permits, effect))

const using = <A, E, R>(self: SharedSemaphore, permits: number, effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const handle = handleOf(self)
    const count = checkedTake(self, permits, "SharedSemaphore.withPermits")
    const giveBack = (): undefined => void givePermits(handle, count)
    return Effect.uninterruptibleMask((restore) =>
      takePermits(handle, count)
        ? Effect.onExitPrimitive(restore(effect), giveBack)
        : restore(holding(askedFor(handle, count), "take", count, giveBack, (_, restore) => restore(effect)))
    )
  })

/**
 * Takes so many permits, and gives their number. Waits for all of them, interruptibly: none is taken before all are there.
 *
 * **When to use**
 *
 * Where who takes and who releases are not one bracket. Otherwise {@link withPermits}.
 *
 * **Gotchas**
 *
 * - Whoever takes has to {@link release}, also when it is interrupted: that is what {@link withPermits} is for.
 * - A thread or a process that ends gives back what it has. What a task of a pool has taken stays taken while its worker lives.
 * - More than a bounded semaphore has are a `RangeError` defect. One that is not bounded may have them one day, so it waits.
 *
 * @category combinators
 * @since 0.1.0
 */
export const take = (self: SharedSemaphore, permits: number): Effect.Effect<number, ProcessError> =>
  Effect.suspend(() => {
    const handle = handleOf(self)
    const count = checkedTake(self, permits, "SharedSemaphore.take")
    const asking = obtain<number>(askedFor(handle, count), "take", count, () => givePermits(handle, count))
    return inOneGo(Effect.suspend(() => takePermits(handle, count) ? Effect.succeed(count) : Effect.as(asking, count)))
  })

/**
 * Gives so many permits, and tells how many are free then: after those who wait have got theirs.
 *
 * **Details**
 *
 * - Anybody may release, not only who has taken. A release gives back what its own process has; beyond that, what others
 *   have had for longest, which then no longer comes back when they end.
 * - Beyond all that was taken, there are more permits than before; of a bounded semaphore that is a `RangeError` defect.
 *
 * **Gotchas**
 *
 * A semaphore that counts work (made with 0, released by who has some, taken by who does it) gives back what a process that
 * has ended had taken, where nobody has released as many since: use a queue.
 *
 * @category combinators
 * @since 0.1.0
 */
export const release = (self: SharedSemaphore, permits: number): Effect.Effect<number, ProcessError> =>
  Effect.suspend(() => {
    const count = checkedCount(permits, 1, "SharedSemaphore.release: permits")
    const handle = handleOf(self)
    const free = releasePermits(handle, count)
    if (free !== undefined) return Effect.succeed(free)
    return Effect.flatMap(
      ask<number>(askedOf(handle), "release", count),
      (free) => free === tooMany ? Effect.die(releasedTooMany(self, count)) : Effect.succeed(free)
    )
  })

const releasedTooMany = ({ bounded, permits }: SharedSemaphore, count: number): RangeError =>
  new RangeError(
    `SharedSemaphore.release: ${count} were released, but ${
      bounded
        ? `fewer are taken: this bounded SharedSemaphore has ${permits} permits, and never more`
        : "there would be more than can be counted"
    }. Release what was taken, once.`
  )
