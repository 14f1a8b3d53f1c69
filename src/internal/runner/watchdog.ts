/**
 * A child whose parent is gone leaves by itself when its event loop turns. One that computes without end is ended by a
 * thread of its own, which sleeps on a descriptor that the parent holds open. The same thread answers while the child's
 * event loop does not turn: a question is a byte and the number of a run, an answer is a double.
 */
import { condemned } from "../protocol/progress.ts"

/** After the time that the session gives to finalizers, and within two seconds. */
const patienceMillis = 1000

const source = `
const { Socket } = require("node:net")
const { workerData } = require("node:worker_threads")
const { condemned, descriptor, patienceMillis, progress } = workerData
const answers = {
  r: () => Atomics.load(progress, 0),
  c: (run) => Atomics.compareExchange(progress, 0, run, condemned),
  m: () => process.memoryUsage.rss()
}
let received = Buffer.alloc(0)
const alive = new Socket({ fd: descriptor, readable: true, writable: true })
alive.on("error", () => {})
alive.on("end", () => alive.destroy())
alive.on("close", () => setTimeout(() => process.kill(process.pid, "SIGKILL"), patienceMillis))
alive.on("data", (block) => {
  received = Buffer.concat([received, block])
  for (; received.length >= 5; received = received.subarray(5)) {
    const answer = Buffer.alloc(8)
    answer.writeDoubleLE(answers[String.fromCharCode(received[0])](received.readInt32LE(1)))
    alive.write(answer)
  }
})
`

export const watchParent = (descriptor: number, progress: Int32Array): void => {
  // few children need one
  const { Worker } = process.getBuiltinModule("node:worker_threads")
  try {
    const worker = new Worker(source, {
      eval: true,
      name: "watchdog",
      workerData: { condemned, descriptor, patienceMillis, progress },
      execArgv: [],
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 }
    })
    worker.on("error", () => {}) // as below
    worker.unref()
  } catch {
    // threads may be forbidden. Without a watchdog the child still notices the closed channel when its loop turns
  }
}
