/**
 * 31.5: `Pool.map` gives the results in the order of the items.
 *
 *     npm run example pool-map
 */
import { Console, Effect } from "effect"
import { Pool, Process, StartMethod, Task } from "../src/index.ts"

const worker = Task.sync("worker", {
  module: import.meta.url,
  handler: (x: number) => {
    console.log("In worker with:", x)
    return x * x
  }
})

const main = Effect.gen(function*() {
  const pool = yield* Pool.make({ processes: 4 })
  yield* Console.log(yield* Pool.map(pool, worker, [0, 1, 2, 3, 4, 5]))
}).pipe(Effect.scoped, Effect.provide(StartMethod.layerConfig))

Process.runMain(main)
