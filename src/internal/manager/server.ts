/**
 * The server's side: the methods of a service, behind a hall.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
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
import type { ProcessError } from "../../ProcessError.ts"
import type { Crossed } from "../protocol/messages.ts"
import { atBorder } from "./border.ts"
import { leaseGroup, reachable } from "./definition.ts"
import type { Definition, Handed, Leased, Method } from "./definition.ts"
import { lasting } from "./lasting.ts"
import { isByClient, isDropped, makeObjects } from "./objects.ts"
import type { Objects } from "./objects.ts"
import { presenceOf, sayWho } from "./greeting.ts"
import type { Presence } from "./greeting.ts"
import { decodePayload, makeSerialization } from "./serialization.ts"
import { setServed } from "./served.ts"
import { socketOver } from "./socket.ts"

type Answer = Effect.Effect<unknown, unknown> | Stream.Stream<unknown, unknown>
type Service = Readonly<Record<string, (...payload: ReadonlyArray<unknown>) => Answer>>

interface Around {
  readonly headers: Headers
  readonly client: { readonly id: number }
}

/** Who hands something over: by the client, and the ticket that this has given it. */
type Open = Map<string, Fiber.Fiber<unknown, unknown>>

const ticketOf = ({ client: { id } }: Pick<Around, "client">, ticket: unknown): string => `${id} ${String(ticket)}`

/** What its service is, for each call. */
type Find = (headers: Headers) => Service

const whileHeld = (hold: Effect.Effect<Leased, unknown, Scope.Scope>): Stream.Stream<unknown, unknown> =>
  Stream.unwrap(Effect.map(hold, lasting))

/** Throws what is against it. */
const openPayload = ({ payload }: Method, crossed: unknown): unknown => {
  const opened = decodePayload(payload, crossed as Crossed) // what the proxy has made of it
  if (Exit.isSuccess(opened)) return opened.value
  throw atBorder(Cause.squash(opened.cause) as ProcessError) // its own
}

/** A client that has it ends the stream. One that does not want it any more says that before. */
const handOver = (open: Open, ticket: string, take: Effect.Effect<Handed>): Stream.Stream<unknown> =>
  Stream.unwrap(Effect.withFiber((fiber) => {
    open.set(ticket, fiber)
    const handed = Effect.acquireRelease(
      take,
      ({ putBack }, exit) => isByClient(exit) ? Effect.void : Effect.sync(putBack),
      { interruptible: true }
    )
    return Effect.addFinalizer(() => Effect.sync(() => open.delete(ticket))).pipe(
      Effect.andThen(handed),
      Effect.map(({ value }) => lasting(value))
    )
  }))

/** As long as the object is there on which it is called. */
const duringEffect = (objects: Objects, { object }: Headers, answer: Effect.Effect<unknown, unknown>) =>
  object === undefined ? answer : objects.during(Number(object), answer)

const duringStream = (objects: Objects, { object }: Headers, answer: Stream.Stream<unknown, unknown>) =>
  object === undefined ? answer : Stream.unwrap(Effect.as(objects.duringScope(Number(object)), answer))

/** What it throws, and what a service throws while it makes its Effect, is that call's, and not the server's. */
const callOn = (objects: Objects, open: Open, find: Find, name: string, method: Method) => {
  const { hosted, isHandedOver, isSpread, isStream } = method
  return (crossed: unknown, around: Around): Answer => {
    const { headers } = around
    // the payload of a call that finds nobody is not opened; any other at once, also where the call is interrupted soon
    const service = find(headers)
    const payload = openPayload(method, crossed)
    const run = (): Answer => isSpread ? service[name]!(...payload as ReadonlyArray<unknown>) : service[name]!(payload) // its schema says so
    if (isStream) return duringStream(objects, headers, Stream.suspend(() => run() as Stream.Stream<unknown, unknown>)) // it is one
    const answer = duringEffect(objects, headers, Effect.suspend(() => run() as Effect.Effect<unknown, unknown>)) // as above
    if (isHandedOver) return handOver(open, ticketOf(around, headers.ticket), answer as Effect.Effect<Handed>) // it is marked so
    return hosted === undefined ? answer : whileHeld(objects.put(answer as Effect.Effect<object, unknown>))
  }
}

/** A call names its object where that is not the one that the server was started for. */
const findIn = (objects: Objects, main: Service | undefined): Find => ({ object }) => {
  const found = object === undefined ? main : objects.find(Number(object)) as Service | undefined
  if (found === undefined) throw atBorder(isDropped(Number(object)))
  return found
}

const handlersOf = (objects: Objects, open: Open, { group, methods }: Definition, main: Service | undefined) => {
  const find = findIn(objects, main)
  const handlers = Array.from(
    methods,
    ([name, method]) => [method.tag, callOn(objects, open, find, name, method)] as const
  )
  return group.toHandlers(Object.fromEntries(handlers) as never) // their types are those of the definition
}

const leases = (objects: Objects, open: Open) =>
  leaseGroup.toHandlers({
    retract: (ticket, around) => Effect.sync(() => open.get(ticketOf(around, ticket))?.interruptUnsafe()),
    lease: ({ holder, object }) =>
      whileHeld(Effect.orDie(Effect.mapError(objects.hold(object, holder), atBorder))) as //
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

/** How a server meets its clients. */
export interface Reception {
  /** The largest message that may come, in bytes. */
  readonly limit: number
  readonly patienceMillis: number
  readonly key: Uint8Array
}

/** Is it a client of a manager? It has to say so in time. */
const isClient = ({ socket }: Guest, presence: Presence, { patienceMillis }: Reception): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const stop = sayWho(socket, presence, patienceMillis, (isOurs) => resume(Effect.succeed(isOurs)))
    return Effect.sync(stop)
  })

/** Whoever has proven the key, and is one of ours, is a client. It is sent no more than it takes. */
const socketServer = (
  hall: Hall,
  sockets: Set<Guest["socket"]>,
  presence: Presence,
  reception: Reception
): SocketServer.SocketServer["Service"] =>
  SocketServer.SocketServer.of({
    address: { _tag: "UnixAddress", path: "" } as never, // nobody asks for it
    run: (handler) =>
      Effect.flatMap(Effect.scope, (scope) =>
        nextGuest(hall).pipe(
          Effect.flatMap((guest) => {
            const { peerLimit, socket } = guest
            sockets.add(socket)
            socket.once("close", () => sockets.delete(socket))
            // a call that could not write to a client that has gone would seem to be ended by it
            const terms = { limit: Math.min(reception.limit, peerLimit), isForgiving: true }
            const meet = Effect.flatMap(
              isClient(guest, presence, reception),
              (isOurs) => isOurs ? handler(socketOver(socket, terms)) : Effect.void
            )
            return Effect.forkIn(meet, scope, { startImmediately: true })
          }),
          Effect.forever
        )).pipe(Effect.scoped)
  })

/** Answers all that come to the hall, until the scope ends. */
export const host = (
  hall: Hall,
  reception: Reception,
  definition: Definition,
  service: unknown,
  leaseMillis: number
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const sockets = new Set<Guest["socket"]>()
    const objects = yield* makeObjects(leaseMillis)
    yield* Effect.acquireRelease(
      Effect.sync(() => setServed({ address: hall.address, key: reception.key }, objects)),
      (end) => Effect.sync(end)
    )
    const open: Open = new Map()
    const definitions = Array.from(reachable(definition))
    const handlers = yield* Effect.all([
      leases(objects, open),
      ...definitions.map((one) => handlersOf(objects, open, one, one === definition ? service as Service : undefined)) // as defined
    ])
    const group = RpcGroup.make().merge(leaseGroup, ...definitions.map(({ group }) => group))
    const protocol = yield* RpcServer.makeProtocolSocketServer.pipe(
      Effect.provideService(SocketServer.SocketServer, socketServer(hall, sockets, presenceOf(definition), reception)),
      Effect.provideService(
        RpcSerialization.RpcSerialization,
        makeSerialization({ side: "server", receives: reception.limit, isFar: isFar(hall.address) })
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
