/**
 * Values with a schema: encoded where they leave, decoded where they arrive.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Schema from "effect/Schema"
import type { ProcessError } from "../../ProcessError.ts"
import { codecFailed } from "../codec/payload.ts"
import type { Phase } from "../codec/reasons.ts"
import { valueCodec } from "../codec/schema.ts"

export type AnySchema = Schema.Codec<unknown, unknown>

export interface Coder {
  readonly encode: (value: unknown) => Effect.Effect<unknown, ProcessError>
  readonly decode: (value: unknown) => Effect.Effect<unknown, ProcessError>
}

/** `what` names whose values they are: `Manager.map`. */
export const coderOf = (schema: Schema.Constraint, what: string): Coder => {
  const codec = valueCodec(schema as unknown as AnySchema) // it is driven by the schema itself
  const settled = (phase: Phase, exit: Exit.Exit<unknown, string>) =>
    Exit.isSuccess(exit)
      ? Effect.succeed(exit.value)
      : Effect.fail(codecFailed(what, phase, Cause.squash(exit.cause)))
  return {
    encode: (value) => Effect.suspend(() => settled("payload", codec.encode(value, []))),
    decode: (value) => Effect.suspend(() => settled("success", codec.decode(value)))
  }
}

const asItIs: Coder = { encode: Effect.succeed, decode: Effect.succeed }

/** For places where `undefined` says that nothing is there. */
export const present = (coder: Coder, what: string): Coder => ({
  ...coder,
  encode: (value) =>
    Effect.flatMap(
      coder.encode(value),
      (encoded) =>
        encoded === undefined ? Effect.fail(codecFailed(what, "payload", encodedToNothing)) : Effect.succeed(encoded)
    )
})

const encodedToNothing = new Error(
  "The schema encodes it to undefined, which stands for nothing being there. Use one that encodes to something else, as null."
)

export const coderIfAny = (schema: AnySchema | undefined, what: string): Coder =>
  schema === undefined ? asItIs : coderOf(schema, what)
