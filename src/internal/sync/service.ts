/**
 * A shared cell as a service: its class, and the layer that makes one.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { ProcessError } from "../../ProcessError.ts"

export type Layered<Self, Shape, Args extends ReadonlyArray<unknown>> =
  & Context.ServiceClass<Self, string, Shape>
  & { readonly layer: (...args: Args) => Layer.Layer<Self, ProcessError> }

export const layered = <Self, Shape, Args extends ReadonlyArray<unknown>>(
  id: string,
  make: (...args: Args) => Effect.Effect<Shape, ProcessError, Scope.Scope>
): Layered<Self, Shape, Args> => {
  const service = Context.Service<Self, Shape>()(id)
  return Object.assign(service, { layer: (...args: Args) => Layer.effect(service)(make(...args)) })
}
