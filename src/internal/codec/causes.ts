/**
 * What a child reports as failed, as the parent's Causes and errors.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import type * as Schema from "effect/Schema"
import {
  Closed,
  CodecFailed,
  MessageTooLarge,
  NotShareable,
  ProcessError,
  StartFailed,
  StartMethodUnavailable,
  TaskNotFound
} from "../../ProcessError.ts"
import type { Reason } from "../../ProcessError.ts"
import { installOpeners } from "../handles/handle.ts"
import { openHandle } from "../handles/openers.ts"
import type { Crossed, EncodedFailure, EncodedReason } from "../protocol/messages.ts"
import { crossingError } from "./payload.ts"
import { valueCodec } from "./schema.ts"
import { isError, setHidden } from "./errors.ts"
import { open, revive } from "./values.ts"

// what children report may hold handles
installOpeners(openHandle)

/** Which task ran where, for the stacks of its defects. */
export interface Place {
  readonly task: string
  readonly module: string
  readonly worker: string
  readonly pid: number
}

const withCause = (cause: Crossed | undefined): { readonly cause?: unknown } =>
  cause === undefined ? {} : { cause: open(cause) }

export const reasonToError = (encoded: EncodedReason, startMethod: string): ProcessError =>
  new ProcessError({ reason: makeReason(encoded, startMethod) })

const makeReason = (encoded: EncodedReason, startMethod: string): Reason => {
  switch (encoded._tag) {
    case "TaskNotFound": {
      const { cause, message, module, task } = encoded
      return new TaskNotFound({ module, task, message, ...withCause(cause) })
    }
    case "CodecFailed":
      return new CodecFailed({ phase: encoded.phase, message: encoded.message, ...withCause(encoded.cause) })
    case "NotShareable":
      return new NotShareable({ handle: encoded.handle, message: encoded.message })
    case "Closed":
      return new Closed({ what: encoded.what, message: encoded.message })
    case "MessageTooLarge":
      return new MessageTooLarge({ size: encoded.size, limit: encoded.limit, message: encoded.message })
    case "StartFailed":
      return new StartFailed({ startMethod, message: encoded.message, ...withCause(encoded.cause) })
    case "StartMethodUnavailable":
      return new StartMethodUnavailable({ startMethod, message: encoded.message })
  }
}

/** A defect keeps its own stack, followed by where it happened. */
export const locate = (defect: unknown, where: string): unknown => {
  if (isError(defect)) {
    setHidden(defect, "stack", `${defect.stack ?? `${defect.name}: ${defect.message}`}\n    at ${where}`)
  }
  return defect
}

const show = ({ module, pid, task, worker }: Place): string => `task "${task}" of ${module} in ${worker} (pid ${pid})`

/** The cause of a failed item: its own error decoded, its defects located. */
export const decodeFailure = (
  failure: EncodedFailure,
  place: Place,
  errorSchema: Schema.Codec<unknown, unknown> | undefined,
  startMethod: string
): Cause.Cause<unknown> => {
  if (failure._tag === "Border") return Cause.fail(reasonToError(failure.reason, startMethod))
  return Cause.fromReasons(failure.reasons.map((reason): Cause.Reason<unknown> => {
    switch (reason[0]) {
      case "interrupt":
        return Cause.makeInterruptReason(reason[1])
      case "die":
        return Cause.makeDieReason(locate(open(reason[1]), show(place)))
      case "fail": {
        const error = open(reason[1])
        if (errorSchema === undefined) return Cause.makeFailReason(error)
        const decoded = valueCodec(errorSchema).decode(error)
        return Cause.makeFailReason(
          Exit.isSuccess(decoded) ? decoded.value : undecodable(place, "error", Cause.squash(decoded.cause))
        )
      }
    }
  }))
}

const undecodable = (place: Place, phase: "success" | "error", why: unknown): ProcessError =>
  new ProcessError({
    reason: new CodecFailed({
      phase,
      message: `task "${place.task}": the ${
        phase === "success" ? "result" : "error"
      } that came back does not fit its schema: ${String(why)}`
    })
  })

/** What a result stands for may be gone when it arrives. */
const whyUnopened = ({ task }: Place, cause: unknown): ProcessError => crossingError(`task "${task}"`, "success", cause)

/** A result as the caller sees it, or why it cannot be one. */
export const decodeSuccess = (
  value: unknown,
  marked: boolean,
  place: () => Place,
  schema: Schema.Codec<unknown, unknown> | undefined
): Exit.Exit<unknown, ProcessError> => {
  let revived = value
  try {
    if (marked) revived = revive(value)
  } catch (cause) {
    return Exit.fail(whyUnopened(place(), cause))
  }
  if (schema === undefined) return Exit.succeed(revived)
  const decoded = valueCodec(schema).decode(revived)
  return Exit.isSuccess(decoded)
    ? Exit.succeed(decoded.value)
    : Exit.fail(undecodable(place(), "success", Cause.squash(decoded.cause)))
}
