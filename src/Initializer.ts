/**
 * A Layer that a child builds once, before its first task: Python's `initializer` and `initargs`.
 *
 * @since 0.1.0
 */
import type * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import { definitionName, moduleUrl, register } from "./internal/codec/registry.ts"
import type { InitializerDefinition } from "./internal/codec/registry.ts"

const TypeId = "~effect-multiprocessing/Initializer" as const

/**
 * What a pool or a process is given, so that its tasks find the services `R`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Initializer<in R> {
  readonly [TypeId]: { readonly _R: (_: R) => void }
}

/**
 * Is this value an {@link Initializer}?
 *
 * @category guards
 * @since 0.1.0
 */
export const isInitializer = (u: unknown): u is Initializer<never> => typeof u === "object" && u !== null && TypeId in u

/**
 * Defines an initializer by module and name, as {@link Task.make} defines a task. Applied to its payload it can be given
 * to `Pool.make` and `Process.start`.
 *
 * **When to use**
 *
 * For what a worker should set up once and use in many tasks: a database connection, a parsed dictionary, a model.
 *
 * **Details**
 *
 * The layer is built in every worker before that worker counts as ready, and released when the worker ends in good order:
 * when the pool closes, when the scope ends with success, or when the worker is recycled.
 *
 * **Gotchas**
 *
 * - The payload is copied to each worker.
 * - A layer that fails makes `Pool.make` and `Process.start` fail with `StartFailed`, whose cause is the layer's failure.
 * - A worker that is killed (SIGKILL, out of memory) releases nothing.
 *
 * **Example** (A service that every worker builds once)
 *
 * ```ts
 * import { Context, Effect, Layer } from "effect"
 * import { Initializer, Task } from "effect-multiprocessing"
 *
 * class Greeting extends Context.Service<Greeting, { readonly word: string }>()("app/Greeting") {}
 *
 * export const greetingLive = Initializer.make("greetingLive", {
 *   module: import.meta.url,
 *   layer: (word: string) => Layer.succeed(Greeting, { word })
 * })
 *
 * export const greet = Task.make("greet", {
 *   module: import.meta.url,
 *   handler: (name: string) => Effect.map(Greeting, ({ word }) => `${word}, ${name}`)
 * })
 *
 * // Pool.make({ processes: 2, initializer: greetingLive("hello") })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <P = void, ROut = never, E = never>(name: string, options: {
  readonly module: string | URL
  readonly payload?: Schema.Codec<P, any> | undefined
  readonly layer: (payload: P) => Layer.Layer<ROut, E>
}): (payload: P) => Initializer<ROut> => {
  const definition: InitializerDefinition = {
    kind: "initializer",
    name: definitionName(name, "Initializer.make"),
    module: moduleUrl(options.module, `Initializer.make("${name}")`),
    payload: options.payload as Schema.Codec<unknown, unknown> | undefined, // erased: the codec is driven by the schema itself
    layer: options.layer as (payload: unknown) => Layer.Layer<unknown, unknown>
  }
  register(definition)
  return (payload) => ({ [TypeId]: { _R: () => {} }, definition, payload }) as Initializer<ROut>
}
