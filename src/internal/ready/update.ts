/**
 * Updates by tasks, as a proxy asks for them: it knows the task, and its schemas.
 */
import * as Effect from "effect/Effect"
import { taskOf } from "../codec/registry.ts"
import type { TaskDefinition } from "../codec/registry.ts"
import type { Around } from "../manager/definition.ts"
import { coderIfAny } from "./coder.ts"
import { heard } from "./failure.ts"

/** The task of an update: the first that an `updateWith` is given, the last of the others. */
const taskIn = (method: string, payload: unknown): unknown =>
  Array.isArray(payload) ? payload.at(method === "updateWith" ? 0 : -1) : payload

/** Where its object has a schema, its definition has been put into its place. */
const isCoded = (u: unknown): boolean =>
  typeof u === "object" && u !== null && (u as { readonly coded?: unknown }).coded === true

type Read = (task: TaskDefinition, result: unknown) => Effect.Effect<unknown, unknown>

const isUpdate = (method: string): boolean => method.startsWith("update") || method === "getAndUpdate"

/** For kinds whose updates run a task. */
const around = (read: Read): Around => (method, payload, send) =>
  isUpdate(method)
    ? Effect.suspend(() => {
      const given = taskIn(method, payload) as object
      const task = taskOf(given) // it throws where it is none
      const answer = send.effect(method, payload).pipe(Effect.catch(heard(task)))
      return isCoded(given) ? answer : Effect.flatMap(answer, (result) => read(task, result))
    })
    : undefined

/** What the task gives belongs to somebody else's schema. */
export const aroundUpdates: Around = around((_, result) => Effect.succeed(result))

const decode: Read = ({ name, success }, result) => coderIfAny(success, `task "${name}"`).decode(result)

/** What the task gives is what its schema says. */
export const aroundValues: Around = around(decode)

/** The same. Nothing where there was nothing to update. */
export const aroundPlaces: Around = around((task, result) =>
  result === undefined ? Effect.undefined : decode(task, result)
)
