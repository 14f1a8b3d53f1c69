import type { Workload } from "./harness.ts"
import { apply } from "./orders.ts"

const threads = { group: "threads", order: apply({ method: "threads" }) } as const
const processes = { group: "processes", order: apply({ method: "processes" }) } as const
const tuned = (from: typeof threads | typeof processes) => (
  { ...from, role: "tuned", order: { ...from.order, variant: "tuned" } } as const
)

export const workload: Workload = {
  name: "apply",
  title: "20,000 tiny tasks, one by one",
  about: [
    "`x => x * x`, 64 calls in flight, a pool of 2.",
    `Before the clock starts, ${
      threads.order.warmUp.toLocaleString("en")
    } such calls warm the pool up and their results are checked.`,
    "Tuned: `concurrentTasksPerWorker: 32`. A reference row is another shape of call, for scale."
  ],
  unit: "k tasks/s",
  better: "more",
  figure: (ms) => threads.order.tasks / ms,
  limitMillis: 60_000,
  groups: [{ name: "threads" }, { name: "processes" }],
  contenders: [
    { name: "ours, `Pool.apply`", arm: "ours.ts", role: "ours", ...threads },
    { name: "piscina", arm: "piscina.ts", role: "rival", ...threads },
    { name: "piscina, tuned", arm: "piscina.ts", ...tuned(threads) },
    { name: "tinypool", arm: "tinypool.ts", role: "rival", ...threads },
    { name: "tinypool, tuned", arm: "tinypool.ts", ...tuned(threads) },
    { name: "workerpool", arm: "workerpool.ts", role: "rival", ...threads },
    { name: "poolifier", arm: "poolifier.ts", role: "rival", ...threads },
    { name: "Effect RPC workers", arm: "effectRpc.ts", role: "rival", ...threads },
    { name: "Effect RPC workers, tuned", arm: "effectRpc.ts", ...tuned(threads) },
    { name: "ours, `Pool.apply`", arm: "ours.ts", role: "ours", ...processes },
    { name: "tinypool", arm: "tinypool.ts", role: "rival", ...processes },
    { name: "tinypool, tuned", arm: "tinypool.ts", ...tuned(processes) },
    { name: "workerpool", arm: "workerpool.ts", role: "rival", ...processes },
    { name: "poolifier, cluster", arm: "poolifier.ts", role: "rival", ...processes },
    { name: "Effect RPC workers", arm: "effectRpc.ts", role: "rival", ...processes },
    { name: "Effect RPC workers, tuned", arm: "effectRpc.ts", ...tuned(processes) },
    { name: "Python, `apply_async`", arm: "python.py", role: "rival", ...processes },
    {
      name: "Python, `imap_unordered`",
      arm: "python.py",
      role: "reference",
      group: "processes",
      order: { ...processes.order, variant: "imap_unordered" }
    }
  ]
}
