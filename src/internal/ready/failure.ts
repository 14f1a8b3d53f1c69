/**
 * What tasks fail with on its way: as their schemas encode it, apart from what goes wrong around them.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ProcessError } from "../../ProcessError.ts"
import type { TaskDefinition } from "../codec/registry.ts"
import { coderIfAny } from "./coder.ts"

const tag = "effect-multiprocessing/TaskFailed"

/** The own failure of a task. */
const Failed = Schema.TaggedStruct(tag, { error: Schema.Unknown })

export const failure = Schema.Union([ProcessError, Failed])

const isFailed = Schema.is(Failed)

/** In the server. */
export const told = (error: unknown): typeof failure.Type =>
  error instanceof ProcessError ? error : { _tag: tag, error }

/** At the proxy: it knows the task. */
export const heard = ({ error, name }: TaskDefinition) => (failure: unknown): Effect.Effect<never, unknown> =>
  isFailed(failure)
    ? Effect.flatMap(coderIfAny(error, `task "${name}"`).decode(failure.error), Effect.fail)
    : Effect.fail(failure)
