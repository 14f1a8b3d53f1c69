/**
 * 31.4: the start method is a layer, and a child says who it is.
 *
 *     npm run example start-methods
 *     npm run example start-methods threads
 */
import { Console, Effect, Option } from "effect"
import { basename } from "node:path"
import { fileURLToPath } from "node:url"
import { Process, StartMethod, Task } from "../src/index.ts"

const worker = Task.make("worker", {
  module: import.meta.url,
  handler: (message: string) =>
    Effect.gen(function*() {
      const me = yield* Process.current
      const parent = Option.getOrThrow(yield* Process.parent)
      yield* Console.log("module name:", basename(fileURLToPath(import.meta.url)))
      yield* Console.log("main process:", Process.isMain)
      yield* Console.log("start method:", me.startMethod)
      yield* Console.log("parent process:", parent.pid)
      yield* Console.log("process id:", me.pid)
      yield* Console.log(message.repeat(10))
    })
})

const main = Effect.gen(function*() {
  yield* Console.log("Starting")
  yield* Console.log("Root application process id:", process.pid)
  const child = yield* Process.start(worker, "A")
  yield* Process.join(child)
  yield* Console.log("Done")
}).pipe(Effect.scoped)

/** Python's `set_start_method`: the program is the same, the layer is what differs. */
const layer = process.argv[2] === "threads" ? StartMethod.layerThreads : StartMethod.layerSpawn

Process.runMain(main.pipe(Effect.provide(layer)))
