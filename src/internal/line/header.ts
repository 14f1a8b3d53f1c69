/**
 * What is before each frame: eight bytes. Two of them must agree with the others: a stream that somebody else has written to
 * is found out at its next header.
 */
import { maxFrameBytes } from "../protocol/frames.ts"
import type { FrameTooLarge } from "../protocol/frames.ts"

export const Kind = { Resume: 1, Data: 2, Ack: 3, Moved: 4, Bye: 5, Over: 6 } as const

/** Thrown when the other side says what no end says: the line is of no use any more. */
export interface NoLine {
  readonly _tag: "NoLine"
  readonly message: string
}

export const noLine = (message: string): NoLine => ({ _tag: "NoLine", message })

export const isNoLine = (u: unknown): u is NoLine =>
  typeof u === "object" && u !== null && (u as Partial<NoLine>)._tag === "NoLine"

export const headerBytes = 8
export const numberBytes = 8

/** What a message may take on a wire, without its header. */
export const maxMessageBytes = maxFrameBytes

/** What the bytes of a message are. */
export const Tag = { Bytes: 0, Text: 1, Value: 2, Marked: 3, Ends: 4 } as const
export type Tag = typeof Tag[keyof typeof Tag]

export const isTag = (tag: number): tag is Tag => tag >= Tag.Bytes && tag <= Tag.Ends

/** How many numbers the body of a frame holds; of a message it is bytes. */
export const numbersOf: Readonly<Record<number, number>> = {
  [Kind.Resume]: 3,
  [Kind.Ack]: 1,
  [Kind.Moved]: 0,
  [Kind.Bye]: 0,
  [Kind.Over]: 0
}

const agreement = (kind: number, detail: number, length: number): number =>
  (length ^ (length >>> 16) ^ (kind << 8) ^ detail ^ 0x5ac3) & 0xffff

export const writeHeader = (bytes: Uint8Array, at: number, kind: number, detail: number, length: number): void => {
  const agreed = agreement(kind, detail, length)
  bytes[at] = kind
  bytes[at + 1] = detail
  bytes[at + 2] = agreed
  bytes[at + 3] = agreed >>> 8
  bytes[at + 4] = length
  bytes[at + 5] = length >>> 8
  bytes[at + 6] = length >>> 16
  bytes[at + 7] = length >>> 24
}

/** The length of the body. Throws a NoLine, or a FrameTooLarge, before any memory is taken. */
export const readHeader = (bytes: Uint8Array, at: number, limit: number): number => {
  const kind = bytes[at]!
  const detail = bytes[at + 1]!
  const agreed = bytes[at + 2]! | (bytes[at + 3]! << 8)
  const length = (bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 24)) >>> 0
  if (agreed !== agreement(kind, detail, length)) throw noLine("bytes that are no frame")
  const isKnown = kind === Kind.Data
    ? isTag(detail) && length <= maxMessageBytes
    : numbersOf[kind] !== undefined && length === numbersOf[kind]! * numberBytes &&
      (detail === 0 || (kind === Kind.Bye && detail === 1))
  if (!isKnown) throw noLine("a frame of an unknown kind")
  if (kind === Kind.Data && length > limit) throw { _tag: "FrameTooLarge", size: length, limit } satisfies FrameTooLarge
  return length
}
