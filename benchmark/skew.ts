import type { Workload } from "./harness.ts"
import { skew } from "./orders.ts"

const loop = "in this process, a loop on one core"

const threads = { group: "threads", order: skew({ method: "threads" }) } as const
const processes = { group: "processes", order: skew({ method: "processes" }) } as const

export const workload: Workload = {
  name: "skew",
  title: "1,000 CPU-bound tasks, 4 of which cost 100 times as much",
  about: [
    "The 4 heavy tasks come first; a unit is around a millisecond of integer arithmetic. All calls are made at once",
    "(`Pool.map` for ours; `Pool.apply` and the rivals call by call), a pool of 2.",
    "Before the clock starts, one such run warms the pool up: fewer tasks leave some workers half compiled.",
    "Rivals at their defaults: sending a worker several tasks ahead would only hurt them here."
  ],
  unit: "ms",
  better: "less",
  figure: (ms) => ms,
  limitMillis: 60_000,
  groups: [{ name: "threads", reference: loop }, { name: "processes" }],
  contenders: [
    { name: "ours, `Pool.map`", arm: "ours.ts", role: "ours", ...threads },
    {
      name: "ours, `Pool.apply`",
      arm: "ours.ts",
      role: "ours",
      group: "threads",
      order: { ...threads.order, variant: "apply" }
    },
    { name: "piscina", arm: "piscina.ts", role: "rival", ...threads },
    { name: "tinypool", arm: "tinypool.ts", role: "rival", ...threads },
    { name: "workerpool", arm: "workerpool.ts", role: "rival", ...threads },
    { name: "poolifier", arm: "poolifier.ts", role: "rival", ...threads },
    { name: "Effect RPC workers", arm: "effectRpc.ts", role: "rival", ...threads },
    { name: loop, arm: "inProcess.ts", role: "reference", ...threads },
    { name: "ours, `Pool.map`", arm: "ours.ts", role: "ours", ...processes },
    {
      name: "ours, `Pool.apply`",
      arm: "ours.ts",
      role: "ours",
      group: "processes",
      order: { ...processes.order, variant: "apply" }
    },
    { name: "tinypool", arm: "tinypool.ts", role: "rival", ...processes },
    { name: "workerpool", arm: "workerpool.ts", role: "rival", ...processes },
    { name: "poolifier, cluster", arm: "poolifier.ts", role: "rival", ...processes },
    { name: "Effect RPC workers", arm: "effectRpc.ts", role: "rival", ...processes }
  ]
}
