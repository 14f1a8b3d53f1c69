/**
 * What a copy whose event loop does not turn writes to its stdout and stderr: nobody would write later what does not fit
 * into a pipe now.
 */
import type { Buffer } from "node:buffer"
import { writeSync } from "node:fs"
import { Writable } from "node:stream"
import { isatty } from "node:tty"

const pause = new Int32Array(new SharedArrayBuffer(4))
const pauseMillis = 1

const isFull = (cause: unknown): boolean => (cause as { readonly code?: unknown }).code === "EAGAIN"

const writeAll = (fd: number, block: Buffer): void => {
  let written = 0
  while (written < block.length) {
    try {
      written += writeSync(fd, block, written)
    } catch (cause) {
      if (!isFull(cause)) return // nobody reads
      Atomics.wait(pause, 0, 0, pauseMillis)
    }
  }
}

/** To be called in a copy, once. A terminal takes all at once anyway. */
export const writeAtOnce = (): void => {
  for (const [name, fd] of [["stdout", 1], ["stderr", 2]] as const) {
    if (isatty(fd)) continue
    const stream = new Writable({
      write: (block: Buffer, _encoding, done) => {
        writeAll(fd, block)
        done()
      }
    })
    Object.defineProperty(process, name, { value: stream, configurable: true, enumerable: true })
    Object.assign(console, { [`_${name}`]: stream }) // what it writes to, once it has written
  }
}
