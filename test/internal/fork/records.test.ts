import { assert, describe, it } from "@effect/vitest"
import { Buffer } from "node:buffer"
import * as fc from "fast-check"
import {
  forkRequest,
  killRequest,
  makeRecordReader,
  RecordKind,
  textRecord
} from "../../../src/internal/fork/records.ts"
import type { ServerRecord } from "../../../src/internal/fork/records.ts"

const word = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  return bytes
}

/** As the C part writes them, on a machine of little end. */
const bytesOf = (record: ServerRecord): Buffer => {
  switch (record._tag) {
    case "Ready":
      return Buffer.concat([word(RecordKind.Ready), word(0), word(0), word(0)])
    case "Heard":
      return Buffer.concat([word(RecordKind.Heard), word(5), word(0), word(0)])
    case "Forked":
      return Buffer.concat([word(RecordKind.Forked), word(record.id), word(record.pid || -record.error), word(0)])
    case "Exited":
      return Buffer.concat([word(RecordKind.Exited), word(record.id), word(99), word(record.status)])
    default:
      return textRecord(record._tag, record.message, record.stack)
  }
}

const id = fc.integer({ min: 1, max: 2 ** 31 - 1 })
const record: fc.Arbitrary<ServerRecord> = fc.oneof(
  fc.constant<ServerRecord>({ _tag: "Ready" }),
  fc.constant<ServerRecord>({ _tag: "Heard" }),
  fc.record({ _tag: fc.constantFrom("Failed" as const, "Loading" as const, "Unsafe" as const), message: fc.string() }),
  fc.record({ _tag: fc.constant("Failed" as const), message: fc.string(), stack: fc.string() }),
  fc.record({ _tag: fc.constant("Forked" as const), id, pid: id, error: fc.constant(0) }),
  fc.record({
    _tag: fc.constant("Forked" as const),
    id,
    pid: fc.constant(0),
    error: fc.integer({ min: 1, max: 133 })
  }),
  fc.record({
    _tag: fc.constant("Exited" as const),
    id,
    status: fc.integer({ min: 0, max: 65535 })
  })
)

describe("the records of a fork server", () => {
  it("arrive in order, however the bytes fall", () =>
    fc.assert(
      fc.property(
        fc.array(record),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
        (records, sizes) => {
          const bytes = Buffer.concat(records.map(bytesOf))
          const read: Array<ServerRecord> = []
          const push = makeRecordReader((one) => read.push(one))
          for (let at = 0, i = 0; at < bytes.length; i++) {
            const size = sizes[i % sizes.length]!
            push(bytes.subarray(at, at + size))
            at += size
          }
          assert.deepStrictEqual(read, records)
        }
      )
    ))

  it("and requests are an operation, an id, a signal, and what the copy is told", () => {
    assert.deepStrictEqual(killRequest(7, 15), Buffer.concat([word(2), word(7), word(15)]))
    const request = forkRequest(8, { _tag: "Probe" })
    assert.deepStrictEqual(request.subarray(0, 12), Buffer.concat([word(1), word(8), word(0)]))
    assert.deepStrictEqual(JSON.parse(request.subarray(12).toString()), { _tag: "Probe" })
  })
})
