/**
 * The methods of a proxy: calls of effect/rpc, and what becomes of those that fail on their way.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import { RpcClientError } from "effect/rpc/RpcClientError"
import * as Scope from "effect/Scope"
import * as SocketService from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import { NotShareable, ProcessError } from "../../ProcessError.ts"
import { locate } from "../codec/causes.ts"
import { forsakeAll, restoreAll } from "../handles/handle.ts"
import type { Given } from "../handles/handle.ts"
import { makeProxy } from "../handles/manager.ts"
import type { ProxyHandle, Reference } from "../handles/manager.ts"
import { show } from "../listener/address.ts"
import type { Crossed } from "../protocol/messages.ts"
import { inOneGo } from "../sync/asking.ts"
import { isAtBorder, isUnframed, named } from "./border.ts"
import type { AtBorder } from "./border.ts"
import { leaseGroup } from "./definition.ts"
import type { Definition, Leased, Method, Send } from "./definition.ts"
import type { Client, Link } from "./link.ts"
import { pause } from "./pause.ts"
import { encodePayload, isFailure, notFramed, takeArrived } from "./serialization.ts"

/** Who is called, and what is said when it cannot be. */
export interface Callee {
  readonly definition: Definition
  readonly object: number | undefined
  readonly identity: number | undefined
  /** Waits for a connection where there is none now. */
  readonly link: Effect.Effect<Link, ProcessError>
  /** The connection that is there now: a call that need not wait takes fewer steps. */
  readonly linkNow: () => Link | undefined
  /** How others reach it. */
  readonly server: Reference
  /** What is alive as long as this, or a call of it, is: the object is held for so long. */
  readonly token?: object | undefined
  /** Why a call has lost its connection. */
  readonly whyLost: (method: string) => Effect.Effect<ProcessError>
}

const nameOf = ({ definition }: Callee, method: string): string => `Manager "${definition.name}", ${method}`

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
    if (isAtBorder(defect)) return Effect.succeed(named(defect.error, nameOf(callee, method)))
    if (isUnframed(defect)) return Effect.succeed(notFramed(nameOf(callee, method), "payload", defect.cause))
    if (SocketService.isSocketError(defect)) return callee.whyLost(method)
  }
  // a client that has ended interrupts its calls, and whoever called did not ask for that
  return link.isLost() && Cause.hasInterruptsOnly(cause) ? callee.whyLost(method) : undefined
}

/** Its defects say where they happened. */
const located = (
  { definition: { module, name }, server }: Callee,
  method: string,
  cause: Cause.Cause<unknown>
): Cause.Cause<unknown> => {
  for (const reason of cause.reasons) {
    if (reason._tag === "Die" && takeArrived(reason.defect)) {
      locate(reason.defect, `method "${method}" of "${name}" of ${module} in the server at ${show(server.address)}`)
    }
  }
  return cause
}

/** A method that cannot fail with it dies of it. */
const settle =
  (callee: Callee, name: string, { admits }: Method, link: Link) =>
  (cause: Cause.Cause<unknown>): Effect.Effect<never, unknown> => {
    const error = borderError(callee, name, link, cause)
    if (error === undefined) return Effect.failCause(located(callee, name, cause))
    return Effect.flatMap(
      error,
      (error): Effect.Effect<never, ProcessError> => admits ? Effect.fail(error) : Effect.die(error)
    )
  }

const methodOf = ({ definition }: Callee, name: string): Method => definition.methods.get(name)!

const headersOf = ({ object }: Callee) => object === undefined ? undefined : { headers: { object: String(object) } }

/** A call that is ready to be sent. */
interface Ready {
  readonly client: Client
  readonly link: Link
  readonly crossed: Crossed
  /** What the payload uses up. */
  readonly given: ReadonlyArray<Given>
}

const living = (callee: Callee, name: string): Effect.Effect<Link, ProcessError> =>
  Effect.flatMap(
    callee.link,
    (link) => link.isLost() ? Effect.flatMap(callee.whyLost(name), Effect.fail) : Effect.succeed(link)
  )

const failAs = ({ admits }: Method, error: ProcessError): Effect.Effect<never, ProcessError> =>
  admits ? Effect.fail(error) : Effect.die(error)

/** Does something with a call that is ready, or fails as its method may. */
const begin = <A, E, R>(
  callee: Callee,
  name: string,
  payload: unknown,
  then: (ready: Ready) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | ProcessError, R> => {
  const method = methodOf(callee, name)
  const go = (link: Link, client: Client): Effect.Effect<A, E | ProcessError, R> => {
    const ready = prepared(callee, name, payload, link, client)
    return isFailure(ready) ? failAs(method, ready) : then(ready)
  }
  return Effect.suspend(() => {
    const link = callee.linkNow()
    const client = link === undefined || link.isLost() ? undefined : link.clientNow(callee.definition)
    if (client !== undefined) return go(link!, client)
    return living(callee, name).pipe(
      Effect.flatMap((link) => Effect.map(link.clientOf(callee.definition), (client) => ({ link, client }))),
      Effect.catch((error) => failAs(method, error)),
      Effect.flatMap(({ client, link }) => go(link, client))
    )
  })
}

const mayNotMove = (what: string): ProcessError =>
  new ProcessError({
    reason: new NotShareable({
      handle: "Connection",
      message:
        `${what}: the end of a pipe has one owner, and an object that keeps what it is given is none. Send it in a ` +
        "payload, or through a pipe."
    })
  })

const prepared = (
  callee: Callee,
  name: string,
  payload: unknown,
  link: Link,
  client: Client
): Ready | ProcessError => {
  const given: Array<Given> = []
  const crossed = encodePayload(methodOf(callee, name).payload, payload, link.border, given)
  if (callee.definition.keeps && given.length > 0) {
    restoreAll(given)
    return mayNotMove(nameOf(callee, name))
  }
  return isFailure(crossed) ? named(crossed, nameOf(callee, name)) : { client, link, crossed, given }
}

/** What was in a payload that never left is as it was; nobody has opened that of a call that has failed, if it was not opened. */
const settleGiven = (given: ReadonlyArray<Given>, cause: Cause.Cause<unknown>): void => {
  const neverLeft = cause.reasons.some((reason) => reason._tag === "Die" && isUnframed(reason.defect))
  if (neverLeft) restoreAll(given)
  else forsakeAll(given)
}

const settling = <A, E, R>({ given }: Ready, answer: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  given.length === 0 ? answer : Effect.onError(answer, (cause) => Effect.sync(() => settleGiven(given, cause)))

/** The object stays as long as the scope in which it is asked for. */
const askFor = (callee: Callee, name: string, payload: unknown, hosted: Definition) =>
  begin(callee, name, payload, (ready) => {
    const { client, crossed, link } = ready
    const method = methodOf(callee, name)
    const answer = client(method.tag, crossed, { ...headersOf(callee), asQueue: true }) as //
    Effect.Effect<Queue.Dequeue<Leased, unknown>, never, Scope.Scope> // on the wire it is a stream
    return settling(ready, Effect.flatMap(answer, Queue.take)).pipe(
      Effect.catchCause(settle(callee, name, method, link)),
      Effect.tap((leased) => keepHolding(callee, leased, link)),
      Effect.map(({ identity, object }) =>
        proxyOf({ ...callee, definition: hosted, object, identity, token: undefined })
      )
    )
  })

/** On a connection that is made again it has to be said again. */
const keepHolding = (callee: Callee, leased: Leased, link: Link): Effect.Effect<void, never, Scope.Scope> =>
  leased.leaseMillis === 0
    ? Effect.void
    : Effect.asVoid(Effect.forkScoped(
      Effect.andThen(untilLost(link), Effect.ignoreCause(holdOn(callee.link, leased.object, { leased })))
    ))

const untilLost = (link: Link): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const forget = link.whenLost(() => resume(Effect.void))
    return Effect.sync(forget)
  })

/** Between two tries. */
const againMillis = 100

/** What its server has forgotten by then need not be looked for. */
const findAgain = (link: Effect.Effect<Link, ProcessError>, forMillis: number): Effect.Effect<Link, ProcessError> =>
  Effect.suspend(() => {
    const end = performance.now() + forMillis
    const tries: Effect.Effect<Link, ProcessError> = Effect.catchIf(
      link,
      // nobody listens there now, or nobody answers
      ({ reason }) => (reason._tag === "Closed" || reason._tag === "TimedOut") && performance.now() < end,
      () => Effect.andThen(pause(againMillis), tries)
    )
    return tries
  })

interface Holding {
  /** As it was held on a connection before. */
  readonly leased?: Leased | undefined
  /** For so long a server is looked for that is not known yet. */
  readonly firstMillis?: number | undefined
  readonly whenHeld?: (() => void) | undefined
}

/** Holds it on one connection after the other, until it is interrupted, or the object is not there any more. */
export const holdOn = (
  link: Effect.Effect<Link, ProcessError>,
  object: number,
  { firstMillis = 0, leased: first, whenHeld }: Holding
): Effect.Effect<void, unknown> =>
  Effect.suspend(() => {
    let leased = first
    const hear = (next: Leased) =>
      Effect.sync(() => {
        leased = next
        whenHeld?.()
      })
    const once = Effect.flatMap(
      Effect.suspend(() => findAgain(link, leased?.leaseMillis ?? firstMillis)),
      (link) =>
        Effect.flatMap(link.clientOf(leasing), (client) => {
          const lease = client("lease", { object, holder: leased?.holder }) as Stream.Stream<Leased, unknown> // it is one
          return Effect.catchCause(
            Stream.runForEach(lease, hear),
            (cause) => link.isLost() && leased?.leaseMillis !== 0 ? Effect.void : Effect.failCause(cause)
          )
        })
    )
    return Effect.forever(once)
  })

/** Fails where it is not there any more. */
export const hold = (callee: Callee, object: number): Effect.Effect<void, ProcessError, Scope.Scope> => {
  const held = Deferred.makeUnsafe<void, ProcessError>()
  const failed = (cause: Cause.Cause<unknown>): Effect.Effect<boolean> => {
    const ofBorder = cause.reasons.find((reason) => reason._tag === "Die" && isAtBorder(reason.defect)) as //
    { readonly defect: AtBorder } | undefined // it was found so
    // what else it fails with is the link's
    const why = ofBorder === undefined
      ? cause as Cause.Cause<ProcessError>
      : Cause.fail(named(ofBorder.defect.error, nameOf(callee, "hold")))
    return Deferred.failCause(held, why)
  }
  const whenHeld = () => Deferred.doneUnsafe(held, Effect.void)
  return holdOn(living(callee, "hold"), object, { whenHeld }).pipe(
    Effect.onError(failed),
    Effect.ignoreCause,
    Effect.forkScoped,
    Effect.andThen(Deferred.await(held))
  )
}

const leasing = { group: leaseGroup as unknown as Definition["group"] } // its types do not matter to a client of any

let lastTicket = 0

/** Its end of the stream says that it has the value, in the step in which it goes on with it: so who gives up retracts first. */
const receive = (callee: Callee, name: string, payload: unknown): Effect.Effect<unknown, unknown> =>
  begin(callee, name, payload, (ready) => {
    const { client, crossed, link } = ready
    const method = methodOf(callee, name)
    const ticket = ++lastTicket
    const scope = Scope.makeUnsafe()
    const options = { headers: { ...headersOf(callee)?.headers, ticket: String(ticket) }, asQueue: true } as const
    const answer = client(method.tag, crossed, options) as //
    Effect.Effect<Queue.Dequeue<unknown, unknown>, never, Scope.Scope> // on the wire it is a stream
    const end = Scope.close(scope, Exit.void)
    const retract = Effect.flatMap(link.clientOf(leasing), (client) => client("retract", ticket) as Effect.Effect<void>) // it is
    let isReceived = false
    const goOn = (value: unknown) =>
      inOneGo(Effect.sync(() => {
        isReceived = true
        Effect.runFork(end)
        return value
      }))
    return Effect.flatMap(settling(ready, Effect.flatMap(Scope.provide(answer, scope), Queue.take)), goOn).pipe(
      Effect.onExit((exit) => {
        if (isReceived) return Effect.void
        // what has failed on its way would fail everybody
        if (Exit.isSuccess(exit) || !Cause.hasInterruptsOnly(exit.cause)) return end
        return Effect.sync(() => void Effect.runFork(Effect.andThen(Effect.ignoreCause(retract), end)))
      }),
      Effect.catchCause(settle(callee, name, method, link))
    )
  })

const plainCall = (callee: Callee, name: string, payload: unknown): Effect.Effect<unknown, unknown, Scope.Scope> => {
  const method = methodOf(callee, name)
  if (method.isHandedOver) return receive(callee, name, payload)
  if (method.hosted !== undefined) return askFor(callee, name, payload, method.hosted)
  return begin(callee, name, payload, (ready) => {
    const answer = ready.client(method.tag, ready.crossed, headersOf(callee)) as Effect.Effect<unknown, unknown> // it is no stream
    return Effect.catchCause(settling(ready, answer), settle(callee, name, method, ready.link))
  })
}

const plainStream = (callee: Callee, name: string, payload: unknown): Stream.Stream<unknown, unknown> =>
  Stream.unwrap(begin(callee, name, payload, (ready) =>
    Effect.sync(() => {
      const { client, crossed, given, link } = ready
      const method = methodOf(callee, name)
      const answer = client(method.tag, crossed, headersOf(callee)) as Stream.Stream<unknown, unknown> // it is one
      const settled = given.length === 0 ? answer : Stream.onExit(answer, (exit) =>
        Effect.sync(() => {
          if (Exit.isFailure(exit)) settleGiven(given, exit.cause)
        }))
      return Stream.catchCause(settled, (cause) => Stream.fromEffect(settle(callee, name, method, link)(cause)))
    })))

const sendFrom = (callee: Callee): Send => ({
  effect: (method, payload) => plainCall(callee, method, payload) as Effect.Effect<unknown, unknown>, // it gives no object
  stream: (method, payload) => plainStream(callee, method, payload)
})

/** Whoever has sent the proxy knows more methods than the module here. */
const noSuchMethod = (callee: Callee, name: string): Effect.Effect<never> =>
  Effect.die(
    new Error(
      `${nameOf(callee, name)}: the definition in ${callee.definition.module} has no such method. Has it changed?`
    )
  )

export const call = (callee: Callee, name: string, payload: unknown): Effect.Effect<unknown, unknown, Scope.Scope> => {
  const { around, methods } = callee.definition
  if (!methods.has(name)) return noSuchMethod(callee, name)
  return around?.(name, payload, sendFrom(callee)) as Effect.Effect<unknown, unknown> | undefined ?? // no stream
    plainCall(callee, name, payload)
}

export const callStream = (callee: Callee, name: string, payload: unknown): Stream.Stream<unknown, unknown> => {
  const { around, methods } = callee.definition
  if (!methods.has(name)) return Stream.fromEffect(noSuchMethod(callee, name))
  return around?.(name, payload, sendFrom(callee)) as Stream.Stream<unknown, unknown> | undefined ?? // one
    plainStream(callee, name, payload)
}

// ---------------------------------------------------------------------------------------------------- proxies

export const proxyOf = (callee: Callee): ProxyHandle => {
  const { definition: { methods, module, name }, identity, object, server } = callee
  const names = Array.from(methods)
  return makeProxy({
    module,
    name,
    methods: names.flatMap(([name, { isStream }]) => isStream ? [] : [name]),
    streams: names.flatMap(([name, { isStream }]) => isStream ? [name] : []),
    spread: names.flatMap(([name, { isSpread }]) => isSpread ? [name] : []),
    object,
    identity,
    server
  }, {
    call: (method, payload, isStream) => isStream ? callStream(callee, method, payload) : call(callee, method, payload),
    hold: () => object === undefined ? Effect.void : hold(callee, object)
  })
}
