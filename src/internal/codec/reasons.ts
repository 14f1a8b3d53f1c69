/**
 * Why a value could not cross, in words: for a payload on its way out, and for a result or an error on its way back.
 *
 * Effect-free: the runner in a child uses it too.
 */
import { isFrameTooLarge } from "../protocol/frames.ts"
import { wordsOf } from "./errors.ts"
import { isGone } from "../memory/gone.ts"
import { isUnreachable } from "../memory/unreachable.ts"
import { isUncrossable } from "./values.ts"

export type Phase = "payload" | "success" | "error" | "message"

export type WhyNot =
  | { readonly _tag: "NotShareable"; readonly handle: string; readonly message: string }
  | { readonly _tag: "Closed"; readonly what: string; readonly message: string }
  | { readonly _tag: "MessageTooLarge"; readonly size: number; readonly limit: number; readonly message: string }
  /** `cause` where more is known than the message says. */
  | { readonly _tag: "CodecFailed"; readonly message: string; readonly cause?: unknown }

const subjects: Record<Phase, string> = {
  payload: "the payload",
  success: "the result",
  error: "the error",
  message: "the message"
}

/** `what` names whose value it is: `task "square"`. */
export const whyNot = (what: string, phase: Phase, cause: unknown): WhyNot => {
  if (isUncrossable(cause)) {
    const message = `${what}: ${cause.message}`
    return cause.handle === undefined
      ? { _tag: "CodecFailed", message }
      : { _tag: "NotShareable", handle: cause.handle, message }
  }
  if (isGone(cause) || isUnreachable(cause)) {
    const message = `${what}: the ${cause.what} in ${subjects[phase]}: ${cause.message}`
    return cause._tag === "Gone"
      ? { _tag: "Closed", what: cause.what, message }
      : { _tag: "NotShareable", handle: cause.what, message }
  }
  const subject = `${what}: ${subjects[phase]}`
  if (isFrameTooLarge(cause)) {
    const { limit, size } = cause
    return {
      _tag: "MessageTooLarge",
      size,
      limit,
      message: `${subject} takes ${size} bytes, which is more than the limit of ${limit} bytes for a message. ` +
        (phase === "message"
          ? "Send it in parts."
          : "Send it in parts, or raise maxMessageBytes of StartMethod.layerSpawnWith.")
    }
  }
  return { _tag: "CodecFailed", message: `${subject} cannot cross: ${wordsOf(cause)} Send plain data.`, cause }
}

export const doesNotFit = (what: string, phase: Phase, issue: unknown): string =>
  `${what}: ${subjects[phase]} does not fit its schema: ${wordsOf(issue)}`
