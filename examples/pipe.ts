/**
 * 31.6: a pipe between two processes. The worker has one end, and sends a greeting through it.
 *
 *     npm run example pipe
 *     npm run example pipe 10     (milliseconds that the worker sleeps; the chapter's sleeps a second)
 */
import { Console, Effect } from "effect"
import { Connection, Pipe, Process, StartMethod, Task } from "../src/index.ts"

const worker = Task.make("worker", {
  module: import.meta.url,
  handler: ({ connection, pause }: { readonly connection: Connection.Connection<string>; readonly pause: number }) =>
    Effect.gen(function*() {
      yield* Console.log("Worker - started now sleeping")
      yield* Effect.sleep(pause)
      yield* Console.log("Worker - sending data via Pipe")
      yield* Connection.send(connection, "hello")
      yield* Console.log("Worker - closing worker end of connection")
      yield* Connection.close(connection)
    })
})

const pause = Number(process.argv[2] ?? 1000)

const main = Effect.gen(function*() {
  yield* Console.log("Main - Starting, creating the Pipe")
  const [mainConnection, workerConnection] = yield* Pipe.make<string>()
  yield* Console.log("Main - Setting up the process")
  const child = yield* Process.start(worker, { connection: workerConnection, pause })
  yield* Console.log("Main - Wait for a response from the child process")
  yield* Console.log(yield* Connection.receive(mainConnection))
  yield* Process.join(child)
  yield* Console.log("Main - closing parent process end of connection")
  yield* Connection.close(mainConnection)
  yield* Console.log("Main - Done")
}).pipe(Effect.scoped, Effect.provide(StartMethod.layerConfig))

Process.runMain(main)
