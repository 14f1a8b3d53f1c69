import { assert, describe, it } from "@effect/vitest"
import { begin, makeState, transition } from "../../../src/internal/pool/dispatcher.ts"
import type { Event, JobOptions } from "../../../src/internal/pool/model.ts"

const optionsOf = (task: number): JobOptions => ({
  task,
  chunkSize: 1,
  failFast: false,
  window: Infinity,
  retries: 0,
  timeoutMillis: undefined
})

/** A pool of one worker that is ready, and the jobs that it has been handed, in order. */
const open = () => {
  const state = makeState({ processes: 1, maxRestarts: 1, restartMillis: 1 })
  const handed: Array<{ readonly job: number; readonly run: number }> = []
  const tell = (event: Event): void => {
    for (const command of transition(state, event)) {
      if (command._tag === "Send") handed.push({ job: command.chunk.job.id, run: command.chunk.run })
    }
  }
  begin(state)
  tell({ _tag: "WorkerReady", worker: 1 })
  return {
    jobs: () => handed.map(({ job }) => job),
    call: (job: number, task: number): void => {
      const blocks = [{ first: 0, items: [job], marked: false }]
      tell({ _tag: "Submitted", job, options: optionsOf(task), blocks, complete: true })
    },
    answer: (job: number): void => {
      const { run } = handed.find((one) => one.job === job)!
      tell({ _tag: "Succeeded", worker: 1, run, index: 0, values: [job], marked: false, millis: 0.01 })
    }
  }
}

describe("a call of one item", () => {
  it("of a known task goes to the worker at once, behind what that has", () => {
    const { answer, call, jobs } = open()
    call(1, 0)
    answer(1)
    call(2, 0)
    call(3, 0)
    assert.deepStrictEqual(jobs(), [1, 2, 3])
  })

  it("does not overtake a call that waits for the worker to be idle", () => {
    const { answer, call, jobs } = open()
    call(1, 0)
    answer(1)
    call(2, 0)
    call(3, 1) // of a task whose cost nobody knows
    call(4, 0)
    assert.deepStrictEqual(jobs(), [1, 2])
    answer(2)
    assert.deepStrictEqual(jobs().slice(0, 3), [1, 2, 3])
    answer(3)
    assert.deepStrictEqual(jobs(), [1, 2, 3, 4])
  })
})
