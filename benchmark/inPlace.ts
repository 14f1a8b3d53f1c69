import type { Workload } from "./harness.ts"
import { few, inPlace, many, typed } from "./orders.ts"

const python = "Python, `Pool.map` (fork)"

const threads = { group: "threads", order: inPlace({ method: "threads", ...many }) } as const
const moving = { group: "threads", order: typed({ method: "threads", ...many }) } as const
const processes = { group: "processes", order: inPlace({ method: "processes", ...many }) } as const

export const workload: Workload = {
  name: "inPlace",
  title: "1,000,000 numbers squared in place, in shared memory",
  about: [
    "The doubles lie in shared memory; each of 2 workers squares its half where it is. Ours is a `Pool.map` over two ranges of",
    "a `SharedArray`; the rivals get a Float64Array on a SharedArrayBuffer with each call, which reaches threads only. Python",
    "maps over a list of the numbers. Beside them, the same numbers in Float64Arrays that move there and back. The clock covers the way from the call until all numbers are squared.",
    `A figure is the median of ${many.trips} maps after ${many.warmUp} to warm up (Python: of ${few.trips} after ${few.warmUp}).`,
    "Results are checked."
  ],
  unit: "ms",
  better: "less",
  figure: (ms) => ms,
  limitMillis: 60_000,
  groups: [{ name: "threads", reference: python }, { name: "processes", reference: python }],
  contenders: [
    { name: "ours, `SharedArray`", arm: "ours.ts", role: "ours", ...threads },
    { name: "piscina", arm: "piscina.ts", role: "rival", ...threads },
    { name: "tinypool", arm: "tinypool.ts", role: "rival", ...threads },
    { name: "workerpool", arm: "workerpool.ts", role: "rival", ...threads },
    { name: "ours, Float64Arrays that move", arm: "ours.ts", role: "reference", ...moving },
    { name: "piscina, Float64Arrays that move", arm: "piscina.ts", role: "reference", ...moving },
    { name: "in this process, a loop", arm: "inProcess.ts", role: "reference", ...threads },
    { name: "ours, `SharedArray`", arm: "ours.ts", role: "ours", ...processes },
    { name: python, arm: "python.py", role: "rival", group: "processes", order: { ...processes.order, ...few } }
  ]
}
