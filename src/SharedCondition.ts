/**
 * Waiting, under a lock, for others to change what the lock protects.
 *
 * ```ts run
 * import { Effect } from "effect"
 * import { SharedCondition, SharedLock, SharedValue } from "effect-multiprocessing"
 *
 * const takeOne = (stock: SharedValue.SharedValue<"int32">, changed: SharedCondition.SharedCondition) =>
 *   SharedLock.withLock(
 *     changed.lock,
 *     Effect.gen(function*() {
 *       yield* SharedCondition.waitFor(changed, Effect.map(SharedValue.get(stock), (count) => count > 0))
 *       yield* SharedValue.update(stock, (count) => count - 1)
 *     })
 *   )
 *
 * const bringOne = (stock: SharedValue.SharedValue<"int32">, changed: SharedCondition.SharedCondition) =>
 *   SharedLock.withLock(
 *     changed.lock,
 *     Effect.gen(function*() {
 *       yield* SharedValue.update(stock, (count) => count + 1)
 *       yield* SharedCondition.notify(changed)
 *     })
 *   )
 *
 * // the two of them may be in different threads and processes
 * const program = Effect.scoped(Effect.gen(function*() {
 *   const stock = yield* SharedValue.make("int32")
 *   const changed = yield* SharedCondition.make()
 *   yield* Effect.all([takeOne(stock, changed), bringOne(stock, changed)], { concurrency: 2 })
 *   return yield* SharedValue.get(stock)
 * }))
 *
 * console.log(await Effect.runPromise(program))
 * // => 0
 * ```
 *
 * **Laws**
 *
 * - No notification is missed between giving the lock up and waiting.
 * - However a wait ends, this fiber holds the lock again, as often as before: only then it goes on.
 * - Those who have waited longest are notified first.
 * - A notification goes to somebody who uses it: who is interrupted, fails, or dies with its process before it has the lock
 *   again hands it on.
 * - A process that dies while it holds the lock might have been the one to notify: everybody who waits is woken, and fails
 *   with `LockAbandoned` until somebody has recovered the lock.
 *
 * **What it costs**
 *
 * The lock, and two questions to the hub of the process that made the condition: one before the lock is given up, one that
 * is answered by the notification. It reaches as far as its lock does (`SharedMemory.reach`).
 *
 * **Gotchas**
 *
 * - Only the fiber that holds the lock may wait and notify. Fibers that it forks are others, also those of `Effect.timeout`:
 *   put that around `SharedLock.withLock`, not inside.
 * - Another may have been faster when it has the lock again: use {@link waitFor}, or look again.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Pipeable } from "effect/Pipeable"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { ConditionTypeId, makeCondition } from "./internal/handles/condition.ts"
import type { ConditionHandle } from "./internal/handles/condition.ts"
import type { LockHandle } from "./internal/handles/sharedLock.ts"
import { ask, holding, telling } from "./internal/sync/asking.ts"
import type { Asked } from "./internal/sync/asking.ts"
import { checkedCount } from "./internal/sync/checks.ts"
import { without } from "./internal/sync/locking.ts"
import type { Locked } from "./internal/sync/locking.ts"
import { owned } from "./internal/sync/owned.ts"
import type { ProcessError } from "./ProcessError.ts"
import * as SharedLock from "./SharedLock.ts"

/**
 * A condition. It may sit anywhere inside a payload, a result or a message, and is the same condition there.
 *
 * @category models
 * @since 0.1.0
 */
export interface SharedCondition extends Pipeable {
  readonly [ConditionTypeId]: typeof ConditionTypeId
  /** Under which to wait and to notify. */
  readonly lock: SharedLock.SharedLock
}

/**
 * Is this value a {@link SharedCondition}?
 *
 * @category guards
 * @since 0.1.0
 */
export const isSharedCondition = (u: unknown): u is SharedCondition => hasProperty(u, ConditionTypeId)

/**
 * For payload schemas: `Schema.Struct({ changed: SharedCondition.schema, ... })`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const schema: Schema.Codec<SharedCondition, SharedCondition> = Schema.declare(isSharedCondition, {
  identifier: "SharedCondition",
  expected: "a SharedCondition"
})

/**
 * A new condition, which belongs to this scope: when it ends, or that of its lock does, everybody who waits, and will, fails
 * with `Closed`.
 *
 * **Details**
 *
 * Without a `lock` it has a new one, reentrant, of the same scope. Several conditions may share a lock.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  lock?: SharedLock.SharedLock
): Effect.Effect<SharedCondition, ProcessError, Scope.Scope> =>
  Effect.flatMap(
    lock === undefined ? SharedLock.make({ reentrant: true }) : Effect.succeed(lock),
    (lock) =>
      owned("SharedCondition.make", () => {
        const { handle, release } = makeCondition(lock as SharedLock.SharedLock & LockHandle) // as every SharedLock is
        return { handle: handle as ConditionHandle & SharedCondition, release } // every handle is Pipeable
      })
  )

interface Parts {
  readonly asked: Asked
  readonly locked: Locked
}

const partsOf = (self: SharedCondition): Parts => {
  const { home, lock } = self as unknown as ConditionHandle // made here, or by the codec
  return {
    asked: { name: "SharedCondition", home },
    locked: { name: "SharedLock", lock: lock.lock, reentrant: lock.reentrant }
  }
}

/** For the fiber that holds the lock; anybody else has a bug. */
const asHolder = <A, E, R>(
  self: SharedCondition,
  verb: string,
  effect: (parts: Parts) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const parts = partsOf(self)
    return parts.locked.lock.holder === fiber ? effect(parts) : Effect.die(
      new Error(
        `SharedCondition.${verb}: this fiber does not hold the lock of the condition. Put it inside ` +
          "SharedLock.withLock(condition.lock, ...). Fibers forked in there are others, also those of Effect.timeout."
      )
    )
  })

/**
 * Gives the lock up, waits to be notified, interruptibly, and takes the lock again.
 *
 * **Details**
 *
 * - A reentrant lock is given up however often this fiber has it, and is held as often afterwards.
 * - The lock is taken again also when the wait is interrupted, or fails: interruption takes until then.
 * - Fails with `LockAbandoned` when another process has died while it held the lock, and with `ProcessError` (`Closed`) when
 *   the scope or the process of the condition's owner, or of its lock's, has ended.
 *
 * **Gotchas**
 *
 * - A fiber that does not hold the lock is a defect.
 * - When somebody has recovered the lock of a holder that died, before this fiber has taken it again, it returns as if it
 *   had been notified.
 *
 * @see {@link waitFor} for waiting until something holds
 * @category combinators
 * @since 0.1.0
 */
export const wait = (self: SharedCondition): Effect.Effect<void, ProcessError | SharedLock.LockAbandoned> =>
  asHolder(self, "wait", ({ asked, locked }) => {
    const leave = telling(asked, "leave")
    const quit = telling(asked, "quit")
    return holding<number, void, ProcessError | SharedLock.LockAbandoned, never>(
      asked,
      "enter",
      undefined,
      (token, used) => used ? leave(token) : quit(token),
      (token, restore) => {
        // the notification is another's at once, not when this fiber has the lock again
        const notified = Effect.tapCause(restore(ask(asked, "wait", token)), () => Effect.sync(() => quit(token)))
        // interrupted while it took the lock again: it has not used the notification
        return Effect.andThen(without(locked, notified), restore(Effect.void))
      }
    )
  })

/**
 * Waits until the predicate holds: looks, under the lock, at once and each time after it was notified.
 *
 * **Gotchas**
 *
 * As with {@link wait}, a fiber that does not hold the lock is a defect, also when the predicate holds already.
 *
 * @category combinators
 * @since 0.1.0
 */
export const waitFor = (
  self: SharedCondition,
  predicate: Effect.Effect<boolean>
): Effect.Effect<void, ProcessError | SharedLock.LockAbandoned> =>
  asHolder(self, "waitFor", () =>
    Effect.gen(function*() {
      while (!(yield* predicate)) yield* wait(self)
    }))

/**
 * Lets so many go on (default 1) of those who wait, those first that have waited longest; all of them when there are fewer.
 * They go on when they have the lock, which this fiber still holds.
 *
 * **Gotchas**
 *
 * - A fiber that does not hold the lock is a defect; a `count` that is no whole number of 0 or more is a `RangeError` defect.
 * - Nobody hears a notification that nobody waited for: change what the lock protects, and let others look at that.
 *
 * @category combinators
 * @since 0.1.0
 */
export const notify = (self: SharedCondition, count = 1): Effect.Effect<void, ProcessError> =>
  asHolder(
    self,
    "notify",
    ({ asked }) => ask(asked, "notify", checkedCount(count, 0, "SharedCondition.notify: the count"))
  )

/**
 * Lets everybody go on who waits.
 *
 * @see {@link notify}
 * @category combinators
 * @since 0.1.0
 */
export const notifyAll = (self: SharedCondition): Effect.Effect<void, ProcessError> =>
  asHolder(self, "notifyAll", ({ asked }) => ask(asked, "notify", Infinity))
