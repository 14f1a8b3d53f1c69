/**
 * 31.4: several start methods in one program, which Python does with `get_context`.
 *
 *     npm run example contexts
 */
import { Console, Effect, Layer } from "effect"
import { Process, StartMethod, Task } from "../src/index.ts"

const whoami = Task.make("whoami", {
  module: import.meta.url,
  handler: (main: number) =>
    Effect.map(
      Process.current,
      ({ pid, startMethod }) => `${startMethod}: ${pid === main ? "in the main process" : "in a process of its own"}`
    )
})

/** Runs in whatever context it is given. */
const ask = Effect.scoped(Effect.flatMap(Process.start(whoami, process.pid), Process.join))

/** Where there can be no fork server, the same children, started more slowly. */
const ForkServer = StartMethod.layerForkServer({ preload: [import.meta.url] }).pipe(
  Layer.catch(() => StartMethod.layerSpawn)
)

const program = Effect.gen(function*() {
  yield* Console.log(yield* ask.pipe(Effect.provide(StartMethod.layerSpawn)))
  yield* Console.log(yield* ask.pipe(Effect.provide(StartMethod.layerThreads)))
  yield* Console.log(yield* ask.pipe(Effect.provide(ForkServer)))
})

Process.runMain(program)
