/**
 * Ways to a server: one that is looked for again when it is lost, and one that is not.
 */
import { randomBytes } from "node:crypto"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { Closed, ProcessError } from "../../ProcessError.ts"
import { isFar, show } from "../listener/address.ts"
import type { Terms as HandshakeTerms } from "../listener/authenticate.ts"
import { reach } from "../listener/reach.ts"
import type { Wish } from "../listener/reach.ts"
import type { Definition } from "./definition.ts"
import { makeLink } from "./link.ts"
import type { Link } from "./link.ts"
import type { Reference } from "../handles/manager.ts"

/** How long a handshake may take with a server that is known to be there. */
const patienceMillis = 10_000

/** Of a server that nobody else is meant to find. */
export const newKey = (): Uint8Array => new Uint8Array(randomBytes(32))

export const wishFor = ({ address, key, limit }: Reference, what: string, deadlineMillis = 0): Wish => ({
  address,
  terms: { key, limit, patienceMillis } satisfies HandshakeTerms,
  deadlineMillis,
  what
})

/** Connects once. The link lasts as long as its socket, or the scope. */
export const linkIn = (scope: Scope.Scope, wish: Wish, keepsAlive: boolean): Effect.Effect<Link, ProcessError> =>
  reach(wish, ({ peerLimit, socket }) => {
    if (!keepsAlive) socket.unref()
    const limit = Math.min(wish.terms.limit, peerLimit)
    return Scope.provide(makeLink(socket, { limit, isFar: isFar(wish.address) }), scope)
  })

/** A link in a scope of its own, which ends with the link: what it has made does not outlive it. */
const linkAlone = (scope: Scope.Scope, wish: Wish, keepsAlive: boolean): Effect.Effect<Link, ProcessError> =>
  Effect.flatMap(Scope.fork(scope), (own) =>
    linkIn(own, wish, keepsAlive).pipe(
      Effect.tap((link) => Effect.sync(() => link.whenLost(() => void Effect.runFork(Scope.close(own, Exit.void))))),
      Effect.onError(() => Scope.close(own, Exit.void))
    ))

/** Nobody but the server knows whether the method has run. */
export const lostCall = ({ name }: Definition, method: string, reference: Pick<Reference, "address">): ProcessError =>
  new ProcessError({
    reason: new Closed({
      what: "Manager",
      message:
        `Manager "${name}": the connection to its server at ${show(reference.address)} has ended. "${method}" may ` +
        "have run, or not. Has the server ended, or its scope?"
    })
  })

// ---------------------------------------------------------------------------------------------------- again and again

/** Calls that come while there is no connection wait for the next one. */
export interface Way {
  readonly link: Effect.Effect<Link, ProcessError>
}

/** It fails where the first connection does; `again` says when, and how often, it is tried after that. */
export const makeWay = (
  wish: Wish,
  again: Schedule.Schedule<unknown, ProcessError> | undefined
): Effect.Effect<Way, ProcessError, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    let current: Deferred.Deferred<Link, ProcessError>
    /** Of the current one; undefined while it is looked for. */
    let outcome: Exit.Exit<Link, ProcessError> | undefined
    let isOver = false
    const once = linkAlone(scope, { ...wish, deadlineMillis: again === undefined ? wish.deadlineMillis : 0 }, true)
    const tries = again === undefined
      ? once
      : Effect.retry(once, { schedule: again, while: ({ reason }) => reason._tag === "TimedOut" })
    const follow = (link: Link): void =>
      link.whenLost(() => {
        if (!isOver) begin()
      })
    /** Its own fiber: who calls may be interrupted. */
    const begin = (): Deferred.Deferred<Link, ProcessError> => {
      const next = Deferred.makeUnsafe<Link, ProcessError>()
      current = next
      outcome = undefined
      const look = Effect.onExit(tries, (exit) =>
        Effect.sync(() => {
          outcome = exit
          Deferred.doneUnsafe(next, exit)
          if (Exit.isSuccess(exit)) follow(exit.value)
        }))
      Effect.runFork(Effect.forkIn(look, scope, { startImmediately: true }))
      return next
    }
    const first = yield* linkAlone(scope, wish, true)
    current = Deferred.makeUnsafe()
    outcome = Exit.succeed(first)
    Deferred.doneUnsafe(current, outcome)
    follow(first)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        isOver = true
      })
    )
    const isSpent = (exit: Exit.Exit<Link, ProcessError>): boolean => Exit.isFailure(exit) || exit.value.isLost()
    return {
      link: Effect.suspend(() => {
        if (isOver) return Effect.fail(overOf(wish))
        return Deferred.await(outcome !== undefined && isSpent(outcome) ? begin() : current)
      })
    }
  })

export const overOf = ({ address }: Pick<Wish, "address">): ProcessError =>
  new ProcessError({
    reason: new Closed({
      what: "Manager",
      message: `Manager: the scope in which its server at ${
        show(address)
      } was used has ended. Call it while that is open.`
    })
  })
