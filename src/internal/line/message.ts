/**
 * Messages as bytes. Raw bytes and text go as they are; everything else in V8's format, with marks where errors and
 * handles stand.
 */
import { Buffer } from "node:buffer"
import { forsakeIn, prepare, revive } from "../codec/values.ts"
import type { Border } from "../codec/values.ts"
import { forsakeAll, restoreAll } from "../handles/handle.ts"
import type { Given } from "../handles/handle.ts"
import { decodeFrame, encodeFrame } from "../protocol/frames.ts"
import type { FrameTooLarge } from "../protocol/frames.ts"
import { maxMessageBytes, Tag } from "./header.ts"
import { finish, longestInSlab, slabFor, start } from "./slab.ts"

export { isTag, maxMessageBytes, Tag } from "./header.ts"

/** `size` bytes from `at` on, which nobody changes any more. */
export interface Message {
  readonly tag: Tag
  readonly bytes: Uint8Array
  /** 0 where it has the bytes for itself; else it is one of several, and its header is before it. */
  readonly at: number
  readonly size: number
  /** What was given away with it by this process. */
  readonly given: ReadonlyArray<Given> | undefined
}

export const messageOf = (tag: Tag, bytes: Uint8Array, given?: ReadonlyArray<Given>): Message => ({
  tag,
  bytes,
  at: 0,
  size: bytes.byteLength,
  given
})

/** The content alone. */
export const bytesOf = ({ at, bytes, size }: Message): Uint8Array =>
  size === bytes.byteLength ? bytes : bytes.subarray(at, at + size)

const checked = (size: number, limit: number): void => {
  if (size > limit) throw { _tag: "FrameTooLarge", size, limit } satisfies FrameTooLarge
}

// ---------------------------------------------------------------------------------------------------- encoding

const plainPrototype = Uint8Array.prototype

/** Of the very class: what a subclass adds would be lost. */
const isPlainBytes = (value: unknown): value is Uint8Array =>
  (value instanceof Uint8Array && Object.getPrototypeOf(value) === plainPrototype) || Buffer.isBuffer(value)

const isShared = ({ buffer }: Uint8Array): boolean => !(buffer instanceof ArrayBuffer)

const joined = (parts: ReadonlyArray<Uint8Array>): Uint8Array => parts.length === 1 ? parts[0]! : Buffer.concat(parts)

/** With memory of its own. Throws what `prepare`, V8 and the limit have against the value. What it gives away is given back then. */
export const encodeAlone = (value: unknown, border: Border, limit = maxMessageBytes): Message => {
  if (typeof value === "string" && value.isWellFormed()) {
    checked(Buffer.byteLength(value), limit)
    return messageOf(Tag.Text, Buffer.from(value))
  }
  if (isPlainBytes(value) && !isShared(value)) {
    checked(value.byteLength, limit)
    return messageOf(Tag.Bytes, new Uint8Array(value))
  }
  const given: Array<Given> = []
  const prepared = prepare(value, border, "message", given)
  try {
    const bytes = joined(encodeFrame(prepared.value, limit))
    checked(bytes.byteLength, limit)
    return messageOf(given.length > 0 ? Tag.Ends : prepared.marked ? Tag.Marked : Tag.Value, bytes, given)
  } catch (cause) {
    restoreAll(given)
    throw cause
  }
}

const place = (tag: Tag, content: Uint8Array, given: Message["given"]): Message => {
  const size = content.byteLength
  const bytes = slabFor(size)
  const at = start()
  bytes.set(content, at)
  finish(tag, size)
  return { tag, bytes, at, size, given }
}

const mostBytesOfUnit = 3

const placeText = (value: string, limit: number): Message => {
  const bytes = slabFor(value.length * mostBytesOfUnit)
  const at = start()
  const size = bytes.write(value, at)
  checked(size, limit)
  finish(Tag.Text, size)
  return { tag: Tag.Text, bytes, at, size, given: undefined }
}

/** As {@link encodeAlone}, for the wire: short ones lie side by side. */
export const encodeMessage = (value: unknown, border: Border, limit = maxMessageBytes): Message => {
  if (isPlainBytes(value)) {
    if (value.byteLength <= longestInSlab && value.byteLength <= limit && !isShared(value)) {
      return place(Tag.Bytes, value, undefined)
    }
  } else if (typeof value === "string" && value.length * mostBytesOfUnit <= longestInSlab && value.isWellFormed()) {
    return placeText(value, limit)
  }
  const message = encodeAlone(value, border, limit)
  return message.size <= longestInSlab ? place(message.tag, message.bytes, message.given) : message
}

// ---------------------------------------------------------------------------------------------------- decoding

const textOf = ({ at, bytes: { buffer, byteOffset }, size }: Message): string =>
  Buffer.from(buffer, byteOffset + at, size).toString("utf8")

/** Bytes that nobody else has a view of. */
const ownBytes = (message: Message): Uint8Array => {
  const { at, bytes, size } = message
  const isAlone = size === bytes.buffer.byteLength && Object.getPrototypeOf(bytes) === plainPrototype
  return isAlone ? bytes : new Uint8Array(bytes.subarray(at, at + size))
}

/** Nothing in it has to be opened. */
export const isPlain = ({ tag }: Message): boolean => tag <= Tag.Value

/** A message is decoded once. Throws where what a handle in it stands for is gone. */
export const decodeMessage = (message: Message): unknown => {
  const { tag } = message
  if (tag === Tag.Bytes) return ownBytes(message)
  if (tag === Tag.Text) return textOf(message)
  const value = decodeFrame(bytesOf(message))
  return tag === Tag.Value ? value : revive(value)
}

/** Nobody will ever open this message: the ends in it are lost, and those who hold the others are told. */
export const forsakeMessage = (message: Message): void => {
  const { given, tag } = message
  if (tag !== Tag.Ends) return
  if (given !== undefined) return forsakeAll(given)
  try {
    forsakeIn(decodeFrame(bytesOf(message)))
  } catch {
    // it could not have been opened either
  }
}
