/**
 * Frames on a byte stream: four bytes of length (little endian), four that must agree with it, then a value in V8's
 * serialization format. A stream that somebody else has written to is found out at the next header: without the second
 * word, text in the place of a length would be a wait for gigabytes that never come.
 *
 * A typed array arrives with a buffer of its own: the format's default gives views into the received block, which would
 * keep that block alive and show it through `.buffer`. The bytes of a large one follow the value and go straight from one
 * buffer into the other.
 */
import { Buffer } from "node:buffer"
import { DefaultDeserializer, DefaultSerializer } from "node:v8"

/** Four bytes can say more, but a Buffer of V8 and the other side's index arithmetic stay below this. */
export const maxFrameBytes = 2 ** 31 - 1

export const headerBytes = 8
const emptyHeader = Buffer.alloc(headerBytes)
const agreement = 0x5ef3c7a1

/** What the length must agree with in a frame whose large views follow its value. */
const attaching = 0x2d90b5c7

export const writeHeader = (frame: Buffer, size: number, word: number = agreement): void => {
  frame.writeUInt32LE(size, 0)
  frame.writeUInt32LE((size ^ word) >>> 0, 4)
}

/** Thrown when the bytes in the place of a header are none: the stream is broken, and stays so. */
export interface NoFrame {
  readonly _tag: "NoFrame"
}

const readHeader = (
  bytes: Buffer,
  offset: number
): { readonly size: number; readonly isAttaching: boolean } => {
  const size = bytes.readUInt32LE(offset)
  const word = (bytes.readUInt32LE(offset + 4) ^ size) >>> 0
  if (word !== agreement && word !== attaching) throw { _tag: "NoFrame" } satisfies NoFrame
  return { size, isAttaching: word === attaching }
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

// ---------------------------------------------------------------------------------------------------- views

/** The kinds of views, by the number that stands for each in a frame; not every Node has every one. */
const viewNames = [
  "Int8Array",
  "Uint8Array",
  "Uint8ClampedArray",
  "Int16Array",
  "Uint16Array",
  "Int32Array",
  "Uint32Array",
  "Float16Array",
  "Float32Array",
  "Float64Array",
  "BigInt64Array",
  "BigUint64Array",
  "DataView"
]

/** Added to the number of a view whose bytes follow the value. */
const attached = 64
/** A view of so many bytes is attached: its bytes are written and read as they are, past the serializer. */
const leastAttached = 64 * 1024

type ViewConstructor = new(buffer: ArrayBuffer) => ArrayBufferView

const bytesOf = (view: ArrayBufferView): Uint8Array => new Uint8Array(view.buffer, view.byteOffset, view.byteLength)

const tagOfTypedArray = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag
)!.get!

/** Also of a class of the user's, whatever that calls itself. */
const nameOfView = (view: ArrayBufferView): string =>
  view instanceof DataView ? "DataView" : String(tagOfTypedArray.call(view))

class Serializer extends DefaultSerializer {
  readonly attachments: Array<Uint8Array> = []

  /** Node's own writes a view's class by a number of its own; a Buffer arrives as what structured clone gives for it. */
  _writeHostObject(view: ArrayBufferView): void {
    const name = nameOfView(view)
    const kind = viewNames.indexOf(name)
    if (kind < 0) throw new DOMException(`${name} could not be cloned.`, "DataCloneError")
    if (view.byteLength >= leastAttached) {
      this.writeUint32(kind + attached)
      this.writeUint32(this.attachments.push(bytesOf(view)) - 1)
    } else {
      this.writeUint32(kind)
      this.writeUint32(view.byteLength)
      this.writeRawBytes(bytesOf(view))
    }
  }
}

class Deserializer extends DefaultDeserializer {
  readonly attachments: ReadonlyArray<Uint8Array>
  readonly body: Buffer

  constructor(body: Buffer, attachments: ReadonlyArray<Uint8Array>) {
    super(body)
    this.body = body
    this.attachments = attachments
  }

  /** Gives each view a buffer of its own, as structured clone does. */
  _readHostObject(): unknown {
    const kind = this.readUint32()
    const Constructor = (globalThis as unknown as Record<string, ViewConstructor | undefined>)[
      viewNames[kind % attached] ?? ""
    ]
    if (Constructor === undefined) throw new Error(`no view of kind ${kind}`)
    const bytes = kind < attached ? this.own() : this.attachments[this.readUint32()]
    if (bytes === undefined) throw new Error("an attachment is missing")
    return Constructor === (Uint8Array as unknown) ? bytes : new Constructor(bytes.buffer as ArrayBuffer)
  }

  own(): Uint8Array {
    const length = this.readUint32()
    const offset = (this as unknown as { _readRawBytes(length: number): number })._readRawBytes(length)
    const copy = new Uint8Array(length)
    copy.set(this.body.subarray(offset, offset + length))
    return copy
  }
}

// ---------------------------------------------------------------------------------------------------- writing

/**
 * One frame, in the parts in which it is written: the first is ours, the others are views of what was given. Throws what
 * V8 throws for values that cannot be cloned, and {@link FrameTooLarge}.
 */
export const encodeFrame = (value: unknown, limit: number): readonly [Buffer, ...ReadonlyArray<Uint8Array>] => {
  const serializer = new Serializer()
  serializer.writeRawBytes(emptyHeader)
  serializer.writeHeader()
  serializer.writeValue(value)
  const { attachments } = serializer
  const frame = serializer.releaseBuffer()
  if (attachments.length > 0) return withAttachments(frame, attachments, limit)
  const size = frame.length - headerBytes
  if (size > limit) throw tooLarge(size, limit)
  writeHeader(frame, size)
  return [frame]
}

/** `[header][count][length of the value][length of each attachment][the value][the attachments]` */
const withAttachments = (
  frame: Buffer,
  attachments: ReadonlyArray<Uint8Array>,
  limit: number
): readonly [Buffer, ...ReadonlyArray<Uint8Array>] => {
  const value = frame.subarray(headerBytes)
  const table = Buffer.alloc(headerBytes + 4 * (2 + attachments.length))
  const size = attachments.reduce((sum, { length }) => sum + length, table.length - headerBytes + value.length)
  // before the lengths: that of a larger one has no room in its four bytes
  if (size > limit) throw tooLarge(size, limit)
  const lengths = [attachments.length, value.length, ...attachments.map(({ length }) => length)]
  lengths.forEach((length, i) => table.writeUInt32LE(length, headerBytes + 4 * i))
  writeHeader(table, size, attaching)
  return [Buffer.concat([table, value]), ...attachments]
}

// ---------------------------------------------------------------------------------------------------- reading

export const decodeBody = (body: Buffer, attachments: ReadonlyArray<Uint8Array> = []): unknown => {
  const deserializer = new Deserializer(body, attachments)
  deserializer.readHeader()
  return deserializer.readValue()
}

/** The value of one whole frame, which {@link encodeFrame} has made. */
export const decodeFrame = (bytes: Uint8Array): unknown => {
  const frame = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  // short ones, of which there are many, need no reader
  if (!readHeader(frame, 0).isAttaching) return decodeBody(frame.subarray(headerBytes))
  let value: unknown
  makeFrameReader(maxFrameBytes).push(frame, (body, attachments) => {
    value = decodeBody(body, attachments)
  })
  return value
}

export type OnBody = (body: Buffer, attachments?: ReadonlyArray<Uint8Array>) => void

export interface FrameReader {
  /**
   * The frames that this block completes, in order. Throws {@link FrameTooLarge} and {@link NoFrame} before it takes
   * memory.
   */
  readonly push: (block: Buffer, onBody: OnBody) => void
  /** Where the next bytes of a large frame will lie, when it has begun: whoever reads them there saves a copy of them. */
  readonly room: () => Uint8Array | undefined
  /** Bytes of a frame that has begun and not ended. */
  readonly pending: () => number
}

/** A frame of which a part is there: its bytes go where they will stay. */
interface Filling {
  readonly targets: ReadonlyArray<Target>
  readonly isAttaching: boolean
  target: number
  offset: number
}

/** Memory that grows with what comes, where it is to be much: whoever claims gigabytes has to send them. */
interface Target {
  readonly size: number
  bytes: Uint8Array
}

const mostClaimed = 64 * 1024 * 1024
const firstOfMany = 256 * 1024

/** Nothing is taken before the first byte of it is there. */
const makeTarget = (size: number): Target => ({ size, bytes: new Uint8Array(0) })

const makeRoom = (target: Target, needed: number): void => {
  if (target.bytes.length >= needed) return
  const wanted = target.size <= mostClaimed ? target.size : Math.max(needed, firstOfMany, 2 * target.bytes.length)
  const larger = new Uint8Array(Math.min(target.size, wanted))
  larger.set(target.bytes)
  target.bytes = larger
}

/** A frame that is not complete is put together in memory of its own when it is at least so long. */
const leastFilled = 64 * 1024

/** Takes what it can of a block; how much that was. */
const fill = (filling: Filling, block: Buffer, from: number): number => {
  let at = from
  while (filling.target < filling.targets.length) {
    const target = filling.targets[filling.target]!
    const count = Math.min(target.size - filling.offset, block.length - at)
    makeRoom(target, filling.offset + count)
    // what was read into its room lies there already
    if (block.buffer !== target.bytes.buffer) target.bytes.set(block.subarray(at, at + count), filling.offset)
    at += count
    filling.offset += count
    if (filling.offset < target.size) break
    filling.target++
    filling.offset = 0
  }
  return at - from
}

/**
 * Cuts a byte stream into frames, however the blocks fall. A body may share memory with its block, and a block may be
 * written to again when it has been pushed: decode it at once.
 */
export const makeFrameReader = (limit: number): FrameReader => {
  let blocks: Array<Buffer> = []
  let held = 0
  let needed = headerBytes
  let filling: Filling | undefined
  let filled = 0

  /** A copy: the next block may be read into the same memory. */
  const keep = (part: Buffer): void => {
    blocks.push(Buffer.from(part))
    held += part.length
  }

  /** What is kept, with what follows it. */
  const joined = (block: Buffer): Buffer => {
    const all = Buffer.concat([...blocks, block], held + block.length)
    blocks = []
    held = 0
    return all
  }

  /** Goes on with the frame that is being filled. */
  const goOn = (block: Buffer, from: number, onBody: OnBody): number => {
    const count = fill(filling!, block, from)
    filled += count
    if (filling!.target < filling!.targets.length) return count
    const { isAttaching, targets } = filling!
    filling = undefined
    filled = 0
    const [value, ...attachments] = targets.map(({ bytes }) => bytes)
    const body = Buffer.from(value!.buffer, value!.byteOffset, value!.byteLength)
    if (isAttaching) onBody(body, attachments)
    else onBody(body)
    return count
  }

  /** The first frame from here on; how many bytes it takes, or 0 when it is not there yet. */
  const readOne = (all: Buffer, offset: number, onBody: OnBody): number => {
    const rest = all.length - offset
    needed = headerBytes
    if (rest < headerBytes) return 0
    const { isAttaching, size } = readHeader(all, offset)
    if (size > limit) throw tooLarge(size, limit)
    if (isAttaching) {
      const targets = readTable(all, offset + headerBytes, size)
      if (typeof targets === "number") {
        needed = headerBytes + targets
        return 0
      }
      filling = { targets: targets.sizes.map(makeTarget), isAttaching, target: 0, offset: 0 }
      filled = headerBytes + targets.length
      return filled + goOn(all, offset + filled, onBody)
    }
    if (rest >= headerBytes + size) {
      onBody(all.subarray(offset + headerBytes, offset + headerBytes + size))
      return headerBytes + size
    }
    needed = headerBytes + size
    if (size < leastFilled) return 0
    filling = { targets: [makeTarget(size)], isAttaching, target: 0, offset: 0 }
    filled = headerBytes
    return headerBytes + goOn(all, offset + headerBytes, onBody)
  }

  return {
    pending: () => held + filled,
    room: () => {
      const bytes = filling?.targets[filling.target]?.bytes
      return bytes === undefined || filling!.offset === bytes.length ? undefined : bytes.subarray(filling!.offset)
    },
    push: (block, onBody) => {
      let offset = 0
      let all = block
      if (filling !== undefined) {
        offset = goOn(block, 0, onBody)
      } else if (held > 0) {
        if (held + block.length < needed) return keep(block)
        all = joined(block)
      }
      while (true) {
        const count = filling === undefined && offset < all.length ? readOne(all, offset, onBody) : 0
        if (count === 0) break
        offset += count
      }
      if (offset < all.length) keep(all.subarray(offset))
    }
  }
}

interface Table {
  readonly length: number
  /** Of the value, and of each attachment. */
  readonly sizes: ReadonlyArray<number>
}

/** The lengths of a frame with attachments; or how many bytes of the body have to be there before they can be read. */
const readTable = (all: Buffer, offset: number, size: number): Table | number => {
  const rest = all.length - offset
  if (size < 8) throw { _tag: "NoFrame" } satisfies NoFrame
  if (rest < 8) return 8
  const length = 4 * (2 + all.readUInt32LE(offset))
  if (length > size) throw { _tag: "NoFrame" } satisfies NoFrame
  if (rest < length) return length
  const sizes = Array.from({ length: length / 4 - 1 }, (_, i) => all.readUInt32LE(offset + 4 * (i + 1)))
  if (sizes.reduce((sum, one) => sum + one, length) !== size) throw { _tag: "NoFrame" } satisfies NoFrame
  return { length, sizes }
}
