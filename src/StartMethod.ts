/**
 * How a child comes to life: as a thread, as an OS process, or, for tests, inline. The start method is a service, so that
 * swapping one `Layer` is all that differs between them.
 *
 * | | `layerInline` | `layerThreads` | `layerSpawn` | `layerForkServer` |
 * |---|---|---|---|---|
 * | runs in | this thread | a thread of this process | an OS process of its own | the same, copied from a server |
 * | starts in about | nothing | a bare `Worker` | a bare `node` | a few milliseconds |
 * | `process.exit(n)`, uncaught error in a task | ends the program | ends the thread | ends the child | ends the child |
 * | signals, own pid, survives out of memory | no | memory with `resourceLimits` | yes | yes |
 * | a task that computes without end can be killed | no | yes | yes | yes |
 * | a raw `SharedArrayBuffer` may be sent | yes | yes | no | no |
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { ResourceLimits } from "node:worker_threads"
import { timeMillis } from "./internal/start/checks.ts"
import { whyUnavailable } from "./internal/fork/server.ts"
import { forkLauncher, openFork } from "./internal/start/fork.ts"
import { forkServer } from "./internal/start/forkServer.ts"
import { inline } from "./internal/start/inline.ts"
import { makeService, StartMethod } from "./internal/start/service.ts"
import type { Name } from "./internal/start/service.ts"
import { spawn } from "./internal/start/spawn.ts"
import { threads } from "./internal/start/threads.ts"
import { ProcessError, StartMethodUnavailable } from "./ProcessError.ts"

export {
  /**
   * The names of the start methods.
   *
   * @category models
   * @since 0.1.0
   */
  type Name,
  /**
   * The service: which start method the program uses. A task finds the one it was started with.
   *
   * @category services
   * @since 0.1.0
   */
  StartMethod
} from "./internal/start/service.ts"

/**
 * The same thread, behind the same codec: for the tests of programs that use this library.
 *
 * **Details**
 *
 * Payloads and results are encoded, cloned and decoded as for a process, so that what works inline works everywhere.
 *
 * **Gotchas**
 *
 * Nothing runs in parallel, a task that computes without end cannot be interrupted, and `process.exit` in a task ends the
 * program.
 *
 * **Example** (A pool in a test)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Pool, StartMethod, Task } from "effect-multiprocessing"
 *
 * const square = Task.sync("square", { module: import.meta.url, handler: (x: number) => x * x })
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* Pool.make({ processes: 2 })
 *   return yield* Pool.map(pool, square, [1, 2, 3])
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerInline))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerInline: Layer.Layer<StartMethod> = Layer.succeed(StartMethod, makeService(inline))

/**
 * Options of {@link layerThreadsWith}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ThreadsOptions {
  /** Limits of each thread; a thread that exceeds them fails its own task only. Sizes are in MB. */
  readonly resourceLimits?: ResourceLimits | undefined
  /** Replaces the environment; by default a copy of this process's. */
  readonly env?: Record<string, string> | undefined
  /** Replaces the flags of Node that this process runs with. */
  readonly execArgv?: ReadonlyArray<string> | undefined
  /** "inherit" (the default) writes to this process's stdout and stderr; "capture" gives `Process.stdout` and `stderr`. */
  readonly stdio?: "inherit" | "capture" | undefined
  /** How long a thread may take until it is ready; default 30 seconds. */
  readonly startTimeout?: Duration.Input | undefined
}

const startMillis = (what: string, timeout: Duration.Input | undefined): number | undefined =>
  timeout === undefined ? undefined : timeMillis(`${what}: startTimeout`, timeout)

/**
 * Threads of this process (`node:worker_threads`), with options.
 *
 * **Details**
 *
 * A negative `startTimeout` is a `RangeError` defect.
 *
 * **Gotchas**
 *
 * `env` and `execArgv` replace what a thread would get from this process; they do not add to it.
 *
 * **Example** (At most 256 MB for each thread)
 *
 * ```ts
 * import { StartMethod } from "effect-multiprocessing"
 *
 * export const SmallThreads = StartMethod.layerThreadsWith({ resourceLimits: { maxOldGenerationSizeMb: 256 } })
 * ```
 *
 * @see {@link layerThreads} for the defaults
 * @category layers
 * @since 0.1.0
 */
export const layerThreadsWith = ({ startTimeout, ...options }: ThreadsOptions): Layer.Layer<StartMethod> =>
  Layer.sync(StartMethod, () =>
    makeService(
      threads({ ...options, startMillis: startMillis("StartMethod.layerThreadsWith", startTimeout) })
    ))

/**
 * Threads of this process (`node:worker_threads`): quick to start, and buffers can be moved to them.
 *
 * **When to use**
 *
 * For CPU work in JavaScript that is trusted not to crash: threads start sooner than processes, and messages cost less.
 *
 * **Gotchas**
 *
 * - Payloads and results are copied here too: a thread has a heap of its own. Only a raw `SharedArrayBuffer` is shared,
 *   and only what a `Transferable` schema marks is moved.
 * - A crash in native code, or running out of memory without `resourceLimits`, ends the program and all threads.
 * - Threads have no pid and no signals of their own; to kill one is to end it, and it reports the code 1.
 *
 * **Example** (A pool of threads)
 *
 * ```ts run
 * import { Console, Effect } from "effect"
 * import { Pool, Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const square = Task.sync("square", { module: import.meta.url, handler: (x: number) => x * x })
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* Pool.make({ processes: 2 })
 *   yield* Console.log((yield* Pool.map(pool, square, [1, 2, 3])).join(" "))
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerThreads))
 *
 * Process.runMain(program)
 * // => 1 4 9
 * ```
 *
 * @see {@link layerSpawn} for isolation from crashes
 * @category layers
 * @since 0.1.0
 */
export const layerThreads: Layer.Layer<StartMethod> = layerThreadsWith({})

/**
 * Options of {@link layerSpawnWith}.
 *
 * @category models
 * @since 0.1.0
 */
export interface SpawnOptions {
  /** The executable; by default the Node that runs this program. */
  readonly execPath?: string | undefined
  /** Replaces the flags of Node that this process runs with; for example `["--max-old-space-size=512"]`. */
  readonly execArgv?: ReadonlyArray<string> | undefined
  /** Replaces the inherited environment. */
  readonly env?: Record<string, string> | undefined
  /** Adds to the environment. */
  readonly extendEnv?: Record<string, string> | undefined
  readonly cwd?: string | undefined
  /** "inherit" (the default) writes to this process's stdout and stderr; "capture" gives `Process.stdout` and `stderr`. */
  readonly stdio?: "inherit" | "capture" | undefined
  /** How long a child may take until it is ready; default 30 seconds. */
  readonly startTimeout?: Duration.Input | undefined
  /** The largest message in bytes: at least 4096, at most (and by default) 2 GiB - 1. */
  readonly maxMessageBytes?: number | undefined
}

const maxMessage = 2 ** 31 - 1
/** What the library itself has to say must have room. */
const leastMessage = 4096

const checkProcessOptions = <A extends Pick<SpawnOptions, "maxMessageBytes" | "startTimeout">>(
  what: string,
  { startTimeout, ...options }: A
): Omit<A, "startTimeout"> & { readonly startMillis: number | undefined } => {
  const limit = options.maxMessageBytes
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= leastMessage && limit <= maxMessage)) {
    throw new RangeError(
      `${what}: maxMessageBytes must be a whole number of bytes from ${leastMessage} to ${maxMessage}, but it is ${limit}.`
    )
  }
  return { ...options, startMillis: startMillis(what, startTimeout) }
}

/**
 * OS processes, with options.
 *
 * **Gotchas**
 *
 * - `maxMessageBytes` that is not a whole number between 4096 and 2147483647 is a `RangeError` defect.
 * - `env` replaces the environment, `PATH` included; `extendEnv` adds to it.
 *
 * **Example** (A limit of memory, and a variable)
 *
 * ```ts
 * import { StartMethod } from "effect-multiprocessing"
 *
 * export const SmallProcesses = StartMethod.layerSpawnWith({
 *   execArgv: ["--max-old-space-size=512"],
 *   extendEnv: { LOG_LEVEL: "debug" }
 * })
 * ```
 *
 * @see {@link layerSpawn} for the defaults
 * @category layers
 * @since 0.1.0
 */
export const layerSpawnWith = (options: SpawnOptions): Layer.Layer<StartMethod> =>
  Layer.sync(StartMethod, () => makeService(spawn(checkProcessOptions("StartMethod.layerSpawnWith", options))))

/**
 * OS processes: each child is a fresh Node of its own. A crash, a leak, `process.exit` or a signal in a task ends that
 * child and nothing else. This is the default where a choice has to be made.
 *
 * **Gotchas**
 *
 * - All that crosses is copied through a socket: buffers are never moved, and a raw `SharedArrayBuffer` is refused.
 * - Ctrl-C does not end the children: the parent's scope does. When the parent dies, they leave by themselves.
 *
 * **Example** (A task that exits takes only its child with it)
 *
 * ```ts run
 * import { Console, Effect } from "effect"
 * import { Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const quit = Task.sync("quit", { module: import.meta.url, handler: (code: number): string => process.exit(code) })
 *
 * const program = Effect.gen(function*() {
 *   const child = yield* Process.start(quit, 7)
 *   const outcome = Process.join(child).pipe(
 *     Effect.catchReason("ProcessError", "WorkerExited", ({ status }) =>
 *       Effect.succeed(`it ended with ${Process.exitCode(status)}`))
 *   )
 *   yield* Console.log(yield* outcome)
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerSpawn))
 *
 * Process.runMain(program)
 * // => it ended with 7
 * ```
 *
 * @see {@link layerThreads} for a quicker start
 * @category layers
 * @since 0.1.0
 */
export const layerSpawn: Layer.Layer<StartMethod> = layerSpawnWith({})

const unavailable = (startMethod: string, message: string): ProcessError =>
  new ProcessError({ reason: new StartMethodUnavailable({ startMethod, message }) })

/**
 * Options of {@link layerForkServer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ForkServerOptions extends Omit<SpawnOptions, "execPath"> {
  /**
   * Modules that the server loads before it makes children: URLs, names of packages, or paths that begin with a dot or a
   * slash; names and paths as a file in the working directory would import them.
   */
  readonly preload?: ReadonlyArray<string | URL> | undefined
}

/**
 * A server process that has loaded modules before, and copies itself on request (fork(2)): a child is up in milliseconds,
 * and what the server has loaded is shared, not loaded again. Experimental; Linux on x64 with glibc.
 *
 * **When to use**
 *
 * For children that are started often, or that need much that is slow to load: modules, tables. A child that lives long
 * gains nothing over {@link layerSpawn}.
 *
 * **Details**
 *
 * - The server starts with the scope of the layer and ends with it. Options are those of {@link layerSpawnWith}, for the
 *   server and all of its children.
 * - Each `preload` is imported in the server, in order, the modules of your tasks among them. What they compute at
 *   their top level is there in each child, in memory that is shared until one of them writes to it.
 * - Before the layer is ready a first copy is tried: it collects garbage, compiles, starts a thread. Where that fails or
 *   hangs, or on another platform, the layer fails with `StartMethodUnavailable`, which says why. A module that cannot be
 *   loaded fails it with `StartFailed`.
 * - A server that dies takes its children with it, by SIGKILL: what they ran fails with `WorkerExited`. The next start
 *   starts another server.
 *
 * **Gotchas**
 *
 * - The server takes about half a second to start: provide the layer once, around the program.
 * - A preloaded module must leave nothing open that copies would share, such as a thread, a server, a connection or a child process:
 *   the layer fails with `StartFailed`, which names it. Timers may go on: they do so in each child. `Process.isMain` is false in it.
 * - What a module computes at its top level is the same in all children: a random number, the time, a connection that it has
 *   opened. `Math.random` and `node:crypto` are seeded anew in each child; a module that has put `Math.random` in a constant
 *   draws the same numbers in all of them.
 * - `process.uptime()` and `performance.now()` of a child count from the start of the server.
 * - A child's memory counts as its own in `Pool.stats` as far as it is mapped, though most of it is shared.
 *
 * **Example** (Where it is not available, spawn)
 *
 * ```ts run
 * import { Console, Effect, Layer } from "effect"
 * import { Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const square = Task.sync("square", { module: import.meta.url, handler: (x: number) => x * x })
 *
 * const ForkServer = StartMethod.layerForkServer({ preload: [import.meta.url] }).pipe(
 *   Layer.catch(() => StartMethod.layerSpawn)
 * )
 *
 * const program = Effect.gen(function*() {
 *   const child = yield* Process.start(square, 3)
 *   yield* Console.log(yield* Process.join(child))
 * }).pipe(Effect.scoped, Effect.provide(ForkServer))
 *
 * Process.runMain(program)
 * // => 9
 * ```
 *
 * @see {@link layerSpawn} for the same children, started more slowly
 * @category layers
 * @since 0.1.0
 */
export const layerForkServer = ({ preload, ...options }: ForkServerOptions = {}): Layer.Layer<
  StartMethod,
  ProcessError
> =>
  Layer.effect(
    StartMethod,
    Effect.gen(function*() {
      const checked = checkProcessOptions("StartMethod.layerForkServer", options)
      const launcher = forkServer({ ...checked, preload: (preload ?? []).map(String) })
      yield* Effect.addFinalizer(() => launcher.close)
      yield* launcher.open
      return makeService(launcher)
    })
  )

/**
 * Copies of this process (fork(2)): a child begins with all that this process has loaded and computed, in milliseconds and
 * without a payload for it. Experimental; Linux on x64 with glibc.
 *
 * **When to use**
 *
 * For computing on a large value that this process has in memory and that need not change. A child can only compute: for all
 * else use {@link layerForkServer}.
 *
 * **Details**
 *
 * - The event loop of a copy does not turn, because everything that waits in it belongs to this process. A task that has to wait (a timer,
 *   a promise, input and output that is not synchronous) fails with `StartMethodUnavailable`, which says so.
 * - A copy has none of this process's connections: sockets and pipes are closed in it, files and the standard streams are
 *   not. Shared values and arrays work in it; locks, queues and pipes that it has are `Closed`.
 * - The module of a task must be loaded in this process: a copy loads nothing more.
 * - What a copy changes is its own. Its result is copied back, as that of any child. It dies with this process.
 * - Before the layer is ready a first copy is tried, which collects garbage and compiles.
 *
 * **Gotchas**
 *
 * - A process with threads of its own (`layerThreads`, `node:worker_threads`) cannot be copied: the start fails with
 *   `StartMethodUnavailable`, which names the thread. It must be the main thread that starts.
 * - The memory of this process is shared until one of the two writes to it; the collector of a child writes.
 * - Listeners to the "exit" of this process do not run in a copy.
 *
 * **Example** (A table that is not sent)
 *
 * ```ts run
 * import { Console, Effect, Layer } from "effect"
 * import { Pool, Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const table = Array.from({ length: 1000 }, (_, i) => i * i)
 * const lookUp = Task.sync("lookUp", { module: import.meta.url, handler: (i: number) => table[i] })
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* Pool.make({ processes: 2 })
 *   yield* Console.log(yield* Pool.map(pool, lookUp, [1, 2, 3]))
 * }).pipe(
 *   Effect.scoped,
 *   Effect.provide(StartMethod.layerFork.pipe(Layer.catch(() => StartMethod.layerSpawn)))
 * )
 *
 * Process.runMain(program)
 * // => [ 1, 4, 9 ]
 * ```
 *
 * @see {@link layerForkServer} for children that can do all that a process can
 * @category layers
 * @since 0.1.0
 */
export const layerFork: Layer.Layer<StartMethod, ProcessError> = Layer.effect(
  StartMethod,
  Effect.as(openFork, makeService(forkLauncher))
)

/**
 * What can run on this machine, the default first: Python's `get_all_start_methods`. That "forkserver" and "fork" are among them
 * means that nothing speaks against them yet: their layers try.
 *
 * **Example** (The default)
 *
 * ```ts run
 * import { Console, Effect } from "effect"
 * import { StartMethod } from "effect-multiprocessing"
 *
 * const program = Effect.gen(function*() {
 *   const [first] = yield* StartMethod.available
 *   yield* Console.log(first)
 * })
 *
 * await Effect.runPromise(program)
 * // => spawn
 * ```
 *
 * @category getters
 * @since 0.1.0
 */
export const available: Effect.Effect<ReadonlyArray<Name>> = Effect.sync(() => [
  "spawn",
  "threads",
  ...(whyUnavailable() === undefined ? ["forkserver" as const, "fork" as const] : []),
  "inline"
])

/**
 * The start method that `MULTIPROCESSING_START_METHOD` names; "spawn" where it is unset.
 *
 * **Details**
 *
 * The variable is read through `Config`, so a `ConfigProvider` can give it. An unknown name fails with
 * `StartMethodUnavailable`, which lists the valid ones.
 *
 * **Gotchas**
 *
 * The variable is read where the layer is built. A task finds the start method that it was started with.
 *
 * **Example** (Threads, by configuration)
 *
 * ```ts run
 * import { ConfigProvider, Console, Effect, Layer } from "effect"
 * import { Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const howStarted = Task.make("howStarted", {
 *   module: import.meta.url,
 *   handler: () => Effect.map(Process.current, (me) => me.startMethod)
 * })
 *
 * const env = ConfigProvider.layer(ConfigProvider.fromUnknown({ MULTIPROCESSING_START_METHOD: "threads" }))
 *
 * const program = Effect.gen(function*() {
 *   const child = yield* Process.start(howStarted)
 *   yield* Console.log(yield* Process.join(child))
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerConfig.pipe(Layer.provide(env))))
 *
 * Process.runMain(program)
 * // => threads
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig: Layer.Layer<StartMethod, ProcessError> = Layer.unwrap(
  Effect.gen(function*() {
    const variable = "MULTIPROCESSING_START_METHOD"
    const name = yield* Config.String(variable).pipe(Config.withDefault("spawn")).pipe(
      Effect.mapError((error) => unavailable("unknown", `${variable} could not be read: ${error.message}`))
    )
    switch (name) {
      case "inline":
        return layerInline
      case "threads":
        return layerThreads
      case "spawn":
        return layerSpawn
      case "forkserver":
        return layerForkServer()
      case "fork":
        return layerFork
      default: {
        const valid = yield* available
        return yield* unavailable(
          name,
          `${variable} is ${JSON.stringify(name)}, which is no start method. Valid here: ${valid.join(", ")}.`
        )
      }
    }
  })
)
