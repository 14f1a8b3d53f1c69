/**
 * The objects that methods have given: each lives as long as somebody holds it.
 */
import { randomInt } from "node:crypto"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { ClientAbort } from "effect/rpc/RpcSchema"
import * as Scope from "effect/Scope"
import { Closed, ProcessError } from "../../ProcessError.ts"
import { atBorder, because, someCall } from "./border.ts"
import type { Leased } from "./definition.ts"

/** Somebody who holds an object, by a stream, or by one that was lost and may come back. */
interface Holder {
  streams: number
  /** Since its last loss. */
  expiry: Fiber.Fiber<void> | undefined
}

interface Hosted {
  readonly service: object
  readonly identity: number
  readonly scope: Scope.Closeable
  readonly holders: Map<number, Holder>
  /** Those that are under way. */
  readonly calls: Set<Fiber.Fiber<unknown, unknown>>
}

export interface Objects {
  /** Undefined where nobody holds it any more. */
  readonly find: (object: number) => unknown
  /** What makes it is released with it. It is held by the scope. */
  readonly put: <E>(make: Effect.Effect<object, E, Scope.Scope>) => Effect.Effect<Leased, E, Scope.Scope>
  /** Held by this scope too. A holder that has lost its connection comes back as what it was. */
  readonly hold: (object: number, holder: number | undefined) => Effect.Effect<Leased, ProcessError, Scope.Scope>
  /** A call of it: this fiber is interrupted when it is dropped, and its client told why. */
  readonly during: <A, E, R>(object: number, call: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** The same, for a stream. */
  readonly duringScope: (object: number) => Effect.Effect<void, never, Scope.Scope>
}

export const isDropped = (object: number): ProcessError =>
  new ProcessError({
    reason: new Closed({
      what: "Manager",
      message:
        `${someCall}: the object ${object} is not in its server any more: nobody has held it, or the server was started anew. ` +
        "Keep the scope in which it was made open until the receiver has called it, or has it by Manager.hold."
    })
  })

/** A client has ended it, and has not just lost its connection. */
export const isByClient = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isSuccess(exit) ||
  exit.cause.reasons.some((reason) => Cause.reasonAnnotations(reason).mapUnsafe.has(ClientAbort.key))

interface Table {
  readonly all: Map<number, Hosted>
  /** What has been put more than once is the same. */
  readonly identities: WeakMap<object, number>
  readonly scope: Scope.Scope
  /** For so long a holder that has lost its connection may come back. */
  readonly leaseMillis: number
  /** Numbers begin at random: those of a server that was started anew are others. */
  last: number
}

const letGo = ({ all }: Table, object: number, hosted: Hosted, holder: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    hosted.holders.delete(holder)
    if (hosted.holders.size > 0 || !all.delete(object)) return Effect.void
    const why = because(isDropped(object))
    for (const call of Array.from(hosted.calls)) call.interruptUnsafe(undefined, why)
    return Scope.close(hosted.scope, Exit.void)
  })

const leave = (state: Table, object: number, hosted: Hosted, name: number, exit: Exit.Exit<unknown, unknown>) => {
  const { leaseMillis, scope } = state
  const holder = hosted.holders.get(name)
  if (holder === undefined) return Effect.void
  holder.streams--
  if (leaseMillis === 0 || isByClient(exit)) return letGo(state, object, hosted, name)
  // the server has not seen yet that the connection before this one is lost
  if (holder.streams > 0) return Effect.void
  const expires = Effect.delay(letGo(state, object, hosted, name), leaseMillis)
  return Effect.map(Effect.forkIn(expires, scope), (fiber) => {
    holder.expiry = fiber
  })
}

const enter = ({ holders }: Hosted, name: number): Effect.Effect<unknown> => {
  const holder = holders.get(name) ?? { streams: 0, expiry: undefined }
  const { expiry } = holder
  holders.set(name, holder)
  holder.streams++
  holder.expiry = undefined
  return expiry === undefined ? Effect.void : Fiber.interrupt(expiry)
}

const hold = (
  state: Table,
  object: number,
  known: number | undefined
): Effect.Effect<Leased, ProcessError, Scope.Scope> =>
  Effect.uninterruptible(Effect.suspend(() => {
    const hosted = state.all.get(object)
    if (hosted === undefined) return Effect.fail(isDropped(object))
    const holder = known ?? ++state.last
    return enter(hosted, holder).pipe(
      Effect.andThen(Effect.addFinalizer((exit) => leave(state, object, hosted, holder, exit))),
      Effect.as({ object, identity: hosted.identity, holder, leaseMillis: state.leaseMillis })
    )
  }))

const put = <E>(
  state: Table,
  make: Effect.Effect<object, E, Scope.Scope>
): Effect.Effect<Leased, E, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const { all, identities } = state
      const own = yield* Scope.fork(state.scope)
      const service = yield* Effect.onError(
        restore(Scope.provide(make, own)),
        (cause) => Scope.close(own, Exit.failCause(cause))
      )
      const object = ++state.last
      const identity = identities.get(service) ?? object
      if (Object(service) === service) identities.set(service, identity) // what has no types may give anything
      all.set(object, { service, identity, scope: own, holders: new Map(), calls: new Set() })
      return yield* Effect.orDie(hold(state, object, undefined))
    })
  )

/** Undefined where it is not there any more. */
const underWay = (
  { all }: Table,
  object: number,
  call: Fiber.Fiber<unknown, unknown>
): (() => undefined) | undefined => {
  const calls = all.get(object)?.calls
  if (calls === undefined) return undefined
  calls.add(call)
  return () => void calls.delete(call)
}

const notThere = (object: number): Effect.Effect<never> => Effect.die(atBorder(isDropped(object)))

export const makeObjects = (leaseMillis: number): Effect.Effect<Objects, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    const state: Table = { all: new Map(), identities: new WeakMap(), scope, leaseMillis, last: randomInt(2 ** 47) }
    return {
      find: (object) => state.all.get(object)?.service,
      put: (make) => put(state, make),
      hold: (object, holder) => hold(state, object, holder),
      during: (object, call) =>
        Effect.withFiber((fiber) => {
          const ended = underWay(state, object, fiber)
          return ended === undefined ? notThere(object) : Effect.onExitPrimitive(call, ended)
        }),
      duringScope: (object) =>
        Effect.uninterruptible(Effect.withFiber((fiber) => {
          const ended = underWay(state, object, fiber)
          return ended === undefined ? notThere(object) : Effect.addFinalizer(() => Effect.sync(ended))
        }))
    }
  })
