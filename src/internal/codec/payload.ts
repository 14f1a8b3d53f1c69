/**
 * Payloads on their way out: encoded with their schema, then made ready to cross.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Closed, CodecFailed, MessageTooLarge, NotShareable, ProcessError } from "../../ProcessError.ts"
import type { Given } from "../handles/handle.ts"
import type { Crossed } from "../protocol/messages.ts"
import { doesNotFit, whyNot } from "./reasons.ts"
import type { Phase } from "./reasons.ts"
import type { Definition } from "./registry.ts"
import { valueCodec } from "./schema.ts"
import { prepare } from "./values.ts"
import type { Border } from "./values.ts"

export const nameOf = (definition: Definition): string =>
  `${definition.kind === "initializer" ? "initializer" : "task"} "${definition.name}"`

/** A value, and the schema that it does not fit. `what` names whose it is, as below. */
export const codecFailed = (what: string, phase: Phase, issue: unknown): ProcessError =>
  new ProcessError({ reason: new CodecFailed({ phase, message: doesNotFit(what, phase, issue) }) })

/** Why a value could not be made ready, posted, or opened again. `what` names whose it is: `task "square"`. */
export const crossingError = (what: string, phase: Phase, cause: unknown): ProcessError => {
  const why = whyNot(what, phase, cause)
  switch (why._tag) {
    case "NotShareable":
      return new ProcessError({ reason: new NotShareable({ handle: why.handle, message: why.message }) })
    case "Closed":
      return new ProcessError({ reason: new Closed({ what: why.what, message: why.message }) })
    case "MessageTooLarge":
      return new ProcessError({
        reason: new MessageTooLarge({ size: why.size, limit: why.limit, message: why.message })
      })
    case "CodecFailed": {
      const { message } = why
      const more = why.cause === undefined ? {} : { cause: why.cause }
      return new ProcessError({ reason: new CodecFailed({ phase, message, ...more }) })
    }
  }
}

/** Why a payload could not be encoded, or could not be posted. */
export const payloadError = (what: string, cause: unknown): ProcessError => crossingError(what, "payload", cause)

/** Throws a ProcessError. Adds to `transfers` the buffers that the schema marks, and to `given` what is used up by it. */
export const encodePayload = (
  definition: Definition,
  payload: unknown,
  border: Border,
  transfers: Array<ArrayBuffer>,
  given: Array<Given> = []
): Crossed => {
  let value = payload
  if (definition.payload !== undefined) {
    const encoded = valueCodec(definition.payload).encode(payload, transfers)
    if (Exit.isFailure(encoded)) {
      throw codecFailed(nameOf(definition), "payload", Cause.squash(encoded.cause))
    }
    value = encoded.value
  }
  try {
    return prepare(value, border, "payload", given)
  } catch (cause) {
    throw payloadError(nameOf(definition), cause)
  }
}

/** What an encoding threw: a failure where it is ours, a defect where it is a bug. */
export const encodingFailed = (error: unknown): Effect.Effect<never, ProcessError> =>
  error instanceof ProcessError ? Effect.fail(error) : Effect.die(error)

/** An encoding as an Effect. */
export const tryEncode = <A>(encode: () => A): Effect.Effect<A, ProcessError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(encode())
    } catch (error) {
      return encodingFailed(error)
    }
  })
