import type { Contender, Workload } from "./harness.ts"
import { pipe } from "./orders.ts"
import type { PipeOrder } from "./orders.ts"

type Size = Pick<PipeOrder, "pattern" | "messages" | "bytes">

const sizes = {
  streamed: { pattern: "stream", messages: 500_000, bytes: 64 },
  pingPong: { pattern: "pingPong", messages: 10_000, bytes: 64 },
  large: { pattern: "stream", messages: 5_000, bytes: 64 * 1024 },
  huge: { pattern: "stream", messages: 20, bytes: 16 * 2 ** 20 }
} satisfies Readonly<Record<string, Size>>

type Row = readonly [name: string, arm: string, role: Contender["role"], variant?: string]

const ours: ReadonlyArray<Row> = [["ours, `send` and `receive`", "ours.ts", "ours"]]
const oursStreamed: ReadonlyArray<Row> = [
  ["ours, `toSink` and `toStream`", "ours.ts", "ours", "stream"],
  ["ours, `toSink` and `toStream` in chunks of 1024", "ours.ts", "ours", "stream, in chunks"]
]

const rivals: ReadonlyArray<Row> = [
  ["Python, `send_bytes` and `recv_bytes`", "python.py", "rival", "bytes"],
  ["Python, `send` and `recv`", "python.py", "rival"],
  ["Node IPC, \"advanced\"", "talk.ts", "rival", "ipc, advanced"]
]
/** It has no bytes: it carries a string as long. */
const json: Row = ["Node IPC, JSON", "talk.ts", "rival", "ipc, json"]
const socket: Row = ["a bare socket, a write for each message", "talk.ts", "reference", "socket"]
const batched: Row = ["a bare socket, batched by hand", "talk.ts", "reference", "socket, batched"]
const port: Row = ["a bare MessagePort", "talk.ts", "reference", "port"]

const group = (name: string, size: Size, method: PipeOrder["method"], rows: ReadonlyArray<Row>) =>
  rows.map(([contender, arm, role, variant]): Contender => ({
    name: contender,
    arm,
    role,
    group: name,
    order: pipe({ ...size, method, ...(variant === undefined ? {} : { variant }) })
  }))

const count = (messages: number): string => messages.toLocaleString("en")

const names = {
  streamed: `${count(sizes.streamed.messages)} of 64 B, streamed, processes`,
  pingPong: `${count(sizes.pingPong.messages)} of 64 B, each answered, processes`,
  large: `${count(sizes.large.messages)} of 64 KB, streamed, processes`,
  huge: `${count(sizes.huge.messages)} of 16 MB, streamed, processes`,
  streamedThreads: `${count(sizes.streamed.messages)} of 64 B, streamed, threads`,
  pingPongThreads: `${count(sizes.pingPong.messages)} of 64 B, each answered, threads`
}

export const workload: Workload = {
  name: "pipe",
  title: "Messages between two",
  about: [
    "A parent sends bytes to its child, through one pipe, after a tenth of them to warm up. Streamed: all one way, and one",
    "message back when all have come. Answered: each waits for an answer as long. Milliseconds for all messages.",
    "JSON has no bytes: Node's IPC at its default carries a string of the same length.",
    "Floor: 64 bytes, streamed between processes, 5x Python's Pipe; aim 10x."
  ],
  unit: "ms",
  better: "less",
  figure: (ms) => ms,
  limitMillis: 120_000,
  groups: [
    { name: names.streamed, reference: rivals[0]![0] },
    ...[names.pingPong, names.large, names.huge, names.streamedThreads, names.pingPongThreads].map((name) => ({ name }))
  ],
  contenders: [
    ...group(names.streamed, sizes.streamed, "processes", [...ours, ...oursStreamed, ...rivals, json, socket, batched]),
    ...group(names.pingPong, sizes.pingPong, "processes", [...ours, ...rivals, json, socket]),
    ...group(names.large, sizes.large, "processes", [...ours, ...oursStreamed, ...rivals, json, socket]),
    ...group(names.huge, sizes.huge, "processes", [...ours, ...rivals, socket]),
    ...group(names.streamedThreads, sizes.streamed, "threads", [...ours, ...oursStreamed, port]),
    ...group(names.pingPongThreads, sizes.pingPong, "threads", [...ours, port])
  ]
}
