/**
 * One connection to a server, and the clients of effect/rpc that share it.
 */
import type { Socket } from "node:net"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as SocketService from "effect/socket/Socket"
import { AuthenticationFailed, ProcessError } from "../../ProcessError.ts"
import { forsakeIn } from "../codec/values.ts"
import type { Border } from "../codec/values.ts"
import { isFar, show } from "../listener/address.ts"
import type { Address } from "../listener/address.ts"
import type { Definition } from "./definition.ts"
import { differences } from "./greeting.ts"
import type { Presence } from "./greeting.ts"
import { borderOf, makeSerialization } from "./serialization.ts"
import { hangUp, socketOver } from "./socket.ts"

/** A client of effect/rpc whose methods are named by their tags. */
export type Client = (
  tag: string,
  payload: unknown,
  options?: { readonly headers?: Record<string, string>; readonly asQueue?: true }
) => unknown

export interface Link {
  readonly isLost: () => boolean
  /** Calls back once, also when it is lost already. Gives how to take that back. */
  readonly whenLost: (callback: () => void) => () => void
  /** Fails where the server has no such methods. */
  readonly clientOf: (definition: Called) => Effect.Effect<Client, ProcessError>
  /** The same, where it has been made. */
  readonly clientNow: (definition: Called) => Client | undefined
  /** What goes through it. */
  readonly border: Border
}

/** Without a name it is a part of every server. */
type Called = Definition | Pick<Definition, "group">

export interface LinkTerms {
  readonly address: Address
  readonly presence: Presence
  /** The largest messages, in bytes. */
  readonly sends: number
  readonly receives: number
  /** So long another machine may say nothing. */
  readonly silenceMillis: number
}

/** A machine that has lost its power says nothing: over a network the client asks. On one machine the system tells. */
const pings = ({ address, silenceMillis }: LinkTerms) =>
  isFar(address)
    ? { pingInterval: Math.max(100, Math.min(5000, silenceMillis / 2)), pingTimeout: silenceMillis }
    : { pingInterval: Infinity }

/** Where a whole module differs the first differences tell enough. */
const mostTold = 3

const some = (found: ReadonlyArray<string>): string => {
  const others = found.length - mostTold
  return found.slice(0, mostTold).join("; ") + (others > 0 ? `; and ${others} more` : "")
}

const checkFit = (called: Called, { address, presence }: LinkTerms): Effect.Effect<void, ProcessError> => {
  const found = "name" in called ? differences(called, presence) : []
  return found.length === 0 || !("name" in called) ? Effect.void : Effect.fail(
    new ProcessError({
      reason: new AuthenticationFailed({
        message:
          `Manager "${called.name}": its server at ${show(address)} is another one: ${some(found)}. Both sides ` +
          "need the same version of the module that defines it."
      })
    })
  )
}

/** What comes for a call that nobody waits for any more is not opened: those who hold the other ends are told. */
const forsaking = (protocol: RpcClient.Protocol["Service"]): RpcClient.Protocol["Service"] => {
  const awaited = new Set<unknown>()
  const isAwaited = (requestId: unknown, isLast: boolean): boolean =>
    isLast ? awaited.delete(requestId) : awaited.has(requestId)
  return {
    ...protocol,
    send: (id, message, transferables) => {
      if (message._tag === "Interrupt") awaited.delete(message.requestId)
      if (message._tag !== "Request") return protocol.send(id, message, transferables)
      awaited.add(message.id)
      return Effect.onExitPrimitive(protocol.send(id, message, transferables), (exit) => {
        if (Exit.isFailure(exit)) awaited.delete(message.id)
        return undefined
      })
    },
    run: (id, hear) =>
      protocol.run(id, (message) => {
        if (message._tag === "Defect" || message._tag === "ClientProtocolError") awaited.clear()
        if (message._tag !== "Exit" && message._tag !== "Chunk") return hear(message)
        if (isAwaited(message.requestId, message._tag === "Exit")) return hear(message)
        return Effect.sync(() => forsakeIn(message))
      })
  }
}

/** A stream that nobody takes of must not hold up what else comes: of each stream the server sends one chunk at a time. */
const chunksAside = (protocol: RpcClient.Protocol["Service"], scope: Scope.Scope): RpcClient.Protocol["Service"] => ({
  ...protocol,
  run: (id, hear) =>
    protocol.run(id, (message) =>
      message._tag === "Chunk"
        ? Effect.asVoid(Effect.forkIn(hear(message), scope, { startImmediately: true }))
        : hear(message))
})

interface Loss extends Pick<Link, "isLost" | "whenLost"> {
  readonly lose: () => void
}

/** Before the calls hear of it: whoever calls again then needs another one. */
const watchLoss = (socket: Socket): Loss => {
  const callbacks = new Set<() => void>()
  let isLost = socket.destroyed
  const lose = (): void => {
    isLost = true
    for (const callback of callbacks) callback()
    callbacks.clear()
  }
  for (const event of ["end", "error", "close"]) socket.once(event, lose)
  return {
    lose,
    isLost: () => isLost,
    whenLost: (callback) => {
      if (isLost) callback()
      else callbacks.add(callback)
      return () => void callbacks.delete(callback)
    }
  }
}

/** Those of one connection, by what they call. */
const makeClients = (
  protocol: RpcClient.Protocol["Service"],
  scope: Scope.Scope,
  terms: LinkTerms
): Pick<Link, "clientOf" | "clientNow"> => {
  const clients = new Map<object, Client>()
  const makeClient = (definition: Called): Effect.Effect<Client> =>
    RpcClient.make(definition.group, { flatten: true, spanPrefix: "Manager" }).pipe(
      Effect.provideService(RpcClient.Protocol, protocol),
      Effect.map((client) => {
        clients.set(definition, client as unknown as Client) // its types are those of the definition
        return client as unknown as Client
      }),
      Scope.provide(scope),
      Effect.uninterruptible
    ) as Effect.Effect<Client> // a client without middleware needs nothing
  return {
    clientOf: (definition) => {
      const known = clients.get(definition)
      return known === undefined
        ? Effect.andThen(checkFit(definition, terms), makeClient(definition))
        : Effect.succeed(known)
    },
    clientNow: (definition) => clients.get(definition)
  }
}

/** It lasts as long as its socket, or its scope. */
export const makeLink = (socket: Socket, terms: LinkTerms): Effect.Effect<Link, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { isLost, lose, whenLost } = watchLoss(socket)
    const onBroken = (): void => {
      lose()
      socket.destroy()
    }
    const isToOthers = isFar(terms.address)
    const serialization = makeSerialization({ side: "client", receives: terms.receives, isFar: isToOthers, onBroken })
    const protocol = yield* RpcClient.makeProtocolSocket({ ...pings(terms), retryPolicy: Schedule.recurs(0) }).pipe(
      Effect.provideService(SocketService.Socket, socketOver(socket, { limit: terms.sends, isForgiving: false })),
      Effect.provideService(RpcSerialization.RpcSerialization, serialization)
    )
    const scope = yield* Scope.fork(yield* Effect.scope)
    const clients = makeClients(chunksAside(forsaking(protocol), scope), scope, terms)
    // before the clients end: they interrupt their calls, and must not seem to have been asked to
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        lose()
        hangUp(socket) // what is given back is said before
      })
    )
    return { isLost, whenLost, ...clients, border: borderOf(isToOthers) }
  })
