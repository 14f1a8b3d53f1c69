import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { addRun, addRunSuccess, eachToChild, unbundle } from "../../../src/internal/protocol/bundles.ts"
import { Kind } from "../../../src/internal/protocol/messages.ts"
import type { ToChild, ToParent } from "../../../src/internal/protocol/messages.ts"

const between = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

/** Mostly runs of one item, of few tasks and flags, so that neighbours are alike. */
const toChild: Arbitrary.Arbitrary<ToChild> = Arbitrary.map(
  Arbitrary.all({
    kind: between(0, 9),
    run: between(1, 1000),
    task: between(0, 1),
    flags: between(0, 1),
    length: between(1, 3)
  }),
  ({ flags, kind, length, run, task }): ToChild => {
    if (kind === 0) return [Kind.Cancel, run]
    if (kind === 1) return [Kind.Run, run, task, Array.from({ length }, (_, i) => run + i), flags]
    if (kind === 2) return [Kind.Run, run, task, [run], flags, { logLevel: "Debug", span: undefined }]
    return [Kind.Run, run, task, [kind === 3 ? undefined : run], flags]
  }
)

const toParent: Arbitrary.Arbitrary<ToParent> = Arbitrary.map(
  Arbitrary.all({ kind: between(0, 9), run: between(1, 1000), first: between(0, 9), length: between(1, 3) }),
  ({ first, kind, length, run }): ToParent => {
    const values = Array.from({ length }, (_, i) => run + i)
    if (kind === 0) return [Kind.Started, run, first]
    if (kind === 1) return [Kind.Successes, run, first, values, false, 0.5]
    return [Kind.Successes, run, 0, [kind === 2 ? undefined : run], kind > 7, run / 7]
  }
)

/** As a pool collects them. */
const collectRuns = (batch: ReadonlyArray<ToChild>): ReadonlyArray<ToChild> => {
  const out: Array<ToChild> = []
  for (const message of batch) {
    if (message[0] === Kind.Run && message[3].length === 1 && message[5] === undefined) {
      addRun(out, message[2], message[4], message[1], message[3][0])
    } else out.push(message)
  }
  return out
}

/** As a child collects them. */
const collectSuccesses = (batch: ReadonlyArray<ToParent>): ReadonlyArray<ToParent> => {
  const out: Array<ToParent> = []
  for (const message of batch) {
    if (message[0] === Kind.Successes && message[3].length === 1 && message[2] === 0) {
      addRunSuccess(out, message[4], message[1], message[3][0], message[5])
    } else out.push(message)
  }
  return out
}

const options = { arbitrary: { runs: 2000, size: 40 } }

describe("bundles", () => {
  it.prop("of runs are taken apart into the same messages in the same order", {
    batch: Arbitrary.array(toChild, { maxLength: 40 })
  }, ({ batch }) => {
    const heard: Array<ToChild> = []
    const bundled = collectRuns(batch)
    eachToChild(bundled, (message) => heard.push(message))
    assert.deepStrictEqual(heard, batch)
    assert.isTrue(bundled.length <= batch.length)
  }, options)

  it.prop("of results are taken apart into the same messages in the same order", {
    batch: Arbitrary.array(toParent, { maxLength: 40 })
  }, ({ batch }) => {
    assert.deepStrictEqual(unbundle(collectSuccesses(batch)), batch)
  }, options)

  it("neighbours that are alike are one message", () => {
    const runs: ReadonlyArray<ToChild> = [1, 2, 3].map((run) => [Kind.Run, run, 0, [run * 10], 0])
    assert.deepStrictEqual(collectRuns([...runs, [Kind.Cancel, 1]]), [
      [Kind.Runs, 0, 0, [1, 2, 3], [10, 20, 30]],
      [Kind.Cancel, 1]
    ])
    const results: ReadonlyArray<ToParent> = [1, 2].map((run) => [Kind.Successes, run, 0, [run], false, 1])
    assert.deepStrictEqual(collectSuccesses(results), [[Kind.RunSuccesses, false, [1, 2], [1, 2], [1, 1]]])
  })
})
