/**
 * A pool of workers that run tasks: `apply` one, `map` a collection, `imap` a stream.
 *
 * **The laws**
 *
 * - Every call ends: with a value, the task's typed error, a `ProcessError`, or interruption.
 * - A worker that dies fails the item it was running, with `WorkerExited`, and nothing else; a new one takes its place.
 * - Interrupting a call interrupts the task's fiber in the worker. A worker that does not answer within `gracePeriod` is
 *   killed and replaced.
 * - The pool ends with its scope: drained on success, ended at once on failure or interruption.
 *
 * **What is copied**
 *
 * Payloads and results are copied. Under `StartMethod.layerThreads`, buffers that a `Transferable` schema marks are moved
 * instead.
 *
 * | to run | use |
 * |---|---|
 * | one task, and wait | {@link apply} |
 * | one task, and go on | {@link applyAsync} |
 * | a collection that fits into memory | {@link map} |
 * | a long or endless source, in order | {@link imap} |
 * | the same, as results come | {@link imapUnordered} |
 * | the same, and failures are results | {@link imapExit} |
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { pipeArguments } from "effect/Pipeable"
import type { Pipeable } from "effect/Pipeable"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Initializer } from "./Initializer.ts"
import { encodePayload, tryEncode } from "./internal/codec/payload.ts"
import { initializerOf, taskOf } from "./internal/codec/registry.ts"
import { notShareable } from "./internal/codec/values.ts"
import { applyEverywhere, applyOne, mapAll, noOptions, startOne } from "./internal/pool/calls.ts"
import type { ItemOptions } from "./internal/pool/calls.ts"
import {
  awaitEnd,
  closedError,
  dispatch,
  engineOf,
  makeEngine,
  poolInternals,
  startEngine
} from "./internal/pool/engine.ts"
import type { Engine, PoolInternals } from "./internal/pool/engine.ts"
import { countsOf, showMetrics, workersOf } from "./internal/pool/observe.ts"
import type { Counts, WorkerStats } from "./internal/pool/observe.ts"
import { defaultEveryMillis, makeMeter, readings } from "./internal/pool/progress.ts"
import type { Progress as ProgressOf } from "./internal/pool/progress.ts"
import { streamAll } from "./internal/pool/stream.ts"
import type { StreamMode } from "./internal/pool/stream.ts"
import { timeMillis, timeMillisOr, wholeNumber } from "./internal/start/checks.ts"
import { availableProcesses } from "./internal/start/entry.ts"
import { waitAtClose } from "./internal/start/handle.ts"
import { launcherOf, StartMethod } from "./internal/start/service.ts"
import { creator } from "./internal/start/tree.ts"
import type { Provided } from "./Process.ts"
import type { ProcessError } from "./ProcessError.ts"
import type { Task } from "./Task.ts"

const TypeId = "~effect-multiprocessing/Pool" as const

/**
 * A pool whose initializer provides the services `R` to its tasks.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pool<in R = never> extends Pipeable {
  readonly name: string
  /** How many workers it keeps. */
  readonly processes: number
  readonly [TypeId]: (_: R) => void
}

interface Internals extends PoolInternals {
  /** The fibers of `applyAsync`. */
  readonly scope: Scope.Closeable
}

const internalsOf = (pool: Pool<never>): Internals =>
  (pool as unknown as { readonly [poolInternals]: Internals })[poolInternals]

/**
 * Is this value a {@link Pool}?
 *
 * @category guards
 * @since 0.1.0
 */
export const isPool = (u: unknown): u is Pool<never> => typeof u === "object" && u !== null && TypeId in u

/**
 * The ambient pool, for programs that need one: provided by {@link layer}.
 *
 * **Example** (One pool for the whole program)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Pool, StartMethod, Task } from "effect-multiprocessing"
 *
 * const square = Task.sync("square", { module: import.meta.url, handler: (x: number) => x * x })
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* Pool.Pool
 *   return yield* Pool.map(pool, square, [1, 2, 3])
 * }).pipe(Effect.provide(Pool.layer({ processes: 2 }).pipe(Layer.provide(StartMethod.layerThreads))))
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Pool: Context.Service<Pool<never>, Pool<never>> = Context.Service<Pool<never>, Pool<never>>(
  "effect-multiprocessing/Pool"
)

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<R> {
  /** For people and logs; its workers are called `NAME-worker-1` and so on. Default `Pool`. */
  readonly name?: string | undefined
  /** How many workers; default `os.availableParallelism()`. */
  readonly processes?: number | undefined
  /** What every worker builds before its first task. */
  readonly initializer?: Initializer<R> | undefined
  /** How many workers may die within what time before the pool gives up; default 5 per worker in 10 seconds. */
  readonly restartIntensity?: { readonly max: number; readonly within: Duration.Input } | undefined
  /** Items after which a worker is replaced by a fresh one; its replacement starts before it leaves. Default: never. */
  readonly maxTasksPerChild?: number | undefined
  /**
   * Bytes of memory after which a worker is replaced: of a process all that is resident, of a thread its heap and its
   * buffers. Measured between items, at most every 50 ms, and at the end of its work. Default: no limit.
   */
  readonly maxMemoryPerChild?: number | undefined
  /**
   * A worker that was idle for so long is let go; it comes back when there is work for it. It is looked at once in that
   * time, so that it may be up to twice as long. Default: never.
   */
  readonly idleTimeToLive?: Duration.Input | undefined
  /** Between the request to interrupt and the kill of a worker that does not answer; default 1 second. */
  readonly gracePeriod?: Duration.Input | undefined
}

/**
 * Options of the calls that take many items.
 *
 * @category models
 * @since 0.1.0
 */
export interface MapOptions {
  /** Items per message. Default "auto": measured, so that a message is about two milliseconds of work and at most 1 MB. */
  readonly chunkSize?: number | "auto" | undefined
  /** Streams: how many items may be handed out and not yet consumed as results; default two chunks a worker. */
  readonly buffer?: number | undefined
  /** How long one item may run, from its start: `TimedOut`. `Effect.timeout` around the call bounds all of it. */
  readonly timeout?: Duration.Input | undefined
  /** How often an item whose worker died is tried again; default 0: it fails. */
  readonly retryOnCrash?: number | undefined
}

/**
 * Options of the calls that take one item.
 *
 * @category models
 * @since 0.1.0
 */
export type ApplyOptions = Pick<MapOptions, "timeout" | "retryOnCrash">

// ---------------------------------------------------------------------------------------------------- make

const restartsPerWorker = 5
const defaultRestartMillis = 10_000
const defaultGraceMillis = 1000

const optionalNumber = (name: string, value: number | undefined): number | undefined =>
  value === undefined ? undefined : wholeNumber(`Pool.make: ${name}`, value, 1)

const acquire = Effect.fnUntraced(function*(options: Options<never>) {
  const launcher = launcherOf(yield* StartMethod)
  const me = yield* creator("Pool.make", launcher.name)
  const processes = options.processes === undefined
    ? availableProcesses()
    : wholeNumber("Pool.make: processes", options.processes, 1)
  const maxRestarts = options.restartIntensity === undefined
    ? restartsPerWorker * processes
    : wholeNumber("Pool.make: restartIntensity.max", options.restartIntensity.max, 0)
  const order = options.initializer === undefined ? undefined : initializerOf(options.initializer)
  const initializer = order === undefined ? undefined : {
    ...order,
    encoded: yield* tryEncode(() =>
      encodePayload(order.definition, order.payload, { ...launcher.border, many: true }, [])
    )
  }
  const engine = makeEngine({
    name: options.name ?? "Pool",
    processes,
    maxRestarts,
    restartMillis: timeMillisOr(
      "Pool.make: restartIntensity.within",
      options.restartIntensity?.within,
      defaultRestartMillis
    ),
    maxTasks: optionalNumber("maxTasksPerChild", options.maxTasksPerChild),
    maxMemory: optionalNumber("maxMemoryPerChild", options.maxMemoryPerChild),
    idleMillis: options.idleTimeToLive === undefined
      ? undefined
      : timeMillis("Pool.make: idleTimeToLive", options.idleTimeToLive),
    graceMillis: timeMillisOr("Pool.make: gracePeriod", options.gracePeriod, defaultGraceMillis),
    launcher,
    creator: me,
    initializer,
    context: yield* Effect.context<never>()
  })
  yield* awaitStart(engine)
  return makePool(engine, { engine, scope: Scope.makeUnsafe() })
})

/** All workers up, or the first that did not come up; then none is left. */
const awaitStart = (engine: Engine): Effect.Effect<void, ProcessError> =>
  Effect.callback<void, ProcessError>((resume) => {
    let up = 0
    engine.onStart = (error) => {
      if (error === undefined && ++up < engine.options.processes) return
      engine.onStart = undefined
      resume(error === undefined ? Effect.void : Effect.andThen(endNow(engine), Effect.fail(error)))
    }
    startEngine(engine)
    // the workers are on their way up; or none could be made, and that is counted
    const hide = showMetrics(engine)
    if (engine.ended) hide()
    else engine.endListeners.push(hide)
    return Effect.suspend(() => {
      engine.onStart = undefined
      return endNow(engine)
    })
  })

const endNow = (engine: Engine): Effect.Effect<void> =>
  Effect.suspend(() => {
    engine.closed ??= closedError(engine, "was terminated: what was pending is dropped, and")
    dispatch(engine, { _tag: "TerminateRequested" })
    return awaitEnd(engine)
  })

const refusal = { handle: "Pool", advice: "Make a pool in the task itself: pools can be nested." }

const makePool = (engine: Engine, own: Internals): Pool<never> => {
  const pool: Pool<never> = {
    [TypeId]: () => {},
    name: engine.options.name,
    processes: engine.options.processes,
    pipe() {
      return pipeArguments(this, arguments)
    }
  }
  // not enumerable: whoever prints a pool does not want to see them
  return Object.defineProperties(pool, { [poolInternals]: { value: own }, [notShareable]: { value: refusal } })
}

const closeFibers = (pool: Pool<never>): Effect.Effect<void> =>
  Effect.suspend(() => Scope.close(internalsOf(pool).scope, Exit.void))

const drain = (pool: Pool<never>): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { engine } = internalsOf(pool)
    engine.closed ??= closedError(engine, "is closed:")
    dispatch(engine, { _tag: "CloseRequested" })
    return awaitEnd(engine)
  })

/** As `endNow`, but the workers are asked first, so that finalizers run. */
const endGently = (pool: Pool<never>): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { engine } = internalsOf(pool)
    engine.gentle = true
    return endNow(engine)
  })

const release = (pool: Pool<never>, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
  Effect.suspend(() =>
    Exit.isSuccess(exit)
      ? waitAtClose(
        drain(pool),
        `The scope of ${pool.name} is closing and waits for the work that it has taken. To drop that, use Pool.terminate.`,
        () => endGently(pool)
      )
      : endGently(pool)
  ).pipe(Effect.andThen(closeFibers(pool)))

/**
 * Makes a pool: its workers start side by side, and it completes when all of them are ready.
 *
 * **Details**
 *
 * - Released with its scope: drained on success, ended on failure or interruption.
 * - An initializer that fails makes it fail with `StartFailed`, whose cause is the initializer's.
 * - Workers that die are replaced, until more die than `restartIntensity` allows: then the pool closes itself, and its
 *   calls fail with `RestartLimitExceeded`.
 * - A task that needs a service is accepted only by a pool whose initializer provides it.
 *
 * **Gotchas**
 *
 * - `processes` below 1 or fractional is a `RangeError` defect.
 * - A pool belongs to the process that made it and cannot be sent; a task may make a pool of its own.
 * - A worker that takes the place of another starts afresh: its modules are loaded and its initializer is built again.
 * - Interrupting it ends the workers that are coming up.
 *
 * **Example** (A pool of two processes)
 *
 * ```ts
 * import { Console, Effect } from "effect"
 * import { Pool, Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const square = Task.sync("square", { module: import.meta.url, handler: (x: number) => x * x })
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* Pool.make({ processes: 2 })
 *   yield* Console.log(yield* Pool.map(pool, square, [1, 2, 3]))
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerSpawn))
 *
 * Process.runMain(program)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: {
  (
    options?: Omit<Options<never>, "initializer">
  ): Effect.Effect<Pool, ProcessError, StartMethod | Scope.Scope>
  <R>(
    options: Options<R> & { readonly initializer: Initializer<R> }
  ): Effect.Effect<Pool<R>, ProcessError, StartMethod | Scope.Scope>
} = <R>(options?: Options<R>): Effect.Effect<Pool<R>, ProcessError, StartMethod | Scope.Scope> =>
  Effect.acquireRelease(Effect.suspend(() => acquire(options ?? {})), release, {
    interruptible: true
  }) as Effect.Effect<Pool<R>, ProcessError, StartMethod | Scope.Scope> // its initializer provides R

/**
 * {@link Pool} as a layer.
 *
 * **When to use**
 *
 * For one pool that the whole program shares. For a pool of a part of it use {@link make}.
 *
 * **Details**
 *
 * The workers start when the layer is built, and end with its scope: drained on success, ended on failure or
 * interruption.
 *
 * **Gotchas**
 *
 * - Each call makes a layer, and so a pool, of its own: keep the layer in a constant to share it.
 * - The type of the ambient pool does not know what an initializer provides. Tasks that need a service are accepted by
 *   a pool from {@link make} only.
 *
 * **Example** (One pool for the whole program)
 *
 * ```ts run
 * import { Console, Effect, Layer } from "effect"
 * import { Pool, Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const square = Task.sync("square", { module: import.meta.url, handler: (x: number) => x * x })
 *
 * const PoolLive = Pool.layer({ processes: 2 }).pipe(Layer.provide(StartMethod.layerThreads))
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* Pool.Pool
 *   yield* Console.log((yield* Pool.map(pool, square, [1, 2, 3])).join(" "))
 * }).pipe(Effect.provide(PoolLive))
 *
 * Process.runMain(program)
 * // => 1 4 9
 * ```
 *
 * @see {@link make} for a pool in a scope
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options<never>): Layer.Layer<Pool<never>, ProcessError, StartMethod> =>
  Layer.effect(Pool, make(options))

// ---------------------------------------------------------------------------------------------------- calls

const itemOptions = (what: string, options: ApplyOptions | undefined): ItemOptions =>
  options === undefined ? noOptions : readOptions(what, options)

const readOptions = (what: string, options: ApplyOptions): ItemOptions => ({
  retries: options.retryOnCrash === undefined ? 0 : wholeNumber(`${what}: retryOnCrash`, options.retryOnCrash, 0),
  timeoutMillis: options.timeout === undefined ? undefined : timeMillis(`${what}: timeout`, options.timeout)
})

const chunkSizeOf = (what: string, { chunkSize }: MapOptions): number | "auto" =>
  chunkSize === undefined || chunkSize === "auto" ? "auto" : wholeNumber(`${what}: chunkSize`, chunkSize, 1)

/**
 * Runs one task and waits for its result.
 *
 * **Details**
 *
 * - The task's own failure is the failure of this effect; `ProcessError` is what went wrong at the border.
 * - `timeout` counts from the start of the run; `Effect.timeout` around it counts the time in the queue too. Both free the
 *   worker.
 *
 * **Gotchas**
 *
 * - Payload and result are copied.
 * - A worker that dies while it runs the task fails the call with `WorkerExited`; what the task had done stays done.
 * - Interrupting the call interrupts the task. A worker that computes without end is killed after the `gracePeriod`.
 *
 * **Example** (With a limit)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Pool, Task } from "effect-multiprocessing"
 *
 * const square = Task.sync("square", { module: import.meta.url, handler: (x: number) => x * x })
 *
 * const nine = Effect.gen(function*() {
 *   const pool = yield* Pool.Pool
 *   return yield* Pool.apply(pool, square, 3, { timeout: "1 second" })
 * })
 * ```
 *
 * @category calls
 * @since 0.1.0
 */
export const apply: {
  <R, A, E, R1 extends R | Provided>(
    pool: Pool<R>,
    task: Task<void, A, E, R1>,
    payload?: void,
    options?: ApplyOptions
  ): Effect.Effect<A, E | ProcessError>
  <R, P, A, E, R1 extends R | Provided>(
    pool: Pool<R>,
    task: Task<P, A, E, R1>,
    payload: NoInfer<P>,
    options?: ApplyOptions
  ): Effect.Effect<A, E | ProcessError>
} = <R, P, A, E, R1 extends R | Provided>(
  pool: Pool<R>,
  task: Task<P, A, E, R1>,
  payload?: P,
  options?: ApplyOptions
): Effect.Effect<A, E | ProcessError> =>
  Effect.callback<unknown, unknown>((resume) =>
    startOne(internalsOf(pool).engine, taskOf(task), payload, itemOptions("Pool.apply", options), resume)
  ) as Effect.Effect<A, E | ProcessError> // decoded by the task's schemas

/**
 * Hands one task to the pool and returns at once: Python's `apply_async`. The fiber is its `AsyncResult`: `Fiber.join`,
 * `Effect.timeout` and `Effect.tap` are its `get`, `timeout` and callback.
 *
 * **Details**
 *
 * The fiber belongs to the pool: closing the pool waits for it, terminating fails it with `Closed`.
 *
 * **Gotchas**
 *
 * - Payload and result are copied; a worker that dies fails the fiber with `WorkerExited`.
 * - Interrupting whoever called it does not stop the task; `Fiber.interrupt` of the fiber does.
 *
 * **Example** (Two results, later)
 *
 * ```ts
 * import { Effect, Fiber } from "effect"
 * import { Pool, Task } from "effect-multiprocessing"
 *
 * const square = Task.sync("square", { module: import.meta.url, handler: (x: number) => x * x })
 *
 * const sum = Effect.gen(function*() {
 *   const pool = yield* Pool.Pool
 *   const three = yield* Pool.applyAsync(pool, square, 3)
 *   const four = yield* Pool.applyAsync(pool, square, 4)
 *   return (yield* Fiber.join(three)) + (yield* Fiber.join(four))
 * })
 * ```
 *
 * @category calls
 * @since 0.1.0
 */
export const applyAsync: {
  <R, A, E, R1 extends R | Provided>(
    pool: Pool<R>,
    task: Task<void, A, E, R1>,
    payload?: void,
    options?: ApplyOptions
  ): Effect.Effect<Fiber.Fiber<A, E | ProcessError>>
  <R, P, A, E, R1 extends R | Provided>(
    pool: Pool<R>,
    task: Task<P, A, E, R1>,
    payload: NoInfer<P>,
    options?: ApplyOptions
  ): Effect.Effect<Fiber.Fiber<A, E | ProcessError>>
} = <R, P, A, E, R1 extends R | Provided>(
  pool: Pool<R>,
  task: Task<P, A, E, R1>,
  payload?: P,
  options?: ApplyOptions
): Effect.Effect<Fiber.Fiber<A, E | ProcessError>> =>
  Effect.suspend(() => {
    const { engine, scope } = internalsOf(pool)
    const call = applyOne(engine, taskOf(task), payload, itemOptions("Pool.applyAsync", options))
    // the fibers of a pool that is gone have no scope any more: they only say so
    return engine.closed === undefined
      ? Effect.forkIn(call, scope, { startImmediately: true })
      : Effect.forkDetach(call, { startImmediately: true })
  }) as Effect.Effect<Fiber.Fiber<A, E | ProcessError>> // decoded by the task's schemas

const streamOf = (
  what: string,
  mode: StreamMode,
  pool: Pool<never>,
  task: object,
  items: Iterable<unknown> | Stream.Stream<unknown, unknown, unknown>,
  options: MapOptions = {}
): Stream.Stream<unknown, unknown, unknown> =>
  Stream.suspend(() =>
    streamAll(
      internalsOf(pool).engine,
      taskOf(task),
      items,
      {
        ...itemOptions(what, options),
        chunkSize: chunkSizeOf(what, options),
        window: options.buffer === undefined ? "auto" : wholeNumber(`${what}: buffer`, options.buffer, 1)
      },
      mode
    )
  )

/**
 * Runs a task for each item of a collection or a stream; the results are in the order of the items.
 *
 * **Details**
 *
 * - It fails with the first failure, and interrupts the items that run; {@link imapExit} goes on.
 * - Items travel in chunks whose size follows the measured time of an item, unless `chunkSize` is a number.
 * - An empty collection gives an empty array without a message.
 *
 * **Gotchas**
 *
 * - Items and results are copied, and all of them are in memory at once; for more use {@link imap}.
 * - A worker that dies fails the call with `WorkerExited`, unless `retryOnCrash` allows another try.
 * - Interrupting the call interrupts the items that run, and drops the others.
 *
 * **Example** (Squares)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Pool, Task } from "effect-multiprocessing"
 *
 * const square = Task.sync("square", { module: import.meta.url, handler: (x: number) => x * x })
 *
 * const squares = Effect.gen(function*() {
 *   const pool = yield* Pool.Pool
 *   return yield* Pool.map(pool, square, [1, 2, 3])
 * })
 * ```
 *
 * @category calls
 * @since 0.1.0
 */
export const map = <R, P, A, E, R1 extends R | Provided, E0 = never, R0 = never>(
  pool: Pool<R>,
  task: Task<P, A, E, R1>,
  items: Iterable<NoInfer<P>> | Stream.Stream<NoInfer<P>, E0, R0>,
  options?: MapOptions
): Effect.Effect<Array<A>, E | E0 | ProcessError, R0> =>
  Effect.suspend((): Effect.Effect<Array<unknown>, unknown, unknown> =>
    Stream.isStream(items)
      ? Stream.runCollect(
        streamOf("Pool.map", { ordered: true, failFast: true, exits: false }, pool, task, items, options)
      )
      : mapAll(internalsOf(pool).engine, taskOf(task), items, {
        ...itemOptions("Pool.map", options),
        chunkSize: chunkSizeOf("Pool.map", options ?? {})
      })
  ) as Effect.Effect<Array<A>, E | E0 | ProcessError, R0> // decoded by the task's schemas

type Items = Iterable<unknown> | Stream.Stream<unknown, unknown, unknown>

const isItems = (u: unknown): u is Items =>
  Stream.isStream(u) || typeof u === "string" || (typeof u === "object" && u !== null && Symbol.iterator in u)

/** Both forms of a stream call: with the items at once, and with the items to come. */
const streamCall = (what: string, mode: StreamMode) =>
(
  pool: Pool<never>,
  task: object,
  itemsOrOptions?: Items | MapOptions,
  options?: MapOptions
): any => // the public type says which form gives what
  isItems(itemsOrOptions)
    ? streamOf(what, mode, pool, task, itemsOrOptions, options)
    : (items: Items) => streamOf(what, mode, pool, task, items, itemsOrOptions)

/**
 * Runs a task for each item of a stream or a collection, lazily on both sides; the results are in the order of the items.
 *
 * **Details**
 *
 * - Items are pulled only as results are consumed; a bounded number is in flight. A source without end is fine.
 * - A failure of an item, or of the source, comes after the results of the items before it.
 * - When the consumer stops, what runs is interrupted and the source is closed; the pool goes on.
 *
 * **Gotchas**
 *
 * - Items and results are copied.
 * - A worker that dies fails the item that it ran, and so the stream, with `WorkerExited`, unless `retryOnCrash` allows
 *   another try.
 * - A slow item holds back the results after it, and with them the source; {@link imapUnordered} does not wait for it.
 *
 * **Example** (In a pipeline)
 *
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Pool, Task } from "effect-multiprocessing"
 *
 * const square = Task.sync("square", { module: import.meta.url, handler: (x: number) => x * x })
 *
 * const firstTen = Effect.gen(function*() {
 *   const pool = yield* Pool.Pool
 *   return yield* Stream.range(1, 1_000_000).pipe(Pool.imap(pool, square), Stream.take(10), Stream.runCollect)
 * })
 * ```
 *
 * @see {@link imapUnordered} for results as they come
 * @category calls
 * @since 0.1.0
 */
export const imap: {
  <R, P, A, E, R1 extends R | Provided>(
    pool: Pool<R>,
    task: Task<P, A, E, R1>,
    options?: MapOptions
  ): <E0 = never, R0 = never>(
    items: Iterable<P> | Stream.Stream<P, E0, R0>
  ) => Stream.Stream<A, E | E0 | ProcessError, R0>
  <R, P, A, E, R1 extends R | Provided, E0 = never, R0 = never>(
    pool: Pool<R>,
    task: Task<P, A, E, R1>,
    items: Iterable<NoInfer<P>> | Stream.Stream<NoInfer<P>, E0, R0>,
    options?: MapOptions
  ): Stream.Stream<A, E | E0 | ProcessError, R0>
} = streamCall("Pool.imap", { ordered: true, failFast: false, exits: false })

/**
 * As {@link imap}, but the results come as they are ready.
 *
 * **When to use**
 *
 * When the items take different times and their order does not matter: no result waits for a slower one before it.
 *
 * **Details**
 *
 * The failure of an item ends the stream as soon as it is known.
 *
 * **Gotchas**
 *
 * - Items and results are copied. Nothing says which item a result belongs to: let the task return that too.
 * - A worker that dies ends the stream with `WorkerExited`, unless `retryOnCrash` allows another try.
 * - When the stream ends early, what runs is interrupted.
 *
 * **Example** (Results as they come)
 *
 * ```ts run unordered
 * import { Console, Effect, Stream } from "effect"
 * import { Pool, Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const square = Task.sync("square", { module: import.meta.url, handler: (x: number) => x * x })
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* Pool.make({ processes: 2 })
 *   yield* Pool.imapUnordered(pool, square, [1, 2, 3]).pipe(Stream.runForEach((n) => Console.log(n)))
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerThreads))
 *
 * Process.runMain(program)
 * // => 1
 * // => 4
 * // => 9
 * ```
 *
 * @see {@link imap} for the order of the items
 * @category calls
 * @since 0.1.0
 */
export const imapUnordered: typeof imap = streamCall("Pool.imapUnordered", {
  ordered: false,
  failFast: false,
  exits: false
})

/**
 * As {@link imap}, but every item's outcome is an element: a failure does not end the stream.
 *
 * **When to use**
 *
 * When each item counts for itself, and one that fails must not stop the others.
 *
 * **Details**
 *
 * The outcomes are in the order of the items. A payload that cannot cross is an outcome too; a failure of the source
 * ends the stream.
 *
 * **Gotchas**
 *
 * - Items and results are copied.
 * - A worker that dies fails the one item that it ran, with `WorkerExited`; the others go on in other workers.
 *
 * **Example** (Failures among results)
 *
 * ```ts run
 * import { Console, Effect, Exit, Stream } from "effect"
 * import { Pool, Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const invert = Task.make("invert", {
 *   module: import.meta.url,
 *   handler: (n: number) => n === 0 ? Effect.fail("division by zero") : Effect.succeed(1 / n)
 * })
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* Pool.make({ processes: 2 })
 *   yield* Pool.imapExit(pool, invert, [2, 0, 4]).pipe(
 *     Stream.runForEach((exit) => Console.log(Exit.isSuccess(exit) ? exit.value : "failed"))
 *   )
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerThreads))
 *
 * Process.runMain(program)
 * // => 0.5
 * // => failed
 * // => 0.25
 * ```
 *
 * @see {@link imap} where a failure should end the stream
 * @category calls
 * @since 0.1.0
 */
export const imapExit: {
  <R, P, A, E, R1 extends R | Provided>(
    pool: Pool<R>,
    task: Task<P, A, E, R1>,
    options?: MapOptions
  ): <E0 = never, R0 = never>(
    items: Iterable<P> | Stream.Stream<P, E0, R0>
  ) => Stream.Stream<Exit.Exit<A, E | ProcessError>, E0, R0>
  <R, P, A, E, R1 extends R | Provided, E0 = never, R0 = never>(
    pool: Pool<R>,
    task: Task<P, A, E, R1>,
    items: Iterable<NoInfer<P>> | Stream.Stream<NoInfer<P>, E0, R0>,
    options?: MapOptions
  ): Stream.Stream<Exit.Exit<A, E | ProcessError>, E0, R0>
} = streamCall("Pool.imapExit", { ordered: true, failFast: false, exits: true })

/**
 * Runs a task once on every worker: to warm a cache, or to ask each how it is. The results are in the order of the
 * workers.
 *
 * **Details**
 *
 * It fails with the first failure. A worker that is just being replaced runs it when it is up, and those that were let go
 * come back for it.
 *
 * **Gotchas**
 *
 * - The payload is copied once for each worker. Buffers that a `Transferable` schema marks cannot move to all of them.
 * - It is no initializer: a worker that takes the place of one that died has not run it.
 * - A worker that dies while it runs it fails the call with `WorkerExited`.
 *
 * **Example** (Every worker answers)
 *
 * ```ts run
 * import { Console, Effect } from "effect"
 * import { Pool, Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const whoAmI = Task.make("whoAmI", {
 *   module: import.meta.url,
 *   handler: () => Effect.map(Process.current, (me) => me.name)
 * })
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* Pool.make({ processes: 2 })
 *   const names = yield* Pool.broadcast(pool, whoAmI)
 *   yield* Console.log(names.length, new Set(names).size)
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerThreads))
 *
 * Process.runMain(program)
 * // => 2 2
 * ```
 *
 * @category calls
 * @since 0.1.0
 */
export const broadcast: {
  <R, A, E, R1 extends R | Provided>(
    pool: Pool<R>,
    task: Task<void, A, E, R1>,
    payload?: void
  ): Effect.Effect<Array<A>, E | ProcessError>
  <R, P, A, E, R1 extends R | Provided>(
    pool: Pool<R>,
    task: Task<P, A, E, R1>,
    payload: NoInfer<P>
  ): Effect.Effect<Array<A>, E | ProcessError>
} = <R, P, A, E, R1 extends R | Provided>(
  pool: Pool<R>,
  task: Task<P, A, E, R1>,
  payload?: P
): Effect.Effect<Array<A>, E | ProcessError> =>
  Effect.suspend(() => applyEverywhere(internalsOf(pool).engine, taskOf(task), payload)) as Effect.Effect<
    Array<A>,
    E | ProcessError
  > // decoded by the task's schemas

// ---------------------------------------------------------------------------------------------------- ending

/**
 * No new work; completes when the work that was taken is done and the workers are gone: Python's `close` and `join`. The
 * scope does the same when it closes with success.
 *
 * **Details**
 *
 * It may be called more than once. Calls that come later fail with `Closed`.
 *
 * **Gotchas**
 *
 * - It waits as long as the work takes; {@link terminate} does not.
 * - Interrupting it gives up waiting; the pool stays closed and finishes its work, unless its scope ends it.
 *
 * **Example** (Wait for what was handed over)
 *
 * ```ts run
 * import { Console, Effect, Fiber } from "effect"
 * import { Pool, Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const square = Task.sync("square", { module: import.meta.url, handler: (x: number) => x * x })
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* Pool.make({ processes: 2 })
 *   const nine = yield* Pool.applyAsync(pool, square, 3)
 *   yield* Pool.close(pool)
 *   yield* Console.log(yield* Fiber.join(nine))
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerThreads))
 *
 * Process.runMain(program)
 * // => 9
 * ```
 *
 * @see {@link terminate} to drop what is pending
 * @category ending
 * @since 0.1.0
 */
export const close = <R>(pool: Pool<R>): Effect.Effect<void> => Effect.andThen(drain(pool), closeFibers(pool))

/**
 * Ends the workers now; what was pending fails with `Closed`: Python's `terminate`, without its hanging results.
 *
 * **Details**
 *
 * It completes when the workers are gone, and may be called more than once. Calls that come later fail with `Closed`.
 *
 * **Gotchas**
 *
 * The workers are killed: nothing in them is finalized. When a scope closes with a failure they are asked first.
 *
 * **Example** (Drop what is pending)
 *
 * ```ts run
 * import { Console, Effect, Fiber } from "effect"
 * import { Pool, Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const nap = Task.make("nap", { module: import.meta.url, handler: () => Effect.as(Effect.sleep("1 hour"), "rested") })
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* Pool.make({ processes: 2 })
 *   const fiber = yield* Pool.applyAsync(pool, nap)
 *   yield* Pool.terminate(pool)
 *   const outcome = Fiber.join(fiber).pipe(
 *     Effect.catchReason("ProcessError", "Closed", () => Effect.succeed("dropped"))
 *   )
 *   yield* Console.log(yield* outcome)
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerThreads))
 *
 * Process.runMain(program)
 * // => dropped
 * ```
 *
 * @see {@link close} to finish it first
 * @category ending
 * @since 0.1.0
 */
export const terminate = <R>(pool: Pool<R>): Effect.Effect<void> =>
  Effect.andThen(Effect.suspend(() => endNow(internalsOf(pool).engine)), closeFibers(pool))

// ---------------------------------------------------------------------------------------------------- what it tells

/**
 * What {@link stats} tells: counts of items and workers, and one record for each worker that is up.
 *
 * - `queued`: items that wait, in the pool or handed to a worker ahead; `running`: items that run, at most one a worker.
 * - `completed`, `failed`: items with a result, and without one, since the pool was made. What was interrupted is in
 *   neither.
 * - `restarts`: workers that died by themselves; `killed`: workers that the pool killed because what they ran did not stop.
 *   Workers that are recycled or let go are in neither.
 * - A worker's `tasks` are the items that ended in it; `startUpMillis` is its way from the launch to ready, `busyMillis` the
 *   run time of its items, `idleMillis` the rest of its life. What runs counts from the moment when it was handed over, with the
 *   loading of its module, until it is reported. `rssBytes` is its memory: of a process what is resident, of a
 *   thread its heap and its buffers.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats extends Counts {
  readonly workers: ReadonlyArray<WorkerStats>
}

/**
 * What the pool has done and what its workers are like, now.
 *
 * **Details**
 *
 * Each worker is asked for its memory; one that does not answer within half a second has 0.
 *
 * **Example** (After a map)
 *
 * ```ts run
 * import { Console, Effect } from "effect"
 * import { Pool, Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const square = Task.sync("square", { module: import.meta.url, handler: (x: number) => x * x })
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* Pool.make({ processes: 2 })
 *   yield* Pool.map(pool, square, [1, 2, 3])
 *   const { completed, failed, workers } = yield* Pool.stats(pool)
 *   yield* Console.log(`${completed} completed, ${failed} failed, by ${workers.length} workers`)
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerThreads))
 *
 * Process.runMain(program)
 * // => 3 completed, 0 failed, by 2 workers
 * ```
 *
 * @see {@link progress} for counts as they change
 * @category observability
 * @since 0.1.0
 */
export const stats = <R>(pool: Pool<R>): Effect.Effect<Stats> =>
  Effect.suspend(() => {
    const engine = engineOf(pool)
    return Effect.map(workersOf(engine), (workers) => ({ ...countsOf(engine.state), workers }))
  })

/**
 * How far a pool has come since {@link progress} was asked.
 *
 * - `submitted`: items that were given to the pool and are not interrupted; of a stream, those that were pulled so far.
 * - `done`: of these, the items that have a result or a failure; `failed`: those with a failure.
 * - `rate`: items done per second; 0 before the first.
 * - `remaining`: how long what is submitted will take at that rate; none before the first.
 *
 * @category models
 * @since 0.1.0
 */
export interface Progress extends ProgressOf {}

/**
 * How far the pool has come, as a stream: for progress bars.
 *
 * **Details**
 *
 * - Counts are those of all calls on the pool, from the moment when the stream is run.
 * - The first element comes at once, the others when something has changed, no more often than `every` (default 100 ms). A
 *   slow consumer misses what was in between and never holds up the pool.
 * - It ends when the pool has ended.
 *
 * **Example** (Until all is done)
 *
 * ```ts run
 * import { Console, Effect, Fiber, Option, Stream } from "effect"
 * import { Pool, Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const square = Task.sync("square", { module: import.meta.url, handler: (x: number) => x * x })
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* Pool.make({ processes: 2 })
 *   const last = yield* Pool.progress(pool, { every: "10 millis" }).pipe(
 *     Stream.takeUntil(({ done }) => done === 3),
 *     Stream.runLast,
 *     Effect.forkChild({ startImmediately: true })
 *   )
 *   yield* Pool.map(pool, square, [1, 2, 3])
 *   const { done, submitted } = Option.getOrThrow(yield* Fiber.join(last))
 *   yield* Console.log(`${done} of ${submitted}`)
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerThreads))
 *
 * Process.runMain(program)
 * // => 3 of 3
 * ```
 *
 * @see {@link stats} for more, once
 * @category observability
 * @since 0.1.0
 */
export const progress = <R>(
  pool: Pool<R>,
  options?: { readonly every?: Duration.Input | undefined }
): Stream.Stream<Progress> =>
  Stream.unwrap(Effect.map(Clock.Clock, (clock) => {
    const engine = engineOf(pool)
    const everyMillis = timeMillisOr("Pool.progress: every", options?.every, defaultEveryMillis)
    return readings(engine, makeMeter(engine, clock), everyMillis)
  }))
