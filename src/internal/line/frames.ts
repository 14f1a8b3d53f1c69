/**
 * What two ends say to each other, as bytes: eight bytes of header, then the body. Two bytes of the header must agree with
 * the others: a stream that somebody else has written to is found out at its next header.
 */
import { Buffer } from "node:buffer"
import { Kind, noLine } from "./end.ts"
import type { Frame } from "./end.ts"
import type { FrameTooLarge } from "../protocol/frames.ts"
import { isTag, maxMessageBytes } from "./message.ts"
import type { Message } from "./message.ts"

export const headerBytes = 8
const numberBytes = 8

/** How many numbers the body of a frame holds; of a message it is bytes. */
const numbersOf: Readonly<Record<number, number>> = {
  [Kind.Resume]: 3,
  [Kind.Ack]: 1,
  [Kind.Moved]: 0,
  [Kind.Bye]: 0,
  [Kind.Over]: 0
}

const agreement = (kind: number, detail: number, length: number): number =>
  (length ^ (length >>> 16) ^ (kind << 8) ^ detail ^ 0x5ac3) & 0xffff

// ---------------------------------------------------------------------------------------------------- writing

/** A body that is longer is written by itself, without a copy. */
const longestCopied = 32 * 1024

const writeHeader = (bytes: Buffer, at: number, kind: number, detail: number, length: number): void => {
  bytes[at] = kind
  bytes[at + 1] = detail
  bytes.writeUInt16LE(agreement(kind, detail, length), at + 2)
  bytes.writeUInt32LE(length, at + 4)
}

const wordsOf = (frame: Frame): ReadonlyArray<number> => {
  if (frame.kind === Kind.Resume) return [frame.epoch, frame.consumed, frame.arrived]
  return frame.kind === Kind.Ack ? [frame.consumed] : []
}

const isLong = ({ bytes }: Message): boolean => bytes.byteLength > longestCopied

/** How much of a frame is copied together with its neighbours. */
const copiedBytes = (frame: Frame): number => {
  if (frame.kind !== Kind.Data) return headerBytes + numbersOf[frame.kind]! * numberBytes
  return headerBytes + (isLong(frame.message) ? 0 : frame.message.bytes.byteLength)
}

const writeFrame = (frame: Frame, bytes: Buffer, at: number): void => {
  if (frame.kind === Kind.Data) {
    const { message } = frame
    writeHeader(bytes, at, frame.kind, message.tag, message.bytes.byteLength)
    if (!isLong(message)) bytes.set(message.bytes, at + headerBytes)
    return
  }
  const words = wordsOf(frame)
  const detail = frame.kind === Kind.Bye && frame.ending === "scope" ? 1 : 0
  writeHeader(bytes, at, frame.kind, detail, words.length * numberBytes)
  words.forEach((word, i) => bytes.writeDoubleLE(word, at + headerBytes + i * numberBytes))
}

/** Frames as the blocks in which they are written. */
export const encodeFrames = (frames: ReadonlyArray<Frame>): ReadonlyArray<Uint8Array> => {
  const bytes = Buffer.allocUnsafe(frames.reduce((sum, frame) => sum + copiedBytes(frame), 0))
  const blocks: Array<Uint8Array> = []
  let from = 0
  let at = 0
  for (const frame of frames) {
    writeFrame(frame, bytes, at)
    at += copiedBytes(frame)
    if (frame.kind === Kind.Data && isLong(frame.message)) {
      blocks.push(bytes.subarray(from, at), frame.message.bytes)
      from = at
    }
  }
  if (at > from) blocks.push(bytes.subarray(from, at))
  return blocks
}

// ---------------------------------------------------------------------------------------------------- reading

interface Header {
  readonly kind: number
  readonly detail: number
  readonly length: number
}

/** Throws a NoLine, or a FrameTooLarge, before any memory is taken. */
const readHeader = (bytes: Buffer, at: number, limit: number): Header => {
  const kind = bytes[at]!
  const detail = bytes[at + 1]!
  const length = bytes.readUInt32LE(at + 4)
  if (bytes.readUInt16LE(at + 2) !== agreement(kind, detail, length)) throw noLine("bytes that are no frame")
  const isKnown = kind === Kind.Data
    ? isTag(detail) && length <= maxMessageBytes
    : numbersOf[kind] !== undefined && length === numbersOf[kind]! * numberBytes &&
      (detail === 0 || (kind === Kind.Bye && detail === 1))
  if (!isKnown) throw noLine("a frame of an unknown kind")
  if (kind === Kind.Data && length > limit) throw { _tag: "FrameTooLarge", size: length, limit } satisfies FrameTooLarge
  return { kind, detail, length }
}

const readNumber = (bytes: Buffer, at: number): number => {
  const number = bytes.readDoubleLE(at)
  if (!Number.isSafeInteger(number) || number < 0) throw noLine("a count that is none")
  return number
}

/** `at` is where the body begins, which is there. */
const readFrame = ({ detail, kind, length }: Header, bytes: Buffer, at: number): Frame => {
  switch (kind) {
    case Kind.Resume: {
      const [epoch, consumed, arrived] = [0, 1, 2].map((i) => readNumber(bytes, at + i * numberBytes))
      return { kind: Kind.Resume, epoch: epoch!, consumed: consumed!, arrived: arrived! }
    }
    case Kind.Ack:
      return { kind: Kind.Ack, consumed: readNumber(bytes, at) }
    case Kind.Bye:
      return { kind: Kind.Bye, ending: detail === 1 ? "scope" : "closed" }
    case Kind.Moved:
      return { kind: Kind.Moved }
    case Kind.Over:
      return { kind: Kind.Over }
    default:
      return dataFrame(detail, bytes.subarray(at, at + length))
  }
}

const dataFrame = (tag: number, bytes: Uint8Array): Frame => {
  if (!isTag(tag)) throw noLine("a message of an unknown kind")
  return { kind: Kind.Data, message: { tag, bytes } }
}

/** A long message of which a part is there. Its memory grows with what comes: whoever claims gigabytes has to send them. */
interface Filling {
  readonly header: Header
  bytes: Uint8Array
  offset: number
}

const mostClaimed = 16 * 1024 * 1024
const leastFilled = 64 * 1024

const roomFor = ({ bytes, header: { length } }: Filling, needed: number): Uint8Array => {
  if (bytes.length >= needed) return bytes
  const wanted = length <= mostClaimed ? length : Math.max(needed, leastFilled, 2 * bytes.length)
  const larger = new Uint8Array(Math.min(length, wanted))
  larger.set(bytes)
  return larger
}

export interface LineReader {
  /** The frames that this block completes, in order. Throws a NoLine, or a FrameTooLarge. */
  readonly push: (block: Buffer, onFrame: (frame: Frame) => void) => void
}

/** Cuts a stream into frames, however the blocks fall. Short messages are views of the block. */
export const makeLineReader = (limit = maxMessageBytes): LineReader => {
  let held: Buffer = Buffer.alloc(0)
  let filling: Filling | undefined

  /** How much of the block it took. */
  const goOn = (block: Buffer, from: number, onFrame: (frame: Frame) => void): number => {
    const { header, offset } = filling!
    const count = Math.min(header.length - offset, block.length - from)
    if (count === 0) return 0
    filling!.bytes = roomFor(filling!, offset + count)
    filling!.bytes.set(block.subarray(from, from + count), offset)
    filling!.offset += count
    if (filling!.offset < header.length) return count
    const { bytes } = filling!
    filling = undefined
    onFrame(dataFrame(header.detail, bytes))
    return count
  }

  return {
    push: (block, onFrame) => {
      let at = filling === undefined ? 0 : goOn(block, 0, onFrame)
      let all = block
      if (held.length > 0) {
        all = Buffer.concat([held, block])
        held = Buffer.alloc(0)
      }
      while (all.length - at >= headerBytes) {
        const header = readHeader(all, at, limit)
        const whole = headerBytes + header.length
        if (all.length - at >= whole) {
          onFrame(readFrame(header, all, at + headerBytes))
          at += whole
        } else if (header.length < leastFilled) {
          break
        } else {
          filling = { header, bytes: new Uint8Array(0), offset: 0 }
          at += headerBytes
          at += goOn(all, at, onFrame)
        }
      }
      // what is held is short: views of the block must not keep it
      if (at < all.length) held = Buffer.from(all.subarray(at))
    }
  }
}
