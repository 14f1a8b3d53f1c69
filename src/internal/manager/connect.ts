/**
 * Ways to a server: one that is looked for again when it is lost, and one that is not.
 */
import { randomBytes } from "node:crypto"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { AuthenticationFailed, Closed, ProcessError, TimedOut } from "../../ProcessError.ts"
import { show } from "../listener/address.ts"
import type { Terms as HandshakeTerms } from "../listener/authenticate.ts"
import { reach } from "../listener/reach.ts"
import type { Greet, Wish } from "../listener/reach.ts"
import type { Definition } from "./definition.ts"
import { askWho, isMisfit, version } from "./greeting.ts"
import type { Misfit, Presence } from "./greeting.ts"
import { makeLink } from "./link.ts"
import type { Link } from "./link.ts"
import type { Reference } from "../handles/manager.ts"

/** How long it may take to be let in by a server that is known to be there. */
const patienceMillis = 10_000

/** Of a server that nobody else is meant to find. */
export const newKey = (): Uint8Array => new Uint8Array(randomBytes(32))

export const wishFor = ({ address, key, limit }: Reference, what: string): Wish => ({
  address,
  terms: { key, limit, patienceMillis } satisfies HandshakeTerms,
  deadlineMillis: patienceMillis,
  what,
  isKnown: true
})

/** So often somebody may hang up where a manager says who it is: one that ends does so once, and a Listener always. */
const mostHungUp = 3

const strangers = {
  noise: "what listens there has the key, and is no manager: it is a Listener, or another program",
  gone:
    "what listens there has the key, and hangs up where a manager says which one it is: it is a Listener, or another " +
    "program"
}

const misfitError = (misfit: Misfit, { address, terms, what }: Wish): ProcessError => {
  const at = `${what}: ${show(address)}`
  if (misfit === "late") {
    const { patienceMillis } = terms
    const message =
      `${at}: it has the key, and has not said within ${patienceMillis} ms which manager it is. Is it a ` +
      "manager, and not a Listener, and not too busy?"
    return new ProcessError({ reason: new TimedOut({ task: what, limitMillis: patienceMillis, message }) })
  }
  const why = typeof misfit === "string"
    ? strangers[misfit]
    : `its managers speak version ${misfit.version}, and those here ${version}. Both sides need versions of this library ` +
      "that fit"
  return new ProcessError({ reason: new AuthenticationFailed({ message: `${at}: ${why}.` }) })
}

/** Learns which manager it is. */
const greeting = (wish: Wish, onPresence: (presence: Presence) => void): Greet => {
  let hungUp = 0
  return ({ socket }, done) =>
    askWho(socket, wish.terms.patienceMillis, (heard) => {
      if (heard === "gone" && ++hungUp < mostHungUp) return done("gone")
      if (isMisfit(heard)) return done(misfitError(heard, wish))
      onPresence(heard)
      done(undefined)
    })
}

export interface LinkOptions {
  /** Of the process. */
  readonly keepsAlive: boolean
  /** So long another machine may say nothing. */
  readonly silenceMillis: number
}

/** Without a word for so long another machine counts as gone. */
export const usualSilenceMillis = 60_000

/** Connects once. The link lasts as long as its socket, or the scope. */
export const linkIn = (
  scope: Scope.Scope,
  wish: Wish,
  { keepsAlive, silenceMillis }: LinkOptions
): Effect.Effect<Link, ProcessError> =>
  Effect.suspend(() => {
    let presence: Presence
    const greet = greeting(wish, (heard) => {
      presence = heard
    })
    return reach({ ...wish, greet }, ({ peerLimit, socket }) => {
      if (!keepsAlive) socket.unref()
      const { address, terms: { limit } } = wish
      const terms = { address, presence, receives: limit, sends: Math.min(limit, peerLimit), silenceMillis }
      return Scope.provide(makeLink(socket, terms), scope)
    })
  })

/** A link in a scope of its own, which ends with the link: what it has made does not outlive it. */
const linkAlone = (scope: Scope.Scope, wish: Wish, options: LinkOptions): Effect.Effect<Link, ProcessError> =>
  Effect.flatMap(Scope.fork(scope), (own) =>
    linkIn(own, wish, options).pipe(
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
  /** The connection that is there now. */
  readonly linkNow: () => Link | undefined
}

const triesOf = (
  scope: Scope.Scope,
  wish: Wish,
  again: Schedule.Schedule<unknown, ProcessError> | undefined,
  options: LinkOptions
): Effect.Effect<Link, ProcessError> =>
  again === undefined
    ? linkAlone(scope, wish, options)
    : Effect.retry(linkAlone(scope, { ...wish, deadlineMillis: 0 }, options), {
      schedule: again,
      while: ({ reason }) => reason._tag === "TimedOut"
    })

/** It fails where the first connection does; `again` says when, and how often, it is tried after that. */
export const makeWay = (
  wish: Wish,
  again: Schedule.Schedule<unknown, ProcessError> | undefined,
  silenceMillis: number
): Effect.Effect<Way, ProcessError, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    let current: Deferred.Deferred<Link, ProcessError>
    /** Of the current one; undefined while it is looked for. */
    let outcome: Exit.Exit<Link, ProcessError> | undefined
    let isOver = false
    const options: LinkOptions = { keepsAlive: true, silenceMillis }
    const tries = triesOf(scope, wish, again, options)
    const follow = (link: Link): void => {
      link.whenLost(() => {
        if (!isOver) begin()
      })
    }
    /** Its own fiber: who calls may be interrupted. */
    const begin = (): Deferred.Deferred<Link, ProcessError> => {
      const next = Deferred.makeUnsafe<Link, ProcessError>()
      current = next
      outcome = undefined
      const look = Effect.onExit(tries, (exit) =>
        Effect.sync(() => {
          // only the end of the scope interrupts it: whoever waits is told so
          if (Exit.hasInterrupts(exit)) isOver = true
          outcome = isOver ? Exit.fail(overOf(wish)) : exit
          Deferred.doneUnsafe(next, outcome)
          if (Exit.isSuccess(outcome)) follow(outcome.value)
        }))
      Effect.runFork(Effect.forkIn(look, scope, { startImmediately: true }))
      return next
    }
    const first = yield* linkAlone(scope, wish, options)
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
      linkNow: () => !isOver && outcome !== undefined && Exit.isSuccess(outcome) ? outcome.value : undefined,
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
