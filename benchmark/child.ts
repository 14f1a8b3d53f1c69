import type { Workload } from "./harness.ts"
import { child } from "./orders.ts"

const order = child({ method: "processes" })

export const workload: Workload = {
  name: "child",
  title: "A child of its own, with effect imported: from the request to its end",
  about: [
    "One child after the other: it starts, answers once and ends. The figure of a round is the median of 15.",
    "What serves them is up before: our fork server has preloaded the module of the task, Python's its main module.",
    "Each child has imported effect when it answers, and runs an Effect; Python's children import nothing."
  ],
  unit: "ms",
  better: "less",
  figure: (ms) => ms,
  limitMillis: 120_000,
  groups: [{ name: "processes", reference: "bare fork" }],
  contenders: [
    {
      name: "ours, fork server",
      arm: "ours.ts",
      role: "ours",
      group: "processes",
      order: { ...order, variant: "forkserver" }
    },
    { name: "ours, spawn", arm: "ours.ts", role: "ours", group: "processes", order },
    { name: "bare fork", arm: "bare.ts", role: "reference", group: "processes", order },
    {
      name: "Python, fork",
      arm: "python.py",
      role: "rival",
      group: "processes",
      order: { ...order, variant: "fork" }
    },
    {
      name: "Python, forkserver",
      arm: "python.py",
      role: "rival",
      group: "processes",
      order: { ...order, variant: "forkserver" }
    },
    {
      name: "Python, spawn",
      arm: "python.py",
      role: "rival",
      group: "processes",
      order: { ...order, variant: "spawn" }
    }
  ]
}
