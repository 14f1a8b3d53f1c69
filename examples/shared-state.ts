/**
 * 31.7: a number and an array that two processes share.
 *
 *     npm run example shared-state
 */
import { Console, Effect } from "effect"
import { Process, SharedArray, SharedValue, StartMethod, Task } from "../src/index.ts"

interface State {
  readonly num: SharedValue.SharedValue<"float64">
  readonly arr: SharedArray.SharedArray<"int32">
}

const worker = Task.make("worker", {
  module: import.meta.url,
  handler: ({ arr, num }: State) =>
    Effect.gen(function*() {
      // oxlint-disable-next-line approx-constant -- the chapter's number
      yield* SharedValue.set(num, 3.1415927)
      for (let i = 0; i < arr.length; i++) yield* SharedArray.update(arr, i, (n) => -n)
    })
})

const main = Effect.gen(function*() {
  yield* Console.log("Starting")
  const num = yield* SharedValue.make("float64", 0)
  const arr = yield* SharedArray.make("int32", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])

  const child = yield* Process.start(worker, { num, arr })
  yield* Process.join(child)

  yield* Console.log(yield* SharedValue.get(num))
  yield* Console.log(...yield* SharedArray.toArray(arr))
  yield* Console.log("Done")
}).pipe(Effect.scoped, Effect.provide(StartMethod.layerConfig))

Process.runMain(main)
