import type { Contender, Workload } from "./harness.ts"
import { manager } from "./orders.ts"

const calls = 30_000
const python = "Python, `Manager`"
const bare = "bare effect/rpc over a unix socket"

type Row = readonly [name: string, arm: string, role: Contender["role"]]

const both: ReadonlyArray<Row> = [
  ["ours", "ours.ts", "ours"],
  [python, "python.py", "rival"]
]

const nameOf = (object: "ref" | "map", clients: number): string =>
  `${object === "ref" ? "`get` of a ref" : "`set` of a map"}, ${clients} client${clients === 1 ? "" : "s"}`

const group = (object: "ref" | "map", clients: number) =>
  [...both, ...(clients === 1 ? [[bare, "rpc.ts", "reference"] as const] : [])].map(([name, arm, role]): Contender => ({
    name,
    arm,
    role,
    group: nameOf(object, clients),
    order: manager({ method: "processes", object, clients, calls })
  }))

export const workload: Workload = {
  name: "manager",
  title: "Calls of an object in a server process",
  about: [
    `${
      calls.toLocaleString("en")
    } calls of each client, one after the other, after a tenth of them to warm up. Clients and`,
    "server are processes of their own; the parent does nothing. Python has a `Value` and a `dict`, of which `get` is a read",
    "and `set` is `d[k] = v`. Milliseconds for all calls.",
    "Floors: 5x Python's `Manager`; at most 1.2 times the latency of bare effect/rpc."
  ],
  unit: "ms",
  better: "less",
  figure: (ms) => ms,
  limitMillis: 120_000,
  groups: ([["ref", 1], ["map", 1], ["ref", 4], ["map", 4]] as const).map(([object, clients]) => ({
    name: nameOf(object, clients),
    reference: python
  })),
  contenders: [...group("ref", 1), ...group("map", 1), ...group("ref", 4), ...group("map", 4)]
}
