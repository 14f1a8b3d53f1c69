/**
 * A channel over two byte streams, between a parent process and its child: one to the child, one back.
 *
 * They are two, because the child *writes synchronously*: what it has reported is in the kernel when `post` returns, so a
 * `process.exit` or a SIGKILL right after loses nothing. A descriptor that the event loop also reads would have to be
 * non-blocking for that, and could not be.
 */
import { Buffer } from "node:buffer"
import { readSync, writeSync } from "node:fs"
import type { Socket } from "node:net"
import type { Readable, Writable } from "node:stream"
import { decodeBody, encodeFrame, makeFrameReader } from "../protocol/frames.ts"
import type { FrameReader, OnBody } from "../protocol/frames.ts"
import type { Channel } from "./Channel.ts"

interface Receiver {
  /** Takes a block; whether it was one of a stream of ours. */
  readonly receive: (block: Buffer) => boolean
  readonly room: FrameReader["room"]
}

const makeReceiver = <In>(limit: number, onBatch: (batch: ReadonlyArray<In>) => void): Receiver => {
  const reader = makeFrameReader(limit)
  let messages: Array<In> = []
  const onBody: OnBody = (body, attachments) => {
    const batch = decodeBody(body, attachments) as ReadonlyArray<In> // the peer is our own code
    // each takes a byte at least: an array that only claims to have billions is not taken apart
    if (batch.length > body.length) throw new RangeError("a batch that is none")
    for (const message of batch) messages.push(message)
  }
  const deliver = (): void => {
    if (messages.length === 0) return
    const complete = messages
    messages = []
    onBatch(complete)
  }
  return {
    room: reader.room,
    receive: (block) => {
      let isOurs = true
      try {
        reader.push(block, onBody)
      } catch {
        isOurs = false
      }
      deliver()
      return isOurs
    }
  }
}

/** The memory of so many bytes is given back when it is not needed any more: left to the collector it brings it about. */
const leastReleased = 32 * 1024

const release = ({ buffer, byteLength }: Uint8Array): void => {
  const isWhole = byteLength === buffer.byteLength && buffer instanceof ArrayBuffer
  if (isWhole && byteLength >= leastReleased) buffer.transfer(0)
}

const listenToEnd = (readable: Readable, onClose: () => void): void => {
  // a reset is an end: what matters is that nothing comes any more
  readable.on("error", () => {})
  readable.once("close", onClose)
}

/** The parent's side. Writes are asynchronous: a child that does not read never holds up its parent. */
export const fromStreams = <Out, In>(writable: Writable, readable: Readable, limit: number): Channel<Out, In> => {
  writable.on("error", () => {})
  return {
    sharesMemory: false,
    transfers: false,
    post: (batch) => {
      const [frame, ...views] = encodeFrame(batch, limit)
      if (writable.destroyed) return
      if (views.length === 0) return void writable.write(frame)
      writable.cork()
      writable.write(frame)
      // copies: they are written later, and the caller's arrays may change meanwhile
      for (const view of views) {
        const copy = Buffer.from(view)
        writable.write(copy, () => release(copy))
      }
      writable.uncork()
    },
    listen: (onBatch, onClose) => {
      const { receive } = makeReceiver(limit, onBatch)
      readable.on("data", (block: Buffer) => {
        // what is no stream of ours any more is to the owner the end of the peer
        if (!receive(block)) readable.destroy()
        release(block)
      })
      listenToEnd(readable, onClose)
    },
    close: () => {
      writable.destroy()
    }
  }
}

/** About as much as a socket holds: a stream by itself reads a quarter of it at once, each time into new memory. */
const readBytes = 256 * 1024

const readFrom = (descriptor: number, { receive, room }: Receiver, scratch: Buffer): Socket => {
  // not before it is needed: it takes a child that starts longer than all else here
  const { Socket: OfNet } = process.getBuiltinModule("node:net")
  const socket: Socket = new OfNet({
    fd: descriptor,
    readable: true,
    writable: false,
    onread: {
      buffer: () => room() ?? scratch,
      callback: (length, { buffer, byteOffset }) => {
        if (!receive(Buffer.from(buffer as ArrayBuffer, byteOffset, length))) socket.destroy()
        return true
      }
    }
  })
  return socket.resume()
}

/** How many bytes there were; 0 at the end, and where somebody has made it a descriptor that does not wait. */
const readBlock = (descriptor: number, scratch: Buffer): number => {
  try {
    return readSync(descriptor, scratch)
  } catch {
    return 0
  }
}

/**
 * Reads and delivers until something was delivered; whether it was a stream of ours. Nothing is lost when there is none: the rest
 * is read by the event loop, which finds the same end, or the same error.
 */
const readFirst = (
  descriptor: number,
  { receive }: Receiver,
  scratch: Buffer,
  wasDelivered: () => boolean
): boolean => {
  while (!wasDelivered()) {
    const length = readBlock(descriptor, scratch)
    if (length === 0) return true
    if (!receive(scratch.subarray(0, length))) return false
  }
  return true
}

export interface DescriptorOptions {
  /** `listen` waits for the first batch, and delivers it before it returns: the peer is known to have sent it, or to be about to. */
  readonly waitsForFirst?: boolean
}

/** The child's side, of the descriptors that it reads and writes. A parent that is gone is noticed by the end of `input`. */
export const fromDescriptors = <Out, In>(
  input: number,
  output: number,
  limit: number,
  { waitsForFirst = false }: DescriptorOptions = {}
): Channel<Out, In> => {
  let closed = false
  let readable: Socket | undefined
  return {
    sharesMemory: false,
    transfers: false,
    post: (batch) => {
      if (closed) return
      const parts = encodeFrame(batch, limit)
      try {
        for (const part of parts) {
          let offset = 0
          while (offset < part.length) offset += writeSync(output, part, offset)
        }
      } catch {
        closed = true // EPIPE: the parent is gone, and the end of `input` says so too
      }
    },
    listen: (onBatch, onClose) => {
      let heard = false
      const receiver = makeReceiver<In>(limit, (batch) => {
        heard = true
        onBatch(batch)
      })
      const scratch = Buffer.allocUnsafeSlow(readBytes)
      const isOurs = !waitsForFirst || readFirst(input, receiver, scratch, () => heard)
      readable = readFrom(input, receiver, scratch)
      listenToEnd(readable, onClose)
      if (!isOurs || closed) readable.destroy()
    },
    close: () => {
      closed = true
      readable?.destroy()
    }
  }
}
