import type { Workload } from "./harness.ts"
import { few, many, payload } from "./orders.ts"

const bare = "a bare Worker, transferred"
const python = "Python, `Pool.apply` (fork)"

const moved = { group: "threads", order: payload({ method: "threads", moves: true, ...many }) } as const
const copied = { group: "threads", order: payload({ method: "threads", moves: false, ...few }) } as const
const shared = (method: "threads" | "processes") =>
  ({ group: method, order: payload({ method, moves: false, variant: "shared", ...few }) }) as const
const processes = { group: "processes", order: payload({ method: "processes", moves: false, ...few }) } as const

export const workload: Workload = {
  name: "payload",
  title: "A payload of 16 MB there and back",
  about: [
    "A Uint8Array goes to a worker of a pool of 2, and comes back as the result. On threads its buffer is transferred in",
    "both directions (poolifier copies it on the way back), between processes it is copied. A SharedArray is neither: its",
    "handle goes there and back.",
    "The JavaScript rivals send JSON between processes at their defaults, which has no bytes: they run with",
    "`serialization: \"advanced\"`.",
    `A figure is the median of the trips of one process, one after the other: of ${many.trips} after ${many.warmUp} to`,
    `warm up where the buffer moves, of ${few.trips} after ${few.warmUp} where it is copied.`
  ],
  unit: "ms",
  better: "less",
  figure: (ms) => ms,
  limitMillis: 60_000,
  groups: [{ name: "threads", reference: bare }, { name: "processes", reference: python }],
  contenders: [
    { name: "ours, moved", arm: "ours.ts", role: "ours", ...moved },
    { name: "piscina", arm: "piscina.ts", role: "rival", ...moved },
    { name: "tinypool", arm: "tinypool.ts", role: "rival", ...moved },
    { name: "workerpool", arm: "workerpool.ts", role: "rival", ...moved },
    { name: "poolifier", arm: "poolifier.ts", role: "rival", group: "threads", order: { ...moved.order, ...few } },
    { name: bare, arm: "bare.ts", role: "reference", ...moved },
    { name: "ours, copied", arm: "ours.ts", role: "reference", ...copied },
    { name: "ours, a SharedArray", arm: "ours.ts", role: "reference", ...shared("threads") },
    { name: "ours", arm: "ours.ts", role: "ours", ...processes },
    { name: "ours, a SharedArray", arm: "ours.ts", role: "reference", ...shared("processes") },
    { name: "tinypool", arm: "tinypool.ts", role: "rival", ...processes },
    { name: "workerpool", arm: "workerpool.ts", role: "rival", ...processes },
    { name: "poolifier, cluster", arm: "poolifier.ts", role: "rival", ...processes },
    { name: python, arm: "python.py", role: "rival", ...processes }
  ]
}
