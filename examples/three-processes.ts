/**
 * 31.3: three processes, each of which prints its letter ten times.
 *
 *     npm run example three-processes
 *     npm run example three-processes 20     (milliseconds between two prints; the chapter waits a second)
 */
import { Console, Effect } from "effect"
import { Process, StartMethod, Task } from "../src/index.ts"

const worker = Task.make("worker", {
  module: import.meta.url,
  handler: ({ interval, message }: { readonly interval: number; readonly message: string }) =>
    Effect.gen(function*() {
      for (let i = 0; i < 10; i++) {
        process.stdout.write(message)
        yield* Effect.sleep(interval)
      }
    })
})

const interval = Number(process.argv[2] ?? 1000)

const program = Effect.gen(function*() {
  yield* Console.log("Starting")
  const children = yield* Effect.forEach(
    ["A", "B", "C"],
    (message) => Process.start(worker, { message, interval }),
    { concurrency: "unbounded" }
  )
  yield* Console.log("Done")
  yield* Effect.forEach(children, (child) => Process.join(child))
  yield* Console.log("")
}).pipe(Effect.scoped, Effect.provide(StartMethod.layerConfig))

Process.runMain(program)
