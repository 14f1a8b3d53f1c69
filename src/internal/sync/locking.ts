/**
 * An effect under a lock: of `SharedLock`, and of the values and arrays that have one of their own.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { ProcessError } from "../../ProcessError.ts"
import { giveAll, giveLock, repair, stateOf, takeAll, tryTake, waitToTake, whenKnown } from "../handles/lock.ts"
import type { LockSide } from "../handles/lock.ts"
import { abandonedBy, lockClosed, unknownProcess } from "../memory/lockWord.ts"
import { closedError } from "./owned.ts"

/**
 * The process that held the lock died: what it protects may be half done. Every taker is told until somebody recovers the
 * lock. `pid` is the process that died, or the process of the thread that died; 0 when it is not known.
 *
 * @category errors
 * @since 0.1.0
 */
export class LockAbandoned extends Schema.TaggedError<LockAbandoned>()("LockAbandoned", {
  pid: Schema.Number,
  message: Schema.String
}) {}

/** A lock, and what users call it. */
export interface Locked {
  readonly name: string
  readonly lock: LockSide
  readonly reentrant: boolean
}

type AnyFiber = Fiber.Fiber<unknown, unknown>

const abandonedError = (name: string, pid: number): LockAbandoned => {
  const who = pid === unknownProcess
    ? "A process"
    : pid === process.pid
    ? `A thread of the process ${pid}`
    : `The process ${pid}, or a thread of it,`
  return new LockAbandoned({
    pid,
    message: `${who} died while it held this ${name}: what the lock protects may be half done. ` +
      `Check it and mend it under ${name}.recover.`
  })
}

const heldAlready = (name: string): Error =>
  new Error(
    `This ${name} is held by this very fiber, which would wait for itself. ` +
      "Make the lock with `reentrant: true` where code under it takes it again."
  )

/** What keeps a holder out: the scope has ended, or the lock is abandoned and not being recovered. */
const obstacle = (
  { lock, name }: Locked,
  recovers: boolean
): Exit.Exit<never, LockAbandoned | ProcessError> | undefined => {
  const state = stateOf(lock)
  if (state === 0) return undefined
  if (state === lockClosed) return Exit.fail(closedError(name))
  const pid = abandonedBy(state)
  return pid === undefined || recovers ? undefined : Exit.fail(abandonedError(name, pid))
}

/**
 * Remembers that the lock is held, so that it is given back however the fiber ends. The finalizer that does so is in place
 * before the lock is taken: nothing can come between.
 */
interface Ticket {
  held: boolean
}

const waitFor = ({ lock, name }: Locked, fiber: AnyFiber, ticket: Ticket): Effect.Effect<void, ProcessError> =>
  Effect.callback((resume) => {
    const withdraw = waitToTake(lock, fiber, (outcome) => {
      ticket.held = outcome === "held"
      resume(ticket.held ? Effect.void : Effect.fail(closedError(name)))
    })
    return Effect.sync(withdraw)
  })

type Under<A, E, R> = Effect.Effect<A, E | LockAbandoned | ProcessError, R>

/** `enter` takes the lock, notes that in the ticket, and gives what is to be done under it. */
const withTicket = <A, E, R>(
  lock: LockSide,
  enter: (fiber: AnyFiber, ticket: Ticket) => Under<A, E, R>
): Under<A, E, R> =>
  Effect.withFiber((fiber) => {
    const ticket: Ticket = { held: false }
    return Effect.onExitPrimitive(Effect.suspend(() => enter(fiber, ticket)), () => {
      if (ticket.held) giveLock(lock)
      return undefined
    })
  })

/** By the fiber that has it. */
const enterAgain = <A, E, R>({ lock, name, reentrant }: Locked, effect: Effect.Effect<A, E, R>, ticket: Ticket) => {
  if (!reentrant) return Effect.die(heldAlready(name))
  lock.depth++
  ticket.held = true
  return effect
}

export const hold = <A, E, R>(locked: Locked, effect: Effect.Effect<A, E, R>, recovers = false): Under<A, E, R> =>
  withTicket(locked.lock, (fiber, ticket): Under<A, E, R> => {
    if (locked.lock.holder === fiber) return enterAgain(locked, effect, ticket)
    if (tryTake(locked.lock, fiber)) {
      ticket.held = true
      return obstacle(locked, recovers) ?? effect
    }
    return Effect.flatMap(
      waitFor(locked, fiber, ticket),
      (): Under<A, E, R> => obstacle(locked, recovers) ?? effect
    )
  })

const known = ({ lock, name }: Locked): Effect.Effect<void, ProcessError> =>
  Effect.callback((resume) =>
    whenKnown(lock, (isKnown) => resume(isKnown ? Effect.void : Effect.fail(closedError(name))))
  )

export const holdIfAvailable = <A, E, R>(
  locked: Locked,
  effect: Effect.Effect<A, E, R>
): Under<Option.Option<A>, E, R> =>
  Effect.withFiber((fiber) => {
    const { lock, reentrant } = locked
    if (lock.holder === fiber) {
      if (!reentrant) return Effect.succeedNone
      return withTicket(lock, (_, ticket) => enterAgain(locked, Effect.asSome(effect), ticket))
    }
    return Effect.flatMap(known(locked), () =>
      withTicket(lock, (_, ticket): Under<Option.Option<A>, E, R> => {
        ticket.held = tryTake(lock, fiber)
        return obstacle(locked, false) ?? (ticket.held ? Effect.asSome(effect) : Effect.succeedNone)
      }))
  })

/** What is abandoned is good again when the repair has succeeded. */
export const recovering = <A, E, R>(
  locked: Locked,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | ProcessError, R> =>
  hold(
    locked,
    Effect.suspend(() => {
      const state = stateOf(locked.lock)
      return Effect.tap(effect, () => Effect.sync(() => repair(locked.lock, state)))
    }),
    true
  ) as Effect.Effect<A, E | ProcessError, R> // whoever recovers is not told that it is abandoned

/**
 * Runs an effect without the lock that this fiber holds, and takes it again, as often as it had it, however the effect ends.
 * Runs uninterruptibly: the effect says itself what may be interrupted.
 */
export const without = <A, E, R>(
  locked: Locked,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | LockAbandoned | ProcessError, R> =>
  Effect.withFiber((fiber) => {
    const { lock, name } = locked
    const depth = giveAll(lock)
    const takenAgain = Effect.callback<void, LockAbandoned | ProcessError>((resume) =>
      takeAll(lock, fiber, depth, (outcome) => {
        resume(outcome === "held" ? obstacle(locked, false) ?? Effect.void : Effect.fail(closedError(name)))
      })
    )
    // what the effect failed with says more than what its lock says
    return Effect.flatMap(
      Effect.exit(effect),
      (exit): Effect.Effect<A, E | LockAbandoned | ProcessError> =>
        Exit.isSuccess(exit) ? Effect.as(takenAgain, exit.value) : Effect.andThen(Effect.exit(takenAgain), exit)
    )
  })

/**
 * One implementation for both call shapes: an effect after all others that it is given, or later. The types are those of the
 * public constant that it is given to.
 */
export const effectLast = <All extends ReadonlyArray<never>, Both>(f: (...all: All) => unknown): Both =>
  ((...given: ReadonlyArray<never>) => {
    const run = f as unknown as (...all: ReadonlyArray<never>) => unknown // the public types count its arguments
    return given.length < f.length ? (effect: never) => run(...given, effect) : run(...given)
  }) as Both
