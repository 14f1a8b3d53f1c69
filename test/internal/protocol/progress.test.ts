import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import { Worker } from "node:worker_threads"
import { condemn, enter, idle, makeProgress, runIn } from "../../../src/internal/protocol/progress.ts"

const fresh = (): Int32Array => makeProgress(new SharedArrayBuffer(4))

describe("the word in which a child notes what it runs", () => {
  it("names the run that it is in, and none in between", () => {
    const progress = fresh()
    assert.isUndefined(runIn(progress))
    assert.isTrue(enter(progress, 7))
    assert.isTrue(enter(progress, 7))
    assert.strictEqual(runIn(progress), 7)
    assert.isTrue(enter(progress, idle))
    assert.isUndefined(runIn(progress))
  })

  it("is taken away from a child that is in the run, and from no other", () => {
    const progress = fresh()
    assert.isUndefined(condemn(progress, 7))
    enter(progress, 7)
    assert.strictEqual(condemn(progress, 6), 7)
    assert.isTrue(enter(progress, 8))
    assert.strictEqual(condemn(progress, 8), 8)
    for (const run of [8, 9, idle]) assert.isFalse(enter(progress, run), String(run))
    assert.isUndefined(runIn(progress))
    assert.isUndefined(condemn(progress, 8))
  })

  it("a child that runs on meanwhile has begun nothing after the run in which it was found", async () => {
    const counting = `
      const { workerData: { module, progress }, parentPort } = require("node:worker_threads")
      const { enter } = require(module)
      let run = 0
      parentPort.postMessage("begins")
      while (enter(progress, run)) {
        for (let i = 0; i < 2000; i++); // long enough for a parent that looks and acts
        run++
      }
      parentPort.postMessage(run)
    `
    const module = new URL("../../../src/internal/protocol/progress.ts", import.meta.url).pathname
    for (let round = 0; round < 5; round++) {
      const progress = fresh()
      const child = new Worker(counting, { eval: true, workerData: { module, progress } })
      const ended = once(child, "exit")
      await once(child, "message")
      const refused = once(child, "message")
      let found: number | undefined
      do found = runIn(progress)
      while (found === undefined || condemn(progress, found) !== found)
      assert.deepStrictEqual(await refused, [found + 1])
      await ended
    }
  }, 20_000)
})
