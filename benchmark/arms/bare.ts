/** No pool: bare children, a message to them and one back. The floor of the workloads that start and that carry. */
import { fork } from "node:child_process"
import { once } from "node:events"
import { Worker } from "node:worker_threads"
import type { ChildOrder, PayloadOrder, StartOrder } from "../orders.ts"
import { order, report } from "./order.ts"
import { checkBytes, makeBytes, takeTrips } from "./trips.ts"

const bareThread = async (): Promise<() => Promise<unknown>> => {
  const worker = new Worker(new URL("../tasks/start/bareThread.mjs", import.meta.url))
  worker.postMessage("who are you?")
  await once(worker, "message")
  return () => worker.terminate()
}

const bareProcess = async (module: string): Promise<() => Promise<unknown>> => {
  const child = fork(new URL(`../tasks/start/${module}.mjs`, import.meta.url))
  child.send("who are you?")
  await once(child, "message")
  return async () => {
    child.disconnect()
    await once(child, "exit")
  }
}

const start = async ({ method, processes }: StartOrder): Promise<void> => {
  const begin = performance.now()
  const closes = await Promise.all(
    Array.from({ length: processes }, () => method === "threads" ? bareThread() : bareProcess("bareProcess"))
  )
  report(performance.now() - begin)
  await Promise.all(closes.map((close) => close()))
}

const child = async (order: ChildOrder): Promise<void> =>
  report(
    await takeTrips(order, async () => {
      const begin = performance.now()
      const close = await bareProcess("bareWithEffect")
      await close()
      return performance.now() - begin
    })
  )

const payload = async (order: PayloadOrder): Promise<void> => {
  const worker = new Worker(new URL("../tasks/bareEcho.ts", import.meta.url))
  let bytes = makeBytes(order)
  const ms = await takeTrips(order, async () => {
    const begin = performance.now()
    const answer = once(worker, "message")
    worker.postMessage(bytes, [bytes.buffer])
    const [result] = await answer
    const millis = performance.now() - begin
    bytes = checkBytes(order, result)
    return millis
  })
  report(ms)
  await worker.terminate()
}

if (order.work === "start") await start(order)
else if (order.work === "child") await child(order)
else if (order.work === "payload" && order.moves) await payload(order)
else throw new Error(`there is no bare form of ${order.work}`)
