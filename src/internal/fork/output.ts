/**
 * What a copy whose event loop does not turn writes to its stdout and stderr: nobody would write later what does not fit
 * into a pipe now.
 */
import { Buffer } from "node:buffer"
import { writeSync } from "node:fs"
import type { Writable } from "node:stream"

const pause = new Int32Array(new SharedArrayBuffer(4))
const pauseMillis = 1

const isFull = (cause: unknown): boolean => (cause as { readonly code?: unknown }).code === "EAGAIN"

/** Nothing here can wait for an event: a copy that waits for a reader naps. */
const writeAll = (fd: number, block: Uint8Array): void => {
  let written = 0
  while (written < block.byteLength) {
    try {
      written += writeSync(fd, block, written)
    } catch (cause) {
      if (!isFull(cause)) throw cause
      Atomics.wait(pause, 0, 0, pauseMillis)
    }
  }
}

/** What a stream of Node writes with, and what it has not written: that is the original's to write. */
interface Inner {
  _write: (block: Uint8Array | string, encoding: BufferEncoding, done: (error?: Error) => void) => void
  _writev: undefined
  readonly _writableState: object
}

const nothingWaits = { writing: false, bufferProcessing: false, corked: 0, length: 0, buffered: [], bufferedIndex: 0 }

/** To be called in a copy, once. The streams stay the same: who holds one, or has wrapped its `write`, goes on with it. */
export const writeAtOnce = (): void => {
  for (const [stream, fd] of [[process.stdout, 1], [process.stderr, 2]] as const) {
    const inner = stream as Writable as unknown as Inner // in all supported versions
    Object.assign(inner._writableState, nothingWaits)
    inner._writev = undefined
    inner._write = (block, encoding, done) => {
      try {
        // sockets are given texts
        writeAll(fd, typeof block === "string" ? Buffer.from(block, encoding) : block)
      } catch (cause) {
        return done(cause as Error)
      }
      done()
    }
  }
}
