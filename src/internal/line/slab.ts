/**
 * Where short messages are encoded: one behind the other, each with its header, so that those that are sent in a row leave
 * as the one block in which they lie. A slab is written to once, and goes when none of its messages is needed any more.
 */
import { Buffer } from "node:buffer"
import { headerBytes, Kind, writeHeader } from "./header.ts"
import type { Tag } from "./header.ts"

const slabBytes = 64 * 1024

/** A longer message has memory of its own. */
export const longestInSlab = 4 * 1024

let slab = Buffer.allocUnsafeSlow(0)
let next = 0

/** Where the body of a message may be written: so many bytes from `start` on. */
export const slabFor = (size: number): Buffer => {
  if (next + headerBytes + size > slab.length) {
    slab = Buffer.allocUnsafeSlow(slabBytes)
    next = 0
  }
  return slab
}

export const start = (): number => next + headerBytes

/** The body is written. */
export const finish = (tag: Tag, size: number): void => {
  writeHeader(slab, next, Kind.Data, tag, size)
  next += headerBytes + size
}
