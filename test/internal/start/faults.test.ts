import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import type { ExitStatus } from "../../../src/ProcessError.ts"
import { Kind } from "../../../src/internal/protocol/messages.ts"
import type { Boot, ToParent } from "../../../src/internal/protocol/messages.ts"
import { makeFaults, withFaults } from "../../../src/internal/start/faults.ts"
import type { Child, Launcher } from "../../../src/internal/start/Launcher.ts"

const killed: ExitStatus = { _tag: "Signaled", signal: "SIGKILL", number: 9 }

interface Faults {
  readonly crash?: ReadonlyArray<number>
  readonly delay?: ReadonlyArray<readonly [number, number]>
}

/** A child with faults that holds one run of five items; it says what it is told to say. */
const launch = Effect.fnUntraced(function*({ crash = [], delay = [] }: Faults) {
  let speak: (batch: ReadonlyArray<ToParent>) => void = () => {}
  let leave: (status: ExitStatus) => void = () => {}
  const below = {
    channel: { sharesMemory: false, transfers: false, post: () => {}, listen: () => {}, close: () => {} },
    kill: () => void heard.push("killed"),
    onMessages: (listener) => (speak = listener, undefined),
    onExit: (listener) => (leave = listener, undefined)
  } satisfies Partial<Child> as unknown as Child
  const heard: Array<unknown> = []
  const launcher: Launcher = {
    name: "inline",
    launch: () => Effect.succeed(below),
    border: { sharesMemory: false },
    options: {}
  }
  const options = { crash: new Set(crash), delay: new Map(delay), refuseStart: new Set<number>() }
  const child = yield* withFaults(launcher, makeFaults(options)).launch({} as Boot)
  child.onMessages((batch) => void heard.push(...batch))
  child.onExit(() => void heard.push("ended"))
  child.channel.post([[Kind.Run, 1, 1, [0, 1, 2, 3, 4], 0]])
  return { heard, say: (...batch: ReadonlyArray<ToParent>) => speak(batch), leave: () => leave(killed) }
})

const results = (first: number, values: ReadonlyArray<number>): ToParent => [
  Kind.Successes,
  1,
  first,
  values,
  false,
  values.length
]

describe("a child that crashes at an item", () => {
  it.effect("has said what came before it in the same report, and that it has begun that item, no more", () =>
    Effect.gen(function*() {
      const { heard, say } = yield* launch({ crash: [4] })
      say(results(0, [0, 1]), results(2, [4, 9, 16]), [Kind.Cancelled, 1])
      assert.deepStrictEqual(heard, [results(0, [0, 1]), results(2, [4]), [Kind.Started, 1, 3], "killed"])
    }))

  it.effect("has said only that it has begun it, where it comes first", () =>
    Effect.gen(function*() {
      for (const report of [results(0, [0]), [Kind.Started, 1, 0]] as ReadonlyArray<ToParent>) {
        const { heard, say } = yield* launch({ crash: [1] })
        say(report)
        assert.deepStrictEqual(heard, [[Kind.Started, 1, 0], "killed"])
      }
    }))
})

describe("a report that is late", () => {
  it.effect("is not overtaken by what comes after it, which may be late in its turn", () =>
    Effect.gen(function*() {
      const { heard, say } = yield* launch({ delay: [[1, 100], [3, 100]] })
      say([Kind.Started, 1, 0], results(0, [0]), results(1, [1]))
      say(results(2, [4]), [Kind.Cancelled, 1])
      assert.deepStrictEqual(heard, [[Kind.Started, 1, 0]])
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(heard, [[Kind.Started, 1, 0], results(0, [0]), results(1, [1])])
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(heard.slice(3), [results(2, [4]), [Kind.Cancelled, 1]])
    }))

  it.effect("comes before the end of its child, and nobody waits for it then", () =>
    Effect.gen(function*() {
      const { heard, leave, say } = yield* launch({ delay: [[1, 100], [2, 100]] })
      say(results(0, [0]), results(1, [1]), [Kind.Cancelled, 1])
      leave()
      const all = [results(0, [0]), results(1, [1]), [Kind.Cancelled, 1], "ended"]
      assert.deepStrictEqual(heard, all)
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual(heard, all)
    }))
})
