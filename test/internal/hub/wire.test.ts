import { assert, describe, it } from "@effect/vitest"
import { makeOutbox } from "../../../src/internal/hub/wire.ts"
import type { FrameTooLarge } from "../../../src/internal/protocol/frames.ts"

/** Takes so much in one message. */
const narrow = (limit: number) => {
  const posted: Array<ReadonlyArray<number>> = []
  const post = (batch: ReadonlyArray<number>): void => {
    const size = batch.reduce((sum, one) => sum + one, 0)
    if (size > limit) throw { _tag: "FrameTooLarge", size, limit } satisfies FrameTooLarge
    posted.push(batch)
  }
  return { outbox: makeOutbox(post), posted }
}

describe("the outbox of a connection to a hub", () => {
  it("sends what is said in one turn together, and with what is said now", async () => {
    const { outbox, posted } = narrow(Infinity)
    outbox.say(1)
    outbox.say(2)
    await Promise.resolve()
    outbox.say(3)
    outbox.sayNow(4)
    await Promise.resolve()
    assert.deepStrictEqual(posted, [[1, 2], [3, 4]])
  })

  it("sends one by one what is too large together", () => {
    const { outbox, posted } = narrow(5)
    outbox.say(4)
    outbox.say(1)
    outbox.sayNow(5)
    assert.deepStrictEqual(posted, [[4], [1], [5]])
    assert.throws(() => outbox.sayNow(6))
  })
})
