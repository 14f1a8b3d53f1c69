import type { Workload } from "./harness.ts"
import { map } from "./orders.ts"

const python = "Python, `Pool.map` (fork)"

const arrays = { group: "threads", order: map({ method: "threads", variant: "arrays" }) } as const
const processes = { group: "processes", order: map({ method: "processes", variant: "arrays" }) } as const

export const workload: Workload = {
  name: "map",
  title: "map over 1,000,000 numbers",
  about: [
    "`x => x * x`, from the whole collection to the whole collection of results, a pool of 2.",
    "Ours is a `Pool.map` that chooses its chunks (\"auto\"). The rivals without a map get chunks of 125,000 by hand",
    "(Python's rule), and their results are put together again.",
    "Before the clock starts, one such map warms the pool up; results are checked after it has stopped."
  ],
  unit: "ms",
  better: "less",
  figure: (ms) => ms,
  limitMillis: 60_000,
  groups: [
    { name: arrays.group, reference: python },
    { name: processes.group, reference: python }
  ],
  contenders: [
    { name: "ours, `Pool.map`", arm: "ours.ts", role: "ours", ...arrays },
    { name: "piscina", arm: "piscina.ts", role: "rival", ...arrays },
    { name: "workerpool", arm: "workerpool.ts", role: "rival", ...arrays },
    { name: "in this process, a loop", arm: "inProcess.ts", role: "reference", ...arrays },
    {
      name: "ours, `Pool.map` of a Float64Array",
      arm: "ours.ts",
      role: "reference",
      group: "threads",
      order: { ...arrays.order, variant: "typed" }
    },
    { name: "ours, `Pool.map`", arm: "ours.ts", role: "ours", ...processes },
    {
      name: "ours, `Pool.map` of a Float64Array",
      arm: "ours.ts",
      role: "reference",
      group: "processes",
      order: { ...processes.order, variant: "typed" }
    },
    { name: "tinypool", arm: "tinypool.ts", role: "rival", ...processes },
    { name: python, arm: "python.py", role: "rival", ...processes }
  ]
}
