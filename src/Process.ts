/**
 * A child process (or thread) that runs one task: started, awaited, interrupted and ended as a scoped resource.
 *
 * **The laws**
 *
 * - Nothing outlives its scope. When the scope closes with success, a daemon is ended and any other child is joined; on
 *   failure or interruption every child is ended.
 * - Every wait ends: with the task's value, its typed error, or a `ProcessError` that says how the process ended.
 * - The payload and the result are *copied*.
 *
 * | to have | use |
 * |---|---|
 * | many items done by a few workers | `Pool` |
 * | one task in one process of its own | `Process.start` |
 * | a foreign program | `effect/process/ChildProcess` |
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { Pipeable } from "effect/Pipeable"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Initializer } from "./Initializer.ts"
import { decodeFailure, decodeSuccess } from "./internal/codec/causes.ts"
import type { Place } from "./internal/codec/causes.ts"
import { whenImporting } from "./internal/codec/imported.ts"
import { encodePayload, nameOf, payloadError, tryEncode } from "./internal/codec/payload.ts"
import { initializerOf, taskOf, unregister, usesEffect } from "./internal/codec/registry.ts"
import type { TaskDefinition } from "./internal/codec/registry.ts"
import { unbundle } from "./internal/protocol/bundles.ts"
import { forsakeAll, restoreAll } from "./internal/handles/handle.ts"
import type { Given } from "./internal/handles/handle.ts"
import { flagMarked, Kind } from "./internal/protocol/messages.ts"
import type { Ambient, Crossed, ToChild, ToParent } from "./internal/protocol/messages.ts"
import { childGlobal } from "./internal/runner/childGlobal.ts"
import { closures } from "./internal/fork/closures.ts"
import { makeBoot } from "./internal/start/boot.ts"
import { timeMillisOr } from "./internal/start/checks.ts"
import { after } from "./internal/start/child.ts"
import {
  internals,
  livingChildren,
  makeHandle,
  ProcessTypeId,
  stopChild,
  waitAtClose,
  workerExited
} from "./internal/start/handle.ts"
import type { Handle, Internals } from "./internal/start/handle.ts"
import type { Captured, Child } from "./internal/start/Launcher.ts"
import { ambientOf, makeEar } from "./internal/start/observed.ts"
import { launcherOf, StartMethod } from "./internal/start/service.ts"
import type { Name } from "./internal/start/service.ts"
import { creator, self as currentSelf } from "./internal/start/tree.ts"
import { ProcessError, StartMethodUnavailable } from "./ProcessError.ts"
import type { ExitStatus as Status } from "./ProcessError.ts"
import { make as makeTask } from "./Task.ts"
import type { Task } from "./Task.ts"

const TypeId = ProcessTypeId

/**
 * How a process (or a thread) ended: with a code, or by a signal.
 *
 * @category models
 * @since 0.1.0
 */
export type ExitStatus = Status

/**
 * A started child that runs a task with the result `A` and the error `E`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Process<out A, out E = never> extends Pipeable {
  readonly name: string
  /** The id of the OS process; for a thread, and inline, of this process. */
  readonly pid: number
  readonly daemon: boolean
  readonly [TypeId]: { readonly _A: A; readonly _E: E }
}

/**
 * What a child provides to every task: the start method it was started with, and a `Scope` that closes with the task.
 *
 * @category models
 * @since 0.1.0
 */
export type Provided = StartMethod | Scope.Scope

/**
 * Options of {@link start}.
 *
 * @category models
 * @since 0.1.0
 */
export interface StartOptions<I> {
  /** For people and logs; by default `Process-1`, `Process-2`, and `Process-2:1` for the first child of the second. */
  readonly name?: string | undefined
  /** A daemon is ended, not joined, when its scope closes. Default: false, and not inherited. */
  readonly daemon?: boolean | undefined
  readonly initializer?: Initializer<I> | undefined
  /** Between the polite request to stop and the signal that enforces it; default 1 second. */
  readonly gracePeriod?: Duration.Input | undefined
}

/**
 * Is this value a {@link Process}?
 *
 * @category guards
 * @since 0.1.0
 */
export const isProcess = (u: unknown): u is Process<unknown, unknown> =>
  typeof u === "object" && u !== null && TypeId in u

const handleOf = (process: Process<unknown, unknown>): Handle => process as unknown as Handle // every Process is one

/**
 * Python's number for an exit status: the code, or minus the number of the signal.
 *
 * **Example** (A killed process)
 *
 * ```ts run
 * import { Process } from "effect-multiprocessing"
 *
 * console.log(Process.exitCode({ _tag: "Signaled", signal: "SIGKILL", number: 9 }))
 * // => -9
 * ```
 *
 * @category getters
 * @since 0.1.0
 */
export const exitCode = (status: ExitStatus): number => status._tag === "Exited" ? status.code : -status.number

// ---------------------------------------------------------------------------------------------------- start

const defaultGraceMillis = 1000
/** The number of the only run of a process. */
const onlyRun = 0

interface Report {
  exit: Exit.Exit<unknown, unknown> | undefined
}

const listen = (
  child: Child,
  definition: TaskDefinition,
  report: Report,
  context: Context.Context<never>
): void => {
  const { identity } = child.boot
  const { name, startMethod } = identity
  const ear = makeEar({ identity, pid: child.pid, role: "process" })
  const place: Place = { task: definition.name, module: definition.module, worker: name, pid: child.pid }
  const onMessage = (message: ToParent): void => {
    if (message[0] === Kind.Successes) {
      report.exit = decodeSuccess(message[3][0], message[4], () => place, definition.success)
    } else if (message[0] === Kind.Failure) {
      report.exit = Exit.failCause(decodeFailure(message[3], place, definition.error, startMethod))
    } else if (message[0] === Kind.Cancelled) {
      // interrupted before it had begun
      report.exit ??= Exit.interrupt()
    } else {
      ear.hear(message, () => context)
    }
  }
  child.onMessages((batch) => unbundle(batch).forEach(onMessage))
  child.onExit(ear.close)
}

const order = (
  definition: TaskDefinition,
  payload: Crossed,
  ambient: Ambient | undefined
): ReadonlyArray<ToChild> => [
  [Kind.Define, 0, definition.module, definition.name, usesEffect(definition)],
  [Kind.Run, onlyRun, 0, [payload.value], payload.marked ? flagMarked : 0, ambient]
]

const launch = Effect.fnUntraced(function*(
  definition: TaskDefinition,
  payload: unknown,
  options: StartOptions<never>,
  given: Array<Given>
) {
  const launcher = launcherOf(yield* StartMethod)
  const graceMillis = timeMillisOr("Process.start: gracePeriod", options.gracePeriod, defaultGraceMillis)
  const me = yield* creator("Process.start", launcher.name)
  const transfers: Array<ArrayBuffer> = []
  const encoded = yield* tryEncode(() => encodePayload(definition, payload, launcher.border, transfers, given))
  const initializer = options.initializer === undefined ? undefined : initializerOf(options.initializer)
  const context = yield* Effect.context<never>()
  const boot = makeBoot({
    creator: me,
    launcher,
    daemon: options.daemon ?? false,
    name: options.name ?? ((path) => `Process-${path.join(":")}`),
    initializer: initializer === undefined ? undefined : {
      ...initializer,
      encoded: yield* tryEncode(() =>
        encodePayload(initializer.definition, initializer.payload, launcher.border, [], given)
      )
    },
    once: true,
    context
  })
  const ambient = yield* Effect.withFiber((fiber) => Effect.succeed(ambientOf(fiber)))
  const child = yield* launcher.launch(boot)
  const report: Report = { exit: undefined }
  listen(child, definition, report, context)
  const handle = makeHandle({
    child,
    creator: me.path.join(":"),
    graceMillis,
    outcomeAtExit: (status) => report.exit ?? Exit.fail(workerExited(child, status, definition.name))
  })
  try {
    child.channel.post(order(definition, encoded, ambient), transfers)
  } catch (cause) {
    // what only the serializer could find out
    yield* stopChild(child, 0)
    return yield* payloadError(nameOf(definition), cause)
  }
  child.onExit(() => forsakeAll(given)) // it may have ended before it opened them
  return handle
})

/** What was given away with a payload that did not leave is the caller's again. */
const launchOnce = (
  definition: TaskDefinition,
  payload: unknown,
  options: StartOptions<never>
): ReturnType<typeof launch> => {
  const given: Array<Given> = []
  return Effect.onError(launch(definition, payload, options, given), () => Effect.sync(() => restoreAll(given)))
}

/** Python joins its children at the end of the program; so does a scope that closes with success. */
const joinAtClose = (handle: Handle): Effect.Effect<void> => {
  const own = handle[internals]
  const reportUnseen = Effect.suspend(() => own.observed ? Effect.void : Deferred.await(own.outcome)).pipe(
    Effect.matchCauseEffect({
      onSuccess: () => Effect.void,
      onFailure: (cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.void
          : Effect.logError(`${handle.name} failed, and nobody joined it`, cause)
    })
  )
  return waitAtClose(
    Effect.asVoid(Deferred.await(own.exited)),
    `The scope of ${handle.name} (pid ${handle.pid}) is closing and waits for it to end. If it waits for something that ` +
      `this scope holds open, close that first, or start it with daemon: true.`,
    () => stopChild(own.child, own.graceMillis)
  ).pipe(Effect.andThen(reportUnseen))
}

const release = (handle: Handle, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
  Exit.isSuccess(exit) && !handle.daemon
    ? joinAtClose(handle)
    : stopChild(handle[internals].child, handle[internals].graceMillis)

/**
 * Starts a child that runs the task once, and ends.
 *
 * **When to use**
 *
 * For a task that should have a process of its own: it may crash, leak, or run for as long as the program. For many items
 * use `Pool`.
 *
 * **Details**
 *
 * - It completes when the child is up (and its initializer built); the task runs from then on.
 * - The child belongs to the scope: joined when that closes with success (ended if it is a daemon), ended on failure and
 *   interruption. To end it, the child is asked to interrupt the task, so that finalizers run, and then gets SIGTERM.
 * - Each run of the effect starts a new child.
 * - The exit code is 0 after success, 1 after a typed failure or a defect, and the code of `process.exit` where the task
 *   calls it.
 *
 * **Gotchas**
 *
 * - The payload is copied. A function, a pool or another process in it is refused with the path inside the value.
 * - A child that dies fails {@link join} with `WorkerExited`; it is not started again.
 * - Interrupting the start ends the child that is coming up.
 * - The module of the task is loaded by the child. Where that module is the program itself, keep the program behind
 *   {@link runMain}: a child that starts processes outside of a task fails with `StartFailed`.
 *
 * **Example** (One child)
 *
 * ```ts
 * import { Console, Effect } from "effect"
 * import { Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const greet = Task.make("greet", {
 *   module: import.meta.url,
 *   handler: (name: string) => Effect.succeed(`hello, ${name}`)
 * })
 *
 * const program = Effect.gen(function*() {
 *   const child = yield* Process.start(greet, "world")
 *   yield* Console.log(yield* Process.join(child))
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerSpawn))
 *
 * Process.runMain(program)
 * ```
 *
 * @see {@link join} for its result
 * @category constructors
 * @since 0.1.0
 */
export const start: {
  <A, E, R extends I | Provided, I = never>(
    task: Task<void, A, E, R>,
    payload?: void,
    options?: StartOptions<I>
  ): Effect.Effect<Process<A, E>, ProcessError, StartMethod | Scope.Scope>
  <P, A, E, R extends I | Provided, I = never>(
    task: Task<P, A, E, R>,
    payload: NoInfer<P>,
    options?: StartOptions<I>
  ): Effect.Effect<Process<A, E>, ProcessError, StartMethod | Scope.Scope>
} = <P, A, E, R extends I | Provided, I = never>(
  task: Task<P, A, E, R>,
  payload?: P,
  options?: StartOptions<I>
): Effect.Effect<Process<A, E>, ProcessError, StartMethod | Scope.Scope> =>
  Effect.acquireRelease(Effect.suspend(() => launchOnce(taskOf(task), payload, options ?? {})), release, {
    interruptible: true
  }) as unknown as Effect.Effect<Process<A, E>, ProcessError, StartMethod | Scope.Scope> // its result is decoded as A and E

// ---------------------------------------------------------------------------------------------------- waiting

/**
 * Waits until the child has ended: the task's value, its typed error, or how the process ended without one.
 *
 * **Details**
 *
 * It may be called as often as one likes. `Effect.timeout` around it gives up waiting; the child goes on.
 *
 * **Gotchas**
 *
 * - The value is a copy of what the task returned.
 * - A child that died without a result fails it with `WorkerExited`.
 * - Interrupting it does not end the child; {@link interrupt} does.
 * - A task that was interrupted (by {@link interrupt}, or by itself) interrupts the fiber that joins it; use {@link wait}
 *   to look at that.
 *
 * **Example** (The value of a task)
 *
 * ```ts run
 * import { Console, Effect } from "effect"
 * import { Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const halve = Task.sync("halve", { module: import.meta.url, handler: (n: number) => n / 2 })
 *
 * const program = Effect.gen(function*() {
 *   const child = yield* Process.start(halve, 42)
 *   yield* Console.log(yield* Process.join(child))
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerThreads))
 *
 * Process.runMain(program)
 * // => 21
 * ```
 *
 * @see {@link wait} for the outcome as a value
 * @category waiting
 * @since 0.1.0
 */
export const join = <A, E>(self: Process<A, E>): Effect.Effect<A, E | ProcessError> =>
  Effect.suspend(() => {
    const own = handleOf(self)[internals]
    own.observed = true
    return Deferred.await(own.outcome) as Effect.Effect<A, E | ProcessError> // decoded by the task's schemas
  })

/**
 * Waits until the child has ended, and gives the outcome as a value.
 *
 * **When to use**
 *
 * Where a failure, a death or an interruption of the task is something to look at, not something that ends the caller.
 *
 * **Gotchas**
 *
 * Interrupting it does not end the child.
 *
 * **Example** (A task that was interrupted)
 *
 * ```ts run
 * import { Console, Effect, Exit } from "effect"
 * import { Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const nap = Task.make("nap", { module: import.meta.url, handler: () => Effect.sleep("1 hour") })
 *
 * const program = Effect.gen(function*() {
 *   const child = yield* Process.start(nap)
 *   yield* Process.interrupt(child)
 *   const exit = yield* Process.wait(child)
 *   yield* Console.log(Exit.hasInterrupts(exit))
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerThreads))
 *
 * Process.runMain(program)
 * // => true
 * ```
 *
 * @see {@link join} for the value itself
 * @category waiting
 * @since 0.1.0
 */
export const wait = <A, E>(self: Process<A, E>): Effect.Effect<Exit.Exit<A, E | ProcessError>> =>
  Effect.exit(join(self))

/**
 * Waits until the child has ended: Python's `sentinel`.
 *
 * **Details**
 *
 * It never fails: a death is a status too. The status of a thread is always a code.
 *
 * **Gotchas**
 *
 * It does not count as asking for the outcome: a child that failed, and that nobody joins, is logged when its scope
 * closes.
 *
 * **Example** (The exit code)
 *
 * ```ts run
 * import { Console, Effect } from "effect"
 * import { Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const halve = Task.sync("halve", { module: import.meta.url, handler: (n: number) => n / 2 })
 *
 * const program = Effect.gen(function*() {
 *   const child = yield* Process.start(halve, 42)
 *   const status = yield* Process.exited(child)
 *   yield* Console.log(Process.exitCode(status))
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerThreads))
 *
 * Process.runMain(program)
 * // => 0
 * ```
 *
 * @see {@link exitStatus} to ask without waiting
 * @category waiting
 * @since 0.1.0
 */
export const exited = <A, E>(self: Process<A, E>): Effect.Effect<ExitStatus> =>
  Deferred.await(handleOf(self)[internals].exited)

/**
 * Is the child running now?
 *
 * **Gotchas**
 *
 * It may end right after the answer. To be told of its end use {@link exited}.
 *
 * **Example** (Before and after)
 *
 * ```ts run
 * import { Console, Effect } from "effect"
 * import { Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const nap = Task.make("nap", { module: import.meta.url, handler: () => Effect.sleep("1 hour") })
 *
 * const program = Effect.gen(function*() {
 *   const child = yield* Process.start(nap)
 *   yield* Console.log(yield* Process.isAlive(child))
 *   yield* Process.terminate(child)
 *   yield* Process.exited(child)
 *   yield* Console.log(yield* Process.isAlive(child))
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerThreads))
 *
 * Process.runMain(program)
 * // => true
 * // => false
 * ```
 *
 * @category getters
 * @since 0.1.0
 */
export const isAlive = <A, E>(self: Process<A, E>): Effect.Effect<boolean> =>
  Effect.sync(() => handleOf(self)[internals].child.status() === undefined)

/**
 * How the child ended; `None` while it runs. Python's `exitcode`.
 *
 * **Example** (Before and after)
 *
 * ```ts run
 * import { Console, Effect, Option } from "effect"
 * import { Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const nap = Task.make("nap", { module: import.meta.url, handler: () => Effect.sleep("1 hour") })
 *
 * const program = Effect.gen(function*() {
 *   const child = yield* Process.start(nap)
 *   yield* Console.log(Option.isNone(yield* Process.exitStatus(child)))
 *   yield* Process.kill(child)
 *   yield* Process.exited(child)
 *   const status = yield* Process.exitStatus(child)
 *   yield* Console.log(Option.isSome(status) && Process.exitCode(status.value))
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerThreads))
 *
 * Process.runMain(program)
 * // => true
 * // => 1
 * ```
 *
 * @see {@link exitCode} for the number
 * @see {@link exited} to wait for it
 * @category getters
 * @since 0.1.0
 */
export const exitStatus = <A, E>(self: Process<A, E>): Effect.Effect<Option.Option<ExitStatus>> =>
  Effect.sync(() => Option.fromUndefinedOr(handleOf(self)[internals].child.status()))

const streamOf = (captured: Captured | undefined): Stream.Stream<Uint8Array, ProcessError> =>
  captured === undefined ? Stream.empty : Stream.callback<Uint8Array>(
    (queue) =>
      Effect.acquireRelease(
        Effect.sync(() =>
          captured.subscribe((block) => {
            if (block === undefined) Queue.endUnsafe(queue)
            else Queue.offerUnsafe(queue, block)
          })
        ),
        (stop) => Effect.sync(stop)
      ),
    { bufferSize: Number.POSITIVE_INFINITY }
  )

/**
 * What the child writes to its stdout, from the beginning, when its start method captures stdio; otherwise empty.
 *
 * **Details**
 *
 * The stream ends when the child has ended. It may be run more than once, also after the end: each run begins at the
 * beginning.
 *
 * **Gotchas**
 *
 * - All that a child wrote is kept in memory as long as the `Process` is.
 * - Nothing is kept of what a worker of a pool wrote (a child from {@link activeChildren}): the stream has what comes
 *   while it runs.
 * - Inline there is no stdout of a child: the stream is empty.
 *
 * **Example** (The output of a task)
 *
 * ```ts run
 * import { Console, Effect, Stream } from "effect"
 * import { Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const talk = Task.sync("talk", { module: import.meta.url, handler: () => console.log("hello") })
 *
 * const program = Effect.gen(function*() {
 *   const child = yield* Process.start(talk)
 *   const text = yield* Process.stdout(child).pipe(Stream.decodeText(), Stream.mkString)
 *   yield* Console.log(`it said: ${text.trim()}`)
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerThreadsWith({ stdio: "capture" })))
 *
 * Process.runMain(program)
 * // => it said: hello
 * ```
 *
 * @see {@link stderr}
 * @category stdio
 * @since 0.1.0
 */
export const stdout = <A, E>(self: Process<A, E>): Stream.Stream<Uint8Array, ProcessError> =>
  streamOf(handleOf(self)[internals].child.stdout)

/**
 * What the child writes to its stderr; as {@link stdout}.
 *
 * **Gotchas**
 *
 * As for {@link stdout}: it is kept in memory, but not of a pool's worker, and inline there is none.
 *
 * **Example** (Warnings of a task)
 *
 * ```ts run
 * import { Console, Effect, Stream } from "effect"
 * import { Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const warn = Task.sync("warn", { module: import.meta.url, handler: () => console.error("nearly full") })
 *
 * const program = Effect.gen(function*() {
 *   const child = yield* Process.start(warn)
 *   const text = yield* Process.stderr(child).pipe(Stream.decodeText(), Stream.mkString)
 *   yield* Console.log(`it warned: ${text.trim()}`)
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerThreadsWith({ stdio: "capture" })))
 *
 * Process.runMain(program)
 * // => it warned: nearly full
 * ```
 *
 * @see {@link stdout}
 * @category stdio
 * @since 0.1.0
 */
export const stderr = <A, E>(self: Process<A, E>): Stream.Stream<Uint8Array, ProcessError> =>
  streamOf(handleOf(self)[internals].child.stderr)

// ---------------------------------------------------------------------------------------------------- ending

/** Nobody has to be told how such a process ended. */
const endedOnPurpose = <A, E>(self: Process<A, E>): Internals => {
  const own = handleOf(self)[internals]
  own.observed = true
  return own
}

/**
 * Interrupts the task's fiber in the child: its finalizers run, and the child ends. Returns when the request is sent.
 *
 * **Details**
 *
 * A child that has not ended after its `gracePeriod` (one that computes without end cannot answer) gets SIGTERM.
 *
 * **Gotchas**
 *
 * - A child that was interrupted interrupts the fiber that joins it; {@link wait} gives that as a value.
 * - A child that got SIGTERM has run no finalizers, and its outcome is `WorkerExited`.
 * - Inline, a task that computes without end is not stopped: the request is read when it is done.
 *
 * **Example** (Finalizers run)
 *
 * ```ts
 * import { Console, Effect } from "effect"
 * import { Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const careful = Task.make("careful", {
 *   module: import.meta.url,
 *   handler: () => Console.log("working").pipe(
 *     Effect.andThen(Effect.sleep("1 hour")),
 *     Effect.onInterrupt(() => Console.log("cleaned up"))
 *   )
 * })
 *
 * const program = Effect.gen(function*() {
 *   const child = yield* Process.start(careful)
 *   yield* Effect.sleep("1 second")
 *   yield* Process.interrupt(child)
 *   yield* Process.exited(child)
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerSpawn))
 *
 * Process.runMain(program)
 * ```
 *
 * @see {@link terminate} for the way without finalizers
 * @category ending
 * @since 0.1.0
 */
export const interrupt = <A, E>(self: Process<A, E>): Effect.Effect<void> =>
  Effect.sync(() => {
    const { child, graceMillis } = endedOnPurpose(self)
    if (child.status() !== undefined) return
    child.channel.post([[Kind.Cancel, onlyRun]])
    child.onExit(after(graceMillis, () => child.kill("SIGTERM")))
  })

/**
 * Sends SIGTERM: the child ends at once, without finalizers. Returns when the signal is sent; {@link exited} waits.
 *
 * **Details**
 *
 * A thread is ended and reports the code 1.
 *
 * **Gotchas**
 *
 * - What the task was doing stays half done; {@link join} fails with `WorkerExited`.
 * - Inline there is nothing to end from outside: the task's fiber is interrupted.
 *
 * **Example** (Ended by a signal)
 *
 * ```ts run
 * import { Console, Effect } from "effect"
 * import { Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const nap = Task.make("nap", { module: import.meta.url, handler: () => Effect.sleep("1 hour") })
 *
 * const program = Effect.gen(function*() {
 *   const child = yield* Process.start(nap)
 *   yield* Process.terminate(child)
 *   yield* Console.log(Process.exitCode(yield* Process.exited(child)))
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerSpawn))
 *
 * Process.runMain(program)
 * // => -15
 * ```
 *
 * @see {@link interrupt} for the graceful way
 * @category ending
 * @since 0.1.0
 */
export const terminate = <A, E>(self: Process<A, E>): Effect.Effect<void> =>
  Effect.sync(() => endedOnPurpose(self).child.kill("SIGTERM"))

/**
 * Sends SIGKILL, which no process can handle. Returns when the signal is sent; {@link exited} waits.
 *
 * **Details**
 *
 * A thread is ended and reports the code 1.
 *
 * **Gotchas**
 *
 * As for {@link terminate}: nothing is finalized, and {@link join} fails with `WorkerExited`.
 *
 * **Example** (Killed)
 *
 * ```ts run
 * import { Console, Effect } from "effect"
 * import { Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const nap = Task.make("nap", { module: import.meta.url, handler: () => Effect.sleep("1 hour") })
 *
 * const program = Effect.gen(function*() {
 *   const child = yield* Process.start(nap)
 *   yield* Process.kill(child)
 *   yield* Console.log(Process.exitCode(yield* Process.exited(child)))
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerSpawn))
 *
 * Process.runMain(program)
 * // => -9
 * ```
 *
 * @see {@link interrupt} for the graceful way
 * @category ending
 * @since 0.1.0
 */
export const kill = <A, E>(self: Process<A, E>): Effect.Effect<void> =>
  Effect.sync(() => endedOnPurpose(self).child.kill("SIGKILL"))

// ---------------------------------------------------------------------------------------------------- closures

let forks = 0

/**
 * Runs an effect, as it stands, in a copy of this process, and gives its outcome: everything that the closure refers to is
 * there, and nothing is sent but the result.
 *
 * **Details**
 *
 * - It needs `StartMethod.layerFork`, with all that stands there: the effect must not wait for anything, the process must have no
 *   threads of its own, connections are closed in the copy.
 * - The result, or the error, is *copied* back, and must be able to cross. What the effect changes is changed in the copy.
 * - References of the caller (its clock, its config) hold in the copy, and what it logs comes out of the caller's loggers.
 * - Interrupting it ends the copy.
 *
 * **Gotchas**
 *
 * - Where the start method is another one, and where the effect waits, it fails with `StartMethodUnavailable`.
 * - The result and the error cross without a schema: an `Option`, a `Duration` or an instance of a class arrives as a plain
 *   object, although the type says otherwise. Return plain data, or use a task with schemas. A tagged error keeps its `_tag`.
 *
 * **Example** (A closure)
 *
 * ```ts
 * import { Console, Effect } from "effect"
 * import { Process, StartMethod } from "effect-multiprocessing"
 *
 * const program = Effect.gen(function*() {
 *   const numbers = Array.from({ length: 1_000_000 }, (_, i) => i)
 *   const sum = Process.forkSync(Effect.sync(() => numbers.reduce((a, b) => a + b)))
 *   yield* Console.log(yield* sum)
 * }).pipe(Effect.provide(StartMethod.layerFork))
 *
 * Process.runMain(program)
 * ```
 *
 * @see {@link start} for tasks, which any start method runs
 * @category constructors
 * @since 0.1.0
 */
export const forkSync = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | ProcessError, StartMethod> =>
  Effect.gen(function*() {
    const { name } = yield* StartMethod
    if (name !== "fork") {
      return yield* new ProcessError({
        reason: new StartMethodUnavailable({
          startMethod: name,
          message:
            `Process.forkSync copies this process: it needs StartMethod.layerFork, and the start method here is "${name}". ` +
            "Provide StartMethod.layerFork to it; or make a Task of the closure, which every start method runs."
        })
      })
    }
    const around = yield* Effect.context<never>()
    const task = makeTask(`closure ${++forks}`, {
      module: closures,
      // what the copy has for its tasks goes before what is here
      handler: () => Effect.updateContext(effect, (own: Context.Context<never>) => Context.merge(around, own))
    })
    const child = yield* Effect.ensuring(start(task), Effect.sync(() => unregister(taskOf(task))))
    return yield* join(child)
  }).pipe(Effect.scoped)

// ---------------------------------------------------------------------------------------------------- who am I

/**
 * The process that runs this code. Inside a task that is the child, also inline.
 *
 * **Details**
 *
 * In the main process the name is `MainProcess`, and the start method `"main"`.
 *
 * **Gotchas**
 *
 * The `pid` of a thread, and inline, is that of the process it is in.
 *
 * **Example** (A child's own name)
 *
 * ```ts run
 * import { Console, Effect } from "effect"
 * import { Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const whoAmI = Task.make("whoAmI", {
 *   module: import.meta.url,
 *   handler: () => Effect.map(Process.current, ({ name, startMethod }) => `${name}, ${startMethod}`)
 * })
 *
 * const program = Effect.gen(function*() {
 *   yield* Console.log((yield* Process.current).name)
 *   const child = yield* Process.start(whoAmI, undefined, { name: "helper" })
 *   yield* Console.log(yield* Process.join(child))
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerThreads))
 *
 * Process.runMain(program)
 * // => MainProcess
 * // => helper, threads
 * ```
 *
 * @category tree
 * @since 0.1.0
 */
export const current: Effect.Effect<{
  readonly name: string
  readonly pid: number
  readonly daemon: boolean
  readonly startMethod: Name | "main"
}> = Effect.map(currentSelf, ({ daemon, name, pid, startMethod }) => ({ name, pid, daemon, startMethod }))

/**
 * Who started the process that runs this code; `None` in the main process.
 *
 * **Details**
 *
 * A child whose parent dies leaves by itself, also when the parent was killed.
 *
 * **Example** (A child's parent)
 *
 * ```ts run
 * import { Console, Effect, Option } from "effect"
 * import { Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const whoStartedMe = Task.make("whoStartedMe", {
 *   module: import.meta.url,
 *   handler: () => Effect.map(Process.parent, (parent) => Option.isSome(parent) ? parent.value.name : "nobody")
 * })
 *
 * const program = Effect.gen(function*() {
 *   yield* Console.log(Option.isNone(yield* Process.parent))
 *   const child = yield* Process.start(whoStartedMe)
 *   yield* Console.log(yield* Process.join(child))
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerThreads))
 *
 * Process.runMain(program)
 * // => true
 * // => MainProcess
 * ```
 *
 * @category tree
 * @since 0.1.0
 */
export const parent: Effect.Effect<Option.Option<{ readonly name: string; readonly pid: number }>> = Effect.map(
  currentSelf,
  (me) => Option.fromUndefinedOr(me.parent)
)

/**
 * The living children of the process that runs this code, workers of pools among them.
 *
 * **Details**
 *
 * Only its own children: those that a child has started are in that child's list.
 *
 * **Gotchas**
 *
 * To end a worker of a pool is a death like any other: the item that it ran fails with `WorkerExited`, and a new one
 * takes its place.
 *
 * **Example** (The children of the program)
 *
 * ```ts run
 * import { Console, Effect } from "effect"
 * import { Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const nap = Task.make("nap", { module: import.meta.url, handler: () => Effect.sleep("1 hour") })
 *
 * const program = Effect.gen(function*() {
 *   yield* Process.start(nap, undefined, { name: "sleeper", daemon: true })
 *   const children = yield* Process.activeChildren
 *   yield* Console.log(children.map((child) => child.name).join())
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerThreads))
 *
 * Process.runMain(program)
 * // => sleeper
 * ```
 *
 * @category tree
 * @since 0.1.0
 */
export const activeChildren: Effect.Effect<ReadonlyArray<Process<unknown, unknown>>> = Effect.map(
  currentSelf,
  (me) => livingChildren(me.path.join(":")) as unknown as ReadonlyArray<Process<unknown, unknown>> // every handle is one
)

/**
 * Is this the main process: not a child that this library started?
 *
 * **When to use**
 *
 * For the top level of a file that children load too. A whole program is shorter with {@link runMain}.
 *
 * **Gotchas**
 *
 * Inline there is no other process: it is true also inside a task. {@link current} tells the two apart.
 *
 * **Example** (Only in the main process)
 *
 * ```ts run
 * import { Process } from "effect-multiprocessing"
 *
 * if (Process.isMain) console.log("starting")
 * // => starting
 * ```
 *
 * @see {@link runMain}
 * @category main
 * @since 0.1.0
 */
export let isMain: boolean = childGlobal() === undefined

if (isMain) {
  // a server of a manager imports modules of its clients, for their tasks
  whenImporting((isImporting) => {
    isMain = !isImporting
  })
}

/**
 * Runs a program in the main process, and does nothing in a child that loads the same file: Python's
 * `if __name__ == "__main__"`, with `NodeRuntime.runMain`.
 *
 * **Details**
 *
 * SIGINT and SIGTERM interrupt the program, so that its scopes end its children. Failures are logged, and the exit code
 * is 1 for them.
 *
 * **Gotchas**
 *
 * The rest of the file runs in the children too: what they should not do belongs into the program.
 *
 * **Example** (Task and program in one file)
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
 * @category main
 * @since 0.1.0
 */
export const runMain = <A, E>(effect: Effect.Effect<A, E>): void => {
  if (!isMain) return
  // loaded only here: a child that imports this module does not need it
  void import("@effect/platform-node/NodeRuntime").then(({ runMain }) => runMain(effect))
}
