/**
 * A child whose parent is gone leaves by itself when its event loop turns. One that computes without end is ended by a
 * thread of its own, which sleeps on a descriptor that the parent holds open. The same thread answers while the child's
 * event loop does not turn: the question is a byte, "?" for the run and "m" for the memory; the answer is a double.
 */
import { Worker } from "node:worker_threads"

/** After the time that the session gives to finalizers, and within two seconds. */
const patienceMillis = 1000

const source = `
const { Socket } = require("node:net")
const { workerData } = require("node:worker_threads")
const { descriptor, patienceMillis, progress } = workerData
const alive = new Socket({ fd: descriptor, readable: true, writable: true })
alive.on("error", () => {})
alive.on("end", () => alive.destroy())
alive.on("close", () => setTimeout(() => process.kill(process.pid, "SIGKILL"), patienceMillis))
alive.on("data", (questions) => {
  for (const question of questions) {
    const answer = Buffer.alloc(8)
    answer.writeDoubleLE(question === 109 ? process.memoryUsage.rss() : Atomics.load(progress, 0))
    alive.write(answer)
  }
})
`

export const watchParent = (descriptor: number, progress: Int32Array): void => {
  const worker = new Worker(source, {
    eval: true,
    name: "watchdog",
    workerData: { descriptor, patienceMillis, progress },
    execArgv: [],
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 }
  })
  worker.on("error", () => {}) // without a watchdog the child still notices the closed channel when its loop turns
  worker.unref()
}
