/**
 * What is said between a program and its fork server. The program sends packets: an operation, a number, a signal, then
 * what the copy is told. The server answers with records of 16 bytes. Its C part is `native/forkServer.c`.
 */
import { Buffer } from "node:buffer"
import { endianness } from "node:os"

export const Operation = { Fork: 1, Kill: 2 } as const
export const RecordKind = { Forked: 1, Exited: 2, Ready: 3, Failed: 4, Unsafe: 5, Heard: 6 } as const

const headBytes = 12
const recordBytes = 16
const isLittle = endianness() === "LE"

const putInt32 = (target: Buffer, value: number, offset: number): number =>
  isLittle ? target.writeInt32LE(value, offset) : target.writeInt32BE(value, offset)

const takeInt32 = (source: Buffer, offset: number): number =>
  isLittle ? source.readInt32LE(offset) : source.readInt32BE(offset)

export const forkRequest = (id: number, order: unknown): Buffer =>
  Buffer.concat([request(Operation.Fork, id, 0), Buffer.from(JSON.stringify(order))])

export const killRequest = (id: number, signal: number): Buffer => request(Operation.Kill, id, signal)

export const idOf = (request: Buffer): number => takeInt32(request, 4)

const request = (operation: number, id: number, signal: number): Buffer => {
  const head = Buffer.alloc(headBytes)
  putInt32(head, operation, 0)
  putInt32(head, id, 4)
  putInt32(head, signal, 8)
  return head
}

export type ServerRecord =
  | { readonly _tag: "Ready" }
  | { readonly _tag: "Failed"; readonly message: string }
  /** It could not be copied: why. */
  | { readonly _tag: "Unsafe"; readonly message: string }
  /** `error` is the number of what the system refused it with, or 0. */
  | { readonly _tag: "Forked"; readonly id: number; readonly pid: number; readonly error: number }
  /** The answer to a kill: there is room in the socket again. */
  | { readonly _tag: "Heard" }
  /** `status` as waitpid gives it. */
  | { readonly _tag: "Exited"; readonly id: number; readonly status: number }

/** The server serves not: the other records are written by its C part. */
export const refusalRecord = (kind: "Failed" | "Unsafe", message: string): Buffer => {
  const text = Buffer.from(message)
  const head = Buffer.alloc(recordBytes)
  putInt32(head, RecordKind[kind], 0)
  putInt32(head, text.length, 4)
  return Buffer.concat([head, text])
}

/** Takes the bytes of a server in any pieces, gives its records in order. */
export const makeRecordReader = (onRecord: (record: ServerRecord) => void): (block: Buffer) => void => {
  let received: Buffer = Buffer.alloc(0)
  const next = (): ServerRecord | undefined => {
    if (received.length < recordBytes) return undefined
    const kind = takeInt32(received, 0)
    const id = takeInt32(received, 4)
    const pid = takeInt32(received, 8)
    const status = takeInt32(received, 12)
    const textBytes = kind === RecordKind.Failed || kind === RecordKind.Unsafe ? id : 0
    if (received.length < recordBytes + textBytes) return undefined
    const text = received.subarray(recordBytes, recordBytes + textBytes)
    received = received.subarray(recordBytes + textBytes)
    switch (kind) {
      case RecordKind.Ready:
        return { _tag: "Ready" }
      case RecordKind.Failed:
        return { _tag: "Failed", message: text.toString() }
      case RecordKind.Unsafe:
        return { _tag: "Unsafe", message: text.toString() }
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
