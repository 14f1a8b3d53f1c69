/**
 * Four processes count the words of their part of a text into one map, which lives in a server process.
 *
 *     npm run example word-count
 */
import { Console, Effect } from "effect"
import { Manager, Process, StartMethod, Task } from "../src/index.ts"

const lines = [
  "the quick brown fox jumps over the lazy dog",
  "the dog sleeps and the fox runs",
  "a quick dog is not a lazy dog",
  "over the hill and far away the fox sleeps"
]

/** It runs in the server: nobody else changes the count meanwhile. */
const oneMore = Task.sync("oneMore", {
  module: import.meta.url,
  handler: (count: number | undefined) => (count ?? 0) + 1
})

const countWords = Task.make("countWords", {
  module: import.meta.url,
  handler: ({ counts, line }: { readonly counts: Manager.HostedMap<string, number>; readonly line: string }) =>
    Effect.forEach(line.split(" "), (word) => counts.update(word, oneMore), { concurrency: 8, discard: true })
})

const program = Effect.gen(function*() {
  const counts = yield* Manager.map<string, number>()
  const children = yield* Effect.forEach(lines, (line) => Process.start(countWords, { counts, line }))
  yield* Effect.forEach(children, Process.join)
  const often = (yield* counts.entries()).filter(([, count]) => count > 2)
  for (const [word, count] of often.sort(([a, m], [b, n]) => n - m || a.localeCompare(b))) {
    yield* Console.log(`${count} times ${word}`)
  }
}).pipe(Effect.scoped, Effect.provide(Manager.layerObjects()), Effect.provide(StartMethod.layerConfig))

Process.runMain(program)
