import { assert, describe, it } from "@effect/vitest"
import { PassThrough, Writable } from "node:stream"
import { whenTakenAll } from "../../../src/internal/runner/output.ts"

const never = 2 ** 30

/** One that takes a block when it is told. */
const makeSlow = () => {
  const taken: Array<string> = []
  const waiting: Array<() => void> = []
  const stream = new Writable({
    write: (block: Buffer, _encoding, done) => {
      taken.push(String(block))
      waiting.push(done)
    }
  })
  return { stream, taken, takeNext: () => waiting.shift()?.() }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe("what a child has written", () => {
  it("is not waited for where nothing waits", () => {
    let isOver = false
    whenTakenAll([new PassThrough(), new PassThrough()], never, () => isOver = true)
    assert.isTrue(isOver)
  })

  it("is waited for until all of it is taken, of all streams", async () => {
    const [one, other] = [makeSlow(), makeSlow()]
    one.stream.write("a")
    one.stream.write("b")
    other.stream.write("c")
    let times = 0
    whenTakenAll([one.stream, other.stream], never, () => times++)
    for (let i = 0; i < 4; i++) {
      await turn()
      assert.strictEqual(times, 0)
      one.takeNext()
    }
    await turn()
    assert.deepStrictEqual(one.taken.join(""), "ab")
    other.takeNext()
    await turn()
    other.takeNext()
    await turn()
    assert.strictEqual(times, 1)
  })

  it("is waited for, however the program has changed its streams", async () => {
    const { stream, takeNext, taken } = makeSlow()
    stream.cork()
    stream.write("corked")
    stream.write = () => true
    let isOver = false
    whenTakenAll([stream], never, () => isOver = true)
    assert.isFalse(isOver)
    for (let i = 0; i < 3; i++) {
      takeNext()
      await turn()
    }
    assert.isTrue(isOver)
    assert.strictEqual(taken.join(""), "corked")
  })

  it("is not waited for when its reader is gone", async () => {
    const broken = makeSlow()
    broken.stream.on("error", () => {})
    broken.stream.write("a")
    let times = 0
    whenTakenAll([broken.stream], never, () => times++)
    broken.stream.destroy(new Error("EPIPE"))
    await turn()
    await turn()
    assert.strictEqual(times, 1)
  })

  it("is not waited for any more when nothing of it was taken for a while", async () => {
    const { stream } = makeSlow()
    stream.write("a")
    await new Promise<void>((resolve) => whenTakenAll([stream], 20, resolve))
  })
})
