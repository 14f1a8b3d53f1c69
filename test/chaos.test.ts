/**
 * Real pools under everything at once: whatever happens to them, every call ends with an outcome of its own, and nothing
 * is left behind.
 *
 * It runs for `CHAOS_SECONDS` (default 20) on each start method. What it does follows from a seed, which a failure names;
 * `CHAOS_SEED` gives it back. When things happen is the machine's business: a failure may need several runs of its seed.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { StartMethod } from "../src/index.ts"
import { calls } from "./chaos/plan.ts"
import { isEventful, run } from "./chaos/run.ts"
import type { Outcome } from "./chaos/run.ts"

const seconds = Number(process.env["CHAOS_SECONDS"] ?? 20)
const seed = Number(process.env["CHAOS_SEED"] ?? Math.floor(Math.random() * 2 ** 31))

const mega = 2 ** 20

/** What the second half may leave in memory: the code that is compiled meanwhile, and the noise of the collector. */
const heapSlack = 8 * mega
const buffersSlack = 4 * mega

const story = ({ calls, faults, memory }: Outcome): string =>
  `${calls} calls, ${JSON.stringify(faults)}, in memory ${
    memory.map(({ buffers, heap }) => `${(heap / mega).toFixed(1)} + ${(buffers / mega).toFixed(1)} MiB`).join(
      ", then "
    )
  }`

const available = Effect.runSync(StartMethod.available)

describe("pools under everything at once", () => {
  it("all of it follows from a seed", () => {
    const some = () => {
      const plans = calls(seed, 3)
      return Array.from({ length: 200 }, () => plans.next().value)
    }
    assert.deepStrictEqual(some(), some())
  })

  for (const method of ["threads", "spawn", "forkserver"] as const) {
    if (!available.includes(method)) continue
    it.live(
      `on ${method}: every call ends with an outcome of its own, and nothing is left`,
      () =>
        Effect.gen(function*() {
          const outcome = yield* run({ method, seed, seconds })
          const { faults, memory, wrong } = outcome
          const told = `CHAOS_SEED=${seed} on ${method}: ${story(outcome)}`
          if (process.env["CHAOS_SECONDS"] !== undefined) yield* Effect.sync(() => console.log(told))
          assert.lengthOf(wrong, 0, `${told}\n${wrong.join("\n")}\n`)
          assert.isTrue(isEventful(faults, seconds), `too quiet: ${told}`)
          const [first, second] = memory
          assert.isBelow(second!.heap - first!.heap, heapSlack, `the heap grows: ${told}`)
          assert.isBelow(second!.buffers - first!.buffers, buffersSlack, `the buffers grow: ${told}`)
        }),
      seconds * 3000 + 180_000
    )
  }
})
