/**
 * Waiting, under a hosted lock, for others to change what it protects.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { ProcessError } from "../../ProcessError.ts"
import { makeConditionObject } from "../hub/condition.ts"
import type { HubObject } from "../hub/link.ts"
import { inOneGo } from "../sync/asking.ts"
import { checkedCount } from "../sync/checks.ts"
import { holdOf, identityOf } from "./holding.ts"
import type { Hold, HostedSemaphore } from "./holding.ts"
import { ask } from "./service.ts"
import type { Made, ObjectOptions } from "./service.ts"

// ---------------------------------------------------------------------------------------------------- in the server

const error = ProcessError

export const waitersGroup = RpcGroup.make(
  Rpc.make("enter", { success: Schema.Number, error, stream: true }),
  Rpc.make("leave", { payload: Schema.Number, error }),
  Rpc.make("notify", { payload: Schema.Number, error })
)

/** Whoever dies ends its stream: nobody has to be told apart. */
const anybody = { slot: 0, pid: 0 }

const answered = (object: HubObject, operation: string, argument?: unknown): Effect.Effect<unknown> =>
  Effect.callback<unknown>((resume) => {
    const withdraw = object.call(anybody, operation, argument, (value) => resume(Effect.succeed(value)))
    return Effect.sync(() => withdraw?.())
  })

/**
 * A waiter is a stream: its first value is the waiter's token, and says that notifications count from now on; the second
 * says that it was notified. Whoever ends it without having left hands its notification on.
 */
export const makeWaiters = Effect.sync(() => {
  const object = makeConditionObject()
  const enter = Effect.acquireRelease(
    answered(object, "enter") as Effect.Effect<number>, // as the object answers it
    (token) => answered(object, "quit", token)
  )
  return {
    enter: () =>
      Stream.unwrap(Effect.map(enter, (token) =>
        Stream.make(token).pipe(
          Stream.concat(Stream.fromEffect(Effect.as(answered(object, "wait", token), token))),
          Stream.concat(Stream.never)
        ))),
    leave: (token: number) => Effect.asVoid(answered(object, "leave", token)),
    notify: (count: number) => Effect.asVoid(answered(object, "notify", count))
  }
})

// ---------------------------------------------------------------------------------------------------- here

/**
 * Those who wait at a {@link HostedCondition}, in a server.
 *
 * @category models
 * @since 0.1.0
 */
export interface HostedWaiters {
  readonly enter: () => Stream.Stream<number, ProcessError>
  readonly leave: (token: number) => Effect.Effect<void, ProcessError>
  readonly notify: (count: number) => Effect.Effect<void, ProcessError>
}

/**
 * A condition: a hosted lock, and those who wait under it, for `Manager.wait`, `waitFor`, `notify` and `notifyAll`. It may
 * sit anywhere inside a payload, a result or a message, and is the same condition there.
 *
 * @category models
 * @since 0.1.0
 */
export interface HostedCondition {
  /** Under which to wait and to notify. */
  readonly lock: HostedSemaphore
  readonly waiters: HostedWaiters
}

/**
 * A condition in the server of the objects, until the scope ends: Python's `manager.Condition`.
 *
 * **Details**
 *
 * - Without a `lock` it has a new one, of the same scope. Several conditions may share a lock.
 * - With a `name`, those who give the same one get the same condition, and the same lock where they give none. To give another
 *   lock is a mistake: a `RangeError` defect.
 *
 * **Laws**
 *
 * - No notification is missed between giving the lock up and waiting.
 * - However a wait ends, this fiber holds the lock again: only then it goes on.
 * - Those who have waited longest are notified first.
 * - A notification goes to somebody who uses it: who is interrupted, fails, or dies with its process before it has the lock
 *   again hands it on.
 *
 * **Gotchas**
 *
 * - A lock whose holder is killed is free, and nobody is told: `SharedCondition` says that it was abandoned.
 * - Only the fiber that holds the lock may wait and notify. Fibers that it forks are others, also those of `Effect.timeout`:
 *   put that around `Manager.withLock`, not inside.
 *
 * **Example** (One takes what another brings)
 *
 * ```ts run
 * import { Console, Effect } from "effect"
 * import { Manager, Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * interface Stock {
 *   readonly goods: Manager.HostedList<string>
 *   readonly changed: Manager.HostedCondition
 * }
 *
 * const brings = Task.make("brings", {
 *   module: import.meta.url,
 *   handler: ({ changed, goods }: Stock) =>
 *     Manager.withLock(changed.lock, Effect.andThen(goods.push("apples"), Manager.notify(changed)))
 * })
 *
 * const program = Effect.gen(function*() {
 *   const stock: Stock = { goods: yield* Manager.list<string>(), changed: yield* Manager.condition() }
 *   yield* Process.start(brings, stock)
 *   const taken = Manager.withLock(
 *     stock.changed.lock,
 *     Effect.gen(function*() {
 *       yield* Manager.waitFor(stock.changed, Effect.map(stock.goods.length(), (count) => count > 0))
 *       return yield* stock.goods.pop()
 *     })
 *   )
 *   yield* Console.log(yield* taken)
 * }).pipe(Effect.scoped, Effect.provide(Manager.layerObjects()), Effect.provide(StartMethod.layerThreads))
 *
 * Process.runMain(program)
 * // => apples
 * ```
 *
 * @category ready-made
 * @since 0.1.0
 */
export const condition = (lock?: HostedSemaphore, options?: ObjectOptions): Made<HostedCondition> =>
  Effect.gen(function*() {
    const name = options?.name
    const its = lock ??
      (yield* ask<HostedSemaphore>("semaphore", 1, name === undefined ? undefined : { name: `the lock of ${name}` }))
    // those who ask for it by its name have to have the same lock
    const identity = name === undefined ? undefined : identityOf(its)
    return { lock: its, waiters: yield* ask<HostedWaiters>("waiters", identity, { name }) }
  })

/** For the fiber that holds the lock; anybody else has a bug. */
const asHolder = <A, E, R>(
  self: HostedCondition,
  verb: string,
  effect: (hold: Hold) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const hold = holdOf(self.lock, fiber)
    return hold !== undefined ? effect(hold) : Effect.die(
      new Error(
        `Manager.${verb}: this fiber does not hold the lock of the condition. Put it inside ` +
          "Manager.withLock(condition.lock, ...). Fibers forked in there are others, also those of Effect.timeout."
      )
    )
  })

/**
 * Uninterruptible, but for the waiting itself. That the notification is used up is said, and not waited for, in the step in
 * which the fiber goes on: whoever is interrupted before that hands it on by the end of its stream.
 */
const waitHolding = ({ waiters }: HostedCondition, hold: Hold): Effect.Effect<void, ProcessError> =>
  Effect.uninterruptibleMask((restore) => {
    const entered = Scope.makeUnsafe()
    const left = Scope.close(entered, Exit.void)
    let isUsed = false
    const waiting = Effect.gen(function*() {
      const pull = (yield* Scope.provide(Stream.toPull(waiters.enter()), entered)) as //
      Effect.Effect<readonly [number], ProcessError> // it has no end of its own
      const [token] = yield* restore(pull)
      yield* hold.giveUp
      const notified = yield* Effect.exit(restore(pull))
      if (Exit.isFailure(notified)) {
        // a notification is another's at once, not when this fiber has the lock again
        yield* left
        if (!Cause.hasInterruptsOnly(notified.cause)) {
          yield* hold.lose(notified.cause)
          yield* notified
        }
      }
      const taken = yield* Effect.exit(hold.take)
      // what the wait failed with says more than what its lock says
      yield* Exit.isFailure(notified) ? notified : taken
      yield* restore(Effect.void) // interrupted while it took the lock again: it has not used the notification
      yield* inOneGo(Effect.sync(() => {
        isUsed = true
        Effect.runFork(Effect.andThen(Effect.ignoreCause(waiters.leave(token)), left))
      }))
    })
    return Effect.onExit(waiting, () => isUsed ? Effect.void : left)
  })

/**
 * Gives the lock up, waits to be notified, interruptibly, and takes the lock again.
 *
 * **Details**
 *
 * - The lock is taken again also when the wait is interrupted: interruption takes until then.
 * - Fails with `Closed` or `WorkerExited` when the server has ended, or the lock or the condition has been let go. The lock is
 *   lost then: what runs under it is interrupted, and fails with the same.
 *
 * **Gotchas**
 *
 * - A fiber that does not hold the lock is a defect.
 * - Another may have been faster when it has the lock again: use {@link waitFor}, or look again.
 *
 * @see {@link condition} for the laws, and an example
 * @category combinators
 * @since 0.1.0
 */
export const wait = (self: HostedCondition): Effect.Effect<void, ProcessError> =>
  asHolder(self, "wait", (hold) => waitHolding(self, hold))

/**
 * Waits until the predicate holds: looks, under the lock, at once and each time after it was notified. Python's `wait_for`.
 *
 * **Gotchas**
 *
 * As with {@link wait}, a fiber that does not hold the lock is a defect, also when the predicate holds already.
 *
 * @category combinators
 * @since 0.1.0
 */
export const waitFor = <E, R>(
  self: HostedCondition,
  predicate: Effect.Effect<boolean, E, R>
): Effect.Effect<void, E | ProcessError, R> =>
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
export const notify = (self: HostedCondition, count = 1): Effect.Effect<void, ProcessError> =>
  asHolder(self, "notify", () => self.waiters.notify(checkedCount(count, 0, "Manager.notify: the count")))

/**
 * Lets everybody go on who waits.
 *
 * @see {@link notify}
 * @category combinators
 * @since 0.1.0
 */
export const notifyAll = (self: HostedCondition): Effect.Effect<void, ProcessError> =>
  asHolder(self, "notifyAll", () => self.waiters.notify(Infinity))
