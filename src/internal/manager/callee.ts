/**
 * The methods of a proxy: calls of effect/rpc, and what becomes of those that fail on their way.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { RpcClientError } from "effect/rpc/RpcClientError"
import type * as Scope from "effect/Scope"
import * as SocketService from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import { MessageTooLarge, ProcessError } from "../../ProcessError.ts"
import { makeProxy } from "../handles/manager.ts"
import type { ProxyHandle, Reference } from "../handles/manager.ts"
import { isFrameTooLarge } from "../protocol/frames.ts"
import { isAtBorder } from "./border.ts"
import { leaseGroup } from "./definition.ts"
import type { Definition, Leased, Method } from "./definition.ts"
import type { Link } from "./link.ts"

/** Who is called, and what is said when it cannot be. */
export interface Callee {
  readonly definition: Definition
  readonly object: number | undefined
  /** Waits for a connection where there is none now. */
  readonly link: Effect.Effect<Link, ProcessError>
  /** How others reach it. */
  readonly server: Reference
  /** Why a call has lost its connection. */
  readonly whyLost: (method: string) => Effect.Effect<ProcessError>
  /** A lost connection is made again. */
  readonly returns?: true | undefined
}

const nameOf = ({ definition }: Callee, method: string): string => `Manager "${definition.name}", ${method}`

const tooLarge = (callee: Callee, method: string, size: number, limit: number): ProcessError =>
  new ProcessError({
    reason: new MessageTooLarge({
      size,
      limit,
      message:
        `${nameOf(callee, method)}: the payload has ${size} bytes, and a message may have ${limit}. Send it in ` +
        `parts, through a Pipe or as SharedMemory.`
    })
  })

/** What the border has to say of a failed call; undefined where the call has failed by itself. */
const borderError = (
  callee: Callee,
  method: string,
  link: Link,
  cause: Cause.Cause<unknown>
): Effect.Effect<ProcessError> | undefined => {
  for (const reason of cause.reasons) {
    if (reason._tag === "Fail" && reason.error instanceof RpcClientError) return callee.whyLost(method)
    if (reason._tag !== "Die") continue
    const { defect } = reason
    if (isAtBorder(defect)) return Effect.succeed(defect.error)
    if (isFrameTooLarge(defect)) return Effect.succeed(tooLarge(callee, method, defect.size, defect.limit))
    if (SocketService.isSocketError(defect)) return callee.whyLost(method)
  }
  // a client that has ended interrupts its calls, and whoever called did not ask for that
  return link.isLost() && Cause.hasInterruptsOnly(cause) ? callee.whyLost(method) : undefined
}

/** A method that cannot fail with it dies of it. */
const settle =
  (callee: Callee, name: string, { admits }: Method, link: Link) =>
  (cause: Cause.Cause<unknown>): Effect.Effect<never, unknown> => {
    const error = borderError(callee, name, link, cause)
    if (error === undefined) return Effect.failCause(cause)
    return Effect.flatMap(
      error,
      (error): Effect.Effect<never, ProcessError> => admits ? Effect.fail(error) : Effect.die(error)
    )
  }

const methodOf = ({ definition }: Callee, name: string): Method => definition.methods.get(name)!

const headersOf = ({ object }: Callee) => object === undefined ? undefined : { headers: { object: String(object) } }

/** Fails as its method may. */
const begin = (callee: Callee, name: string) =>
  Effect.flatMap(
    callee.link,
    (link) => link.isLost() ? Effect.flatMap(callee.whyLost(name), Effect.fail) : Effect.succeed(link)
  ).pipe(
    Effect.catchIf(() => !methodOf(callee, name).admits, Effect.die),
    Effect.flatMap((link) => Effect.map(link.clientOf(callee.definition), (client) => ({ link, client })))
  )

/** The object stays as long as the scope in which it is asked for. */
const askFor = (callee: Callee, name: string, payload: unknown, hosted: Definition) =>
  Effect.flatMap(begin(callee, name), ({ client, link }) => {
    const method = methodOf(callee, name)
    const answer = client(method.tag, payload, { ...headersOf(callee), asQueue: true }) as //
    Effect.Effect<Queue.Dequeue<Leased, unknown>, never, Scope.Scope> // on the wire it is a stream
    return Effect.flatMap(answer, Queue.take).pipe(
      Effect.catchCause(settle(callee, name, method, link)),
      Effect.tap(({ object }) => keepHolding(callee, object, link)),
      Effect.map(({ object }) => proxyOf({ ...callee, definition: hosted, object }))
    )
  })

/** A connection that is made again has to say so. */
const keepHolding = (callee: Callee, object: number, link: Link): Effect.Effect<void, never, Scope.Scope> =>
  callee.returns === true
    ? Effect.asVoid(Effect.forkScoped(Effect.andThen(untilLost(link), Effect.ignoreCause(holdOn(callee.link, object)))))
    : Effect.void

const untilLost = (link: Link): Effect.Effect<void> =>
  Effect.callback((resume) => link.whenLost(() => resume(Effect.void)))

/** Holds it on one connection after the other, until it is interrupted, or the object is not there any more. */
export const holdOn = (link: Effect.Effect<Link, ProcessError>, object: number): Effect.Effect<void, unknown> =>
  Effect.flatMap(
    link,
    (link) =>
      Effect.flatMap(
        link.clientOf(leasing),
        (client) =>
          Effect.catchCause(Stream.runDrain(client("lease", object) as Stream.Stream<unknown, unknown>), (cause) =>
            // it is one
            link.isLost() ? Effect.void : Effect.failCause(cause))
      )
  ).pipe(Effect.forever)

const leasing = { group: leaseGroup as unknown as Definition["group"] } // its types do not matter to a client of any

export const call = (callee: Callee, name: string, payload: unknown): Effect.Effect<unknown, unknown, Scope.Scope> => {
  const method = methodOf(callee, name)
  if (method.hosted !== undefined) return askFor(callee, name, payload, method.hosted)
  return Effect.flatMap(begin(callee, name), ({ client, link }) => {
    const answer = client(method.tag, payload, headersOf(callee)) as Effect.Effect<unknown, unknown> // it is no stream
    return Effect.catchCause(answer, settle(callee, name, method, link))
  })
}

export const callStream = (callee: Callee, name: string, payload: unknown): Stream.Stream<unknown, unknown> =>
  Stream.unwrap(Effect.map(begin(callee, name), ({ client, link }) => {
    const method = methodOf(callee, name)
    const answer = client(method.tag, payload, headersOf(callee)) as Stream.Stream<unknown, unknown> // it is one
    return Stream.catchCause(answer, (cause) => Stream.fromEffect(settle(callee, name, method, link)(cause)))
  }))

// ---------------------------------------------------------------------------------------------------- proxies

export const proxyOf = (callee: Callee): ProxyHandle => {
  const { definition: { methods, module, name }, object, server } = callee
  const names = Array.from(methods)
  return makeProxy({
    module,
    name,
    methods: names.flatMap(([name, { isStream }]) => isStream ? [] : [name]),
    streams: names.flatMap(([name, { isStream }]) => isStream ? [name] : []),
    spread: names.flatMap(([name, { isSpread }]) => isSpread ? [name] : []),
    object,
    server
  }, (method, payload, isStream) => isStream ? callStream(callee, method, payload) : call(callee, method, payload))
}
