/**
 * The server's side: the methods of a service, behind a hall.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Headers } from "effect/http/Headers"
import type * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import type * as Scope from "effect/Scope"
import * as SocketServer from "effect/socket/SocketServer"
import * as Stream from "effect/Stream"
import { isFar } from "../listener/address.ts"
import type { Guest, Hall } from "../listener/hall.ts"
import { atBorder, isAtBorder } from "./border.ts"
import { leaseGroup, reachable } from "./definition.ts"
import type { Definition, Leased, Method } from "./definition.ts"
import { isDropped, makeObjects } from "./objects.ts"
import type { Objects } from "./objects.ts"
import { makeSerialization } from "./serialization.ts"
import { socketOver } from "./socket.ts"

type Answer = Effect.Effect<unknown, unknown> | Stream.Stream<unknown, unknown>
type Service = Readonly<Record<string, (...payload: ReadonlyArray<unknown>) => Answer>>

interface Around {
  readonly headers: Headers
}

/** What its service is, for each call. */
type Find = (headers: Headers) => Service

/** The first of a stream that lasts as long as somebody is interested in it. */
const whileHeld = (hold: Effect.Effect<Leased | undefined, unknown, Scope.Scope>): Stream.Stream<unknown, unknown> =>
  Stream.unwrap(Effect.map(hold, (leased) => Stream.concat(Stream.succeed(leased), Stream.never)))

/** What a service throws while it makes its Effect is that call's, and not the server's. */
const callOn = (objects: Objects, find: Find, name: string, { hosted, isSpread, isStream }: Method) => {
  const run = (payload: unknown, headers: Headers): Answer =>
    isSpread ? find(headers)[name]!(...payload as ReadonlyArray<unknown>) : find(headers)[name]!(payload) // its schema says so
  const effect = (payload: unknown, headers: Headers) =>
    Effect.suspend(() => run(payload, headers) as Effect.Effect<unknown, unknown>) // the group says what it is
  return (payload: unknown, { headers }: Around): Answer => {
    const isOneWay = isStream || hosted !== undefined
    if (isAtBorder(payload)) return isOneWay ? Stream.die(payload) : Effect.die(payload)
    if (hosted !== undefined) {
      return whileHeld(Effect.map(objects.put(effect(payload, headers)), (object): Leased => ({ object })))
    }
    return isStream
      ? Stream.suspend(() => run(payload, headers) as Stream.Stream<unknown, unknown>)
      : effect(payload, headers)
  }
}

/** A call names its object where that is not the one that the server was started for. */
const findIn = (objects: Objects, main: Service | undefined): Find => ({ object }) => {
  const found = object === undefined ? main : objects.find(Number(object)) as Service | undefined
  if (found === undefined) throw atBorder(isDropped(Number(object)))
  return found
}

const handlersOf = (objects: Objects, { group, methods }: Definition, main: Service | undefined) => {
  const find = findIn(objects, main)
  const handlers = Array.from(methods, ([name, method]) => [method.tag, callOn(objects, find, name, method)] as const)
  return group.toHandlers(Object.fromEntries(handlers) as never) // their types are those of the definition
}

const leases = (objects: Objects) =>
  leaseGroup.toHandlers({
    lease: (object) =>
      whileHeld(Effect.as(Effect.orDie(Effect.mapError(objects.hold(object), atBorder)), undefined)) as //
      Stream.Stream<unknown> // it does not fail
  })

const nextGuest = (hall: Hall): Effect.Effect<Guest> => {
  const wait = Effect.callback<void>((resume) => {
    const stop = hall.whenReady(() => resume(Effect.void))
    return Effect.sync(stop)
  })
  return Effect.suspend(() => {
    const guest = hall.take()
    if (guest !== undefined) return Effect.succeed(guest)
    return hall.isClosed() ? Effect.interrupt : Effect.andThen(wait, nextGuest(hall))
  })
}

/** Whoever has proven the key is a client. */
const socketServer = (hall: Hall, sockets: Set<Guest["socket"]>): SocketServer.SocketServer["Service"] =>
  SocketServer.SocketServer.of({
    address: { _tag: "UnixAddress", path: "" } as never, // nobody asks for it
    run: (handler) =>
      Effect.flatMap(Effect.scope, (scope) =>
        nextGuest(hall).pipe(
          Effect.flatMap(({ socket }) => {
            sockets.add(socket)
            socket.once("close", () => sockets.delete(socket))
            return Effect.forkIn(handler(socketOver(socket)), scope, { startImmediately: true })
          }),
          Effect.forever
        )).pipe(Effect.scoped)
  })

/** Answers all that come to the hall, until the scope ends. */
export const host = (
  hall: Hall,
  limit: number,
  definition: Definition,
  service: unknown,
  leaseMillis: number
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const sockets = new Set<Guest["socket"]>()
    const objects = yield* makeObjects(leaseMillis)
    const definitions = Array.from(reachable(definition))
    const handlers = yield* Effect.all([
      leases(objects),
      ...definitions.map((one) => handlersOf(objects, one, one === definition ? service as Service : undefined)) // as defined
    ])
    const group = RpcGroup.make().merge(leaseGroup, ...definitions.map(({ group }) => group))
    const protocol = yield* RpcServer.makeProtocolSocketServer.pipe(
      Effect.provideService(SocketServer.SocketServer, socketServer(hall, sockets)),
      Effect.provideService(
        RpcSerialization.RpcSerialization,
        makeSerialization("server", { limit, isFar: isFar(hall.address) })
      )
    )
    yield* RpcServer.make(group as unknown as RpcGroup.RpcGroup<Rpc.Any>, {
      disableFatalDefects: true,
      spanPrefix: "Manager"
    }).pipe(
      Effect.provideService(RpcServer.Protocol, protocol),
      Effect.provideContext(Context.mergeAll(...handlers as ReadonlyArray<Context.Context<never>>)), // all of the group
      Effect.forkScoped
    )
    // before the methods are interrupted: a client hears that the server has ended, and not that its call was interrupted
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const socket of sockets) socket.destroy()
      })
    )
  }) as Effect.Effect<void, never, Scope.Scope> // handlers bring their own services
