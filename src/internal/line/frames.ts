/**
 * What two ends say to each other, as bytes: eight bytes of header, then the body.
 */
import { Buffer } from "node:buffer"
import { Kind, noLine } from "./end.ts"
import type { Frame } from "./end.ts"
import { headerBytes, isTag, maxMessageBytes, numberBytes, readHeader, writeHeader } from "./header.ts"
import { messageOf } from "./message.ts"
import type { Message } from "./message.ts"

// ---------------------------------------------------------------------------------------------------- writing

/** What is longer is written by itself, without a copy. */
const longestCopied = 32 * 1024

const wordsOf = (frame: Frame): ReadonlyArray<number> => {
  if (frame.kind === Kind.Resume) return [frame.epoch, frame.consumed, frame.arrived]
  return frame.kind === Kind.Ack ? [frame.consumed] : []
}

const encodeWords = (frame: Frame): Uint8Array => {
  const words = wordsOf(frame)
  const bytes = Buffer.allocUnsafe(headerBytes + words.length * numberBytes)
  const detail = frame.kind === Kind.Bye && frame.ending === "scope" ? 1 : 0
  writeHeader(bytes, 0, frame.kind, detail, words.length * numberBytes)
  words.forEach((word, i) => bytes.writeDoubleLE(word, headerBytes + i * numberBytes))
  return bytes
}

const headerOf = ({ size, tag }: Message): Uint8Array => {
  const bytes = Buffer.allocUnsafe(headerBytes)
  writeHeader(bytes, 0, Kind.Data, tag, size)
  return bytes
}

/** Neighbours are one part. */
const pushMessages = (messages: ReadonlyArray<Message>, parts: Array<Uint8Array>): void => {
  let i = 0
  while (i < messages.length) {
    const first = messages[i++]!
    if (first.at === 0) {
      parts.push(headerOf(first), first.bytes)
      continue
    }
    let end = first.at + first.size
    while (i < messages.length && messages[i]!.bytes === first.bytes && messages[i]!.at === end + headerBytes) {
      end += headerBytes + messages[i++]!.size
    }
    parts.push(first.bytes.subarray(first.at - headerBytes, end))
  }
}

const joined = (parts: ReadonlyArray<Uint8Array>): Uint8Array => parts.length === 1 ? parts[0]! : Buffer.concat(parts)

/** Frames as the blocks in which they are written. */
export const encodeFrames = (frames: ReadonlyArray<Frame>): ReadonlyArray<Uint8Array> => {
  const parts: Array<Uint8Array> = []
  for (const frame of frames) {
    if (frame.kind === Kind.Data) pushMessages(frame.messages, parts)
    else parts.push(encodeWords(frame))
  }
  const blocks: Array<Uint8Array> = []
  let short: Array<Uint8Array> = []
  for (const part of parts) {
    if (part.byteLength <= longestCopied) {
      short.push(part)
      continue
    }
    if (short.length > 0) blocks.push(joined(short))
    short = []
    blocks.push(part)
  }
  if (short.length > 0) blocks.push(joined(short))
  return blocks
}

// ---------------------------------------------------------------------------------------------------- reading

const readNumber = (bytes: Uint8Array, at: number): number => {
  const number = new DataView(bytes.buffer, bytes.byteOffset).getFloat64(at, true)
  if (!Number.isSafeInteger(number) || number < 0) throw noLine("a count that is none")
  return number
}

/** Of any kind but a message; `at` is where the body begins, which is there. */
const readWords = (kind: number, detail: number, bytes: Uint8Array, at: number): Frame => {
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
    default:
      return { kind: Kind.Over }
  }
}

/** A frame of which a part is there. Its memory grows with what comes: whoever claims gigabytes has to send them. */
interface Filling {
  readonly kind: number
  readonly detail: number
  readonly length: number
  bytes: Uint8Array
  offset: number
}

const mostClaimed = 16 * 1024 * 1024
const leastOfMore = 64 * 1024
/** A shorter rest is not worth a read of its own. */
const leastRoom = 16 * 1024
/** A longer message in a lent block gets memory of its own. */
const leastAlone = 4 * 1024

const makeRoom = (filling: Filling, needed: number): void => {
  const { bytes, length } = filling
  if (bytes.length >= needed) return
  const wanted = length <= mostClaimed ? length : Math.max(needed, leastOfMore, 2 * bytes.length)
  filling.bytes = new Uint8Array(Math.min(length, wanted))
  filling.bytes.set(bytes)
}

export interface LineReader {
  /**
   * The frames that this block completes, in order: messages that follow each other together. `isLent`: the block is written to
   * again later. Throws a NoLine, or a FrameTooLarge.
   */
  readonly push: (block: Uint8Array, onFrame: (frame: Frame) => void, isLent?: boolean) => void
  /** Where the next bytes of a long message will lie, when it has begun: whoever reads them there saves a copy of them. */
  readonly room: () => Uint8Array | undefined
}

/** Cuts a stream into frames, however the blocks fall. Short messages are views of the block. */
export const makeLineReader = (limit = maxMessageBytes): LineReader => {
  const head = new Uint8Array(headerBytes)
  let headed = 0
  let filling: Filling | undefined
  let messages: Array<Message> = []

  const addMessage = (tag: number, bytes: Uint8Array, at: number, size: number): void => {
    if (!isTag(tag)) throw noLine("a message of an unknown kind")
    messages.push({ tag, bytes, at, size, given: undefined })
  }

  const emit = (onFrame: (frame: Frame) => void): void => {
    if (messages.length === 0) return
    const some = messages
    messages = []
    onFrame({ kind: Kind.Data, messages: some })
  }

  const begin = (bytes: Uint8Array, at: number, length: number): void => {
    filling = { kind: bytes[at]!, detail: bytes[at + 1]!, length, bytes: new Uint8Array(0), offset: 0 }
  }

  /** Goes on with what has begun; how much of the block that took. */
  const goOn = (block: Uint8Array, from: number, onFrame: (frame: Frame) => void): number => {
    const { detail, kind, length, offset } = filling!
    const count = Math.min(length - offset, block.length - from)
    if (count > 0) {
      makeRoom(filling!, offset + count)
      // what was read into its room lies there already
      if (block.buffer !== filling!.bytes.buffer) filling!.bytes.set(block.subarray(from, from + count), offset)
      filling!.offset += count
    }
    if (filling!.offset < length) return count
    const { bytes } = filling!
    filling = undefined
    if (kind === Kind.Data) {
      messages.push(messageOf(detail as Message["tag"], bytes)) // its header was read
    } else {
      emit(onFrame)
      onFrame(readWords(kind, detail, bytes, 0))
    }
    return count
  }

  /** The rest of a header that has begun. */
  const goOnHead = (block: Uint8Array, from: number): number => {
    const count = Math.min(headerBytes - headed, block.length - from)
    head.set(block.subarray(from, from + count), headed)
    headed += count
    if (headed === headerBytes) {
      headed = 0
      begin(head, 0, readHeader(head, 0, limit))
    }
    return count
  }

  const readBlock = (given: Uint8Array, onFrame: (frame: Frame) => void, isLent: boolean): void => {
    let block = given
    let isOwn = !isLent
    let at = headed > 0 ? goOnHead(block, 0) : 0
    if (filling !== undefined) at += goOn(block, at, onFrame)
    while (block.length - at >= headerBytes) {
      const length = readHeader(block, at, limit)
      const body = at + headerBytes
      if (block.length - body < length) {
        begin(block, at, length)
        at = body + goOn(block, body, onFrame)
      } else {
        if (block[at] !== Kind.Data) {
          emit(onFrame)
          onFrame(readWords(block[at]!, block[at + 1]!, block, body))
        } else if (!isOwn && length >= leastAlone) {
          addMessage(block[at + 1]!, block.slice(body, body + length), 0, length)
        } else {
          if (!isOwn) {
            block = block.slice(at)
            isOwn = true
            at = 0
            continue
          }
          addMessage(block[at + 1]!, block, body, length)
        }
        at = body + length
      }
    }
    if (at < block.length) goOnHead(block, at)
  }

  return {
    push: (block, onFrame, isLent = false) => {
      try {
        // plain ones are sliced faster than Buffers
        readBlock(new Uint8Array(block.buffer, block.byteOffset, block.byteLength), onFrame, isLent)
      } finally {
        emit(onFrame)
      }
    },
    room: () => {
      if (filling === undefined || filling.length - filling.offset < leastRoom) return undefined
      makeRoom(filling, filling.offset + leastRoom)
      return filling.bytes.subarray(filling.offset)
    }
  }
}
