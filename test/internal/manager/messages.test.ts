import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { decodeMessage, encodeMessage } from "../../../src/internal/manager/messages.ts"
import {
  decodeFrame,
  encodeFrame,
  headerBytes,
  isFrameTooLarge,
  maxFrameBytes
} from "../../../src/internal/protocol/frames.ts"

const through = (message: unknown): unknown =>
  decodeMessage(Buffer.from(encodeMessage(message, maxFrameBytes)).subarray(headerBytes))

const byClone = (message: unknown): unknown => decodeFrame(Buffer.concat([...encodeFrame(message, maxFrameBytes)]))

const sparse = [1, 2, 3]
delete sparse[1]

/** What JSON would change, and what it would not. */
const value = fc.oneof(
  fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withSparseArray: true,
    withTypedArray: true
  }),
  fc.array(fc.oneof(fc.double(), fc.string({ unit: "binary" }), fc.constant(undefined), fc.constant(null))),
  fc.string({ maxLength: 2000 }),
  fc.constantFrom(-0, NaN, Infinity, "\ud800", Object.assign([1], { name: "x" }), sparse, new Date(NaN), "__proto__")
)

const message = fc.oneof(
  fc.record({
    _tag: fc.constant("Request"),
    id: fc.nat(),
    tag: fc.string(),
    payload: fc.record({ value, marked: fc.boolean() }),
    headers: fc.constant([["object", "7"]])
  }),
  fc.record({
    _tag: fc.constant("Exit"),
    requestId: fc.nat(),
    exit: fc.tuple(fc.constantFrom(0, 2), fc.record({ value, marked: fc.boolean() }))
  }),
  fc.record({
    _tag: fc.constant("Chunk"),
    requestId: fc.nat(),
    values: fc.record({ value: fc.array(value), marked: fc.boolean() })
  }),
  fc.record({ _tag: fc.constantFrom("Ack", "Interrupt"), requestId: fc.nat() })
)

/** An undefined field may be left out. */
const crossedIn = (u: unknown): ReadonlyArray<unknown> => {
  const { exit, payload, values } = u as Record<string, any>
  const { marked, value } = payload ?? values ?? exit?.[1] ?? {}
  return [{ ...(u as object), payload: 0, values: 0, exit: exit?.[0] }, marked, value]
}

describe("A message between a proxy and its server", () => {
  it("arrives as structured clone would give it, whatever its bytes are", () => {
    fc.assert(fc.property(message, (message) => {
      assert.deepStrictEqual(crossedIn(through(message)), crossedIn(byClone(message)))
    }))
  })

  it("of one number is text", () => {
    const bytes = encodeMessage({ _tag: "Exit", requestId: 1, exit: [0, { value: 5, marked: false }] }, maxFrameBytes)
    assert.strictEqual(String.fromCharCode(bytes[headerBytes]!), "{")
  })

  it("has no more bytes than its limit", () => {
    const ping = { _tag: "Ping" }
    const size = encodeMessage(ping, maxFrameBytes).length - headerBytes
    assert.strictEqual(encodeMessage(ping, size).length, headerBytes + size)
    try {
      encodeMessage(ping, size - 1)
      assert.fail("it is larger than its limit")
    } catch (cause) {
      assert.isTrue(isFrameTooLarge(cause), String(cause))
    }
  })
})
