/** No pool: two children, one message to each and one back. The floor of the start-up workload. */
import { fork } from "node:child_process"
import { once } from "node:events"
import { Worker } from "node:worker_threads"
import { order, report } from "./order.ts"

const bareThread = async (): Promise<() => Promise<unknown>> => {
  const worker = new Worker(new URL("../tasks/start/bareThread.mjs", import.meta.url))
  worker.postMessage("who are you?")
  await once(worker, "message")
  return () => worker.terminate()
}

const bareProcess = async (): Promise<() => Promise<unknown>> => {
  const child = fork(new URL("../tasks/start/bareProcess.mjs", import.meta.url))
  child.send("who are you?")
  await once(child, "message")
  return async () => {
    child.disconnect()
    await once(child, "exit")
  }
}

const begin = performance.now()
const closes = await Promise.all(
  Array.from({ length: order.processes }, order.method === "threads" ? bareThread : bareProcess)
)
report(performance.now() - begin)
await Promise.all(closes.map((close) => close()))
