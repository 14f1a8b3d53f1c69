/** A module with a task, whose top level starts a pool and waits for it. */
import * as Effect from "effect/Effect"
import * as Pool from "../../src/Pool.ts"
import * as StartMethod from "../../src/StartMethod.ts"
import * as Task from "../../src/Task.ts"

export const double = Task.sync("double", { module: import.meta.url, handler: (x: number) => 2 * x })

await Effect.runPromise(
  Pool.make({ processes: 1 }).pipe(
    Effect.flatMap((pool) => Pool.map(pool, double, [1])),
    Effect.scoped,
    Effect.provide(StartMethod.layerThreads)
  )
)
