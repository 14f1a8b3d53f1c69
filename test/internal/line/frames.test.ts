import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { attach, freshLuggage, hear, Kind, makeEnd, mayAttach } from "../../../src/internal/line/end.ts"
import type { Frame } from "../../../src/internal/line/end.ts"
import { encodeFrames, makeLineReader } from "../../../src/internal/line/frames.ts"
import { headerBytes } from "../../../src/internal/line/header.ts"
import { bytesOf, encodeMessage, messageOf, Tag } from "../../../src/internal/line/message.ts"
import type { Message } from "../../../src/internal/line/message.ts"

const encoded = (frames: ReadonlyArray<Frame>): Buffer => Buffer.concat(encodeFrames(frames))

/** Comparable, whatever the bytes are views of. */
const plain = (frame: Frame): ReadonlyArray<unknown> =>
  frame.kind === Kind.Data
    ? frame.messages.map((message) => [frame.kind, message.tag, Buffer.from(bytesOf(message)).toString("base64")])
    : [{ ...frame }]

const border = { sharesMemory: false }

const count = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.integer({ min: 32_000, max: 140_000 }).map((length) => new Uint8Array(length).fill(length))
)

/** Alone, and as they are encoded side by side. */
const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ tag: fc.constantFrom(Tag.Bytes, Tag.Text, Tag.Value, Tag.Marked, Tag.Ends), bytes })
    .map(({ bytes, tag }) => messageOf(tag, bytes)),
  fc.oneof(bytes, fc.string({ unit: "binary", maxLength: 40 }), fc.integer()).map((value) =>
    encodeMessage(value, border)
  )
)

const frames: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({ kind: fc.constant(Kind.Resume), epoch: count, consumed: count, arrived: count }),
  fc.record({ kind: fc.constant(Kind.Ack), consumed: count }),
  fc.constant<Frame>({ kind: Kind.Moved }),
  fc.constant<Frame>({ kind: Kind.Over }),
  fc.record({ kind: fc.constant(Kind.Bye), ending: fc.constantFrom("closed" as const, "scope" as const) }),
  fc.record({
    kind: fc.constant(Kind.Data),
    messages: fc.array(message, { minLength: 1, maxLength: 5 })
  })
)

const readAll = (blocks: ReadonlyArray<Buffer>): ReadonlyArray<Frame> => {
  const reader = makeLineReader()
  const found: Array<Frame> = []
  for (const block of blocks) reader.push(block, (frame) => found.push(frame))
  return found
}

/** As a socket reads into memory that is there: where the reader has room, or into the same block again and again. */
const readLent = (bytes: Buffer, sizes: ReadonlyArray<number>): ReadonlyArray<Frame> => {
  const reader = makeLineReader()
  const scratch = new Uint8Array(64 * 1024)
  const found: Array<Frame> = []
  let at = 0
  for (let i = 0; at < bytes.length; i++) {
    const target = reader.room() ?? scratch
    const count = Math.min(sizes[i % sizes.length]!, target.length, bytes.length - at)
    target.set(bytes.subarray(at, at + count))
    reader.push(target.subarray(0, count), (frame) => found.push(frame), true)
    scratch.fill(0xff)
    at += count
  }
  return found
}

const cut = (bytes: Buffer, sizes: ReadonlyArray<number>): ReadonlyArray<Buffer> => {
  const blocks: Array<Buffer> = []
  let at = 0
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!
    blocks.push(bytes.subarray(at, at + size))
    at += size
  }
  return blocks
}

describe("frames of a line", () => {
  it("arrive as they were written, however the blocks fall", () => {
    const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 90_000 })), {
      minLength: 1,
      maxLength: 8
    })
    fc.assert(
      fc.property(fc.array(frames, { maxLength: 8 }), sizes, (written, blocks) => {
        const bytes = encoded(written)
        const big = bytes.length > 5000 && blocks.every((size) => size < 500) ? [...blocks, 5000] : blocks
        assert.deepStrictEqual(readAll(cut(bytes, big)).flatMap(plain), written.flatMap(plain))
        assert.deepStrictEqual(readLent(bytes, big).flatMap(plain), written.flatMap(plain))
      }),
      { numRuns: 400 }
    )
  })

  it("arrive byte by byte", () => {
    const written: ReadonlyArray<Frame> = [
      { kind: Kind.Resume, epoch: 3, consumed: 2 ** 40, arrived: 2 ** 40 + 7 },
      { kind: Kind.Data, messages: [messageOf(Tag.Text, new Uint8Array(0))] },
      { kind: Kind.Data, messages: [messageOf(Tag.Text, Buffer.from("hello"))] },
      { kind: Kind.Ack, consumed: 7 },
      { kind: Kind.Bye, ending: "scope" },
      { kind: Kind.Over }
    ]
    assert.deepStrictEqual(readAll(cut(encoded(written), [1])).flatMap(plain), written.flatMap(plain))
  })

  it("keep the bytes that come after them", () => {
    const one = encoded([{ kind: Kind.Ack, consumed: 1 }])
    const reader = makeLineReader()
    const found: Array<Frame> = []
    reader.push(Buffer.concat([one, one.subarray(0, 5)]), (frame) => found.push(frame))
    reader.push(one.subarray(5), (frame) => found.push(frame))
    assert.strictEqual(found.length, 2)
  })

  it("take memory as it comes: a claim of gigabytes is not believed", () => {
    const claim = encoded([{ kind: Kind.Data, messages: [messageOf(Tag.Bytes, new Uint8Array(40_000))] }])
    const header = Buffer.from(claim.subarray(0, headerBytes))
    const length = 2_000_000_000
    header.writeUInt32LE(length, 4)
    header.writeUInt16LE((length ^ (length >>> 16) ^ (Kind.Data << 8) ^ Tag.Bytes ^ 0x5ac3) & 0xffff, 2)
    const before = process.memoryUsage().arrayBuffers
    const reader = makeLineReader()
    reader.push(Buffer.concat([header, new Uint8Array(100)]), () => assert.fail("there is no frame yet"))
    assert.isBelow(process.memoryUsage().arrayBuffers - before, 1024 * 1024)
  })
})

/** A generator of its own: the cases are the same in every run. */
const seeded = (seed: number) => (): number => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return seed / 2 ** 32
}

const isNoLine = (cause: unknown): boolean => (cause as { readonly _tag?: unknown })._tag === "NoLine"

describe("garbage on a line", () => {
  it("gives a typed error, or frames that an end refuses or bears, 100,000 times", () => {
    const random = seeded(20)
    const valid = encoded([
      { kind: Kind.Resume, epoch: 0, consumed: 0, arrived: 0 },
      { kind: Kind.Data, messages: [messageOf(Tag.Text, Buffer.from("some text"))] },
      { kind: Kind.Ack, consumed: 0 },
      { kind: Kind.Data, messages: [messageOf(Tag.Bytes, new Uint8Array(33))] },
      { kind: Kind.Bye, ending: "closed" }
    ])
    const before = process.memoryUsage().arrayBuffers
    let refused = 0
    for (let i = 0; i < 100_000; i++) {
      const bytes = random() < 0.3
        ? Buffer.from(Array.from({ length: 1 + Math.floor(random() * 60) }, () => Math.floor(random() * 256)))
        : Buffer.from(valid)
      for (let changes = Math.floor(random() * 4); changes > 0; changes--) {
        bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256)
      }
      const end = makeEnd({ side: 0, capacity: 8, sends: true, receives: random() < 0.9 }, freshLuggage)
      const at = Math.floor(random() * bytes.length)
      const reader = makeLineReader()
      const onFrame = (frame: Frame): void => {
        if (end.wire || frame.kind !== Kind.Resume) return hear(end, frame)
        if (mayAttach(end, frame)) attach(end, frame)
      }
      try {
        reader.push(bytes.subarray(0, at), onFrame)
        reader.push(bytes.subarray(at), onFrame)
      } catch (cause) {
        assert.isTrue(isNoLine(cause), String(cause))
        refused++
      }
      assert.isAtMost(end.inBytes, 1024)
    }
    assert.isAbove(refused, 30_000)
    assert.isBelow(process.memoryUsage().arrayBuffers - before, 256 * 1024 * 1024)
  }, 60_000)
})
