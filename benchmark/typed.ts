import type { Workload } from "./harness.ts"
import { few, many, typed } from "./orders.ts"

const python = "Python, `Pool.map` (fork)"

const threads = { group: "threads", order: typed({ method: "threads", ...many }) } as const

export const workload: Workload = {
  name: "typed",
  title: "map over 1,000,000 numbers in Float64Arrays that move",
  about: [
    `The numbers lie in ${threads.order.parts} Float64Arrays; the task squares each number in place and gives its array`,
    "back, a pool of 2. The clock covers the way from the arrays in the parent to the results in the parent.",
    "Ours is a `Pool.map` over the arrays whose schemas move them; the rivals get one call for each array, all at once,",
    "with a transfer list, and move the result (poolifier can only copy it). Python maps over a list of the numbers.",
    `A figure is the median of the maps of one process: of ${many.trips} after ${many.warmUp} to warm up (poolifier and`,
    `Python: of ${few.trips} after ${few.warmUp}). Results are checked.`
  ],
  unit: "ms",
  better: "less",
  figure: (ms) => ms,
  limitMillis: 60_000,
  groups: [{ name: "threads", reference: python }],
  contenders: [
    { name: "ours, `Pool.map`", arm: "ours.ts", role: "ours", ...threads },
    { name: "piscina", arm: "piscina.ts", role: "rival", ...threads },
    { name: "tinypool", arm: "tinypool.ts", role: "rival", ...threads },
    { name: "workerpool", arm: "workerpool.ts", role: "rival", ...threads },
    { name: "poolifier", arm: "poolifier.ts", role: "rival", group: "threads", order: { ...threads.order, ...few } },
    { name: "in this process, a loop", arm: "inProcess.ts", role: "reference", ...threads },
    { name: python, arm: "python.py", role: "reference", group: "threads", order: { ...threads.order, ...few } }
  ]
}
