/**
 * Questions to an object of a hub, as effects: interruptible, and withdrawn when they are interrupted.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { ProcessError } from "../../ProcessError.ts"
import { linkOf, tell } from "../handles/home.ts"
import type { Home } from "../handles/home.ts"
import type { Outcome } from "../hub/link.ts"
import { closedError } from "./owned.ts"

/** An object of a hub, and what users call it. */
export interface Asked {
  readonly name: string
  readonly home: Home
  /** Hears each answer as it comes, also one that nobody wants any more. */
  readonly hear?: ((value: unknown) => void) | undefined
}

/** Remembers what was given, so that it can be given back however the fiber ends. */
interface Ticket<A> {
  given: { readonly value: A } | undefined
}

/** What becomes of whoever has asked, where there is no value. */
export const unanswered = (
  name: string,
  outcome: Exclude<Outcome, { readonly _tag: "Value" }>
): Effect.Effect<never, ProcessError> =>
  outcome._tag === "Failed" ? Effect.die(new Error(`${name}: ${outcome.message}`)) : Effect.fail(closedError(name))

const answer = <A>(
  { hear, home, name }: Asked,
  operation: string,
  argument: unknown,
  ticket: Ticket<A>,
  undo: (value: A) => void
): Effect.Effect<A, ProcessError> =>
  Effect.callback((resume) => {
    const withdraw = linkOf(home).ask(home.object, operation, argument, (outcome) => {
      if (outcome._tag !== "Value") return resume(unanswered(name, outcome))
      hear?.(outcome.value)
      const value = outcome.value as A // what the object answers to this
      ticket.given = { value }
      resume(Effect.succeed(value))
    })
    const takeBack = (value: unknown): void => {
      hear?.(value)
      undo(value as A)
    }
    return Effect.sync(() => withdraw(takeBack))
  })

/** For what needs no giving back. */
export const ask = <A = void>(asked: Asked, operation: string, argument?: unknown): Effect.Effect<A, ProcessError> =>
  answer<A>(asked, operation, argument, { given: undefined }, () => {})

/** For what the caller has from then on: what is given to somebody who is interrupted is given back. */
export const obtain = <A>(
  asked: Asked,
  operation: string,
  argument: unknown,
  giveBack: (value: A) => void
): Effect.Effect<A, ProcessError> =>
  Effect.suspend(() => {
    const ticket: Ticket<A> = { given: undefined }
    return Effect.onExitPrimitive(answer(asked, operation, argument, ticket, giveBack), (exit) => {
      if (Exit.isFailure(exit) && ticket.given !== undefined) giveBack(ticket.given.value)
      return undefined
    })
  })

/**
 * As {@link obtain}, for so long: nothing where nothing was given until then. An answer that is on its way at that moment
 * counts: a question behind the first, which is answered at once, shows that none comes any more.
 */
export const obtainWithin = <A>(
  asked: Asked,
  operation: string,
  argument: unknown,
  limit: Duration.Input,
  questionBehind: string,
  giveBack: (value: A) => void
): Effect.Effect<Option.Option<A>, ProcessError> =>
  Effect.suspend(() => {
    const ticket: Ticket<A> = { given: undefined }
    let isOver = false
    const comesLate = (value: A): void => {
      if (isOver) giveBack(value)
      else ticket.given = { value }
    }
    const verdict = Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(
        restore(Effect.timeoutOption(answer(asked, operation, argument, ticket, comesLate), limit)),
        (value) =>
          Option.isSome(value)
            ? Effect.succeed(value)
            : Effect.map(ask(asked, questionBehind), () => Option.map(Option.fromUndefinedOr(ticket.given), valueOf))
      )
    )
    // outside: whoever is interrupted while it waits for the verdict is so when that has come
    return Effect.onExitPrimitive(verdict, (exit) => {
      isOver = true
      if (Exit.isFailure(exit) && ticket.given !== undefined) giveBack(ticket.given.value)
      return undefined
    })
  })

const valueOf = <A>({ value }: { readonly value: A }): A => value

export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** For what is given back when the use of it ends. The use itself runs uninterruptibly, and restores what may be interrupted. */
export const holding = <A, B, E, R>(
  asked: Asked,
  operation: string,
  argument: unknown,
  giveBack: (value: A, used: boolean) => void,
  use: (value: A, restore: Restore) => Effect.Effect<B, E, R>
): Effect.Effect<B, E | ProcessError, R> =>
  Effect.uninterruptibleMask((restore) => {
    const ticket: Ticket<A> = { given: undefined }
    return Effect.onExitPrimitive(
      Effect.flatMap(
        restore(answer(asked, operation, argument, ticket, (value: A) => giveBack(value, false))),
        (value) => use(value, restore)
      ),
      (exit) => {
        if (ticket.given !== undefined) giveBack(ticket.given.value, Exit.isSuccess(exit))
        return undefined
      }
    )
  })

/** What the object is told, and does not answer. */
export const telling = ({ home }: Asked, operation: string) => (argument: unknown): void =>
  tell(home, operation, argument)

/** It could be interrupted there. */
export const isAboutToYield = (fiber: Fiber.Fiber<unknown, unknown>): boolean =>
  fiber.currentOpCount + 64 > fiber.cache.maxOpsBeforeYield

/**
 * For what takes something out: a fiber that is about to give way to others could be interrupted there, with that in its
 * hands. So it gives way before.
 */
export const inOneGo = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => isAboutToYield(fiber) ? Effect.flatMap(Effect.yieldNow, () => effect) : effect)
