/**
 * The service that gives ready-made objects, and how one is asked for.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ProcessError } from "../../ProcessError.ts"

/** Each has its row in the table of `objects.ts`. */
export type Kind =
  | "ref"
  | "map"
  | "list"
  | "set"
  | "queue"
  | "semaphore"
  | "lock"
  | "event"
  | "waiters"
  | "barrier"
  | "namespace"
  | "pool"
  | "memory"

/** What is asked for: by those who give the same name, the same object. */
export interface Wanted {
  readonly name: string | undefined
  readonly initial: unknown
}

export type Giving = (wanted: Wanted) => Effect.Effect<object, ProcessError, Scope.Scope>

export type ObjectsService = Readonly<Record<Kind, Giving>>

/**
 * The service that gives ready-made objects: `Manager.layerObjects` starts a server of them.
 *
 * @category services
 * @since 0.1.0
 */
export class Objects extends Context.Service<Objects, ObjectsService>()("effect-multiprocessing/Manager/Objects") {}

/**
 * Options of all ready-made objects: those who give the same `name` get the same object of that kind, as long as somebody
 * holds it. What it holds at first is what the first of them says. Those who do not agree on the permits of a semaphore, the
 * capacity of a queue, the parties of a barrier or the lock of a condition have made a mistake: a `RangeError` defect.
 *
 * @category models
 * @since 0.1.0
 */
export interface ObjectOptions {
  readonly name?: string | undefined
}

export type Made<A> = Effect.Effect<A, ProcessError, Objects | Scope.Scope>

export const ask = <A>(kind: Kind, initial: unknown, options: ObjectOptions | undefined): Made<A> =>
  Effect.flatMap(Objects, (service) => service[kind]({ name: options?.name, initial })) as Made<A> // each kind has its type
