/**
 * Messages as bytes. Raw bytes and text go as they are; everything else in V8's format, with marks where errors and
 * handles stand.
 */
import { Buffer } from "node:buffer"
import { forsakeIn, prepare, revive } from "../codec/values.ts"
import type { Border } from "../codec/values.ts"
import { forsakeAll, restoreAll } from "../handles/handle.ts"
import type { Given } from "../handles/handle.ts"
import { decodeFrame, encodeFrame, maxFrameBytes } from "../protocol/frames.ts"
import type { FrameTooLarge } from "../protocol/frames.ts"

/** What the bytes of a message are. */
export const Tag = { Bytes: 0, Text: 1, Value: 2, Marked: 3, Ends: 4 } as const
export type Tag = typeof Tag[keyof typeof Tag]

export const isTag = (tag: number): tag is Tag => tag >= Tag.Bytes && tag <= Tag.Ends

/** Nobody changes the bytes any more. */
export interface Message {
  readonly tag: Tag
  readonly bytes: Uint8Array
  /** What was given away with it by this process. */
  readonly given?: ReadonlyArray<Given> | undefined
}

/** What a message may take on a wire, without its header. */
export const maxMessageBytes = maxFrameBytes

const checked = (size: number, limit: number): void => {
  if (size > limit) throw { _tag: "FrameTooLarge", size, limit } satisfies FrameTooLarge
}

/** Of the very class: what a subclass adds would be lost. */
const isPlainBytes = (value: unknown): value is Uint8Array =>
  (value instanceof Uint8Array && Object.getPrototypeOf(value) === Uint8Array.prototype) || Buffer.isBuffer(value)

const isShared = ({ buffer }: Uint8Array): boolean => !(buffer instanceof ArrayBuffer)

const joined = (parts: ReadonlyArray<Uint8Array>): Uint8Array => parts.length === 1 ? parts[0]! : Buffer.concat(parts)

/** Throws what `prepare`, V8 and the limit have against the value. What it gives away is given back then. */
export const encodeMessage = (value: unknown, border: Border, limit = maxMessageBytes): Message => {
  if (typeof value === "string" && value.isWellFormed()) {
    checked(Buffer.byteLength(value), limit)
    return { tag: Tag.Text, bytes: Buffer.from(value) }
  }
  if (isPlainBytes(value) && !isShared(value)) {
    checked(value.byteLength, limit)
    return { tag: Tag.Bytes, bytes: new Uint8Array(value) }
  }
  const given: Array<Given> = []
  const prepared = prepare(value, border, "message", given)
  try {
    const bytes = joined(encodeFrame(prepared.value, limit))
    checked(bytes.byteLength, limit)
    return { tag: given.length > 0 ? Tag.Ends : prepared.marked ? Tag.Marked : Tag.Value, bytes, given }
  } catch (cause) {
    restoreAll(given)
    throw cause
  }
}

const textOf = ({ buffer, byteLength, byteOffset }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString("utf8")

/** Bytes that nobody else has a view of. */
const ownBytes = (bytes: Uint8Array): Uint8Array =>
  Buffer.isBuffer(bytes) || bytes.byteLength < bytes.buffer.byteLength ? new Uint8Array(bytes) : bytes

/** A message is decoded once. Throws where what a handle in it stands for is gone. */
export const decodeMessage = ({ bytes, tag }: Message): unknown => {
  if (tag === Tag.Bytes) return ownBytes(bytes)
  if (tag === Tag.Text) return textOf(bytes)
  const value = decodeFrame(bytes)
  return tag === Tag.Value ? value : revive(value)
}

/** Nobody will ever open this message: the ends in it are lost, and those who hold the others are told. */
export const forsakeMessage = ({ bytes, given, tag }: Message): void => {
  if (tag !== Tag.Ends) return
  if (given !== undefined) return forsakeAll(given)
  try {
    forsakeIn(decodeFrame(bytes))
  } catch {
    // it could not have been opened either
  }
}
