import { assert, describe, it } from "@effect/vitest"
import { Buffer } from "node:buffer"
import * as fc from "fast-check"
import {
  decodeBody,
  encodeFrame,
  headerBytes,
  isFrameTooLarge,
  makeFrameReader,
  maxFrameBytes,
  writeHeader
} from "../../../src/internal/protocol/frames.ts"
import type { FrameTooLarge } from "../../../src/internal/protocol/frames.ts"
import { build, difference, plainGraph, typedArrays } from "../codec/graphs.ts"

/** The bytes of a frame, as they are written. */
const wholeFrame = (value: unknown, limit: number): Buffer => Buffer.concat(encodeFrame(value, limit))

const refusal = (run: () => void): FrameTooLarge => {
  try {
    run()
  } catch (cause) {
    if (isFrameTooLarge(cause)) return cause
    throw cause
  }
  return assert.fail("it was not refused")
}

/** Cuts a stream at these places (modulo its length). */
const cut = (stream: Buffer, places: ReadonlyArray<number>): ReadonlyArray<Buffer> => {
  const at = places.map((place) => place % (stream.length + 1)).sort((a, b) => a - b)
  return [0, ...at].map((from, i) => stream.subarray(from, at[i] ?? stream.length))
}

const header = (size: number): Buffer => {
  const bytes = Buffer.alloc(headerBytes)
  writeHeader(bytes, size)
  return bytes
}

/** A small generator of numbers, for cases by the hundred thousand. */
const makeRandom = (seed: number): (below: number) => number => {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

/** Runs many random cases; a failure tells the seed that `FUZZ_SEED` takes. */
const fuzz = (cases: number, run: (random: (below: number) => number) => void): void => {
  const given = process.env["FUZZ_SEED"]
  const seed = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given)
  for (let i = 0; i < cases; i++) {
    try {
      run(makeRandom(seed + i))
    } catch (cause) {
      throw new Error(`case ${i} of seed ${seed} (FUZZ_SEED=${seed + i} runs it first)`, { cause })
    }
  }
}

const randomBytes = (random: (below: number) => number, most: number): Buffer =>
  Buffer.from(Array.from({ length: random(most + 1) }, () => random(256)))

describe("a frame", () => {
  it("carries any value that structured clone carries", () => {
    fc.assert(fc.property(plainGraph, (nodes) => {
      const arrived = decodeBody(wholeFrame(build(nodes), maxFrameBytes).subarray(headerBytes))
      assert.strictEqual(difference(build(nodes), arrived), undefined)
    }))
  })

  it("begins with the length of its body in four bytes, little endian, and four that agree with it", () => {
    const frame = wholeFrame(["text"], maxFrameBytes)
    assert.strictEqual(frame.readUInt32LE(0), frame.length - headerBytes)
    assert.deepStrictEqual(frame.subarray(0, headerBytes), header(frame.length - headerBytes))
  })

  it("whose header does not agree with itself is none: nothing is waited for", () => {
    for (const text of ["text that is no frame", "\0".repeat(8)]) {
      let thrown: unknown
      try {
        makeFrameReader(maxFrameBytes).push(Buffer.from(text), () => assert.fail("a body"))
      } catch (cause) {
        thrown = cause
      }
      assert.deepStrictEqual(thrown, { _tag: "NoFrame" })
    }
  })

  it("gives every typed array a buffer of its own, that holds nothing else", () => {
    for (const Type of [...typedArrays, DataView] as ReadonlyArray<any>) {
      const pool = new ArrayBuffer(64)
      new Uint8Array(pool).fill(7)
      const value = new Type(pool, 8, 2)
      const [arrived, other] = decodeBody(
        wholeFrame([value, new Uint8Array(4)], maxFrameBytes).subarray(headerBytes)
      ) as any
      assert.strictEqual(Object.getPrototypeOf(arrived), Type.prototype)
      assert.strictEqual(arrived.byteOffset, 0)
      assert.strictEqual(arrived.buffer.byteLength, value.byteLength)
      assert.strictEqual(difference(value, arrived), undefined)
      assert.notStrictEqual(arrived.buffer, other.buffer)
    }
  })

  it("gives a Buffer as a Uint8Array, as structured clone does", () => {
    const arrived = decodeBody(wholeFrame(Buffer.from("abc"), maxFrameBytes).subarray(headerBytes)) as Uint8Array
    assert.strictEqual(Object.getPrototypeOf(arrived), Uint8Array.prototype)
    assert.strictEqual(arrived.buffer.byteLength, 3)
    assert.deepStrictEqual(Array.from(arrived), [97, 98, 99])
  })

  it("does not change when the block that it came in does", () => {
    const frame = wholeFrame({ bytes: new Uint8Array([1, 2, 3]), buffer: new Uint8Array([4]).buffer }, maxFrameBytes)
    const arrived = decodeBody(frame.subarray(headerBytes)) as {
      readonly bytes: Uint8Array
      readonly buffer: ArrayBuffer
    }
    frame.fill(0)
    assert.deepStrictEqual(Array.from(arrived.bytes), [1, 2, 3])
    assert.deepStrictEqual(Array.from(new Uint8Array(arrived.buffer)), [4])
  })

  it("is refused before it is sent when it is larger than the limit, by one byte too", () => {
    const size = wholeFrame(["x".repeat(100)], maxFrameBytes).length - headerBytes
    assert.strictEqual(wholeFrame(["x".repeat(100)], size).length, size + headerBytes)
    assert.deepStrictEqual(refusal(() => wholeFrame(["x".repeat(100)], size - 1)), {
      _tag: "FrameTooLarge",
      size,
      limit: size - 1
    })
  })

  it("of what cannot be cloned is refused with the serializer's words", () => {
    for (const value of [() => {}, Symbol("s"), new SharedArrayBuffer(4), Promise.resolve()]) {
      assert.throws(() => wholeFrame([value], maxFrameBytes), /could not be cloned/)
    }
  })
})

describe("a frame reader", () => {
  it("gives the same frames however the stream is cut, also when every block comes in the same memory", () => {
    const messages = fc.array(fc.oneof(fc.string(), fc.bigInt(), fc.uint8Array(), fc.constant([])), { maxLength: 6 })
    const places = fc.array(fc.nat(10_000), { maxLength: 12 })
    fc.assert(
      fc.property(messages, places, (sent, places) => {
        const stream = Buffer.concat(sent.map((message) => wholeFrame(message, maxFrameBytes)))
        const reader = makeFrameReader(maxFrameBytes)
        const received: Array<unknown> = []
        const memory = Buffer.alloc(stream.length)
        for (const block of cut(stream, places)) {
          memory.set(block)
          reader.push(memory.subarray(0, block.length), (body) => received.push(decodeBody(body)))
          memory.fill(0xaa)
        }
        assert.deepStrictEqual(received, sent)
        assert.strictEqual(reader.pending(), 0)
      }),
      { numRuns: 300 }
    )
  })

  it("gives the same frames byte by byte", () => {
    const sent = [1, "two", { three: [3] }, new Map([[4, 5]])]
    const stream = Buffer.concat(sent.map((message) => wholeFrame(message, maxFrameBytes)))
    const reader = makeFrameReader(maxFrameBytes)
    const received: Array<unknown> = []
    for (let i = 0; i < stream.length; i++) {
      reader.push(stream.subarray(i, i + 1), (body) => received.push(decodeBody(body)))
    }
    assert.deepStrictEqual(received, sent)
  })

  it("gives the same frames when blocks are read into the same memory, and large ones into their room", () => {
    const numbers = (length: number): Uint8Array => new Uint8Array(length).map((_, i) => i)
    const sent = [["text"], [numbers(200_000), numbers(70_000)], [numbers(50_000)], ["x".repeat(300_000)], [numbers(9)]]
    const stream = Buffer.concat(sent.map((message) => wholeFrame(message, maxFrameBytes)))
    for (const scratchBytes of [7, 60_000, 150_000]) {
      const scratch = new Uint8Array(scratchBytes)
      const reader = makeFrameReader(maxFrameBytes)
      const received: Array<unknown> = []
      for (let at = 0; at < stream.length;) {
        const memory = reader.room() ?? scratch
        const length = Math.min(memory.length, 100_000, stream.length - at)
        memory.set(stream.subarray(at, at + length))
        at += length
        const block = Buffer.from(memory.buffer as ArrayBuffer, memory.byteOffset, length)
        reader.push(block, (body, attachments) => received.push(decodeBody(body, attachments)))
      }
      assert.deepStrictEqual(received, sent)
    }
  })

  it("gives a frame as soon as its last byte is there", () => {
    const frame = wholeFrame("text", maxFrameBytes)
    const reader = makeFrameReader(maxFrameBytes)
    let bodies = 0
    reader.push(frame.subarray(0, -1), () => bodies++)
    assert.strictEqual(bodies, 0)
    assert.strictEqual(reader.pending(), frame.length - 1)
    reader.push(Buffer.concat([frame.subarray(-1), frame, frame.subarray(0, 2)]), () => bodies++)
    assert.strictEqual(bodies, 2)
    assert.strictEqual(reader.pending(), 2)
  })

  it("gives a body without bytes", () => {
    const sizes: Array<number> = []
    makeFrameReader(10).push(Buffer.concat([header(0), header(0)]), (body) => sizes.push(body.length))
    assert.deepStrictEqual(sizes, [0, 0])
  })

  it("takes a frame of exactly the limit and refuses one byte more, at its header", () => {
    const bodies: Array<number> = []
    makeFrameReader(8).push(Buffer.concat([header(8), Buffer.alloc(8)]), (body) => bodies.push(body.length))
    assert.deepStrictEqual(bodies, [8])
    const { limit, size } = refusal(() => makeFrameReader(8).push(header(9), () => assert.fail("a body")))
    assert.deepStrictEqual({ limit, size }, { limit: 8, size: 9 })
  })

  it("gives the frames before the one that it refuses", () => {
    const bodies: Array<number> = []
    refusal(() =>
      makeFrameReader(8).push(
        Buffer.concat([header(1), Buffer.alloc(1), header(0xffffffff)]),
        (body) => bodies.push(body.length)
      )
    )
    assert.deepStrictEqual(bodies, [1])
  })

  it("refuses an absurd length before it takes memory for it", () => {
    const before = process.memoryUsage().arrayBuffers
    for (let i = 0; i < 100; i++) {
      const { size } = refusal(() => makeFrameReader(maxFrameBytes).push(header(0xffffffff), () => {}))
      assert.strictEqual(size, 0xffffffff)
      // allowed, but not there yet: nothing is taken in advance
      makeFrameReader(maxFrameBytes).push(header(maxFrameBytes), () => assert.fail("a body"))
    }
    assert.isBelow(process.memoryUsage().arrayBuffers - before, 2 ** 20)
  })

  it("of random bytes in random blocks gives bodies within the limit, or refuses, and loses no byte", () => {
    const limit = 300
    fuzz(100_000, (random) => {
      const reader = makeFrameReader(limit)
      let pushed = 0
      let taken = 0
      for (let blocks = random(4); blocks >= 0; blocks--) {
        const block = randomBytes(random, 24)
        // short lengths, so that bodies are complete now and then
        if (random(4) > 0 && block.length >= headerBytes) writeHeader(block, random(400))
        pushed += block.length
        try {
          reader.push(block, (body) => {
            assert.isAtMost(body.length, limit)
            taken += body.length + headerBytes
          })
        } catch (cause) {
          if (isFrameTooLarge(cause)) assert.isAbove(cause.size, limit)
          else assert.strictEqual((cause as { readonly _tag: string })._tag, "NoFrame")
          return
        }
        assert.strictEqual(reader.pending(), pushed - taken)
      }
    })
  }, 20_000)
})

describe("a body", () => {
  it("of random bytes is a value or throws an Error", () => {
    fuzz(20_000, (random) => {
      const bytes = randomBytes(random, 24)
      try {
        decodeBody(random(2) === 0 ? bytes : Buffer.concat([Buffer.from([0xff, 0x0f]), bytes]))
      } catch (cause) {
        assert.instanceOf(cause, Error)
      }
    })
  }, 20_000)

  it("with one byte changed is a value or throws an Error", () => {
    const value = { list: [1, "two", new Map([[3, new Date(4)]])], bytes: new Float64Array([5, 6]), big: 7n ** 30n }
    const frame = wholeFrame(value, maxFrameBytes)
    fuzz(20_000, (random) => {
      const body = Buffer.from(frame.subarray(headerBytes))
      body[random(body.length)] = random(256)
      try {
        decodeBody(body)
      } catch (cause) {
        assert.instanceOf(cause, Error)
      }
    })
  }, 20_000)
})

describe("a large view", () => {
  const sizes = [64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 300_000]
  const views = (size: number): ReadonlyArray<ArrayBufferView> => [
    new Uint8Array(size).fill(7),
    Buffer.alloc(size, 8),
    new Float64Array(Math.ceil(size / 8)).fill(1.5),
    new DataView(new ArrayBuffer(size))
  ]

  /** What a reader gives for a stream that comes in blocks of so many bytes. */
  const readIn = (stream: Buffer, bytes: number): ReadonlyArray<unknown> => {
    const reader = makeFrameReader(maxFrameBytes)
    const received: Array<unknown> = []
    for (let at = 0; at < stream.length; at += bytes) {
      reader.push(stream.subarray(at, at + bytes), (body, attachments) => received.push(decodeBody(body, attachments)))
    }
    assert.strictEqual(reader.pending(), 0)
    return received
  }

  it("and a large value are pending until their last byte is there", () => {
    for (const value of [[new Uint8Array(100_000)], "x".repeat(100_000)]) {
      const stream = wholeFrame(value, maxFrameBytes)
      const reader = makeFrameReader(maxFrameBytes)
      let pushed = 0
      for (const part of cut(stream, [4, 20, 300, 70_000, stream.length - 1])) {
        let bodies = 0
        reader.push(part, () => bodies++)
        pushed += part.length
        assert.strictEqual(bodies, pushed === stream.length ? 1 : 0)
        assert.strictEqual(reader.pending(), pushed === stream.length ? 0 : pushed)
      }
    }
  })

  it("is attached: the same object twice is one, and its bytes are not in the value", () => {
    const large = new Uint8Array(100_000).fill(3)
    const parts = encodeFrame([large, { again: large }], maxFrameBytes)
    assert.strictEqual(parts.length, 2)
    assert.isTrue(parts[0].length < 1000)
    assert.strictEqual(parts[1]!.buffer, large.buffer)
    const [[first, { again }]] = readIn(Buffer.concat(parts), 1000) as any
    assert.strictEqual(first, again)
    assert.deepStrictEqual(first, large)
  })

  it("arrives with a buffer of its own, in frames between others, however the blocks fall", () => {
    for (const size of sizes) {
      const message = ["before", ...views(size), "after"]
      const stream = Buffer.concat(["small", message, message, "last"].map((one) => wholeFrame(one, maxFrameBytes)))
      for (const bytes of [5000, 65_536, stream.length]) {
        const [small, one, two, last] = readIn(stream, bytes) as [string, Array<any>, Array<any>, string]
        assert.deepStrictEqual([small, last], ["small", "last"])
        for (const arrived of [one, two]) {
          assert.deepStrictEqual([arrived[0], arrived.at(-1)], ["before", "after"])
          for (const [i, view] of views(size).entries()) {
            const got = arrived[i + 1] as ArrayBufferView
            assert.strictEqual(got.byteOffset, 0)
            assert.strictEqual(got.buffer.byteLength, view.byteLength)
            assert.strictEqual(difference(Buffer.isBuffer(view) ? new Uint8Array(view) : view, got), undefined)
          }
        }
      }
    }
  })

  it("of more than is claimed at once arrives whole, its memory grows with what comes", () => {
    const size = 64 * 1024 * 1024 + 5
    const large = new Uint8Array(size)
    for (let i = 0; i < size; i += 50_000) large[i] = 1 + (i % 251)
    const [frame, bytes] = encodeFrame(large, maxFrameBytes)
    const reader = makeFrameReader(maxFrameBytes)
    const received: Array<unknown> = []
    const push = (block: Buffer): void =>
      reader.push(block, (body, attachments) => received.push(decodeBody(body, attachments)))
    push(frame)
    const stream = Buffer.from(bytes!.buffer)
    for (let at = 0; at < size; at += 700_000) push(stream.subarray(at, at + 700_000))
    assert.strictEqual(received.length, 1)
    assert.isTrue(stream.equals(received[0] as Uint8Array))
  })

  it("arrives when the bytes come one by one", () => {
    const value = { bytes: new Uint8Array(70_000).fill(1), text: "x" }
    assert.deepStrictEqual(readIn(wholeFrame(value, maxFrameBytes), 1), [value])
  })

  it("counts for the limit, by one byte too", () => {
    const value = new Uint8Array(100_000)
    const size = wholeFrame(value, maxFrameBytes).length - headerBytes
    assert.strictEqual(wholeFrame(value, size).length, size + headerBytes)
    assert.deepStrictEqual(refusal(() => encodeFrame(value, size - 1)), {
      _tag: "FrameTooLarge",
      size,
      limit: size - 1
    })
    const { limit } = refusal(() => makeFrameReader(size - 1).push(wholeFrame(value, size), () => {}))
    assert.strictEqual(limit, size - 1)
  })

  it("of more bytes than four bytes can count is refused as too large", () => {
    // nobody touches its pages
    const { limit, size } = refusal(() => encodeFrame([new Uint8Array(2 ** 32 + 1)], maxFrameBytes))
    assert.strictEqual(limit, maxFrameBytes)
    assert.isAbove(size, 2 ** 32)
  })

  it("a table that does not add up is no frame, and takes no memory", () => {
    const good = wholeFrame(new Uint8Array(100_000), maxFrameBytes)
    for (const at of [headerBytes, headerBytes + 4, headerBytes + 8]) {
      for (const length of [0, 1, 0x7fffffff, 0xffffffff]) {
        const bad = Buffer.from(good)
        bad.writeUInt32LE(length, at)
        if (bad.equals(good)) continue
        let thrown: unknown
        try {
          makeFrameReader(maxFrameBytes).push(bad, () => {})
        } catch (cause) {
          thrown = cause
        }
        assert.deepStrictEqual(thrown, { _tag: "NoFrame" }, `${length} at ${at}`)
      }
    }
  })
})
