/**
 * The objects that methods have given: each lives as long as somebody holds it.
 */
import { randomInt } from "node:crypto"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { ClientAbort } from "effect/rpc/RpcSchema"
import * as Scope from "effect/Scope"
import { Closed, ProcessError } from "../../ProcessError.ts"

interface Hosted {
  readonly service: unknown
  readonly scope: Scope.Closeable
  holders: number
}

export interface Objects {
  /** Undefined where nobody holds it any more. */
  readonly find: (object: number) => unknown
  /** What makes it is released with it. It is held by the scope. */
  readonly put: <E>(make: Effect.Effect<unknown, E, Scope.Scope>) => Effect.Effect<number, E, Scope.Scope>
  /** Held by this scope too. */
  readonly hold: (object: number) => Effect.Effect<void, ProcessError, Scope.Scope>
}

export const isDropped = (object: number): ProcessError =>
  new ProcessError({
    reason: new Closed({
      what: "Manager",
      message:
        `Manager: the object ${object} is not in its server any more: the scopes of all that held it have ended. ` +
        "Keep the scope that it was made in open until others have opened what was sent to them."
    })
  })

/** A holder has said so, and has not just lost its connection. */
const isGivenBack = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isSuccess(exit) ||
  exit.cause.reasons.some((reason) => Cause.reasonAnnotations(reason).mapUnsafe.has(ClientAbort.key))

/** For so long a holder that has lost its connection may come back. */
export const makeObjects = (leaseMillis: number): Effect.Effect<Objects, never, Scope.Scope> =>
  Effect.gen(function*() {
    const all = new Map<number, Hosted>()
    const scope = yield* Effect.scope
    // those of a server that was started anew are others: nobody takes one for what they had before
    let last = randomInt(2 ** 47)

    const drop = (object: number): Effect.Effect<void> =>
      Effect.suspend(() => {
        const hosted = all.get(object)
        if (hosted === undefined || hosted.holders > 0) return Effect.void
        all.delete(object)
        return Scope.close(hosted.scope, Exit.void)
      })

    const hold = (object: number): Effect.Effect<void, ProcessError, Scope.Scope> =>
      Effect.suspend(() => {
        const hosted = all.get(object)
        if (hosted === undefined) return Effect.fail(isDropped(object))
        hosted.holders++
        return Effect.addFinalizer((exit) => {
          hosted.holders--
          if (leaseMillis === 0 || isGivenBack(exit)) return drop(object)
          return Effect.forkIn(Effect.delay(drop(object), leaseMillis), scope)
        })
      })

    return {
      find: (object) => all.get(object)?.service,
      put: (make) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.gen(function*() {
            const own = yield* Scope.fork(scope)
            const service = yield* Effect.onError(
              restore(Scope.provide(make, own)),
              (cause) => Scope.close(own, Exit.failCause(cause))
            )
            const object = ++last
            all.set(object, { service, scope: own, holders: 0 })
            yield* Effect.orDie(hold(object))
            return object
          })
        ),
      hold
    }
  })
