/**
 * A channel over two byte streams, between a parent process and its child: one to the child, one back.
 *
 * They are two, because the child *writes synchronously*: what it has reported is in the kernel when `post` returns, so a
 * `process.exit` or a SIGKILL right after loses nothing. A descriptor that the event loop also reads would have to be
 * non-blocking for that, and could not be.
 */
import { Buffer } from "node:buffer"
import { writeSync } from "node:fs"
import type { Readable, Writable } from "node:stream"
import { decodeBody, encodeFrame, makeFrameReader } from "../protocol/frames.ts"
import type { OnBody } from "../protocol/frames.ts"
import type { Channel } from "./Channel.ts"

const listenTo = <In>(
  readable: Readable,
  limit: number,
  onBatch: (batch: ReadonlyArray<In>) => void,
  onClose: () => void
): void => {
  const reader = makeFrameReader(limit)
  let messages: Array<In> = []
  const onBody: OnBody = (body, attachments) => {
    const batch = decodeBody(body, attachments) as ReadonlyArray<In> // the peer is our own code
    for (const message of batch) messages.push(message)
  }
  readable.on("data", (block: Buffer) => {
    try {
      reader.push(block, onBody)
    } catch {
      readable.destroy() // not a stream of ours any more: to the owner that is the end of the peer
    }
    if (messages.length === 0) return
    const complete = messages
    messages = []
    onBatch(complete)
  })
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
      writable.cork()
      writable.write(frame)
      // copies: they are written later, and the caller's arrays may change meanwhile
      for (const view of views) writable.write(Buffer.from(view))
      writable.uncork()
    },
    listen: (onBatch, onClose) => listenTo(readable, limit, onBatch, onClose),
    close: () => {
      writable.destroy()
    }
  }
}

/** The child's side. A parent that is gone is noticed by the end of `readable`. */
export const fromDescriptor = <Out, In>(readable: Readable, descriptor: number, limit: number): Channel<Out, In> => {
  let closed = false
  return {
    sharesMemory: false,
    transfers: false,
    post: (batch) => {
      if (closed) return
      const parts = encodeFrame(batch, limit)
      try {
        for (const part of parts) {
          let offset = 0
          while (offset < part.length) offset += writeSync(descriptor, part, offset)
        }
      } catch {
        closed = true // EPIPE: the parent is gone, and the end of `readable` says so too
      }
    },
    listen: (onBatch, onClose) => listenTo(readable, limit, onBatch, onClose),
    close: () => {
      closed = true
      readable.destroy()
    }
  }
}
