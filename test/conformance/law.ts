/** A law of a suite: a test with a start method, a scope and a limit, in real time. */
import { it } from "@effect/vitest"
import { Effect } from "effect"
import type { Layer, Scope } from "effect"
import type { StartMethod } from "../../src/index.ts"

export type Body<E> = () => Effect.Effect<unknown, E, StartMethod.StartMethod | Scope.Scope>

export const live = <E, E0>(
  layer: Layer.Layer<StartMethod.StartMethod, E0>,
  title: string,
  body: Body<E>,
  limitMillis: number
): void => it.live(title, () => Effect.scoped(Effect.provide(body(), layer)), limitMillis)

/** The laws of one start method. */
export const laws =
  <E0>(layer: Layer.Layer<StartMethod.StartMethod, E0>, usualLimitMillis = 30_000) =>
  <E>(title: string, body: Body<E>, limitMillis = usualLimitMillis): void => live(layer, title, body, limitMillis)
