import type { Workload } from "./harness.ts"
import { start } from "./orders.ts"

const threads = { group: "threads", order: start({ method: "threads" }) } as const
const processes = { group: "processes", order: start({ method: "processes" }) } as const

export const workload: Workload = {
  name: "start",
  title: "From nothing to the first result of a new pool of 2",
  about: [
    "Until both workers have answered once. The parent has loaded the library before; nothing is warm.",
    "Our task module imports the Task module alone, and every other JavaScript worker imports that same module.",
    "Task modules are plain JavaScript, so that nobody pays for stripping types. Workers of Effect's RPC load effect.",
    "A pool that cannot ask each worker is asked twice at once, again after each millisecond, until two different",
    "workers have answered."
  ],
  unit: "ms",
  better: "less",
  figure: (ms) => ms,
  limitMillis: 60_000,
  groups: [{ name: "threads", reference: "bare Worker x2" }, { name: "processes", reference: "bare fork x2" }],
  contenders: [
    { name: "ours", arm: "ours.ts", role: "ours", ...threads },
    { name: "bare Worker x2", arm: "bare.ts", role: "reference", ...threads },
    { name: "piscina", arm: "piscina.ts", role: "rival", ...threads },
    { name: "tinypool", arm: "tinypool.ts", role: "rival", ...threads },
    { name: "workerpool", arm: "workerpool.ts", role: "rival", ...threads },
    { name: "poolifier", arm: "poolifier.ts", role: "rival", ...threads },
    { name: "Effect RPC workers", arm: "effectRpc.ts", role: "rival", ...threads },
    { name: "ours", arm: "ours.ts", role: "ours", ...processes },
    { name: "bare fork x2", arm: "bare.ts", role: "reference", ...processes },
    { name: "tinypool", arm: "tinypool.ts", role: "rival", ...processes },
    { name: "workerpool", arm: "workerpool.ts", role: "rival", ...processes },
    { name: "poolifier, cluster", arm: "poolifier.ts", role: "rival", ...processes },
    { name: "Effect RPC workers", arm: "effectRpc.ts", role: "rival", ...processes },
    { name: "Python, spawn", arm: "python.py", role: "rival", ...processes }
  ]
}
