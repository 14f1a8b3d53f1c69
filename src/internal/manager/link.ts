/**
 * One connection to a server, and the clients of effect/rpc that share it.
 */
import type { Socket } from "node:net"
import * as Effect from "effect/Effect"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as SocketService from "effect/socket/Socket"
import type { Definition } from "./definition.ts"
import { makeSerialization } from "./serialization.ts"
import type { Terms } from "./serialization.ts"
import { socketOver } from "./socket.ts"

/** A client of effect/rpc whose methods are named by their tags. */
export type Client = (
  tag: string,
  payload: unknown,
  options?: { readonly headers?: Record<string, string>; readonly asQueue?: true }
) => unknown

export interface Link {
  readonly isLost: () => boolean
  /** Calls back once, also when it is lost already. */
  readonly whenLost: (callback: () => void) => void
  readonly clientOf: (definition: Pick<Definition, "group">) => Effect.Effect<Client>
}

/** A machine that has lost its power says nothing: over a network each side asks. On one machine the system tells. */
const pingInterval = (isFar: boolean) => isFar ? "5 seconds" as const : "Infinity" as const

/** It lasts as long as its socket, or its scope. */
export const makeLink = (socket: Socket, terms: Terms): Effect.Effect<Link, never, Scope.Scope> =>
  Effect.gen(function*() {
    const callbacks = new Set<() => void>()
    let isLost = socket.destroyed
    const lose = (): void => {
      isLost = true
      for (const callback of callbacks) callback()
      callbacks.clear()
    }
    // before the calls hear of it: whoever calls again then needs another one
    for (const event of ["end", "error", "close"]) socket.once(event, lose)
    const protocol = yield* RpcClient.makeProtocolSocket({
      pingInterval: pingInterval(terms.isFar),
      retryPolicy: Schedule.recurs(0)
    }).pipe(
      Effect.provideService(SocketService.Socket, socketOver(socket)),
      Effect.provideService(RpcSerialization.RpcSerialization, makeSerialization("client", terms))
    )
    const clients = new Map<object, Client>()
    const scope = yield* Scope.fork(yield* Effect.scope)
    // a stream that nobody takes of must not hold up what else comes: of each stream the server sends one chunk at a time
    const aside: RpcClient.Protocol["Service"] = {
      ...protocol,
      run: (id, hear) =>
        protocol.run(id, (message) =>
          message._tag === "Chunk"
            ? Effect.asVoid(Effect.forkIn(hear(message), scope, { startImmediately: true }))
            : hear(message))
    }
    const makeClient = (definition: Pick<Definition, "group">): Effect.Effect<Client> =>
      RpcClient.make(definition.group, { flatten: true, spanPrefix: "Manager" }).pipe(
        Effect.provideService(RpcClient.Protocol, aside),
        Effect.map((client) => {
          clients.set(definition, client as unknown as Client) // its types are those of the definition
          return client as unknown as Client
        }),
        Scope.provide(scope),
        Effect.uninterruptible
      ) as Effect.Effect<Client> // a client without middleware needs nothing
    // before the clients end: they interrupt their calls, and must not seem to have been asked to
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        lose()
        socket.destroySoon() // what is given back is said before
      })
    )
    return {
      isLost: () => isLost,
      whenLost: (callback) => {
        if (isLost) callback()
        else callbacks.add(callback)
      },
      clientOf: (definition) => {
        const known = clients.get(definition)
        return known === undefined ? makeClient(definition) : Effect.succeed(known)
      }
    }
  })
