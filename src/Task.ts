/**
 * A function that can run in another process, named by the module that defines it. It is never sent as source text: the
 * child imports the module and looks the name up.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import { definitionName, moduleUrl, register } from "./internal/codec/registry.ts"
import type { TaskDefinition } from "./internal/codec/registry.ts"

const TypeId = "~effect-multiprocessing/Task" as const

/**
 * A named function from `P` to `A` that may fail with `E` and needs the services `R`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Task<in P, out A, out E = never, out R = never> {
  readonly [TypeId]: {
    readonly _P: (_: P) => void
    readonly _A: () => A
    readonly _E: () => E
    readonly _R: () => R
  }
  readonly name: string
  /** The URL of the module that defines it. */
  readonly module: string
}

/**
 * The payload of a task.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Payload<T> = T extends Task<infer P, any, any, any> ? P : never

/**
 * What a task succeeds with.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Success<T> = T extends Task<any, infer A, any, any> ? A : never

/**
 * What a task fails with.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Error<T> = T extends Task<any, any, infer E, any> ? E : never

/**
 * The services that a task needs: the pool's initializer must build them, except for `Process.Provided`.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Services<T> = T extends Task<any, any, any, infer R> ? R : never

const variance = {
  _P: (_: unknown) => {},
  _A: (): never => undefined as never,
  _E: (): never => undefined as never,
  _R: (): never => undefined as never
}

/**
 * Is this value a {@link Task}?
 *
 * @category guards
 * @since 0.1.0
 */
export const isTask = (u: unknown): u is Task<never, unknown, unknown, unknown> =>
  typeof u === "object" && u !== null && TypeId in u

const define = <P, A, E, R>(definition: TaskDefinition): Task<P, A, E, R> => {
  register(definition)
  return { ...definition, [TypeId]: variance } as unknown as Task<P, A, E, R> // the handler's types live in the variance markers
}

/**
 * Defines a task whose handler returns an Effect.
 *
 * **When to use**
 *
 * For work that fails in a typed way, waits, or uses services. For a plain synchronous function use {@link sync}: it is
 * the faster path.
 *
 * **Details**
 *
 * - `module` must be `import.meta.url`: the child imports that file. It needs no export and no file of its own; programs are
 *   kept out of the children by `Process.runMain`.
 * - Schemas are optional. Without one a value crosses by structured clone: `Map`, `Set`, `Date`, `bigint`, typed arrays,
 *   errors and cycles keep their meaning, class instances lose their class. With one it is encoded on this side and decoded
 *   on the other, so classes, `Option` and the like arrive as what they were.
 * - An error without a schema keeps its `_tag`, name, message, stack, cause and own fields, so that `Effect.catchTag`
 *   finds it; with a schema it arrives as an instance of its class.
 * - A task may use a `Scope` (closed when the task ends) and the `StartMethod` it was started with, and whatever the
 *   initializer of its pool builds.
 *
 * **Gotchas**
 *
 * - Payload and result are *copied*. Only what a `Transferable` schema marks is moved.
 * - A second definition of the same name in the same module replaces the first.
 * - A handler closes over its module's variables, and every process has its own copy of those.
 *
 * **Example** (A task with a typed error)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Task } from "effect-multiprocessing"
 *
 * class NegativeInput extends Schema.TaggedError<NegativeInput>()("NegativeInput", { input: Schema.Number }) {}
 *
 * export const squareRoot = Task.make("squareRoot", {
 *   module: import.meta.url,
 *   payload: Schema.Number,
 *   success: Schema.Number,
 *   error: NegativeInput,
 *   handler: (n) => n < 0 ? Effect.fail(new NegativeInput({ input: n })) : Effect.succeed(Math.sqrt(n))
 * })
 * ```
 *
 * @see {@link sync} for plain functions
 * @category constructors
 * @since 0.1.0
 */
export const make = <P = void, A = void, E = never, R = never>(name: string, options: {
  readonly module: string | URL
  readonly payload?: Schema.Codec<P, any> | undefined
  readonly success?: Schema.Codec<A, any> | undefined
  readonly error?: Schema.Codec<E, any> | undefined
  readonly handler: (payload: P) => Effect.Effect<A, E, R>
}): Task<P, A, E, R> =>
  define({
    kind: "effect",
    name: definitionName(name, "Task.make"),
    module: moduleUrl(options.module, `Task.make("${name}")`),
    payload: options.payload as Schema.Codec<unknown, unknown> | undefined, // erased: the codec is driven by the schema itself
    success: options.success as Schema.Codec<unknown, unknown> | undefined,
    error: options.error as Schema.Codec<unknown, unknown> | undefined,
    handler: options.handler as (payload: unknown) => Effect.Effect<unknown, unknown, never>
  })

/**
 * Defines a task whose handler is a plain, synchronous function: no fiber per item.
 *
 * **When to use**
 *
 * For CPU work: number crunching, parsing, hashing. It is the fast path of `Pool.map`.
 *
 * **Details**
 *
 * What the handler throws is a defect, as in `Effect.sync`.
 *
 * **Gotchas**
 *
 * - Payload and result are *copied*.
 * - The handler must not return a promise; the type forbids it.
 * - It cannot be interrupted while it computes: a worker that is not done within the `gracePeriod` is killed, and
 *   nothing in it is finalized.
 *
 * **Example** (A pool's task)
 *
 * ```ts
 * import { Task } from "effect-multiprocessing"
 *
 * export const square = Task.sync("square", { module: import.meta.url, handler: (x: number) => x * x })
 * ```
 *
 * @see {@link make} for handlers that return an Effect
 * @category constructors
 * @since 0.1.0
 */
export const sync = <P = void, A = void>(name: string, options: {
  readonly module: string | URL
  readonly payload?: Schema.Codec<P, any> | undefined
  readonly success?: Schema.Codec<A, any> | undefined
  readonly handler: (payload: P) => A extends PromiseLike<any> ? never : A
}): Task<P, A> =>
  define({
    kind: "sync",
    name: definitionName(name, "Task.sync"),
    module: moduleUrl(options.module, `Task.sync("${name}")`),
    payload: options.payload as Schema.Codec<unknown, unknown> | undefined, // erased, as above
    success: options.success as Schema.Codec<unknown, unknown> | undefined,
    error: undefined,
    handler: options.handler as (payload: unknown) => unknown
  })
