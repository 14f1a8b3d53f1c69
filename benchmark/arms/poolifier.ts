import { fileURLToPath } from "node:url"
import { FixedClusterPool, FixedThreadPool } from "poolifier"
import { drive } from "./drive.ts"

await drive((name, order) => {
  const kind = order.method === "threads" ? "Thread" : "Cluster"
  const file = order.work === "start" ? `../tasks/start/poolifier${kind}.mjs` : `../tasks/poolifier${kind}.ts`
  const path = fileURLToPath(new URL(file, import.meta.url))
  const pool = order.method === "threads"
    ? new FixedThreadPool<unknown, unknown>(order.processes, path)
    : new FixedClusterPool<unknown, unknown>(order.processes, path)
  return { run: (payload) => pool.execute(payload, name), close: () => pool.destroy() }
})
