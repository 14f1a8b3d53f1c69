/**
 * 31.5: `Pool.applyAsync` returns at once. Its fiber is what Python calls an AsyncResult, and a callback is an operator.
 *
 *     npm run example pool-apply-async
 */
import { Console, Effect, Fiber } from "effect"
import { Pool, Process, StartMethod, Task } from "../src/index.ts"

const collectResults = (result: number) => Console.log("In collectResults:", result)

const worker = Task.sync("worker", {
  module: import.meta.url,
  handler: (x: number) => {
    console.log("In worker with:", x)
    return x * x
  }
})

const main = Effect.gen(function*() {
  const pool = yield* Pool.make({ processes: 2 })

  // get(timeout=10)
  const result = yield* Pool.applyAsync(pool, worker, 6)
  yield* Console.log("Result from async:", yield* Fiber.join(result).pipe(Effect.timeout("10 seconds")))

  // callback=collectResults
  const collecting = yield* Pool.apply(pool, worker, 4).pipe(Effect.tap(collectResults), Effect.forkChild)
  yield* Fiber.join(collecting)
}).pipe(Effect.scoped, Effect.provide(StartMethod.layerConfig))

Process.runMain(main)
