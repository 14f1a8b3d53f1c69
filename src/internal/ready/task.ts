/**
 * Tasks that run in the server of an object: they cross as their names.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import { ProcessError } from "../../ProcessError.ts"
import { findTask, taskOf } from "../codec/registry.ts"
import type { TaskDefinition } from "../codec/registry.ts"
import { foundOrImported } from "../manager/found.ts"
import { coderIfAny, coderOf, present } from "./coder.ts"
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

const find = (task: TaskName): Effect.Effect<TaskDefinition, ProcessError> =>
  foundOrImported(
    task,
    () => findTask(task.module, task.name),
    () =>
      `The server of a manager finds no task "${task.name}" in ${task.module}. Define it there at the top level, with ` +
      "module: import.meta.url; what is typed into a REPL has no file."
  )

const handle = (definition: TaskDefinition, payload: unknown): Effect.Effect<unknown, unknown> =>
  Effect.suspend(() =>
    definition.kind === "sync" ? Effect.succeed(definition.handler(payload)) : definition.handler(payload)
  )

/** A task without a payload, for its own sake. */
export const runAction = (task: TaskName): Effect.Effect<unknown, unknown> =>
  Effect.flatMap(find(task), (definition) => handle(definition, undefined))

/** A task that is given what its schema, if it has one, has decoded. What it fails with is ready to cross. */
export const runTask = (task: TaskName, payload: unknown): Effect.Effect<unknown, unknown> =>
  Effect.flatMap(find(task), (definition) => run(definition, payload))

const run = (definition: TaskDefinition, payload: unknown): Effect.Effect<unknown, unknown> => {
  const error = coderIfAny(definition.error, whatOf(definition))
  const tell = (failed: unknown) =>
    failed instanceof ProcessError
      ? Effect.fail(failed)
      : Effect.flatMap(error.encode(failed), (encoded) => Effect.fail(told(encoded)))
  return handle(definition, payload).pipe(Effect.catch(tell))
}

const whatOf = ({ name }: TaskDefinition): string => `task "${name}" in the server of a manager`

/** What has crossed as it is may have lost its class. What an update has made has not. */
const inputOf = (definition: TaskDefinition, value: unknown): Effect.Effect<unknown, ProcessError> => {
  const { payload } = definition
  return payload === undefined || Schema.is(payload)(value)
    ? Effect.succeed(value)
    : coderOf(payload, whatOf(definition)).decode(value)
}

/**
 * A task of an update: what it gives is stored before anybody hears of it, and crosses as its schema encodes it. An object that
 * keeps its values encoded stores that; `hasPlaces`: where nothing is there it says `undefined`. What was there before, where that
 * is wanted, crosses as the next value would.
 */
export const runUpdate = (
  task: TaskName,
  payload: unknown,
  store: (next: unknown) => void,
  { gives = "next", hasPlaces = false }: { readonly gives?: "before" | "next"; readonly hasPlaces?: boolean } = {}
): Effect.Effect<unknown, unknown> =>
  Effect.flatMap(find(task), (definition) => {
    const what = whatOf(definition)
    const given = coderIfAny(definition.success, what)
    const stored = Effect.tap((next: unknown) => Effect.sync(() => store(next)))
    return task.coded === true
      // it has both: see codedTask
      ? coderOf(definition.payload!, what).decode(payload).pipe(
        Effect.flatMap((value) => run(definition, value)),
        Effect.flatMap((hasPlaces ? present(given, what) : given).encode),
        stored,
        Effect.map((next) => gives === "next" ? next : payload)
      )
      : Effect.flatMap(inputOf(definition, payload), (value) =>
        gives === "next"
          ? run(definition, value).pipe(stored, Effect.flatMap(given.encode))
          // what cannot be told fails before anything is changed
          : Effect.flatMap(given.encode(value), (before) => Effect.as(stored(run(definition, value)), before)))
  })
