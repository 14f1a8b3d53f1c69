/** Messages from value to value, however their bytes fall; and messages that no end of ours has written. */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { crossingError } from "../../../src/internal/codec/payload.ts"
import { Kind } from "../../../src/internal/line/end.ts"
import { encodeFrames, makeLineReader } from "../../../src/internal/line/frames.ts"
import { bytesOf, decodeMessage, encodeMessage, messageOf, Tag } from "../../../src/internal/line/message.ts"
import type { Message } from "../../../src/internal/line/message.ts"
import { encodeFrame, maxFrameBytes } from "../../../src/internal/protocol/frames.ts"
import { ProcessError } from "../../../src/index.ts"
import { build, difference, graph, mark } from "../codec/graphs.ts"

const border = { sharesMemory: false }

// ---------------------------------------------------------------------------------------------------- any values

/** What is compared is built anew: encoding and decoding have touched neither. */
const value: fc.Arbitrary<() => unknown> = fc.oneof(
  { weight: 4, arbitrary: graph.map((nodes) => () => build(nodes)) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 40 }).map((text) => () => text) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }).map((bytes) => () => Uint8Array.from(bytes)) },
  { weight: 1, arbitrary: fc.constantFrom(undefined, null, -0, Number.NaN, 2n ** 70n, true).map((one) => () => one) },
  // longer than what lies side by side, and than what is written together with others
  { weight: 1, arbitrary: fc.constantFrom(5_000, 40_000).map((length) => () => new Uint8Array(length).fill(7)) },
  { weight: 1, arbitrary: fc.constantFrom(3_000, 70_000).map((length) => () => "\u00e9".repeat(length)) }
)

const cut = (bytes: Buffer, sizes: ReadonlyArray<number>): ReadonlyArray<Buffer> => {
  const blocks: Array<Buffer> = []
  for (let i = 0, at = 0; at < bytes.length; i++) {
    // byte by byte would take long where it is much
    const size = Math.max(sizes[i % sizes.length]!, bytes.length >>> 10)
    blocks.push(bytes.subarray(at, at + size))
    at += size
  }
  return blocks
}

const received = (blocks: ReadonlyArray<Buffer>): ReadonlyArray<unknown> => {
  const reader = makeLineReader()
  const values: Array<unknown> = []
  for (const block of blocks) {
    reader.push(block, (frame) => {
      if (frame.kind === Kind.Data) values.push(...frame.messages.map(decodeMessage))
    })
  }
  return values
}

describe("messages", () => {
  it("of any values arrive equal and in order, however their bytes are cut", () => {
    const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 70_000 })), {
      minLength: 1,
      maxLength: 6
    })
    fc.assert(
      fc.property(fc.array(fc.tuple(value, fc.nat(5)), { maxLength: 8 }), fc.nat(8), sizes, (all, split, blocks) => {
        // one that is not sent after all leaves a gap among those that lie side by side
        const encoded = all.map(([make, isSent]) => ({ make, isSent, message: encodeMessage(make(), border) }))
        const sent = encoded.filter(({ isSent }) => isSent > 0)
        const [makers, messages] = [sent.map(({ make }) => make), sent.map(({ message }) => message)]
        // as one frame, or as two with something else between them
        const parts = [messages.slice(0, split), messages.slice(split)].filter(({ length }) => length > 0)
        const bytes = Buffer.concat(encodeFrames(parts.flatMap((some) => [
          { kind: Kind.Data, messages: some },
          { kind: Kind.Ack, consumed: 1 }
        ])))
        const values = received(cut(bytes, blocks))
        assert.strictEqual(values.length, makers.length)
        makers.forEach((make, i) => assert.strictEqual(difference(make(), values[i]), undefined))
      }),
      { numRuns: 500 }
    )
  })
})

// ---------------------------------------------------------------------------------------------------- forged ones

/** The cases are the same in every run. */
const seeded = (seed: number) => (): number => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return seed / 2 ** 32
}

type Random = () => number

const below = (random: Random, count: number): number => Math.floor(random() * count)

/** What no value of ours has in these places. */
const oddities: ReadonlyArray<(random: Random) => unknown> = [
  () => undefined,
  () => null,
  () => -1,
  () => Number.NaN,
  () => 2 ** 53,
  () => 2n ** 64n,
  () => "",
  () => "__proto__",
  () => "constructor",
  () => "x".repeat(70_000),
  () => [],
  () => new Array<unknown>(2 ** 32 - 1),
  () => ({ length: 2 ** 53 }),
  () => ({ toString: 1, valueOf: 1 }),
  () => new Map([[{ [mark]: "error" }, 1]]),
  () => new Uint8Array(40),
  () => new Error("not encoded"),
  (random) => [[below(random, 9), forged(random)], ["stack", 1], ["__proto__", { polluted: true }]],
  (random) => forged(random),
  (random) => ({ [mark]: "handle", name: "SharedQueue", data: forged(random) })
]

const oddity = (random: Random): unknown => oddities[below(random, oddities.length)]!(random)

/** The marks of the codec, with anything where something else should stand. */
const forged = (random: Random): unknown => {
  const odd = (usual: unknown): unknown => random() < 0.4 ? oddity(random) : usual
  switch (below(random, 5)) {
    case 0:
      return {
        [mark]: "error",
        error: odd({
          kind: odd("AggregateError"),
          name: odd("Odd"),
          message: odd("message"),
          stack: odd("stack"),
          tag: odd("Tag"),
          hasCause: odd(true),
          cause: odd(undefined),
          errors: odd([]),
          fields: odd([])
        })
      }
    case 1:
      return { [mark]: "object", object: odd({ a: odd(1) }) }
    case 2:
      return { [mark]: "handle", name: odd("SharedEvent"), data: odd({ home: odd(undefined) }) }
    case 3:
      return { [mark]: odd("error") }
    default:
      return [odd(1), new Set([odd(2)]), odd(3)]
  }
}

const encodedAs = (tag: Message["tag"], content: unknown): Message =>
  messageOf(tag, Buffer.concat(encodeFrame(content, maxFrameBytes)))

/** What `receive` does with it: a value, or the tag of a typed failure. */
const outcomeOf = (message: Message): string => {
  try {
    decodeMessage(message)
    return "value"
  } catch (cause) {
    const error = crossingError("Connection", "message", cause)
    assert.isTrue(ProcessError.isProcessError(error))
    assert.isBelow(error.message.length, 200_000)
    return error.reason._tag
  }
}

const counted = (outcomes: Iterable<string>): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const one of outcomes) counts[one] = (counts[one] ?? 0) + 1
  return counts
}

/** Nothing of what it was given has stayed, and no prototype knows more than before. */
const harmless = (run: () => void): void => {
  const before = process.memoryUsage().rss
  run()
  assert.isBelow(process.memoryUsage().rss - before, 512 * 1024 * 1024)
  assert.deepStrictEqual(Object.keys(Object.prototype), [])
  assert.isUndefined(({} as { readonly polluted?: unknown }).polluted)
}

describe("a message that no end has written", () => {
  it("with marks in the wrong places is opened, or fails with a typed error, 20,000 times", () =>
    harmless(() => {
      const random = seeded(5)
      const counts = counted(
        Array.from(
          { length: 20_000 },
          () => outcomeOf(encodedAs(random() < 0.5 ? Tag.Marked : Tag.Ends, forged(random)))
        )
      )
      assert.isAbove(counts["value"]!, 1000)
      assert.isAbove(counts["CodecFailed"]!, 1000)
      assert.deepStrictEqual(Object.keys(counts).sort(), ["CodecFailed", "value"])
    }), 60_000)

  it("but with bytes that were changed is opened, or fails with a typed error, 30,000 times", () =>
    harmless(() => {
      const random = seeded(6)
      const originals = fc.sample(graph, { numRuns: 60, seed: 3 }).map((nodes) => encodeMessage(build(nodes), border))
      const counts = counted(Array.from({ length: 30_000 }, () => {
        const { tag, ...rest } = originals[below(random, originals.length)]!
        const bytes = Uint8Array.from(bytesOf({ tag, ...rest }))
        for (let changes = 1 + below(random, 3); changes > 0; changes--) {
          bytes[below(random, bytes.length)] = below(random, 256)
        }
        const length = random() < 0.2 ? below(random, bytes.length + 1) : bytes.length
        return outcomeOf(
          messageOf(random() < 0.8 ? tag : below(random, 5) as Message["tag"], bytes.subarray(0, length))
        )
      }))
      assert.isAbove(counts["value"]!, 1000)
      assert.isAbove(counts["CodecFailed"]!, 1000)
      assert.deepStrictEqual(Object.keys(counts).sort(), ["CodecFailed", "value"])
    }), 60_000)
})
