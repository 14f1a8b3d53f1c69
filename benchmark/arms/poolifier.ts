import { fileURLToPath } from "node:url"
import { FixedClusterPool, FixedThreadPool } from "poolifier"
import { drive } from "./drive.ts"

await drive((name, order) => {
  const kind = order.method === "threads" ? "Thread" : "Cluster"
  const file = order.work === "start" ? `../tasks/start/poolifier${kind}.mjs` : `../tasks/poolifier${kind}.ts`
  const path = fileURLToPath(new URL(file, import.meta.url))
  const pool = order.method === "threads"
    ? new FixedThreadPool<unknown, unknown>(order.processes, path)
    // JSON, the default between processes, has no bytes
    : new FixedClusterPool<unknown, unknown>(
      order.processes,
      path,
      order.work === "payload" ? { settings: { serialization: "advanced" } } : {}
    )
  return {
    run: (payload, transfer) => pool.execute(payload, name, undefined, transfer),
    close: () => pool.destroy()
  }
})
