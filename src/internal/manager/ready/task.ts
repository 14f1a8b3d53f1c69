/**
 * Tasks that run in the server of an object: they cross as their names.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import { ProcessError, TaskNotFound } from "../../../ProcessError.ts"
import { findTask, taskOf } from "../../codec/registry.ts"
import type { TaskDefinition } from "../../codec/registry.ts"
import { coderIfAny, coderOf } from "./coder.ts"
import { told } from "./failure.ts"

export interface TaskName {
  readonly module: string
  readonly name: string
  /** What it works on is kept as the schemas of the task encode it. */
  readonly coded?: true | undefined
}

export const nameOf = (task: object): TaskName => {
  const { module, name } = taskOf(task) // it throws where it is none
  return (task as { readonly coded?: true }).coded === true ? { module, name, coded: true } : { module, name } // see below
}

/** A task crosses as its name. */
export const NamedTask = Schema.Struct({
  module: Schema.String,
  name: Schema.String,
  coded: Schema.optional(Schema.Literal(true))
}).pipe(
  Schema.decodeTo(Schema.Unknown, {
    decode: SchemaGetter.transform((name: TaskName): unknown => name),
    encode: SchemaGetter.transform((task: unknown): TaskName => nameOf(task as object))
  })
)

/** The task, for an object that keeps its values encoded. Throws where the task could not read them. */
export const codedTask = (task: object, what: string): TaskDefinition & { readonly coded: true } => {
  const definition = taskOf(task)
  if (definition.payload !== undefined && definition.success !== undefined) return { ...definition, coded: true }
  throw new TypeError(
    `${what}: it has a schema, so the task "${definition.name}" needs schemas too: give Task.make both \`payload\` and ` +
      "`success`, so that the server can decode the value and encode what becomes of it."
  )
}

const notFound = ({ module, name }: TaskName, cause?: unknown): ProcessError =>
  new ProcessError({
    reason: new TaskNotFound({
      module,
      task: name,
      message: `The server of a manager finds no task "${name}" in ${module}.`,
      ...(cause === undefined ? {} : { cause })
    })
  })

const find = (task: TaskName): Effect.Effect<TaskDefinition, ProcessError> =>
  Effect.gen(function*() {
    if (findTask(task.module, task.name) === undefined) {
      yield* Effect.tryPromise({
        try: () => import(task.module) as Promise<unknown>,
        catch: (cause) => notFound(task, cause)
      })
    }
    return findTask(task.module, task.name) ?? (yield* notFound(task))
  })

const handle = (definition: TaskDefinition, payload: unknown): Effect.Effect<unknown, unknown> =>
  Effect.suspend(() =>
    definition.kind === "sync" ? Effect.succeed(definition.handler(payload)) : definition.handler(payload)
  )

/** A task without a payload, for its own sake. */
export const runAction = (task: TaskName): Effect.Effect<unknown, unknown> =>
  Effect.flatMap(find(task), (definition) => handle(definition, undefined))

/** A task of an update. What it fails with is ready to cross. */
export const runTask = (task: TaskName, payload: unknown): Effect.Effect<unknown, unknown> =>
  Effect.flatMap(find(task), (definition) => {
    const what = `task "${task.name}" in the server of a manager`
    const error = coderIfAny(definition.error, what)
    const tell = (failed: unknown) =>
      failed instanceof ProcessError
        ? Effect.fail(failed)
        : Effect.flatMap(error.encode(failed), (encoded) => Effect.fail(told(encoded)))
    const run = (value: unknown) => handle(definition, value).pipe(Effect.catch(tell))
    if (task.coded !== true) return run(payload)
    const [taken, given] = [coderOf(definition.payload!, what), coderOf(definition.success!, what)] // see codedTask
    return taken.decode(payload).pipe(Effect.flatMap(run), Effect.flatMap(given.encode))
  })
