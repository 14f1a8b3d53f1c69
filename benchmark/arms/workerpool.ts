import { fileURLToPath } from "node:url"
import workerpool from "workerpool"
import { drive } from "./drive.ts"

await drive((name, order) => {
  const file = order.work === "start" ? "../tasks/start/workerpool.mjs" : "../tasks/workerpool.ts"
  const pool = workerpool.pool(fileURLToPath(new URL(file, import.meta.url)), {
    maxWorkers: order.processes,
    workerType: order.method === "threads" ? "thread" : "process",
    // JSON, the default between processes, has no bytes
    ...(order.work === "payload" ? { forkOpts: { serialization: "advanced" } } : {})
  })
  const call = (payload: unknown, transfer: ReadonlyArray<ArrayBuffer> | undefined) =>
    transfer === undefined ? pool.exec(name, [payload]) : pool.exec(name, [payload], { transfer: [...transfer] })
  return {
    // its own kind of promise: `then` works, only its type is stricter, and a wrapper would cost another promise
    run: (payload, transfer) => call(payload, transfer) as unknown as PromiseLike<unknown>,
    close: async () => {
      await pool.terminate()
    }
  }
})
