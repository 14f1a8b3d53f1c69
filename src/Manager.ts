/**
 * Objects that live in a process of their own, and are used by all others as if they were there.
 *
 * A manager is a service of the user's whose methods run in a server process. Whoever provides {@link layer} gets the same
 * service, as a proxy; a proxy in a payload works in every child.
 *
 * ```ts
 * import { Console, Context, Effect, Layer, Schema } from "effect"
 * import { Rpc, RpcGroup } from "effect/rpc"
 * import { Manager, Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * class Counter extends Context.Service<Counter, {
 *   readonly add: (amount: number) => Effect.Effect<number>
 * }>()("app/Counter") {}
 *
 * export const counters = Manager.make("Counters", {
 *   module: import.meta.url,
 *   service: Counter,
 *   methods: RpcGroup.make(Rpc.make("add", { payload: Schema.Number, success: Schema.Number })),
 *   layer: Layer.effect(Counter, Effect.sync(() => {
 *     let count = 0
 *     return { add: (amount: number) => Effect.sync(() => count += amount) }
 *   }))
 * })
 *
 * const addTen = Task.make("addTen", {
 *   module: import.meta.url,
 *   handler: (counter: Counter["Service"]) => counter.add(10)
 * })
 *
 * const program = Effect.gen(function*() {
 *   const counter = yield* Counter
 *   const child = yield* Process.start(addTen, counter)
 *   yield* Process.join(child)
 *   yield* Console.log(yield* counter.add(1))
 * }).pipe(Effect.scoped, Effect.provide(Manager.layer(counters)), Effect.provide(StartMethod.layerSpawn))
 *
 * Process.runMain(program)
 * ```
 *
 * **Laws**
 *
 * - A method's own error arrives as its type, a bug in it as a defect with the stack of the server. Interrupting a call
 *   interrupts it there. A stream is stopped where nobody takes any more.
 * - A server that ends, however it ends, fails all calls that are under way, and those that come later, within a second.
 * - An object that a method gives stays in the server ({@link hosted}) until the scopes of all that hold it have ended, or
 *   their processes.
 * - Nothing that a client says is decoded before it has proven the key, and nothing is called where the two sides do not have the
 *   same methods.
 * - A value that cannot cross, or is too large, fails its own call and nothing else.
 *
 * **What goes wrong on the way** is a `ProcessError`: `WorkerExited` where the server is this process's child, `Closed`
 * elsewhere, `CodecFailed` and `NotShareable` for values that cannot cross, `MessageTooLarge`. A method whose error schema has
 * a place for a `ProcessError` fails with it. Any other dies of it: its type says that it cannot fail so, and who uses the
 * service need not know whether it is a proxy.
 *
 * **What it costs**
 *
 * Each call is two messages over a socket, and copies its payload and its result. The server runs all methods on one core.
 *
 * **Choosing**
 *
 * | what is shared                                   | use                                     |
 * | ------------------------------------------------ | --------------------------------------- |
 * | numbers, arrays, bytes                           | `SharedValue`, `SharedArray`, `SharedMemory` |
 * | work to be handed out                            | a `Pool`, or a `SharedQueue`            |
 * | objects with methods, a connection, a cache      | a manager                               |
 * | what outlives the programs, or must not get lost | a database                              |
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import { hasProperty } from "effect/Predicate"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import type * as RpcSchema from "effect/rpc/RpcSchema"
import type * as Schema from "effect/Schema"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as Connection from "./Connection.ts"
import { definitionName, moduleUrl } from "./internal/codec/registry.ts"
import { ProxyTypeId } from "./internal/handles/manager.ts"
import type { ProxyHandle, Reference } from "./internal/handles/manager.ts"
import { checkedAddress, checkedDeadline, checkedLimit, checkedTerms } from "./internal/listener/options.ts"
import { serve as serveDefinition } from "./internal/manager/boot.ts"
import { linkIn, lostCall, makeWay, newKey, usualSilenceMillis, wishFor } from "./internal/manager/connect.ts"
import type { LinkOptions } from "./internal/manager/connect.ts"
import { define } from "./internal/manager/definition.ts"
import type { Definition, Server } from "./internal/manager/definition.ts"
import type { Callee } from "./internal/manager/callee.ts"
import { proxyOf } from "./internal/manager/callee.ts"
import { hostedSchema } from "./internal/manager/hosted.ts"
import { layerObjects as readyObjects, objectsGroup } from "./internal/ready/objects.ts"
import { barrier } from "./internal/ready/barrier.ts"
import type { HostedBarrier } from "./internal/ready/barrier.ts"
import { condition, notify, notifyAll, wait, waitFor } from "./internal/ready/condition.ts"
import type { HostedCondition, HostedWaiters } from "./internal/ready/condition.ts"
import { holding, holdingIfAvailable } from "./internal/ready/holding.ts"
import type { HostedSemaphore } from "./internal/ready/holding.ts"
import { memory } from "./internal/ready/memory.ts"
import type { HostedMemory } from "./internal/ready/memory.ts"
import { namespace, struct } from "./internal/ready/namespace.ts"
import type { HostedNamespace, Struct } from "./internal/ready/namespace.ts"
import { pool } from "./internal/ready/pool.ts"
import type { HostedPool } from "./internal/ready/pool.ts"
import { ask, Objects } from "./internal/ready/service.ts"
import type { Made, ObjectOptions, ObjectsService } from "./internal/ready/service.ts"
import {
  list,
  listSchema,
  map,
  mapSchema,
  queue,
  queueSchema,
  ref,
  refSchema,
  set,
  setSchema
} from "./internal/ready/values.ts"
import type {
  HostedList,
  HostedMap,
  HostedQueue,
  HostedRef,
  HostedSet,
  Key,
  KeyedOptions,
  ValueOptions
} from "./internal/ready/values.ts"
import { checkedCount } from "./internal/sync/checks.ts"
import { effectLast } from "./internal/sync/locking.ts"
import { shareLink } from "./internal/manager/travel.ts"
import { timeMillisOr } from "./internal/start/checks.ts"
import { describeStatus } from "./internal/start/child.ts"
import type { Address } from "./Listener.ts"
import * as Pipe from "./Pipe.ts"
import * as Process from "./Process.ts"
import { ProcessError, StartFailed, WorkerExited } from "./ProcessError.ts"
import { StartMethod } from "./StartMethod.ts"
import * as Task from "./Task.ts"

const TypeId = "~effect-multiprocessing/Manager" as const

/**
 * The definition of a manager: a service of the type `S` with the tag `I`, whose layer may fail with `E` and needs `R`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Manager<in out I, in out S, out E = never, out R = never> {
  readonly [TypeId]: {
    readonly _I: (_: I) => I
    readonly _S: (_: S) => S
    readonly _E: () => E
    readonly _R: () => R
  }
  readonly name: string
  /** The URL of the module that defines it. */
  readonly module: string
}

/**
 * Is this value the definition of a manager?
 *
 * @category guards
 * @since 0.1.0
 */
export const isManager = (u: unknown): u is Manager<never, never, unknown, unknown> => hasProperty(u, TypeId)

/**
 * Is this value a proxy: an object whose methods run in the server process of a manager?
 *
 * @category guards
 * @since 0.1.0
 */
export const isProxy = (u: unknown): boolean => hasProperty(u, ProxyTypeId)

/**
 * Holds the object of a proxy in its server, until the scope ends: whatever becomes of those who have sent it.
 *
 * **When to use**
 *
 * Whoever keeps a proxy that came in a payload or a message for longer than the task or the call in which it came. It is
 * held here anyway as long as it is in sight, but nobody can say when it is seen that it is not, nor, before its first call
 * has been answered, that it is held already.
 *
 * **Details**
 *
 * - It completes when the server has said so, and fails with `Closed` where nobody has held it any more, and as calls fail that
 *   lose their connection.
 * - Over a connection that is lost and made again it goes on, as for an object that a method has given.
 * - The proxy of the manager itself is there as long as its server: nothing has to be held.
 *
 * **Gotchas**
 *
 * What is no proxy is a `TypeError` defect.
 *
 * **Example** (A task that keeps what it was sent)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Manager, Task } from "effect-multiprocessing"
 *
 * export const report = Task.make("report", {
 *   module: import.meta.url,
 *   handler: (counts: Manager.HostedMap<string, number>) =>
 *     Effect.scoped(Effect.gen(function*() {
 *       const held = yield* Manager.hold(counts)
 *       return yield* held.size()
 *     }))
 * })
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const hold = <S extends object>(proxy: S): Effect.Effect<S, ProcessError, Scope.Scope> =>
  Effect.suspend(() => {
    if (!hasProperty(proxy, ProxyTypeId)) {
      throw new TypeError(
        "Manager.hold: this is no proxy. Give it an object that a manager's method has given (of a condition its lock " +
          "and its waiters), or a copy of one."
      )
    }
    const holding = (proxy as unknown as ProxyHandle)[ProxyTypeId]() as Effect.Effect<void, ProcessError, Scope.Scope>
    return Effect.as(holding, proxy) // it is the proxy's own
  })

// ---------------------------------------------------------------------------------------------------- types

/**
 * The schema of an object that stays in the server: what a method gives is a proxy of it, for as long as a scope.
 *
 * @category models
 * @since 0.1.0
 */
export interface Hosted<in out S> extends Schema.Codec<S> {
  readonly "~effect-multiprocessing/Manager/Hosted": (_: S) => S
  /** An annotated one is the same. */
  readonly Rebuild: Hosted<S>
}

/** What a method gives. */
type Answer<R extends Rpc.Any> = [Rpc.SuccessSchema<R>] extends [RpcSchema.Stream<infer A, infer E>]
  ? Stream.Stream<A["Type"], E["Type"] | Rpc.Error<R>>
  : [Rpc.SuccessSchema<R>] extends [Hosted<infer S>] ? Effect.Effect<S, Rpc.Error<R>, Scope.Scope>
  : Effect.Effect<Rpc.Success<R>, Rpc.Error<R>>

/**
 * The service that a group of methods makes: what a proxy of it looks like.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Service<Methods extends Rpc.Any> = {
  readonly [M in Methods as M["_tag"]]: Method<Rpc.Payload<M>, Answer<M>>
}

/** A tuple is called with its elements. An array that has at least one is no tuple. */
type Method<Payload, Answer> = [Payload] extends [void] ? () => Answer
  : [Payload] extends [readonly [unknown, ...ReadonlyArray<unknown>]]
    ? number extends Payload["length"] ? (payload: Payload) => Answer : (...payload: Payload) => Answer
  : (payload: Payload) => Answer

/** A service that is no `Service` of the group: the types say so where the group is given. */
type Fits<S, Methods extends Rpc.Any> = [Service<Methods>] extends [S] ? [S] extends [Service<Methods>] ? unknown
  : { readonly "the service has no such methods": Service<Methods> }
  : { readonly "the service has methods that are not in the group, or are of another type": S }

// ---------------------------------------------------------------------------------------------------- defining

interface Internals {
  readonly definition: Definition
  readonly task: Task.Task<Order, void, unknown, Process.Provided>
}

const internals = Symbol.for("effect-multiprocessing/Manager/internals")

/** Every Manager is made by {@link make}. */
const internalsOf = (self: Manager<never, never, unknown, unknown>): Internals =>
  (self as unknown as { readonly [internals]: Internals })[internals]

/** What a server process is started with. */
interface Order {
  readonly key: Uint8Array
  readonly limit: number
  readonly announce: Connection.Connection<Address, never>
}

const patienceMillis = 10_000

const serverTask = (name: string, module: string, find: () => Definition): Internals["task"] =>
  Task.make(`Manager "${name}"`, {
    module,
    handler: ({ announce, key, limit }: Order) =>
      Effect.gen(function*() {
        const terms = { key, limit, patienceMillis }
        const { address } = yield* serveDefinition(find(), undefined, terms, "Manager.layer", 0)
        yield* Connection.send(announce, address)
        return yield* Effect.never
      })
  })

/**
 * Defines a manager: by module and name, as `Task.make` defines a task.
 *
 * **Options**
 *
 * - `service`: the tag of the service. What {@link layer} and {@link connect} provide has the same.
 * - `methods`: all methods of the service, each with the schemas of its payload, its success and its error. A payload that is
 *   a tuple (so many elements, and at least one) stands for a method that is called with its elements.
 * - `layer`: makes the service, in the server. It may use the `StartMethod` of the server, and start children of its own.
 *
 * **Details**
 *
 * - A service whose methods are not those of the group is a type error: a member that is no method, a method that the group
 *   does not have, or another type.
 * - Values cross as those of a task: `Schema.Unknown` is structured clone, handles and proxies may stand anywhere in them,
 *   and what a schema encodes arrives decoded.
 *
 * **Gotchas**
 *
 * - A member of the service that is an Effect has to be a method without a payload: a proxy does not know when to ask.
 * - The schemas of methods need no services.
 * - A module that is evaluated again replaces its definitions. Two of one name in one module are a `TypeError`, as is a
 *   hosted object that is a part of what a method gives, or two of one name among those that the manager gives.
 *
 * @see {@link layer} to start a server
 * @category constructors
 * @since 0.1.0
 */
export const make = <I, S, Methods extends Rpc.Any, E = never, R extends Process.Provided = never>(
  name: string,
  options: {
    readonly module: string | URL
    readonly service: Context.Key<I, S>
    readonly methods: RpcGroup.RpcGroup<Methods> & Fits<S, Methods>
    readonly layer: Layer.Layer<I, E, R>
  }
): Manager<I, S, E, R> => {
  const what = `Manager.make("${name}")`
  const named = definitionName(name, "Manager.make")
  const module = moduleUrl(options.module, what)
  const server: Server = {
    service: options.service as unknown as Context.Key<unknown, unknown>, // erased: the group says what it does
    layer: options.layer as unknown as Server["layer"]
  }
  const definition = define(named, module, options.methods as unknown as RpcGroup.RpcGroup<Rpc.Any>, server)
  const own: Internals = { definition, task: serverTask(named, module, () => definition) }
  return Object.defineProperty({ name: named, module, [TypeId]: variance }, internals, { value: own }) as unknown as //
  Manager<I, S, E, R> // its types live in the variance markers
}

/**
 * The schema of objects that stay in the server: the `success` of a method that gives one. Who calls it gets a proxy.
 *
 * **Details**
 *
 * - The method needs a `Scope`, on both sides. In the server it is the object's: what is acquired in it is released when the
 *   object is dropped. For the caller it is how long the object is held.
 * - A proxy that is sent elsewhere is held there too, as long as it is in sight there, or one of its methods, and by its calls
 *   that run, until that process ends. {@link hold} holds it for a scope. The server drops an object when nobody holds it: calls
 *   of it fail with `Closed` then, also those that are under way.
 *
 * **Gotchas**
 *
 * - While it is on its way nobody else holds it: keep the scope that it was made in open until the receiver
 *   has called it, or holds it by {@link hold}.
 * - Names of hosted objects that one manager gives have to differ. They are refused otherwise, and where the object is a
 *   part of a success (in a struct, an Option, an array, a stream): it is all that a method gives. Annotations do not matter.
 *
 * **Example** (A cursor)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Rpc, RpcGroup } from "effect/rpc"
 * import { Manager } from "effect-multiprocessing"
 *
 * const Cursor = Manager.hosted("Cursor", {
 *   module: import.meta.url,
 *   methods: RpcGroup.make(Rpc.make("next", { success: Schema.UndefinedOr(Schema.String) }))
 * })
 *
 * // the service has a method (query: string) => Effect<typeof Cursor.Type, never, Scope>
 * export const open = Rpc.make("open", { payload: Schema.String, success: Cursor })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const hosted = <Methods extends Rpc.Any, S = Service<Methods>>(name: string, options: {
  readonly module: string | URL
  readonly methods: RpcGroup.RpcGroup<Methods>
}): Hosted<S> => {
  const module = moduleUrl(options.module, `Manager.hosted("${name}")`)
  const methods = options.methods as unknown as RpcGroup.RpcGroup<Rpc.Any> // erased
  const definition = define(definitionName(name, "Manager.hosted"), module, methods, undefined)
  return hostedSchema(definition) as unknown as Hosted<S> // its mark is in the types only
}

const variance = {
  _I: (_: never) => _,
  _S: (_: never) => _,
  _E: (): never => undefined as never,
  _R: (): never => undefined as never
}

// ---------------------------------------------------------------------------------------------------- a server of its own

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface LayerOptions {
  /** Of the server process, for people and logs. */
  readonly name?: string | undefined
  /** Between the request to end and the signal that enforces it; default 1 second. */
  readonly gracePeriod?: Duration.Input | undefined
  /** The largest message, in bytes; default 2 GiB - 1. */
  readonly maxMessageBytes?: number | undefined
}

const notStarted = ({ name }: Definition, startMethod: string, cause: unknown): ProcessError =>
  new ProcessError({
    reason: new StartFailed({
      startMethod,
      message: `Manager "${name}" did not start: its layer failed in the server process.`,
      cause
    })
  })

const announced = (
  definition: Definition,
  server: Process.Process<void, unknown>,
  receiver: Connection.Connection<never, Address>,
  startMethod: string
): Effect.Effect<Address, ProcessError> => {
  const failed = Effect.flatMap(Process.wait(server), (exit): Effect.Effect<never, ProcessError> => {
    const error = Exit.findErrorOption(exit)
    const cause = error._tag === "Some" ? error.value : Exit.isFailure(exit) ? exit.cause : undefined
    // a server that was killed before it could say why
    return Effect.fail(
      cause instanceof ProcessError && cause.reason instanceof WorkerExited
        ? cause
        : notStarted(definition, startMethod, cause)
    )
  })
  // an end of the pipe without a word is an end of the server
  return Effect.raceFirst(
    Effect.matchEffect(Connection.receive(receiver), { onFailure: () => failed, onSuccess: Effect.succeed }),
    failed
  )
}

/** How long its end may take to become known, once its connection has ended. */
const newsMillis = 500

/** The end of the server, where it has ended; what else is known otherwise. */
const whyServerLost = (
  { name }: Definition,
  server: Process.Process<void, unknown>,
  method: string | undefined,
  otherwise: ProcessError
): Effect.Effect<ProcessError> => {
  const exited = Effect.map(Process.exited(server), (status) =>
    new ProcessError({
      reason: new WorkerExited({
        pid: server.pid,
        status,
        task: method === undefined ? name : `${name}.${method}`,
        message: `Manager "${name}": its server ${server.name} (pid ${server.pid}) ${describeStatus(status)}` +
          (method === undefined ? " before anybody was connected to it." : `. "${method}" may have run, or not.`)
      })
    }))
  return Effect.timeoutOrElse(exited, { duration: newsMillis, orElse: () => Effect.succeed(otherwise) })
}

/** On one machine the system tells of its end. */
const linkOptions: LinkOptions = { keepsAlive: true, silenceMillis: usualSilenceMillis }

const start = Effect.fnUntraced(function*({ definition, task }: Internals, options: LayerOptions) {
  const { name: startMethod } = yield* StartMethod
  const limit = checkedLimit(options.maxMessageBytes, "Manager.layer")
  const key = newKey()
  const [receiver, sender] = yield* Pipe.simplex<Address>()
  const server = yield* Process.start(task, { key, limit, announce: sender }, {
    name: options.name,
    gracePeriod: options.gracePeriod,
    daemon: true
  })
  const address = yield* announced(definition, server, receiver, startMethod)
  const reference: Reference = { address, key, limit }
  const scope = yield* Effect.scope
  const link = yield* linkIn(scope, wishFor(reference, "Manager.layer"), linkOptions).pipe(
    Effect.catchTag(
      "ProcessError",
      (error) => Effect.flatMap(whyServerLost(definition, server, undefined, error), Effect.fail)
    )
  )
  shareLink(reference, link)
  const callee: Callee = {
    definition,
    object: undefined,
    identity: undefined,
    link: Effect.succeed(link),
    linkNow: () => link,
    server: reference,
    whyLost: (method) => whyServerLost(definition, server, method, lostCall(definition, method, reference))
  }
  return proxyOf(callee)
})

/**
 * Starts a server process, by the start method, and provides the service: its methods run there.
 *
 * **Details**
 *
 * - It is there when the layer of the manager is built. A layer that fails is `StartFailed`, with its failure as the cause.
 * - The server listens at a private socket, with a key that only proxies know. It ends with the scope: the layer of the
 *   manager is released there, within the `gracePeriod`.
 * - A server that dies is not started again: what it held is lost. Calls fail with `WorkerExited`.
 *
 * @see {@link connect} for a server that is another program
 * @category layers
 * @since 0.1.0
 */
export const layer = <I, S, E, R>(
  self: Manager<I, S, E, R>,
  options?: LayerOptions
): Layer.Layer<I, ProcessError, StartMethod> => {
  const own = internalsOf(self as unknown as Manager<never, never>)
  return Layer.effect(own.definition.server!.service, start(own, options ?? {})) as unknown as //
  Layer.Layer<I, ProcessError, StartMethod> // the proxy has the methods of the service
}

// ---------------------------------------------------------------------------------------------------- other programs

/**
 * Options of {@link serve}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServeOptions {
  /** As for `Listener.make`; a private socket where it is left out. */
  readonly address?: Address | undefined
  readonly authKey: Uint8Array | string
  readonly handshakeTimeout?: Duration.Input | undefined
  readonly maxMessageBytes?: number | undefined
  /** For so long a client that has lost its connection may come back to its objects; default 30 seconds. */
  readonly leaseTimeout?: Duration.Input | undefined
}

/**
 * Serves the service to other programs, until the scope ends. It completes when clients can connect.
 *
 * **Details**
 *
 * - The handshake is that of a `Listener`: both sides prove the key, and nothing is decoded before.
 * - It fails with `StartFailed` where it cannot listen, and as the layer of the manager fails.
 *
 * **Gotchas**
 *
 * **Nothing is encrypted.** Over TCP, handles and proxies are refused: they live on this machine.
 *
 * @see {@link connect} for the other side
 * @category remote
 * @since 0.1.0
 */
export const serve = <I, S, E, R>(
  self: Manager<I, S, E, R>,
  options: ServeOptions
): Effect.Effect<{ readonly address: Address }, ProcessError | E, R | Scope.Scope> =>
  Effect.suspend(() => {
    const { definition } = internalsOf(self as unknown as Manager<never, never>)
    const terms = checkedTerms(options, "Manager.serve")
    const address = options.address === undefined ? undefined : checkedAddress(options.address, 0, "Manager.serve")
    const leaseMillis = timeMillisOr("Manager.serve: leaseTimeout", options.leaseTimeout, 30_000)
    return Effect.map(
      serveDefinition(definition, address, terms, "Manager.serve", leaseMillis),
      ({ address }) => ({ address })
    )
  }) as Effect.Effect<{ readonly address: Address }, ProcessError | E, R | Scope.Scope> // what the layer fails with, and needs

/**
 * Options of {@link connect}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectOptions extends Omit<ServeOptions, "address" | "leaseTimeout"> {
  readonly address: Address
  /** How long it is tried while nobody listens there; default 10 seconds. */
  readonly deadline?: Duration.Input | undefined
  /** When, and how often, a lost connection is tried again; by default until the `deadline`. */
  readonly schedule?: Schedule.Schedule<unknown, ProcessError> | undefined
  /**
   * Over TCP: without a word from the server for so long, the connection counts as lost; default 1 minute. A method that
   * computes for longer keeps the server from saying one.
   */
  readonly silenceTimeout?: Duration.Input | undefined
}

const connectTo = Effect.fnUntraced(function*({ definition }: Internals, options: ConnectOptions) {
  const what = "Manager.connect"
  const address = checkedAddress(options.address, 1, what)
  const terms = checkedTerms(options, what)
  const wish = { address, terms, deadlineMillis: checkedDeadline(options.deadline, what), what }
  const silenceMillis = timeMillisOr("Manager.connect: silenceTimeout", options.silenceTimeout, usualSilenceMillis)
  const { link, linkNow } = yield* makeWay(wish, options.schedule, silenceMillis)
  yield* Effect.flatMap(link, (first) => first.clientOf(definition))
  const reference: Reference = { address, key: terms.key, limit: terms.limit }
  return proxyOf({
    definition,
    object: undefined,
    identity: undefined,
    link,
    linkNow,
    server: reference,
    whyLost: (method) => Effect.succeed(lostCall(definition, method, reference))
  })
})

/**
 * Provides the service of a server that another program runs with {@link serve}.
 *
 * **Details**
 *
 * - It fails as `Listener.connect` does: `AuthenticationFailed`, `TimedOut`, `Closed`.
 * - A server that is no manager, another one, or one whose methods are not those of the definition here, is
 *   `AuthenticationFailed` too; the message names the first differences. Nothing is called before that is known.
 * - A connection that is lost is made again. Calls that were under way fail with `Closed`, since nobody knows whether they
 *   have run; calls that come meanwhile wait. Objects that are held are there afterwards, when it takes no longer than the
 *   `leaseTimeout` of the server.
 *
 * **Gotchas**
 *
 * Both programs need the definition, under the same name and with the same methods. Their schemas are not compared.
 *
 * @category remote
 * @since 0.1.0
 */
export const connect = <I, S, E, R>(
  self: Manager<I, S, E, R>,
  options: ConnectOptions
): Layer.Layer<I, ProcessError> => {
  const own = internalsOf(self as unknown as Manager<never, never>)
  return Layer.effect(own.definition.server!.service, connectTo(own, options)) as unknown as Layer.Layer<
    I,
    ProcessError
  > // as above
}

// ---------------------------------------------------------------------------------------------------- ready-made objects

export {
  barrier,
  condition,
  list,
  listSchema,
  map,
  mapSchema,
  memory,
  namespace,
  notify,
  notifyAll,
  Objects,
  pool,
  queue,
  queueSchema,
  ref,
  refSchema,
  set,
  setSchema,
  struct,
  wait,
  waitFor
}
export type {
  HostedBarrier,
  HostedCondition,
  HostedList,
  HostedMap,
  HostedMemory,
  HostedNamespace,
  HostedPool,
  HostedQueue,
  HostedRef,
  HostedSemaphore,
  HostedSet,
  HostedWaiters,
  Key,
  KeyedOptions,
  ObjectOptions,
  Struct,
  ValueOptions
}

/**
 * The manager of ready-made objects, for {@link serve} and {@link connect}.
 *
 * @category ready-made
 * @since 0.1.0
 */
export const objects: Manager<Objects, ObjectsService> = make("Objects", {
  module: import.meta.url,
  service: Objects,
  methods: objectsGroup as never, // the service says what it has
  layer: readyObjects
}) as unknown as Manager<Objects, ObjectsService>

/**
 * Starts a server of ready-made objects: Python's `SyncManager`.
 *
 * **Example** (A map that children fill)
 *
 * ```ts run
 * import { Console, Effect } from "effect"
 * import { Manager, Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const increment = Task.sync("increment", { module: import.meta.url, handler: (n: number | undefined) => (n ?? 0) + 1 })
 *
 * const countWords = Task.make("countWords", {
 *   module: import.meta.url,
 *   handler: ({ counts, words }: {
 *     readonly counts: Manager.HostedMap<string, number>
 *     readonly words: ReadonlyArray<string>
 *   }) => Effect.forEach(words, (word) => counts.update(word, increment), { discard: true })
 * })
 *
 * const program = Effect.gen(function*() {
 *   const counts = yield* Manager.map<string, number>()
 *   const children = yield* Effect.forEach([["a", "b"], ["a", "c"]], (words) =>
 *     Process.start(countWords, { counts, words }))
 *   yield* Effect.forEach(children, Process.join)
 *   yield* Console.log(yield* counts.get("a"))
 * }).pipe(Effect.scoped, Effect.provide(Manager.layerObjects()), Effect.provide(StartMethod.layerThreads))
 *
 * Process.runMain(program)
 * // => 2
 * ```
 *
 * @category ready-made
 * @since 0.1.0
 */
export const layerObjects = (options?: LayerOptions): Layer.Layer<Objects, ProcessError, StartMethod> =>
  layer(objects, options)

/**
 * A flag in a server that can be waited for.
 *
 * @category models
 * @since 0.1.0
 */
export interface HostedEvent {
  readonly set: () => Effect.Effect<void, ProcessError>
  readonly clear: () => Effect.Effect<void, ProcessError>
  readonly isSet: () => Effect.Effect<boolean, ProcessError>
  readonly wait: () => Effect.Effect<void, ProcessError>
}

/**
 * An event in the server of the objects, until the scope ends.
 *
 * @category ready-made
 * @since 0.1.0
 */
export const event = (options?: ObjectOptions): Made<HostedEvent> => ask("event", false, options)

/**
 * A semaphore in the server of the objects, until the scope ends.
 *
 * @category ready-made
 * @since 0.1.0
 */
export const semaphore = (permits: number, options?: ObjectOptions): Made<HostedSemaphore> =>
  Effect.suspend(() => ask("semaphore", checkedCount(permits, 1, "Manager.semaphore: the number of permits"), options))

/**
 * A semaphore of one permit, for {@link withLock}. It is not reentrant: a fiber that holds it and takes it again is a defect.
 *
 * @category ready-made
 * @since 0.1.0
 */
export const lock = (options?: ObjectOptions): Made<HostedSemaphore> => ask("lock", 1, options)

/**
 * Runs an effect while it holds so many permits. They come back when it ends, when it is interrupted, and when its process
 * dies. An effect that loses its server is interrupted, and fails with what became of that.
 *
 * **Details**
 *
 * - When it has ended the permits are free, also for whoever hears of that in another way: it waits for the server's word, for
 *   about a second at most where the server does not answer, also when it is interrupted.
 * - It waits for them interruptibly: whoever is interrupted, or has waited for as long as it wanted to, has left the line.
 *
 * **Gotchas**
 *
 * A fiber that asks for more than there are beside those that it holds would wait for itself: a defect. Fibers that it forks
 * are others, also those of `Effect.timeout`.
 *
 * @see {@link withPermitsIfAvailable} to do without, rather than wait
 * @category combinators
 * @since 0.1.0
 */
export const withPermits: {
  (self: HostedSemaphore, permits: number): <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | ProcessError, R>
  <A, E, R>(
    self: HostedSemaphore,
    permits: number,
    effect: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | ProcessError, R>
} = effectLast((self: HostedSemaphore, permits: number, effect: Effect.Effect<never>) => holding(self, permits, effect))

/**
 * Like {@link withPermits}, but does not wait: `None` when there are not so many, and the effect has not run.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withPermitsIfAvailable: {
  (self: HostedSemaphore, permits: number): <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<Option.Option<A>, E | ProcessError, R>
  <A, E, R>(
    self: HostedSemaphore,
    permits: number,
    effect: Effect.Effect<A, E, R>
  ): Effect.Effect<Option.Option<A>, E | ProcessError, R>
} = effectLast((self: HostedSemaphore, permits: number, effect: Effect.Effect<never>) =>
  holdingIfAvailable(self, permits, effect)
)

/**
 * Runs an effect while it holds the lock: {@link withPermits} with one.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withLock: {
  (self: HostedSemaphore): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ProcessError, R>
  <A, E, R>(self: HostedSemaphore, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | ProcessError, R>
} = effectLast((self: HostedSemaphore, effect: Effect.Effect<never>) => holding(self, 1, effect))

/**
 * Like {@link withLock}, but does not wait: `None` when the lock is held, and the effect has not run.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withLockIfAvailable: {
  (
    self: HostedSemaphore
  ): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<Option.Option<A>, E | ProcessError, R>
  <A, E, R>(
    self: HostedSemaphore,
    effect: Effect.Effect<A, E, R>
  ): Effect.Effect<Option.Option<A>, E | ProcessError, R>
} = effectLast((self: HostedSemaphore, effect: Effect.Effect<never>) => holdingIfAvailable(self, 1, effect))
