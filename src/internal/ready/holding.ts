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
import { pause } from "../manager/pause.ts"

/**
 * Permits in a server, for `Manager.withPermits` and `Manager.withLock`. Those of a process that died come back.
 *
 * @category models
 * @since 0.1.0
 */
export interface HostedSemaphore {
  /** `held`: so many the asker has already. */
  readonly hold: (permits: number, held: number) => Stream.Stream<void, ProcessError>
  readonly holdIfAvailable: (permits: number) => Stream.Stream<boolean, ProcessError>
  /** Answers when all permits are free that this process has let go of before it asked. */
  readonly settled: () => Effect.Effect<void, ProcessError>
}

export interface Hold {
  readonly of: unknown
  /** So many it has now. */
  readonly held: () => number
  readonly giveUp: Effect.Effect<void>
  /** Whoever has lost the server has lost the permits: what runs under them is interrupted, and fails with this. */
  readonly lose: (cause: Cause.Cause<ProcessError>) => Effect.Effect<void>
  /** Takes them, at first or again. */
  readonly take: Effect.Effect<void, ProcessError>
  /** Does not wait. Whether it has them. */
  readonly takeIfAvailable: Effect.Effect<boolean, ProcessError>
}

/** For so long whoever lets go waits for the server to say so. */
const settleMillis = 1000

const settled = (self: HostedSemaphore): Effect.Effect<void> =>
  Effect.raceFirst(Effect.ignoreCause(self.settled()), pause(settleMillis))

type AnyFiber = Fiber.Fiber<unknown, unknown>

const noHolds: ReadonlyArray<Hold> = []

/** What the fibers of this thread hold. A fiber that waits for another one is the same in this: it holds what that does. */
const holds = new WeakMap<AnyFiber, ReadonlyArray<Hold>>()

/** The same for all proxies of one object: servers begin to count at random. */
export const identityOf = (self: object): unknown => proxyData(self)?.identity ?? self

/** How this fiber holds it; undefined where it does not. */
export const holdOf = (self: HostedSemaphore, fiber: AnyFiber): Hold | undefined => {
  const of = identityOf(self)
  return holds.get(fiber)?.findLast((hold) => hold.of === of)
}

/** So many permits this fiber has. */
const heldBy = (fiber: AnyFiber, of: unknown): number => {
  let held = 0
  for (const hold of holds.get(fiber) ?? noHolds) if (hold.of === of) held += hold.held()
  return held
}

const makeHold = (
  self: HostedSemaphore,
  permits: number,
  outer: AnyFiber,
  scope: Scope.Scope,
  lost: Deferred.Deferred<never, ProcessError>
): Hold => {
  const of = identityOf(self)
  let own: Scope.Closeable | undefined
  let isHeld = false
  /** It may have been given them, and not have heard of it yet. */
  let isAsked = false
  /** Whoever lets go of them has not lost them. */
  const lose = (cause: Cause.Cause<ProcessError>): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (Cause.hasInterruptsOnly(cause)) return Effect.void
      isHeld = isAsked = false
      return Effect.asVoid(Deferred.failCause(lost, cause))
    })
  const takeBy = (holding: Stream.Stream<unknown, ProcessError>) =>
    Effect.gen(function*() {
      const held = yield* Scope.fork(scope)
      own = held
      const pull = (yield* Scope.provide(Stream.toPull(holding), held)) as //
      Effect.Effect<readonly [unknown], ProcessError> // it has no end before it is held
      isAsked = true
      const [hasThem] = yield* pull
      if (hasThem === false) {
        isAsked = false
        return false
      }
      isHeld = true
      yield* Effect.forkIn(Effect.catchCause(Effect.forever(pull), lose), held, { startImmediately: true })
      return true
    }).pipe(Effect.tapCause(lose))
  return {
    of,
    held: () => isHeld ? permits : 0,
    lose,
    giveUp: Effect.suspend(() => {
      const wasAsked = isAsked
      isHeld = isAsked = false
      if (own === undefined) return Effect.void
      const letGo = Scope.close(own, Exit.void)
      return wasAsked ? Effect.andThen(letGo, settled(self)) : letGo
    }),
    take: Effect.suspend(() => Effect.asVoid(takeBy(self.hold(permits, heldBy(outer, of))))),
    takeIfAvailable: takeBy(self.holdIfAvailable(permits))
  }
}

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
      const hold = makeHold(self, permits, outer, scope, lost)
      // a fiber of its own: it is interrupted when the server is lost
      return use(hold, (effect) => Effect.raceFirst(asHolder(hold, outer, effect), Deferred.await(lost))).pipe(
        Effect.onExit(() => hold.giveUp)
      )
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
