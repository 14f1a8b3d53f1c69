/**
 * What carries frames between two ends: a socket between two processes, or nothing at all, where both are here.
 */
import type { OnReadOpts, Socket } from "node:net"
import { isFrameTooLarge } from "../protocol/frames.ts"
import type { FrameTooLarge } from "../protocol/frames.ts"
import { salvage } from "../channel/salvage.ts"
import type { Frame } from "./end.ts"
import { encodeFrames, makeLineReader } from "./frames.ts"
import type { LineReader } from "./frames.ts"

export interface Wire {
  /** In order. They are on their way when this returns. */
  readonly write: (frames: ReadonlyArray<Frame>) => void
  /** The system has all that was written: it arrives, also when this process ends now. */
  readonly isFlushed: () => boolean
  /** After what was written. */
  readonly end: () => void
  readonly destroy: () => void
}

export interface Ear {
  readonly onFrames: (wire: Wire, frames: ReadonlyArray<Frame>) => void
  readonly onFlushed: (wire: Wire) => void
  /** A message was announced that is larger than it may be. The wire is of no use any more. */
  readonly onTooLarge?: (wire: Wire, refused: FrameTooLarge) => void
  /** Nothing comes any more. */
  readonly onClose: (wire: Wire) => void
}

// ---------------------------------------------------------------------------------------------------- sockets

/** The system is given a long message in parts, so that what is written of it can be let go. */
const largestWrite = 16 * 1024 * 1024

/**
 * Reads into memory that is there: by itself a socket takes new memory for each block. Only whoever connects can have one.
 */
export interface Landing {
  readonly onread: OnReadOpts
  /** To be told as soon as there is a socket. */
  readonly to: (reader: LandingReader) => void
}

interface LandingReader {
  readonly room: () => Uint8Array | undefined
  /** The block is written to again later. */
  readonly receive: (block: Uint8Array) => void
}

/** About as much as a socket holds. What was read into it is heard before anything else is read: one does for all. */
let scratch: Uint8Array | undefined
const scratchBytes = 256 * 1024

export const makeLanding = (): Landing => {
  let reader: LandingReader | undefined
  return {
    onread: {
      buffer: () => reader?.room() ?? (scratch ??= new Uint8Array(scratchBytes)),
      callback: (count, { buffer, byteOffset }) => {
        reader?.receive(new Uint8Array(buffer, byteOffset, count))
        return true
      }
    },
    to: (given) => void (reader = given)
  }
}

/** Cuts what comes into frames, and has them heard. */
const makeHearing =
  (reader: LineReader, socket: Socket, ear: Ear) => (wire: Wire, block: Uint8Array, isLent: boolean): void => {
    const frames: Array<Frame> = []
    let refused: unknown
    try {
      reader.push(block, (frame) => frames.push(frame), isLent)
    } catch (cause) {
      refused = cause
      socket.destroy() // it is not one of ours
    }
    if (frames.length > 0) ear.onFrames(wire, frames)
    if (isFrameTooLarge(refused)) ear.onTooLarge?.(wire, refused)
  }

/** Calls back when the system has all that was written, each time after it was asked to tell. */
const makeFlushing = (socket: Socket, onFlushed: () => void, onWritten: (error: Error) => void) => {
  const isFlushed = (): boolean => socket.writableLength === 0 && !socket.connecting
  let isMarked = false
  /** A mark behind what waits: `drain` comes only where much does. */
  const tell = (): void => {
    if (isMarked || isFlushed()) return
    isMarked = true
    socket.write(new Uint8Array(0), (error) => {
      isMarked = false
      if (error) return onWritten(error)
      if (isFlushed()) onFlushed()
      else tell()
    })
  }
  return { isFlushed, tell }
}

/** `limit`: so many bytes may a message have that comes. `landing`: with which the socket was made. */
export const socketWire = (socket: Socket, ear: Ear, limit?: number, landing?: Landing): Wire => {
  const reader = makeLineReader(limit)
  const hear = makeHearing(reader, socket, ear)
  let isBroken = false
  /** Whoever has sent, and ended, is no longer there to hear how far it was read: the rest of it is. */
  const onWritten = (error?: Error | null): void => {
    if (!error || isBroken) return
    isBroken = true
    salvage(socket, (block) => hear(wire, block, false))
  }
  const write = (block: Uint8Array): void => {
    for (let at = 0; at < block.byteLength; at += largestWrite) {
      socket.write(block.subarray(at, at + largestWrite), onWritten)
    }
  }
  const { isFlushed, tell } = makeFlushing(socket, () => ear.onFlushed(wire), onWritten)
  const wire: Wire = {
    write: (frames) => {
      if (socket.destroyed || isBroken) return
      const blocks = encodeFrames(frames)
      if (blocks.length > 1) socket.cork()
      blocks.forEach(write)
      if (blocks.length > 1) socket.uncork()
      tell()
    },
    isFlushed,
    end: () => {
      // the other side hears all of it, and answers by its end
      if (!socket.destroyed) socket.end()
    },
    destroy: () => void socket.destroy()
  }
  landing?.to({ room: reader.room, receive: (block) => hear(wire, block, true) })
  if (landing === undefined) socket.on("data", (block: Buffer) => hear(wire, block, false))
  else socket.resume()
  socket.once("close", () => ear.onClose(wire))
  return wire
}

// ---------------------------------------------------------------------------------------------------- inside

/** What is to be heard here. The outermost of those who speak delivers it: two who answer each other need no stack. */
let deliveries: Array<() => void> | undefined

const deliver = (delivery: () => void): void => {
  if (deliveries !== undefined) return void deliveries.push(delivery)
  deliveries = [delivery]
  try {
    for (const next of deliveries) next()
  } finally {
    deliveries = undefined
  }
}

/** Two wires; what is written on one is heard on the other. */
export const makeWires = (first: Ear, second: Ear): readonly [Wire, Wire] => {
  let isOpen = true
  const close = (): void => {
    if (!isOpen) return
    isOpen = false
    deliver(() => {
      first.onClose(wires[0])
      second.onClose(wires[1])
    })
  }
  const to = (hear: (frames: ReadonlyArray<Frame>) => void): Wire => ({
    write: (frames) => {
      if (isOpen) deliver(() => hear(frames))
    },
    isFlushed: () => true,
    end: close,
    destroy: close
  })
  const wires: readonly [Wire, Wire] = [
    to((frames) => second.onFrames(wires[1], frames)),
    to((frames) => first.onFrames(wires[0], frames))
  ]
  return wires
}
