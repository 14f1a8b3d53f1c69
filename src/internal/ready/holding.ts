/**
 * Permits of a hosted semaphore, as they are held here: by a fiber, which may let go of them for a while.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ProcessError } from "../../ProcessError.ts"
import { proxyData } from "../handles/manager.ts"
import { show } from "../listener/address.ts"

/**
 * Permits in a server, for `Manager.withPermits` and `Manager.withLock`. Those of a process that died come back.
 *
 * @category models
 * @since 0.1.0
 */
export interface HostedSemaphore {
  readonly hold: (permits: number) => Stream.Stream<void, ProcessError>
  readonly holdIfAvailable: (permits: number) => Stream.Stream<boolean, ProcessError>
}

export interface Hold {
  readonly of: unknown
  readonly giveUp: Effect.Effect<void>
  /** Takes them, at first or again. */
  readonly take: Effect.Effect<void, ProcessError>
  /** Does not wait. Whether it has them. */
  readonly takeIfAvailable: Effect.Effect<boolean, ProcessError>
}

type AnyFiber = Fiber.Fiber<unknown, unknown>

/** What the fibers of this thread hold. A fiber that waits for another one is the same in this: it holds what that does. */
const holds = new WeakMap<AnyFiber, ReadonlyArray<Hold>>()

/** The same for all proxies of one object. */
const identityOf = (self: object): unknown => {
  const data = proxyData(self)
  return data === undefined ? self : `${show(data.server.address)} ${String(data.object)}`
}

/** How this fiber holds it; undefined where it does not. */
export const holdOf = (self: HostedSemaphore, fiber: AnyFiber): Hold | undefined => {
  const of = identityOf(self)
  return holds.get(fiber)?.findLast((hold) => hold.of === of)
}

const makeHold = (
  self: HostedSemaphore,
  permits: number,
  scope: Scope.Scope,
  lost: Deferred.Deferred<never, ProcessError>
): Hold => {
  let own: Scope.Closeable | undefined
  /** Whoever has lost the server has lost the permits. One that lets go of them has not. */
  const loses = (cause: Cause.Cause<ProcessError>): Effect.Effect<void> =>
    Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.asVoid(Deferred.failCause(lost, cause))
  const takeBy = (holding: Stream.Stream<unknown, ProcessError>) =>
    Effect.gen(function*() {
      const held = yield* Scope.fork(scope)
      own = held
      const pull = (yield* Scope.provide(Stream.toPull(holding), held)) as //
      Effect.Effect<readonly [unknown], ProcessError> // it has no end before it is held
      const [isHeld] = yield* pull
      if (isHeld === false) return false
      yield* Effect.forkIn(Effect.catchCause(Effect.forever(pull), loses), held, { startImmediately: true })
      return true
    }).pipe(Effect.tapCause(loses))
  return {
    of: identityOf(self),
    giveUp: Effect.suspend(() => own === undefined ? Effect.void : Scope.close(own, Exit.void)),
    take: Effect.asVoid(takeBy(self.hold(permits))),
    takeIfAvailable: takeBy(self.holdIfAvailable(permits))
  }
}

const noHolds: ReadonlyArray<Hold> = []

/** Runs it as somebody who holds this, beside what whoever waits for it holds. */
const asHolder = <A, E, R>(hold: Hold, outer: AnyFiber, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    holds.set(fiber, [...holds.get(outer) ?? noHolds, hold])
    return Effect.onExitPrimitive(effect, () => {
      holds.delete(fiber)
      return undefined
    })
  })

const using = <A, E, R>(
  self: HostedSemaphore,
  permits: number,
  use: (hold: Hold, run: <B, F, S>(effect: Effect.Effect<B, F, S>) => Effect.Effect<B, F | ProcessError, S>) => //
  Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.scopedWith((scope) =>
    Effect.withFiber((outer) => {
      const lost = Deferred.makeUnsafe<never, ProcessError>()
      const hold = makeHold(self, permits, scope, lost)
      // a fiber of its own: it is interrupted when the server is lost
      return use(hold, (effect) => Effect.raceFirst(asHolder(hold, outer, effect), Deferred.await(lost)))
    })
  )

export const holding = <A, E, R>(
  self: HostedSemaphore,
  permits: number,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | ProcessError, R> => using(self, permits, (hold, run) => Effect.andThen(hold.take, run(effect)))

export const holdingIfAvailable = <A, E, R>(
  self: HostedSemaphore,
  permits: number,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<Option.Option<A>, E | ProcessError, R> =>
  using(
    self,
    permits,
    (hold, run) =>
      Effect.flatMap(hold.takeIfAvailable, (isHeld): Effect.Effect<Option.Option<A>, E | ProcessError, R> =>
        isHeld ? Effect.asSome(run(effect)) : Effect.succeedNone)
  )
