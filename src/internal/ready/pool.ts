/**
 * A pool whose workers belong to a server.
 *
 * The server knows nothing of the tasks but their names: payloads come as the schemas of the task encode them, go on to the
 * worker like that, and results come back so.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Initializer } from "../../Initializer.ts"
import * as Pool from "../../Pool.ts"
import type { Provided } from "../../Process.ts"
import { ProcessError, StartMethodUnavailable } from "../../ProcessError.ts"
import { StartMethod } from "../../StartMethod.ts"
import type { Task } from "../../Task.ts"
import { initializerOf, taskOf, usesEffect } from "../codec/registry.ts"
import type { InitializerDefinition, TaskDefinition } from "../codec/registry.ts"
import { timeMillis, wholeNumber } from "../start/checks.ts"
import type { Around, Send } from "../manager/definition.ts"
import { coderIfAny } from "./coder.ts"
import { failure, heard, told } from "./failure.ts"
import { ask } from "./service.ts"
import type { Made, ObjectOptions } from "./service.ts"

// ---------------------------------------------------------------------------------------------------- on the wire

/** A task as the server knows it. */
interface TaskOnWire {
  readonly module: string
  readonly name: string
  readonly usesEffect: boolean
}

const call = Schema.Tuple([Schema.Unknown, Schema.Unknown, Schema.Unknown])

export const poolGroup = RpcGroup.make(
  Rpc.make("apply", { payload: call, success: Schema.Unknown, error: failure }),
  Rpc.make("map", { payload: call, success: Schema.Unknown, error: failure }),
  Rpc.make("imap", { payload: call, success: Schema.Unknown, error: failure, stream: true }),
  Rpc.make("imapUnordered", { payload: call, success: Schema.Unknown, error: failure, stream: true }),
  Rpc.make("stats", { success: Schema.Unknown, error: ProcessError })
)

interface InitializerOnWire {
  readonly module: string
  readonly name: string
  readonly payload: unknown
}

interface PoolOrder {
  readonly options: Pool.Options<never>
  readonly initializer: InitializerOnWire | undefined
}

// ---------------------------------------------------------------------------------------------------- in the server

const notHere = (): never => {
  throw new Error("This runs in a worker.")
}

/** Without schemas nothing is encoded or decoded on the way. */
const passing = ({ module, name, usesEffect }: TaskOnWire): Task<unknown, unknown, unknown> => {
  const rest = { name, module, payload: undefined, success: undefined, error: undefined, handler: notHere }
  const definition: TaskDefinition = usesEffect ? { ...rest, kind: "effect" } : { ...rest, kind: "sync" }
  return definition as unknown as Task<unknown, unknown, unknown> // as the pool reads it
}

const passingInitializer = ({ module, name, payload }: InitializerOnWire): Initializer<never> => {
  const definition: InitializerDefinition = { kind: "initializer", name, module, payload: undefined, layer: notHere }
  return { definition, payload } as unknown as Initializer<never> // as above
}

const noStartMethod = new ProcessError({
  reason: new StartMethodUnavailable({
    startMethod: "none",
    message:
      "Manager.pool: the program that serves these objects has no start method for the workers. Provide one around " +
      "Manager.serve, such as StartMethod.layerSpawn."
  })
})

export const makeHostedPool = ({ initializer, options }: PoolOrder) =>
  Effect.gen(function*() {
    const startMethod = yield* Effect.serviceOption(StartMethod)
    if (Option.isNone(startMethod)) return yield* Effect.fail(noStartMethod)
    const pool = yield* Pool.make(
      initializer === undefined ? options : { ...options, initializer: passingInitializer(initializer) }
    ).pipe(Effect.provideService(StartMethod, startMethod.value))
    const tasks = new Map<string, Task<unknown, unknown, unknown>>()
    const taskFor = (task: TaskOnWire): Task<unknown, unknown, unknown> => {
      const key = `${task.module} ${task.name}`
      const known = tasks.get(key) ?? passing(task)
      tasks.set(key, known)
      return known
    }
    return {
      apply: (task: TaskOnWire, payload: unknown, options: Pool.ApplyOptions) =>
        Effect.mapError(Pool.apply(pool, taskFor(task), payload, options), told),
      map: (task: TaskOnWire, items: ReadonlyArray<unknown>, options: Pool.MapOptions) =>
        Effect.mapError(Pool.map(pool, taskFor(task), items, options), told),
      imap: (task: TaskOnWire, items: ReadonlyArray<unknown>, options: Pool.MapOptions) =>
        Stream.mapError(Pool.imap(pool, taskFor(task), items, options), told),
      imapUnordered: (task: TaskOnWire, items: ReadonlyArray<unknown>, options: Pool.MapOptions) =>
        Stream.mapError(Pool.imapUnordered(pool, taskFor(task), items, options), told),
      stats: () => Pool.stats(pool)
    }
  })

// ---------------------------------------------------------------------------------------------------- at the proxy

/** Durations cross as numbers. */
/** Checked here: of a source that is pulled here the server sees single calls. */
const plainOptions = (method: string, options: Pool.MapOptions = {}): Pool.MapOptions => {
  const what = `The ${method} of a hosted pool`
  const { buffer, chunkSize, timeout } = options
  if (buffer !== undefined) wholeNumber(`${what}: buffer`, buffer, 1)
  if (chunkSize !== undefined && chunkSize !== "auto") wholeNumber(`${what}: chunkSize`, chunkSize, 1)
  return timeout === undefined ? options : { ...options, timeout: timeMillis(`${what}: timeout`, timeout) }
}

/** What the proxy does for each call: the schemas are those of the task, which is here and not in the server. */
const codersOf = (definition: TaskDefinition) => {
  const what = `task "${definition.name}"`
  const payload = coderIfAny(definition.payload, what)
  const success = coderIfAny(definition.success, what)
  const { module, name } = definition
  const onWire: TaskOnWire = { module, name, usesEffect: usesEffect(definition) }
  return { onWire, encode: payload.encode, decode: success.decode, failed: heard(definition) }
}

type Coders = ReturnType<typeof codersOf>

/** How many calls are under way for a stream of items, where nobody says. */
const usualBuffer = 16

/** A call, as the task of it fails. */
const sent = (coders: Coders, method: string, payload: unknown, options: Pool.MapOptions, send: Send) =>
  send.effect(method, [coders.onWire, payload, options]).pipe(Effect.catch(coders.failed))

const applyOne = (coders: Coders, payload: unknown, options: Pool.MapOptions, send: Send) =>
  coders.encode(payload).pipe(
    Effect.flatMap((encoded) => sent(coders, "apply", encoded, options, send)),
    Effect.flatMap(coders.decode)
  )

const mapAll = (coders: Coders, items: Iterable<unknown>, options: Pool.MapOptions, send: Send) =>
  Effect.forEach(items, coders.encode).pipe(
    Effect.flatMap((encoded) => sent(coders, "map", encoded, options, send)),
    Effect.flatMap((all) => Effect.forEach(all as ReadonlyArray<unknown>, coders.decode)) // of each item
  )

const streamAll = (
  coders: Coders,
  items: ReadonlyArray<unknown>,
  options: Pool.MapOptions,
  method: string,
  send: Send
) =>
  Stream.unwrap(
    Effect.map(Effect.forEach(items, coders.encode), (encoded) =>
      send.stream(method, [coders.onWire, encoded, options]).pipe(
        Stream.catch((failure) =>
          Stream.fromEffect(coders.failed(failure))
        ),
        Stream.mapEffect(coders.decode)
      ))
  )

/** A source that is pulled as results are taken has its items here: each is a call. */
const streamOf = (
  coders: Coders,
  items: Stream.Stream<unknown, unknown>,
  { buffer, ...options }: Pool.MapOptions,
  method: string,
  send: Send
) =>
  Stream.mapEffect(items, (item) => applyOne(coders, item, options, send), {
    concurrency: buffer ?? usualBuffer,
    unordered: method === "imapUnordered"
  })

type Items = Iterable<unknown> | Stream.Stream<unknown, unknown>

const imapped = (coders: Coders, items: Items, options: Pool.MapOptions, method: string, send: Send) =>
  Array.isArray(items)
    ? streamAll(coders, items, options, method, send)
    : streamOf(coders, Stream.isStream(items) ? items : Stream.fromIterable(items), options, method, send)

export const aroundPool: Around = (method, payload, send) => {
  if (method === "stats") return undefined
  const [task, given, options] = payload as readonly [object, unknown, Pool.MapOptions | undefined] // as its types say
  const prepared = Effect.sync(() => ({ coders: codersOf(taskOf(task)), plain: plainOptions(method, options) }))
  switch (method) {
    case "apply":
      return Effect.flatMap(prepared, ({ coders, plain }) => applyOne(coders, given, plain, send))
    case "map":
      return Effect.flatMap(prepared, ({ coders, plain }) => mapAll(coders, given as Iterable<unknown>, plain, send))
    default:
      return Stream.unwrap(
        Effect.map(prepared, ({ coders, plain }) => imapped(coders, given as Items, plain, method, send))
      )
  }
}

// ---------------------------------------------------------------------------------------------------- here

/**
 * A pool in a server, whose initializer provides the services `R` to its tasks. Its methods are the calls of `Pool`, with the
 * same options, errors and laws; what a task fails with, and a worker that dies, arrive as they do there.
 *
 * - `map` takes a collection, and sends it in one message.
 * - `imap` and `imapUnordered` send an array in one message. Any other source is pulled here as results are taken, and each
 *   of its items is a call: `buffer` of them (default 16) are under way at a time.
 *
 * @category models
 * @since 0.1.0
 */
export interface HostedPool<in R = never> {
  readonly apply: {
    <A, E, R1 extends R | Provided>(
      task: Task<void, A, E, R1>,
      payload?: void,
      options?: Pool.ApplyOptions
    ): Effect.Effect<A, E | ProcessError>
    <P, A, E, R1 extends R | Provided>(
      task: Task<P, A, E, R1>,
      payload: NoInfer<P>,
      options?: Pool.ApplyOptions
    ): Effect.Effect<A, E | ProcessError>
  }
  readonly map: <P, A, E, R1 extends R | Provided>(
    task: Task<P, A, E, R1>,
    items: Iterable<NoInfer<P>>,
    options?: Pool.MapOptions
  ) => Effect.Effect<Array<A>, E | ProcessError>
  readonly imap: <P, A, E, R1 extends R | Provided, E0 = never>(
    task: Task<P, A, E, R1>,
    items: Iterable<NoInfer<P>> | Stream.Stream<NoInfer<P>, E0>,
    options?: Pool.MapOptions
  ) => Stream.Stream<A, E | E0 | ProcessError>
  readonly imapUnordered: <P, A, E, R1 extends R | Provided, E0 = never>(
    task: Task<P, A, E, R1>,
    items: Iterable<NoInfer<P>> | Stream.Stream<NoInfer<P>, E0>,
    options?: Pool.MapOptions
  ) => Stream.Stream<A, E | E0 | ProcessError>
  readonly stats: () => Effect.Effect<Pool.Stats, ProcessError>
}

const millisOr = (what: string, input: Pool.Options<never>["gracePeriod"]) =>
  input === undefined ? undefined : timeMillis(`Manager.pool: ${what}`, input)

/** Times as numbers, the initializer as its name and its encoded payload. */
const orderOf = (options: Pool.Options<never>): Effect.Effect<PoolOrder, ProcessError> =>
  Effect.suspend((): Effect.Effect<PoolOrder, ProcessError> => {
    const { gracePeriod, idleTimeToLive, initializer, restartIntensity, ...others } = options
    const plain: Pool.Options<never> = {
      ...others,
      gracePeriod: millisOr("gracePeriod", gracePeriod),
      idleTimeToLive: millisOr("idleTimeToLive", idleTimeToLive),
      restartIntensity: restartIntensity === undefined ? undefined : {
        max: restartIntensity.max,
        within: timeMillis("Manager.pool: restartIntensity.within", restartIntensity.within)
      }
    }
    if (initializer === undefined) return Effect.succeed({ options: plain, initializer: undefined })
    const { definition: { module, name, payload: schema }, payload } = initializerOf(initializer)
    return Effect.map(coderIfAny(schema, `initializer "${name}"`).encode(payload), (payload) => ({
      options: plain,
      initializer: { module, name, payload }
    }))
  })

/**
 * A pool in the server of the objects, until the scope ends: Python's `manager.Pool()`. Its workers are children of the
 * server, by the server's start method, and are used by all who are sent the proxy.
 *
 * **When to use**
 *
 * Where several processes, or programs, should share one set of workers. A pool that one program uses is `Pool.make`: a call
 * there is one message less.
 *
 * **Options**
 *
 * Those of `Pool.make`. A `name` is also that of the object: those who give the same one share one pool, and the first says
 * what it is like.
 *
 * **Laws**
 *
 * - Calls end as those of a `Pool` do. Interrupting a call interrupts its task; so does the death of the process that calls.
 * - The workers end when the last process that holds the pool has let it go, or the server ends.
 *
 * **Gotchas**
 *
 * - Payloads and results are copied twice on their way, through the server.
 * - A program that serves `Manager.objects` has to provide a `StartMethod` there; otherwise this fails with
 *   `StartMethodUnavailable`.
 * - `RangeError` defects of `Pool.make` come from the server.
 *
 * **Example** (Workers that children share)
 *
 * ```ts run
 * import { Console, Effect } from "effect"
 * import { Manager, Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const square = Task.sync("square", { module: import.meta.url, handler: (n: number) => n * n })
 *
 * const sums = Task.make("sums", {
 *   module: import.meta.url,
 *   handler: (pool: Manager.HostedPool) =>
 *     Effect.map(pool.map(square, [1, 2, 3]), (squares) => squares.reduce((sum, n) => sum + n, 0))
 * })
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* Manager.pool({ processes: 2 })
 *   const child = yield* Process.start(sums, pool)
 *   yield* Console.log(yield* pool.apply(square, 12), yield* Process.join(child))
 * }).pipe(Effect.scoped, Effect.provide(Manager.layerObjects()), Effect.provide(StartMethod.layerThreads))
 *
 * Process.runMain(program)
 * // => 144 14
 * ```
 *
 * @category ready-made
 * @since 0.1.0
 */
export const pool: {
  (options?: Omit<Pool.Options<never>, "initializer">): Made<HostedPool>
  <R>(options: Pool.Options<R> & { readonly initializer: Initializer<R> }): Made<HostedPool<R>>
} = <R>(options?: Pool.Options<R>): Made<HostedPool<R>> =>
  Effect.flatMap(orderOf((options ?? {}) as Pool.Options<never>), (order) =>
    // its initializer provides R
    ask("pool", order, { name: options?.name } satisfies ObjectOptions))
