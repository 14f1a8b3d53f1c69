/**
 * Mutual exclusion across fibers, threads and processes.
 *
 * ```ts
 * import { Effect } from "effect"
 * import { SharedLock } from "effect-multiprocessing"
 *
 * const program = Effect.scoped(Effect.gen(function*() {
 *   const lock = yield* SharedLock.make()
 *   // the lock may be sent to other threads and processes, in a payload or a message
 *   return yield* SharedLock.withLock(lock, Effect.succeed("nobody else is in here"))
 * }))
 * ```
 *
 * **Laws**
 *
 * - One at a time: between all fibers of all processes that have the lock.
 * - First come, first served, among those who have to wait.
 * - A lock whose holder died is not held for ever: see {@link LockAbandoned}.
 * - A waiter that is interrupted is out of the queue, and takes no turn with it.
 *
 * **What it costs**
 *
 * Taking and giving a free lock is one atomic step each on shared bytes, without a message. Whoever finds it held waits at
 * the hub of the process that made it, and is woken by a message: a process whose event loop is blocked hands over no lock
 * of its own. A process that is sent a lock connects to that hub at once.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { Pipeable } from "effect/Pipeable"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { isHeldByAnyone } from "./internal/handles/lock.ts"
import { LockTypeId, makeSharedLock } from "./internal/handles/sharedLock.ts"
import type { LockHandle } from "./internal/handles/sharedLock.ts"
import { effectLast, hold, holdIfAvailable, LockAbandoned, recovering } from "./internal/sync/locking.ts"
import type { Locked } from "./internal/sync/locking.ts"
import { owned } from "./internal/sync/owned.ts"
import type { ProcessError } from "./ProcessError.ts"

export { LockAbandoned }

/**
 * A lock. It may sit anywhere inside a payload, a result or a message, and is the same lock there.
 *
 * @category models
 * @since 0.1.0
 */
export interface SharedLock extends Pipeable {
  readonly [LockTypeId]: typeof LockTypeId
  /** The fiber that holds it may take it again. */
  readonly reentrant: boolean
}

/**
 * Is this value a {@link SharedLock}?
 *
 * @category guards
 * @since 0.1.0
 */
export const isSharedLock = (u: unknown): u is SharedLock => hasProperty(u, LockTypeId)

/**
 * For payload schemas: `Schema.Struct({ lock: SharedLock.schema, ... })`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const schema: Schema.Codec<SharedLock, SharedLock> = Schema.declare(isSharedLock, {
  identifier: "SharedLock",
  expected: "a SharedLock"
})

const lockedOf = (self: SharedLock): Locked => {
  const { lock, reentrant } = self as SharedLock & LockHandle // every SharedLock is made here or by the codec
  return { name: "SharedLock", lock, reentrant }
}

/**
 * A new lock, which belongs to this scope: when it ends, everybody who waits, and will, fails with `Closed`.
 *
 * **Options**
 *
 * - `reentrant`: the fiber that holds it may take it again (default `false`: that is a defect). Fibers that it forks are
 *   others, also those of `Effect.timeout` and `Effect.all`.
 * - `onOwnerDeath`: `"poison"` (the default) says to everyone who takes it that its holder died ({@link LockAbandoned});
 *   with `"release"` it is simply free again, for data that cannot be half done.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: {
  readonly reentrant?: boolean | undefined
  readonly onOwnerDeath?: "poison" | "release" | undefined
}): Effect.Effect<SharedLock, ProcessError, Scope.Scope> =>
  owned("SharedLock.make", () => {
    const { handle, release } = makeSharedLock(options?.reentrant ?? false, options?.onOwnerDeath ?? "poison")
    return { handle: handle as LockHandle & SharedLock, release } // every handle is Pipeable
  })

/**
 * Runs an effect while this fiber holds the lock. Waits for it, interruptibly; gives it back however the effect ends.
 *
 * **Details**
 *
 * Fails with {@link LockAbandoned} while nobody has recovered a lock whose holder died, and with `ProcessError`
 * (`Closed`) when its owner is gone.
 *
 * **Gotchas**
 *
 * A plain lock that this fiber holds already is a defect, not a hang.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withLock: {
  (self: SharedLock): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | LockAbandoned | ProcessError, R>
  <A, E, R>(self: SharedLock, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | LockAbandoned | ProcessError, R>
} = effectLast((self: SharedLock, effect: Effect.Effect<never>) => hold(lockedOf(self), effect))

/**
 * Like {@link withLock}, but does not wait: `None` when the lock is held, and the effect has not run.
 *
 * **Details**
 *
 * Also `None` when this fiber itself holds a lock that is not reentrant.
 *
 * **Gotchas**
 *
 * A process that was sent the lock a moment ago is still being connected to its owner. That is waited for, and an owner
 * whose event loop is blocked answers when it turns again.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withLockIfAvailable: {
  (
    self: SharedLock
  ): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<Option.Option<A>, E | LockAbandoned | ProcessError, R>
  <A, E, R>(
    self: SharedLock,
    effect: Effect.Effect<A, E, R>
  ): Effect.Effect<Option.Option<A>, E | LockAbandoned | ProcessError, R>
} = effectLast((self: SharedLock, effect: Effect.Effect<never>) => holdIfAvailable(lockedOf(self), effect))

/**
 * Takes the lock, abandoned or not, and runs the repair under it. When the repair succeeds the lock is good again; when it
 * fails or is interrupted the lock stays abandoned.
 *
 * **Example** (A counter in two places that must agree)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { SharedArray, SharedLock } from "effect-multiprocessing"
 *
 * const move = (lock: SharedLock.SharedLock, accounts: SharedArray.SharedArray<"int32">) =>
 *   SharedLock.withLock(
 *     lock,
 *     Effect.gen(function*() {
 *       yield* SharedArray.update(accounts, 0, (n) => n - 1)
 *       yield* SharedArray.update(accounts, 1, (n) => n + 1)
 *     })
 *   ).pipe(
 *     Effect.catchTag("LockAbandoned", () =>
 *       SharedLock.recover(
 *         lock,
 *         Effect.flatMap(SharedArray.get(accounts, 0), (n) => SharedArray.set(accounts, 1, 100 - n))
 *       ))
 *   )
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const recover: {
  (self: SharedLock): <A, E, R>(repair: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ProcessError, R>
  <A, E, R>(self: SharedLock, repair: Effect.Effect<A, E, R>): Effect.Effect<A, E | ProcessError, R>
} = effectLast((self: SharedLock, repair: Effect.Effect<never>) => recovering(lockedOf(self), repair))

/**
 * Does somebody hold it, at this moment, in any process?
 *
 * **Details**
 *
 * A lock whose owner is gone is held by nobody: `false`.
 *
 * @category getters
 * @since 0.1.0
 */
export const isLocked = (self: SharedLock): Effect.Effect<boolean> =>
  Effect.sync(() => isHeldByAnyone(lockedOf(self).lock))
