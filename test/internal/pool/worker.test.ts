import { assert, describe, it } from "@effect/vitest"
import type { Fiber } from "effect"
import type { ProcessError } from "../../../src/ProcessError.ts"
import { taskOf } from "../../../src/internal/codec/registry.ts"
import type { Chunk } from "../../../src/internal/pool/model.ts"
import { askRunning, makeWorker, sendChunk } from "../../../src/internal/pool/worker.ts"
import { eachToChild } from "../../../src/internal/protocol/bundles.ts"
import { flagAnnounce, flagFailFast, flagMarked, flagReturns, Kind } from "../../../src/internal/protocol/messages.ts"
import type { ToChild } from "../../../src/internal/protocol/messages.ts"
import type { Child } from "../../../src/internal/start/Launcher.ts"
import * as Task from "../../../src/Task.ts"

const definition = taskOf(Task.sync("any", { module: "file:///of-this-test.ts", handler: () => {} }))

/** A worker whose child takes what `refuses` does not name. */
const open = (refuses: (item: unknown) => boolean = () => false) => {
  const posts: Array<ReadonlyArray<ToChild>> = []
  const moved: Array<ReadonlyArray<ArrayBuffer>> = []
  const refused: Array<number> = []
  const answers: Array<(run: number | undefined) => void> = []
  const condemned: Array<number> = []
  const worker = makeWorker(1, undefined as unknown as Fiber.Fiber<Child, ProcessError>, (id) => refused.push(id))
  worker.child = {
    status: () => undefined,
    running: (answer: (run: number | undefined) => void) => void answers.push(answer),
    condemn: (run: number) => void condemned.push(run),
    channel: {
      sharesMemory: true,
      transfers: true,
      post: (batch: ReadonlyArray<ToChild>, transfers: ReadonlyArray<ArrayBuffer> = []) => {
        const all: Array<ToChild> = []
        eachToChild(batch, (message) => all.push(message))
        if (all.some((message) => message[0] === Kind.Run && Array.from(message[3]).some(refuses))) {
          throw new DOMException("could not be cloned", "DataCloneError")
        }
        posts.push(all)
        moved.push(transfers)
      }
    }
  } as unknown as Child
  const send = (run: number, items: ReadonlyArray<unknown>, moves?: ReadonlyArray<ArrayBuffer>): void => {
    const chunk = { run, items, marked: false, moves, job: { options: { task: 0, chunkSize: 1 } } }
    sendChunk(worker, chunk as unknown as Chunk, definition)
  }
  const items = (): ReadonlyArray<unknown> =>
    posts.flat().flatMap((message) => message[0] === Kind.Run ? Array.from(message[3]) : [])
  return { worker, posts, moved, refused, answers, condemned, send, items }
}

describe("what goes out to a worker", () => {
  it("is one post for what came in one turn; a task is defined once", async () => {
    const { posts, send } = open()
    send(1, ["a"])
    send(2, ["b"])
    await Promise.resolve()
    send(3, ["c"])
    await Promise.resolve()
    assert.deepStrictEqual(
      posts.map((batch) => batch.map(([kind]) => kind)),
      [[Kind.Define, Kind.Run, Kind.Run], [Kind.Run]]
    )
  })

  it("is a block of doubles where all items are numbers, which moves; of anything else it is what it was", async () => {
    const { moved, posts, send } = open()
    const some = Array.from({ length: 64 }, (_, i) => i / 2 - 8)
    send(1, some)
    await Promise.resolve()
    send(2, some.with(30, undefined as unknown as number))
    await Promise.resolve()
    const [numbers, mixed] = posts.flat().flatMap((message) => message[0] === Kind.Run ? [message[3]] : [])
    assert.deepStrictEqual(numbers, new Float64Array(some))
    assert.deepStrictEqual(mixed, some.with(30, undefined as unknown as number))
    assert.deepStrictEqual(moved, [[(numbers as Float64Array<ArrayBuffer>).buffer], []])
  })

  it("says of a run what its call asks for: marks, an early end, announcements for a limit of time, returns", async () => {
    const { posts, worker } = open()
    const asked = [
      [{ marked: true, job: { options: { task: 0, chunkSize: 1 } } }, flagMarked],
      [{ marked: false, job: { options: { task: 0, chunkSize: 1, failFast: true } } }, flagFailFast],
      [{ marked: false, job: { options: { task: 0, chunkSize: 1, timeoutMillis: 5 } } }, flagAnnounce],
      [{ marked: false, job: { options: { task: 0, chunkSize: "auto" } } }, flagReturns]
    ] as const
    for (const [chunk] of asked) {
      sendChunk(worker, { ...chunk, run: 1, items: [0] } as unknown as Chunk, definition)
    }
    await Promise.resolve()
    const flags = posts.flat().flatMap((message) => message[0] === Kind.Run ? [message[4]] : [])
    assert.deepStrictEqual(flags, asked.map(([, flag]) => flag))
  })

  it("has its own copy of an object that is in the same post already, and is not held after it", async () => {
    const { items, send, worker } = open()
    const item = { value: 1 }
    send(1, [item])
    send(2, [item])
    await Promise.resolve()
    send(3, [item])
    await Promise.resolve()
    const [first, second, third] = items()
    assert.strictEqual(first, item)
    assert.deepStrictEqual(second, item)
    assert.notStrictEqual(second, item)
    assert.strictEqual(third, item)
    assert.strictEqual(worker.posting.size + worker.moving.size + worker.outbox.length, 0)
  })

  it("is refused where it cannot be cloned, and nothing beside it; each moves its own buffers", async () => {
    const { items, moved, refused, send } = open((item) => item === "wrong")
    const [first, third] = [new ArrayBuffer(1), new ArrayBuffer(3)]
    send(1, [first], [first])
    send(2, ["wrong"])
    send(3, [third], [third])
    await Promise.resolve()
    assert.deepStrictEqual(refused, [2])
    assert.deepStrictEqual(items(), [first, third])
    assert.deepStrictEqual(moved.flat(), [first, third])
    assert.isFalse(moved.some((buffers) => buffers.length > 1))
  })
})

describe("a worker that is asked what it runs", () => {
  it("is taken to run it when it does not answer; what it says after all is told too", async () => {
    const { answers, worker } = open()
    const told: Array<number | undefined> = []
    const known: Array<boolean> = []
    await new Promise<void>((resolve) => {
      askRunning(worker, 5, false, (running, isKnown) => {
        told.push(running)
        known.push(isKnown)
        resolve()
      })
    })
    answers[0]!(undefined)
    assert.deepStrictEqual(told, [5, undefined])
    assert.deepStrictEqual(known, [false, true])
    askRunning(worker, 6, false, (running) => told.push(running))
    answers[1]!(7)
    await new Promise((resolve) => setTimeout(resolve, 600))
    assert.deepStrictEqual(told, [5, undefined, 7])
  })

  it("is condemned when it is asked late", () => {
    const { condemned, worker } = open()
    askRunning(worker, 5, false, () => {})
    assert.deepStrictEqual(condemned, [])
    askRunning(worker, 5, true, () => {})
    assert.deepStrictEqual(condemned, [5])
  })
})
