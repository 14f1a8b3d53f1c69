/**
 * Two byte streams in memory that behave as an inherited socket pair does: what was written arrives in blocks that know
 * nothing of frames, also when nobody reads yet, and the end comes after it.
 */
import { Buffer } from "node:buffer"
import { Readable, Writable } from "node:stream"

export interface Wire {
  readonly writable: Writable
  readonly readable: Readable
}

/** `blockBytes`: how large the blocks are, at most. */
export const makeWire = (blockBytes = Number.POSITIVE_INFINITY): Wire => {
  const readable = new Readable({ read: () => {} })
  const writable = new Writable({
    write: (given: Buffer, _encoding, done) => {
      const bytes = Buffer.from(given) // what was written is the system's: whoever wrote it may use the memory again
      for (let i = 0; i < bytes.length; i += blockBytes) readable.push(bytes.subarray(i, i + blockBytes))
      done()
    },
    destroy: (error, done) => {
      if (!readable.destroyed) readable.push(null)
      done(error)
    }
  })
  return { readable, writable }
}
