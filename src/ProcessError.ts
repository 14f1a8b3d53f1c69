/**
 * Everything that can go wrong at the border between processes: one wrapper, `ProcessError`, with a `reason`.
 *
 * A task's own failure is never wrapped: it arrives as the `E` of the task. A bug in a task is a defect whose stack
 * shows where it happened. What is left, the border itself, is here, so that one `Effect.catchTag("ProcessError", ...)`
 * or one `Effect.catchReason("ProcessError", "WorkerExited", ...)` is enough.
 *
 * @since 0.1.0
 */
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"

const TypeId = "~effect-multiprocessing/ProcessError" as const

/**
 * How a process (or a thread) ended: with a code, or by a signal.
 *
 * @category models
 * @since 0.1.0
 */
export type ExitStatus =
  | { readonly _tag: "Exited"; readonly code: number }
  | { readonly _tag: "Signaled"; readonly signal: string; readonly number: number }

/**
 * Schema of an {@link ExitStatus}, so that it can cross and be stored.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ExitStatus: Schema.Union<[
  Schema.TaggedStruct<"Exited", { readonly code: Schema.Number }>,
  Schema.TaggedStruct<"Signaled", { readonly signal: Schema.String; readonly number: Schema.Number }>
]> = Schema.Union([
  Schema.TaggedStruct("Exited", { code: Schema.Number }),
  Schema.TaggedStruct("Signaled", { signal: Schema.String, number: Schema.Number })
])

/**
 * An item ran longer than the `timeout` of its call allows. The time counts from the start of its run: waiting in the
 * pool's queue is not counted. Its worker was interrupted, and replaced if it did not answer. Also: nobody listened at an
 * address until the deadline of `Listener.connect`, or a handshake took too long.
 *
 * **Gotchas**
 *
 * The call may fail with it before the finalizers of the task have run.
 *
 * @category reasons
 * @since 0.1.0
 */
export class TimedOut extends Schema.TaggedError<TimedOut>()("TimedOut", {
  task: Schema.String,
  limitMillis: Schema.Number,
  message: Schema.String
}) {}

/**
 * The start method cannot run here: wrong platform, a missing flag, a native part that is not there, or a name that
 * does not exist. The message says what would help.
 *
 * @category reasons
 * @since 0.1.0
 */
export class StartMethodUnavailable extends Schema.TaggedError<StartMethodUnavailable>()("StartMethodUnavailable", {
  startMethod: Schema.String,
  message: Schema.String
}) {}

/**
 * The child did not come up: the executable is wrong, its bootstrap or its initializer failed, it did not answer
 * within the start timeout, or a child tried to start processes outside of a task. Also: a listener cannot listen at its
 * address; its `startMethod` is "Listener".
 *
 * @category reasons
 * @since 0.1.0
 */
export class StartFailed extends Schema.TaggedError<StartFailed>()("StartFailed", {
  startMethod: Schema.String,
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

/**
 * The child ended before it replied. `status` has the code or the signal; the message holds the last lines of its
 * stderr where they are known.
 *
 * **Gotchas**
 *
 * The task may have done a part of its work; `retryOnCrash` runs it again from the beginning.
 *
 * @category reasons
 * @since 0.1.0
 */
export class WorkerExited extends Schema.TaggedError<WorkerExited>()("WorkerExited", {
  pid: Schema.Number,
  status: ExitStatus,
  task: Schema.optionalKey(Schema.String),
  message: Schema.String
}) {}

/**
 * The module of a task could not be imported in the child, or it defines no task of that name. The message lists the
 * names that it defines.
 *
 * @category reasons
 * @since 0.1.0
 */
export class TaskNotFound extends Schema.TaggedError<TaskNotFound>()("TaskNotFound", {
  module: Schema.String,
  task: Schema.String,
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

/**
 * A value cannot cross. `phase` says which one: the payload of a task, its success, its error, or a message. The
 * message says which task, and the path inside the value.
 *
 * **Gotchas**
 *
 * With the phase "success" or "error" the task has run.
 *
 * @category reasons
 * @since 0.1.0
 */
export class CodecFailed extends Schema.TaggedError<CodecFailed>()("CodecFailed", {
  phase: Schema.Literals(["payload", "success", "error", "message"]),
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

/**
 * A handle (a pool, a process, a connection, a shared value, ...) cannot cross this kind of border, or the process that it
 * was sent to cannot open it. The message says why, and what to do.
 *
 * @category reasons
 * @since 0.1.0
 */
export class NotShareable extends Schema.TaggedError<NotShareable>()("NotShareable", {
  handle: Schema.String,
  message: Schema.String
}) {}

/**
 * A pool, process, connection, queue or listener, or the owner of a handle, is closed or gone.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Closed extends Schema.TaggedError<Closed>()("Closed", {
  what: Schema.String,
  message: Schema.String
}) {}

/**
 * The workers of a pool die faster than its `restartIntensity` allows; the pool has closed itself.
 *
 * @category reasons
 * @since 0.1.0
 */
export class RestartLimitExceeded extends Schema.TaggedError<RestartLimitExceeded>()("RestartLimitExceeded", {
  restarts: Schema.Number,
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

/**
 * A peer has the wrong authentication key, or none. Also: it is not who it should be, but another program, another version of
 * this library, or a manager with another name or other methods; the message says what differs.
 *
 * @category reasons
 * @since 0.1.0
 */
export class AuthenticationFailed extends Schema.TaggedError<AuthenticationFailed>()("AuthenticationFailed", {
  message: Schema.String
}) {}

/**
 * A frame larger than the limit was refused, when it was sent or when it came. Sizes are in bytes.
 *
 * @category reasons
 * @since 0.1.0
 */
export class MessageTooLarge extends Schema.TaggedError<MessageTooLarge>()("MessageTooLarge", {
  size: Schema.Number,
  limit: Schema.Number,
  message: Schema.String
}) {}

/**
 * Creating, finding or reading shared memory failed.
 *
 * @category reasons
 * @since 0.1.0
 */
export class SharedMemoryFailed extends Schema.TaggedError<SharedMemoryFailed>()("SharedMemoryFailed", {
  kind: Schema.Literals(["NotFound", "AlreadyExists", "InvalidSize", "OutOfBounds", "SystemError"]),
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

/**
 * Schema of all the reasons.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Reason: Schema.Union<[
  typeof TimedOut,
  typeof StartMethodUnavailable,
  typeof StartFailed,
  typeof WorkerExited,
  typeof TaskNotFound,
  typeof CodecFailed,
  typeof NotShareable,
  typeof Closed,
  typeof RestartLimitExceeded,
  typeof AuthenticationFailed,
  typeof MessageTooLarge,
  typeof SharedMemoryFailed
]> = Schema.Union([
  TimedOut,
  StartMethodUnavailable,
  StartFailed,
  WorkerExited,
  TaskNotFound,
  CodecFailed,
  NotShareable,
  Closed,
  RestartLimitExceeded,
  AuthenticationFailed,
  MessageTooLarge,
  SharedMemoryFailed
])

/**
 * Why a {@link ProcessError} happened.
 *
 * @category models
 * @since 0.1.0
 */
export type Reason =
  | TimedOut
  | StartMethodUnavailable
  | StartFailed
  | WorkerExited
  | TaskNotFound
  | CodecFailed
  | NotShareable
  | Closed
  | RestartLimitExceeded
  | AuthenticationFailed
  | MessageTooLarge
  | SharedMemoryFailed

/**
 * The error of everything that talks to another process.
 *
 * **When to use**
 *
 * To tell the border's failures from the task's own: the task's `E` is never a `ProcessError`.
 *
 * **Details**
 *
 * `message` is the message of the reason, `cause` its cause. The class is a schema, so a `ProcessError` crosses as an
 * instance where a task declares it as its `error`.
 *
 * **Gotchas**
 *
 * A task that itself uses a pool or a process should rename its `ProcessError`s: in the caller they could not be told
 * from those of the caller's own pool.
 *
 * **Example** (Retrying only when the worker died)
 *
 * ```ts run
 * import { Effect } from "effect"
 * import { ProcessError } from "effect-multiprocessing"
 *
 * const died = new ProcessError.ProcessError({
 *   reason: new ProcessError.WorkerExited({
 *     pid: 42,
 *     status: { _tag: "Exited", code: 7 },
 *     message: "worker 42 exited with code 7"
 *   })
 * })
 *
 * const program = Effect.fail(died).pipe(
 *   Effect.catchReason("ProcessError", "WorkerExited", (reason) => Effect.succeed(`recovered from the end of ${reason.pid}`))
 * )
 *
 * console.log(await Effect.runPromise(program))
 * // => recovered from the end of 42
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class ProcessError extends Schema.TaggedError<ProcessError>()("ProcessError", { reason: Reason }) {
  readonly [TypeId] = TypeId

  override get message(): string {
    return this.reason.message
  }

  override get cause(): unknown {
    return "cause" in this.reason ? this.reason.cause : undefined
  }
}

/**
 * Is this value a {@link ProcessError}?
 *
 * @category guards
 * @since 0.1.0
 */
export const isProcessError = (u: unknown): u is ProcessError => hasProperty(u, TypeId)
