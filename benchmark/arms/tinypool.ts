import { Tinypool } from "tinypool"
import { drive } from "./drive.ts"

await drive((name, order) => {
  const file = order.work === "start" ? "../tasks/start/whoami.mjs" : "../tasks/plain.ts"
  const pool = new Tinypool({
    filename: new URL(file, import.meta.url).href,
    name,
    runtime: order.method === "threads" ? "worker_threads" : "child_process",
    minThreads: order.processes,
    maxThreads: order.processes,
    ...(order.variant === "tuned" ? { concurrentTasksPerWorker: 32 } : {})
  })
  return { run: (payload) => pool.run(payload), close: () => pool.destroy() }
})
