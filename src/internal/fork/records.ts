/**
 * What is said between a program and its fork server. The program sends packets: an operation, a number, a signal, then
 * what the copy is told. The server answers with records of 16 bytes. Its C part is `native/forkServer.c`.
 */
import { Buffer } from "node:buffer"

export const Operation = { Fork: 1, Kill: 2 } as const
export const RecordKind = { Forked: 1, Exited: 2, Ready: 3, Failed: 4, Unsafe: 5, Heard: 6, Loading: 7 } as const

const headBytes = 12
const recordBytes = 16

export const forkRequest = (id: number, order: unknown): Buffer =>
  Buffer.concat([request(Operation.Fork, id, 0), Buffer.from(JSON.stringify(order))])

export const killRequest = (id: number, signal: number): Buffer => request(Operation.Kill, id, signal)

export const idOf = (request: Buffer): number => request.readInt32LE(4)

const request = (operation: number, id: number, signal: number): Buffer => {
  const head = Buffer.alloc(headBytes)
  head.writeInt32LE(operation, 0)
  head.writeInt32LE(id, 4)
  head.writeInt32LE(signal, 8)
  return head
}

export type ServerRecord =
  | { readonly _tag: "Ready" }
  /** This module is being loaded. */
  | { readonly _tag: "Loading"; readonly message: string; readonly stack?: string }
  | { readonly _tag: "Failed"; readonly message: string; readonly stack?: string }
  /** It could not be copied: why. */
  | { readonly _tag: "Unsafe"; readonly message: string; readonly stack?: string }
  /** `error` is the number of what the system refused it with, or 0. */
  | { readonly _tag: "Forked"; readonly id: number; readonly pid: number; readonly error: number }
  /** The answer to a kill: there is room in the socket again. */
  | { readonly _tag: "Heard" }
  /** `status` as waitpid gives it. */
  | { readonly _tag: "Exited"; readonly id: number; readonly status: number }

type Text = Extract<ServerRecord, { readonly message: string }>["_tag"]

const texts: ReadonlyMap<number, Text> = new Map(
  (["Failed", "Loading", "Unsafe"] as const).map((kind) => [RecordKind[kind], kind])
)

/** The server does not serve yet, or never: the other records are written by its C part. */
export const textRecord = (kind: Text, message: string, stack?: string): Buffer => {
  const text = Buffer.from(JSON.stringify({ message, stack }))
  const head = Buffer.alloc(recordBytes)
  head.writeInt32LE(RecordKind[kind], 0)
  head.writeInt32LE(text.length, 4)
  return Buffer.concat([head, text])
}

/** Takes the bytes of a server in any pieces, gives its records in order. */
export const makeRecordReader = (onRecord: (record: ServerRecord) => void): (block: Buffer) => void => {
  let received: Buffer = Buffer.alloc(0)
  const next = (): ServerRecord | undefined => {
    if (received.length < recordBytes) return undefined
    const kind = received.readInt32LE(0)
    const id = received.readInt32LE(4)
    const pid = received.readInt32LE(8)
    const status = received.readInt32LE(12)
    const textKind = texts.get(kind)
    const textBytes = textKind === undefined ? 0 : id
    if (received.length < recordBytes + textBytes) return undefined
    const text = received.subarray(recordBytes, recordBytes + textBytes)
    received = received.subarray(recordBytes + textBytes)
    if (textKind !== undefined) return { _tag: textKind, ...JSON.parse(text.toString()) } as ServerRecord // as written above
    switch (kind) {
      case RecordKind.Ready:
        return { _tag: "Ready" }
      case RecordKind.Forked:
        return { _tag: "Forked", id, pid: Math.max(pid, 0), error: Math.max(-pid, 0) }
      case RecordKind.Heard:
        return { _tag: "Heard" }
      default:
        return { _tag: "Exited", id, status }
    }
  }
  return (block) => {
    received = received.length === 0 ? block : Buffer.concat([received, block])
    for (let one = next(); one !== undefined; one = next()) onRecord(one)
  }
}
