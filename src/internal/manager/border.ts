/**
 * What goes wrong between a proxy and its object, on its way through a call: a defect, until the proxy knows whether the
 * method may fail with it.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import { Closed, CodecFailed, MessageTooLarge, NotShareable, ProcessError } from "../../ProcessError.ts"
import type { Reason } from "../../ProcessError.ts"

const mark = "~effect-multiprocessing/Manager/atBorder" as const

export interface AtBorder {
  readonly [mark]: true
  readonly error: ProcessError
}

export const atBorder = (error: ProcessError): AtBorder => ({ [mark]: true, error })

export const isAtBorder = (u: unknown): u is AtBorder => typeof u === "object" && u !== null && mark in u

const frameMark = "~effect-multiprocessing/Manager/unframed" as const

/** A message that could not be made into a frame: nothing of it was sent. */
export interface Unframed {
  readonly [frameMark]: true
  readonly cause: unknown
}

export const unframed = (cause: unknown): Unframed => ({ [frameMark]: true, cause })

export const isUnframed = (u: unknown): u is Unframed => typeof u === "object" && u !== null && frameMark in u

/** Whose value it is, where that is not known: {@link named} puts the name of the method in its place. */
export const someCall = "a call of a manager"

export const named = (error: ProcessError, name: string): ProcessError => {
  const { message, reason } = error
  return message.startsWith(someCall)
    ? new ProcessError({ reason: retold(reason, name + message.slice(someCall.length)) })
    : error
}

/** The reasons that a value can have. */
const retold = (reason: Reason, message: string): Reason => {
  switch (reason._tag) {
    case "CodecFailed": {
      const { cause, phase } = reason
      return new CodecFailed({ phase, message, ...(cause === undefined ? {} : { cause }) })
    }
    case "NotShareable":
      return new NotShareable({ handle: reason.handle, message })
    case "Closed":
      return new Closed({ what: reason.what, message })
    case "MessageTooLarge":
      return new MessageTooLarge({ size: reason.size, limit: reason.limit, message })
    default:
      return reason
  }
}

/** Goes with the interruption of a call by its server: what its client is to be told. */
class Because extends Context.Service<Because, ProcessError>()("effect-multiprocessing/Manager/Because") {}

export const because = (error: ProcessError): Context.Context<never> => Context.make(Because, error) as never // nobody needs it

export const becauseOf = (reason: Cause.Reason<unknown>): ProcessError | undefined =>
  Context.getOrUndefined(Cause.reasonAnnotations(reason), Because)
