/**
 * What stands behind a `Process`: a child with its outcome, registered among the living children of its creator.
 */
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { pipeArguments } from "effect/Pipeable"
import type { Pipeable } from "effect/Pipeable"
import { ProcessError, WorkerExited } from "../../ProcessError.ts"
import type { ExitStatus } from "../../ProcessError.ts"
import { notShareable } from "../codec/values.ts"
import { Kind } from "../protocol/messages.ts"
import { after, describeStatus } from "./child.ts"
import type { Child } from "./Launcher.ts"

export const ProcessTypeId = "~effect-multiprocessing/Process" as const
export const internals = Symbol.for("effect-multiprocessing/Process/internals")

export interface Internals {
  readonly child: Child
  readonly creator: string
  readonly graceMillis: number
  /** What it ends with; completed when the child has ended. */
  readonly outcome: Deferred.Deferred<unknown, unknown>
  readonly exited: Deferred.Deferred<ExitStatus>
  /** Somebody has asked for the outcome. */
  observed: boolean
}

export interface Handle extends Pipeable {
  readonly [ProcessTypeId]: { readonly _A: never; readonly _E: never }
  readonly [notShareable]: { readonly handle: string; readonly advice: string }
  readonly name: string
  readonly pid: number
  readonly daemon: boolean
  readonly [internals]: Internals
}

const variance = { _A: undefined as never, _E: undefined as never }
const refusal = { handle: "Process", advice: "Send what the other side needs of it: its pid, its name." }

const living = new Set<Handle>()

/** The living children of a process of the tree. */
export const livingChildren = (creator: string): ReadonlyArray<Handle> =>
  Array.from(living).filter((handle) => handle[internals].creator === creator)

export const workerExited = (child: Child, status: ExitStatus, task: string | undefined): ProcessError => {
  const { name } = child.boot.identity
  const held = task === undefined ? "" : ` while it ran task "${task}"`
  const words = child.lastWords()
  return new ProcessError({
    reason: new WorkerExited({
      pid: child.pid,
      status,
      ...(task === undefined ? {} : { task }),
      message: `${name} (pid ${child.pid}) ${describeStatus(status)}${held}.${words === "" ? "" : `\n${words}`}`
    })
  })
}

export interface HandleOptions {
  readonly child: Child
  readonly creator: string
  readonly graceMillis: number
  /** What the child has reported by its end, or why it has reported nothing. */
  readonly outcomeAtExit: (status: ExitStatus) => Exit.Exit<unknown, unknown>
}

export const makeHandle = ({ child, creator, graceMillis, outcomeAtExit }: HandleOptions): Handle => {
  const own: Internals = {
    child,
    creator,
    graceMillis,
    outcome: Deferred.makeUnsafe<unknown, unknown>(),
    exited: Deferred.makeUnsafe<ExitStatus>(),
    observed: false
  }
  const { daemon, name } = child.boot.identity
  const shown: Omit<Handle, typeof internals | typeof notShareable> = {
    [ProcessTypeId]: variance,
    name,
    pid: child.pid,
    daemon,
    pipe() {
      return pipeArguments(this, arguments)
    }
  }
  // not enumerable: whoever prints a process does not want to see them
  const handle = Object.defineProperties(shown, {
    [internals]: { value: own },
    [notShareable]: { value: refusal }
  }) as Handle // with these it is one
  living.add(handle)
  child.onExit((status) => {
    living.delete(handle)
    Deferred.doneUnsafe(own.outcome, outcomeAtExit(status))
    Deferred.doneUnsafe(own.exited, Exit.succeed(status))
  })
  return handle
}

const patience: Duration.Input = "5 seconds"

/** Waits, and says for whom when it takes long; given up, it does what `onInterrupt` says. */
export const waitAtClose = (
  ended: Effect.Effect<void>,
  message: string,
  onInterrupt: () => Effect.Effect<void>
): Effect.Effect<void> => {
  const told = Effect.sleep(patience).pipe(Effect.andThen(Effect.logWarning(message)), Effect.andThen(ended))
  return Effect.interruptible(Effect.raceFirst(ended, told)).pipe(Effect.onInterrupt(onInterrupt))
}

/**
 * Ends a child in good order: it is asked to interrupt what it runs and to release what it holds; after the grace period it
 * gets SIGTERM, and after another one SIGKILL. Completes when it has ended.
 */
export const stopChild = (child: Child, graceMillis: number): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (child.status() !== undefined) return resume(Effect.void)
    let cancel = after(graceMillis, () => {
      child.kill("SIGTERM")
      cancel = after(graceMillis, () => child.kill("SIGKILL"))
    })
    child.onExit(() => {
      cancel()
      resume(Effect.void)
    })
    child.channel.post([[Kind.Stop]])
  })
