import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { ProcessError } from "../../../src/ProcessError.ts"
import type { ExitStatus } from "../../../src/ProcessError.ts"
import { Kind } from "../../../src/internal/protocol/messages.ts"
import type { Boot, ToChild, ToParent } from "../../../src/internal/protocol/messages.ts"
import { launchChild } from "../../../src/internal/start/child.ts"
import type { Body } from "../../../src/internal/start/Launcher.ts"

const boot: Boot = {
  identity: { name: "made by hand", path: [1], daemon: true, startMethod: "spawn" },
  parent: { name: "MainProcess", pid: 1 },
  startOptions: {},
  initializer: undefined,
  once: false,
  logLevel: "Info"
}

/** A child of which a test is the other side. */
const makeBody = () => {
  const posted: Array<ReadonlyArray<ToChild>> = []
  const kills: Array<string> = []
  let words = 0
  let onBatch: (batch: ReadonlyArray<ToParent>) => void = () => {}
  let onEnd: (status: ExitStatus, words: string) => void = () => {}
  const body: Body = {
    pid: 7,
    channel: {
      sharesMemory: false,
      transfers: false,
      post: (batch) => void posted.push(batch),
      listen: (listener) => {
        onBatch = listener
      },
      close: () => {}
    },
    shareWord: () => `word ${++words}`,
    onEnd: (listener) => {
      onEnd = listener
    },
    running: () => {},
    condemn: () => {},
    lastItem: () => undefined,
    memory: () => {},
    kill: (signal) => {
      kills.push(signal)
      onEnd({ _tag: "Signaled", signal, number: 9 }, "")
    },
    stdout: undefined,
    stderr: undefined
  }
  return {
    body,
    posted,
    kills,
    words: () => words,
    say: (...batch: ReadonlyArray<ToParent>) => onBatch(batch),
    end: (status: ExitStatus) => onEnd(status, "its last words")
  }
}

describe("a launch", () => {
  it.effect("tells the child of its word once all that are started together are made", () =>
    Effect.gen(function*() {
      const child = makeBody()
      const launching = yield* Effect.forkChild(launchChild(boot, 1000, () => child.body), { startImmediately: true })
      assert.deepStrictEqual([child.posted, child.words()], [[], 0])
      yield* Effect.promise(() => Promise.resolve())
      assert.deepStrictEqual(child.posted, [[[Kind.Boot, { ...boot, word: "word 1" }]]])
      child.say([Kind.Ready, 7])
      assert.strictEqual((yield* Fiber.join(launching)).pid, 7)
      child.end({ _tag: "Exited", code: 0 })
    }))

  it.effect("that has failed by then tells nothing, and makes no word", () =>
    Effect.gen(function*() {
      const child = makeBody()
      const launching = yield* Effect.forkChild(launchChild(boot, 1000, () => child.body), { startImmediately: true })
      child.end({ _tag: "Exited", code: 127 })
      const exit = yield* Fiber.await(launching)
      yield* Effect.promise(() => Promise.resolve())
      assert.deepStrictEqual([child.posted, child.words()], [[], 0])
      assert.isTrue(Exit.isFailure(exit) && exit.cause.reasons[0]?._tag === "Fail")
      const error = yield* Effect.flip(Fiber.join(launching))
      assert.instanceOf(error, ProcessError)
      assert.include(error.message, "its last words")
    }))

  it.effect("that is interrupted by then ends its child, and waits for that", () =>
    Effect.gen(function*() {
      const child = makeBody()
      const launching = yield* Effect.forkChild(launchChild(boot, 1000, () => child.body), { startImmediately: true })
      yield* Fiber.interrupt(launching)
      assert.deepStrictEqual(child.kills, ["SIGKILL"])
      yield* Effect.promise(() => Promise.resolve())
      assert.strictEqual(child.words(), 0)
    }))
})
