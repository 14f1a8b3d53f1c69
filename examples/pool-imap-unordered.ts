/**
 * 31.5: `Pool.imapUnordered` gives each result as soon as it is there.
 *
 *     npm run example pool-imap-unordered
 */
import { Console, Effect, Stream } from "effect"
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
  yield* Stream.range(0, 5).pipe(
    Pool.imapUnordered(pool, worker),
    Stream.runForEach((result) => Console.log(result))
  )
}).pipe(Effect.scoped, Effect.provide(StartMethod.layerConfig))

Process.runMain(main)
