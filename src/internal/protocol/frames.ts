/**
 * Frames on a byte stream: four bytes of length (little endian), four that must agree with it, then a value in V8's
 * serialization format. A stream that somebody else has written to is found out at the next header: without the second
 * word, text in the place of a length would be a wait for gigabytes that never come.
 *
 * A typed array arrives with a buffer of its own: the format's default gives views into the received block, which would
 * keep that block alive and show it through `.buffer`.
 */
import { Buffer } from "node:buffer"
import { DefaultDeserializer, DefaultSerializer } from "node:v8"

/** Four bytes can say more, but a Buffer of V8 and the other side's index arithmetic stay below this. */
export const maxFrameBytes = 2 ** 31 - 1

export const headerBytes = 8
const emptyHeader = Buffer.alloc(headerBytes)
const agreement = 0x5ef3c7a1

export const writeHeader = (frame: Buffer, size: number): void => {
  frame.writeUInt32LE(size, 0)
  frame.writeUInt32LE((size ^ agreement) >>> 0, 4)
}

/** Thrown when the bytes in the place of a header are none: the stream is broken, and stays so. */
export interface NoFrame {
  readonly _tag: "NoFrame"
}

const readHeader = (bytes: Buffer, offset: number): number => {
  const size = bytes.readUInt32LE(offset)
  if (((size ^ agreement) >>> 0) !== bytes.readUInt32LE(offset + 4)) throw { _tag: "NoFrame" } satisfies NoFrame
  return size
}

/** Thrown when a frame would exceed, or claims to exceed, its limit. */
export interface FrameTooLarge {
  readonly _tag: "FrameTooLarge"
  readonly size: number
  readonly limit: number
}

export const isFrameTooLarge = (u: unknown): u is FrameTooLarge =>
  typeof u === "object" && u !== null && (u as FrameTooLarge)._tag === "FrameTooLarge"

const tooLarge = (size: number, limit: number): FrameTooLarge => ({ _tag: "FrameTooLarge", size, limit })

/** One frame. Throws what V8 throws for values that cannot be cloned, and {@link FrameTooLarge}. */
export const encodeFrame = (value: unknown, limit: number): Buffer => {
  const serializer = new DefaultSerializer()
  serializer.writeRawBytes(emptyHeader)
  serializer.writeHeader()
  serializer.writeValue(value)
  const frame = serializer.releaseBuffer()
  const size = frame.length - headerBytes
  if (size > limit) throw tooLarge(size, limit)
  writeHeader(frame, size)
  return frame
}

interface HostObjectReader {
  _readHostObject(): unknown
}
/** The default gives Node's Buffers and views into the frame; a copy with the same type is what structured clone gives. */
class Deserializer extends DefaultDeserializer {
  _readHostObject(): unknown {
    const view = (DefaultDeserializer.prototype as unknown as HostObjectReader)._readHostObject.call(
      this
    ) as ArrayBufferView
    const copy = new Uint8Array(view.byteLength)
    copy.set(new Uint8Array(view.buffer, view.byteOffset, view.byteLength))
    if (Buffer.isBuffer(view) || view instanceof Uint8Array) return copy
    if (view instanceof DataView) return new DataView(copy.buffer)
    const Constructor = view.constructor as new(buffer: ArrayBuffer) => ArrayBufferView
    return new Constructor(copy.buffer)
  }
}

export const decodeBody = (body: Buffer): unknown => {
  const deserializer = new Deserializer(body)
  deserializer.readHeader()
  return deserializer.readValue()
}

export interface FrameReader {
  /** The frames that this block completes, in order. Throws {@link FrameTooLarge} and {@link NoFrame} before it takes memory. */
  readonly push: (block: Buffer, onBody: (body: Buffer) => void) => void
  /** Bytes of a frame that has begun and not ended. */
  readonly pending: () => number
}

/** Cuts a byte stream into frames, however the blocks fall. A body may share memory with its block: decode it at once. */
export const makeFrameReader = (limit: number): FrameReader => {
  let blocks: Array<Buffer> = []
  let held = 0
  let needed = headerBytes

  const take = (): Buffer => {
    const all = blocks.length === 1 ? blocks[0]! : Buffer.concat(blocks, held)
    blocks = []
    held = 0
    return all
  }

  return {
    pending: () => held,
    push: (block, onBody) => {
      blocks.push(block)
      held += block.length
      if (held < needed) return
      const all = take()
      let offset = 0
      while (true) {
        const rest = all.length - offset
        if (rest < headerBytes) {
          needed = headerBytes
          break
        }
        const size = readHeader(all, offset)
        if (size > limit) throw tooLarge(size, limit)
        if (rest < headerBytes + size) {
          needed = headerBytes + size
          break
        }
        onBody(all.subarray(offset + headerBytes, offset + headerBytes + size))
        offset += headerBytes + size
      }
      if (offset < all.length) {
        const tail = all.subarray(offset)
        blocks.push(tail)
        held = tail.length
      }
    }
  }
}
