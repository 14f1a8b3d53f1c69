import type { Contender, Workload } from "./harness.ts"
import { manager, pipe } from "./orders.ts"
import type { ManagerOrder } from "./orders.ts"

const calls = 30_000
const lanes = 50
const python = "Python, `Manager`"
const bare = "bare effect/rpc over a unix socket"

type Row = readonly [name: string, arm: string, role: Contender["role"]]

const both: ReadonlyArray<Row> = [
  ["ours", "ours.ts", "ours"],
  [python, "python.py", "rival"]
]

type Subject = ManagerOrder["object"]

const names: Readonly<Record<Subject, string>> = {
  ref: "`get` of a ref",
  map: "`set` of a map",
  service: "`get` of a service of the same methods"
}

const nameOf = (object: Subject, clients: number, lanes = 1): string =>
  `${names[object]}, ${clients} client${clients === 1 ? "" : "s"}${lanes === 1 ? "" : `, ${lanes} at once`}`

const rowsOf = (object: Subject, clients: number, rows: ReadonlyArray<Row>, lanes = 1) =>
  rows.map(([name, arm, role]): Contender => ({
    name,
    arm,
    role,
    group: nameOf(object, clients, lanes),
    order: manager({ method: "processes", object, clients, calls, lanes })
  }))

const besidePython: ReadonlyArray<readonly [object: Subject, clients: number, lanes?: number]> = [
  ["ref", 1],
  ["map", 1],
  ["ref", 4],
  ["map", 4],
  ["ref", 1, lanes]
]

const rpc: Row = [bare, "rpc.ts", "reference"]

/** What nothing over a socket can be faster than: 8 bytes there, and as many back. */
const roundTrips: Contender = {
  name: "a bare unix socket: 8 bytes, and as many back",
  arm: "talk.ts",
  role: "reference",
  group: nameOf("ref", 1),
  order: pipe({ method: "processes", variant: "socket", pattern: "pingPong", messages: calls, bytes: 8 })
}

export const workload: Workload = {
  name: "manager",
  title: "Calls of an object in a server process",
  about: [
    `${
      calls.toLocaleString("en")
    } calls of each client, one after the other where it is not said how many at once (fibers, threads in Python), after a`,
    "tenth of them to warm up. Clients and server are processes of their own; the parent does nothing. Python has a `Value`",
    "and a `dict`, of which `get` is a read and `set` is `d[k] = v`. Milliseconds for all calls.",
    "Floors: 5x Python's `Manager`; at most 1.2 times the latency of bare effect/rpc, which is the same service, with and",
    "without a manager. A ref and a map are objects that such a service has given."
  ],
  unit: "ms",
  better: "less",
  figure: (ms) => ms,
  limitMillis: 120_000,
  groups: [
    { name: nameOf("service", 1), reference: bare },
    ...besidePython.map((group) => ({ name: nameOf(...group), reference: python }))
  ],
  contenders: [
    ...rowsOf("service", 1, [both[0]!, rpc]),
    ...rowsOf("ref", 1, [...both, rpc]),
    roundTrips,
    ...rowsOf("map", 1, [...both, rpc]),
    ...rowsOf("ref", 4, both),
    ...rowsOf("map", 4, both),
    ...rowsOf("ref", 1, [...both, rpc], lanes)
  ]
}
