/**
 * What tasks fail with on its way: as their schemas encode it, apart from what goes wrong around them.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { isTask } from "../../../Task.ts"
import { ProcessError } from "../../../ProcessError.ts"
import { taskOf } from "../../codec/registry.ts"
import type { TaskDefinition } from "../../codec/registry.ts"
import type { Around } from "../definition.ts"
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

/** One of what an `update` is given is its task. */
const taskIn = (payload: unknown): unknown => Array.isArray(payload) ? payload.find(isTask) : payload

/** For kinds whose methods that begin with `update` run a task. */
export const aroundUpdates: Around = (method, payload, send) =>
  method.startsWith("update")
    ? Effect.suspend(() => {
      const task = taskOf(taskIn(payload) as object) // it throws where it is none
      return send.effect(method, payload).pipe(Effect.catch(heard(task)))
    })
    : undefined
