/**
 * 31.9: factorials in parallel, on a pool of OS processes and then on a pool of threads.
 *
 *     npm start
 */
import { Console, Effect, Schema } from "effect"
import { Pool, Process, StartMethod, Task } from "../src/index.ts"

class NegativeInput extends Schema.TaggedError<NegativeInput>()("NegativeInput", { input: Schema.Number }) {}

const factorial = Task.make("factorial", {
  module: import.meta.url,
  error: NegativeInput,
  handler: (n: number) =>
    Effect.gen(function*() {
      if (n < 0) return yield* new NegativeInput({ input: n })
      let product = 1n
      for (let i = 2; i <= n; i++) product *= BigInt(i)
      const { name, pid } = yield* Process.current
      return { n, product, worker: `${name} (pid ${pid})` }
    })
})

const numbers = [5, 8, 10, 15, 3, 6, 4]

/** The same program, wherever its pool's workers run. */
const factorials = (name: string) =>
  Effect.gen(function*() {
    const pool = yield* Pool.make({ name, processes: 4 })
    const results = yield* Pool.map(pool, factorial, numbers)
    for (const { n, product, worker } of results) yield* Console.log(`${n}! = ${product}, by ${worker}`)

    // the task's own error, with its type: without this line the program would have NegativeInput among its errors
    yield* Pool.apply(pool, factorial, -1).pipe(
      Effect.catchTag("NegativeInput", ({ input }) => Console.log(`${input}! is not defined`))
    )
    return results.map(({ product }) => product)
  }).pipe(Effect.scoped)

const main = Effect.gen(function*() {
  yield* Console.log(`main process: pid ${process.pid}`)
  yield* factorials("processes").pipe(Effect.provide(StartMethod.layerSpawn))
  const products = yield* factorials("threads").pipe(Effect.provide(StartMethod.layerThreads))
  yield* Console.log(products)
})

Process.runMain(main)
