/**
 * The definitions (tasks and initializers) that modules of this process have made, by module and name.
 *
 * It hangs on `globalThis`, so that the bundled runner, the package's own modules and a second evaluation of them (a test
 * runner may load a file twice) all see one table. It imports nothing: a task module pays only for what it uses.
 */
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"

/** What `Task.make`, `Task.sync` and `Initializer.make` register. The handler's types are erased here. */
export type Definition =
  & {
    readonly name: string
    readonly module: string
    readonly payload: Schema.Codec<unknown, unknown> | undefined
  }
  & (
    | {
      readonly kind: "effect"
      readonly success: Schema.Codec<unknown, unknown> | undefined
      readonly error: Schema.Codec<unknown, unknown> | undefined
      readonly handler: (payload: unknown) => Effect.Effect<unknown, unknown, never>
    }
    | {
      readonly kind: "sync"
      readonly success: Schema.Codec<unknown, unknown> | undefined
      readonly error: undefined
      readonly handler: (payload: unknown) => unknown
    }
    | {
      readonly kind: "initializer"
      readonly layer: (payload: unknown) => Layer.Layer<unknown, unknown>
    }
  )

type TaskDefinition = Extract<Definition, { readonly kind: "effect" | "sync" }>
type InitializerDefinition = Extract<Definition, { readonly kind: "initializer" }>
export type { InitializerDefinition, TaskDefinition }

interface Tables {
  readonly task: Map<string, Map<string, TaskDefinition>>
  readonly initializer: Map<string, Map<string, InitializerDefinition>>
}

const key = Symbol.for("effect-multiprocessing/definitions")
const holder = globalThis as { [key]?: Tables }
const tables: Tables = holder[key] ??= { task: new Map(), initializer: new Map() }

const put = <D extends Definition>(table: Map<string, Map<string, D>>, definition: D): void => {
  const ofModule = table.get(definition.module)
  if (ofModule === undefined) table.set(definition.module, new Map([[definition.name, definition]]))
  else ofModule.set(definition.name, definition)
}

/** A later definition of the same name in the same module replaces the earlier one. */
export const register = (definition: Definition): void =>
  definition.kind === "initializer" ? put(tables.initializer, definition) : put(tables.task, definition)

/** It is not found any more. */
export const unregister = ({ module, name }: TaskDefinition): void => void tables.task.get(module)?.delete(name)

export const findTask = (module: string, name: string): TaskDefinition | undefined => tables.task.get(module)?.get(name)

export const findInitializer = (module: string, name: string): InitializerDefinition | undefined =>
  tables.initializer.get(module)?.get(name)

/** The names that a module defines, for messages. */
export const namesOf = (kind: "task" | "initializer", module: string): ReadonlyArray<string> =>
  Array.from(tables[kind].get(module)?.keys() ?? [])

/** `import.meta.url`, a `URL`, or a path's URL as a string: what a definition is found by. */
export const moduleUrl = (module: unknown, what: string): string => {
  const url = module instanceof URL ? module.href : module
  if (typeof url === "string" && URL.canParse(url)) return url
  throw new TypeError(
    `${what}: "module" must be the URL of the file that defines it, but it is ${
      typeof url === "string" ? JSON.stringify(url) : String(url)
    }. Write \`module: import.meta.url\`.`
  )
}

/** The name of a definition must be there to be found. */
export const definitionName = (name: unknown, what: string): string => {
  if (typeof name === "string" && name.length > 0) return name
  throw new TypeError(
    `${what}: the name must be a non-empty string, but it is ${JSON.stringify(name) ?? String(name)}.`
  )
}

/** A `Task` is its definition with the marks of its types. */
export const taskOf = (task: object): TaskDefinition => {
  const definition = (task ?? {}) as Partial<TaskDefinition> // somebody's who has no types
  if ((definition.kind === "sync" || definition.kind === "effect") && typeof definition.handler === "function") {
    return definition as TaskDefinition
  }
  throw new TypeError(`This is not a task: ${String(task)}. Make one with Task.make or Task.sync.`)
}

/** An `Initializer` is its definition and the payload it was applied to. */
export interface InitializerOrder {
  readonly definition: InitializerDefinition
  readonly payload: unknown
}

export const initializerOf = (initializer: object): InitializerOrder => {
  const order = initializer as Partial<InitializerOrder>
  if (order.definition?.kind === "initializer") return order as InitializerOrder
  throw new TypeError(
    `This is not an initializer: ${String(initializer)}. Make one with Initializer.make, and apply it to its payload.`
  )
}

/** The module of such a task imports effect. */
export const usesEffect = (definition: TaskDefinition): boolean =>
  definition.kind === "effect" || definition.payload !== undefined || definition.success !== undefined
