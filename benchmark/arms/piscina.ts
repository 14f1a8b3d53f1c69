import { Piscina } from "piscina"
import { drive } from "./drive.ts"

await drive((name, order) => {
  const file = order.work === "start" ? "../tasks/start/whoami.mjs" : "../tasks/piscina.ts"
  const pool = new Piscina({
    filename: new URL(file, import.meta.url).href,
    name,
    minThreads: order.processes,
    maxThreads: order.processes,
    ...(order.variant === "tuned" ? { concurrentTasksPerWorker: 32 } : {})
  })
  return {
    run: (payload, transfer) =>
      transfer === undefined ? pool.run(payload) : pool.run(payload, { transferList: [...transfer] }),
    close: () => pool.destroy()
  }
})
