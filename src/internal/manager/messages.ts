/**
 * Messages of effect/rpc as frames. Most are short, and hold a number, a text or nothing: those are written as JSON where that
 * is exactly what structured clone gives, because V8's serializer takes ten times as long to be made. All others are what
 * everything is that crosses.
 */
import { Buffer } from "node:buffer"
import { decodeBody, encodeFrame, headerBytes, writeHeader } from "../protocol/frames.ts"
import type { FrameTooLarge } from "../protocol/frames.ts"
import type { Crossed } from "../protocol/messages.ts"

/** A longer text is copied faster than it is escaped. */
const longestText = 1024
const mostElements = 16

const isPlain = (value: unknown): boolean => {
  switch (typeof value) {
    case "string":
      return value.length <= longestText
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0)
    case "boolean":
      return true
    default:
      return value === null
  }
}

/** In JSON an empty place of an array is null, and what is not one of its elements is lost. A class may say what it is there. */
const isPlainArray = (value: unknown): boolean =>
  Array.isArray(value) && Object.getPrototypeOf(value) === Array.prototype && value.length <= mostElements &&
  Object.keys(value).length === value.length && value.every(isPlain)

/** An undefined field is left out, and reads as undefined. */
const isSimple = ({ marked, value }: Crossed): boolean =>
  !marked && (value === undefined || isPlain(value) || isPlainArray(value))

/** What the holes of a message hold is made by serialization.ts. */
type Message =
  | { readonly _tag: "Request"; readonly payload: Crossed }
  | { readonly _tag: "Chunk"; readonly values: Crossed }
  | { readonly _tag: "Exit"; readonly exit: readonly [kind: number, content: unknown] }
  | { readonly _tag: "Ack" | "Interrupt" | "Ping" | "Pong" }

const isText = (message: Message): boolean => {
  switch (message._tag) {
    case "Request":
      return isSimple(message.payload)
    case "Chunk":
      return isSimple(message.values)
    case "Exit":
      return message.exit[0] === 0 && isSimple(message.exit[1] as Crossed) // a value
    case "Ack":
    case "Interrupt":
    case "Ping":
    case "Pong":
      return true
    default:
      return false
  }
}

const mostBytesOfUnit = 3
/** With it JSON begins, and V8's format does not. */
const brace = 0x7b

const textFrame = (message: Message, limit: number): Uint8Array => {
  const text = JSON.stringify(message)
  const frame = Buffer.allocUnsafe(headerBytes + text.length * mostBytesOfUnit)
  const size = frame.write(text, headerBytes)
  if (size > limit) throw { _tag: "FrameTooLarge", size, limit } satisfies FrameTooLarge
  writeHeader(frame, size)
  return frame.subarray(0, headerBytes + size)
}

/** Throws what `encodeFrame` throws. */
export const encodeMessage = (message: unknown, limit: number): Uint8Array => {
  if (isText(message as Message)) return textFrame(message as Message, limit) // of effect/rpc
  const [first, ...others] = encodeFrame(message, limit)
  return others.length === 0 ? first : Buffer.concat([first, ...others])
}

export const decodeMessage = (body: Buffer, attachments?: ReadonlyArray<Uint8Array>): unknown =>
  body[0] === brace ? JSON.parse(body.toString("utf8")) : decodeBody(body, attachments)
