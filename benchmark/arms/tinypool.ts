import { Tinypool } from "tinypool"
import { drive } from "./drive.ts"

await drive((name, order) => {
  const file = order.work === "start"
    ? "../tasks/start/whoami.mjs"
    : name.endsWith("Moved")
    ? "../tasks/tinypoolMoved.ts"
    : "../tasks/plain.ts"
  const pool = new Tinypool({
    filename: new URL(file, import.meta.url).href,
    name,
    runtime: order.method === "threads" ? "worker_threads" : "child_process",
    minThreads: order.processes,
    maxThreads: order.processes,
    ...(order.variant === "tuned" ? { concurrentTasksPerWorker: 32 } : {}),
    // JSON, the default between processes, has no bytes
    ...(order.work === "payload" ? { serialization: "advanced" as const } : {})
  })
  return {
    run: (payload, transfer) =>
      transfer === undefined ? pool.run(payload) : pool.run(payload, { transferList: [...transfer] }),
    close: () => pool.destroy()
  }
})
