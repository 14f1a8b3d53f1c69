/**
 * What a child writes to its stdout and stderr, kept by its parent. The streams are always read, so that a child never
 * waits for somebody who does not listen.
 */
import { Buffer } from "node:buffer"
import type { Readable } from "node:stream"
import type { Captured } from "./Launcher.ts"

const tailBytes = 8192

/** `keep`: all of it is kept for later subscribers (a process); else only its tail is (a pool's worker). */
export const capture = (stream: Readable, keep: boolean): Captured => {
  const blocks: Array<Uint8Array> = []
  const listeners = new Set<(block: Uint8Array | undefined) => void>()
  let tail: Buffer = Buffer.alloc(0)
  let ended = false

  stream.on("data", (block: Buffer) => {
    if (keep) blocks.push(block)
    tail = Buffer.concat([tail, block])
    if (tail.length > tailBytes) tail = tail.subarray(tail.length - tailBytes)
    for (const listener of listeners) listener(block)
  })
  stream.on("error", () => {}) // a reset is an end
  stream.once("close", () => {
    ended = true
    for (const listener of listeners) listener(undefined)
    listeners.clear()
  })

  return {
    tail: () => tail.toString("utf8"),
    subscribe: (onBlock) => {
      for (const block of blocks) onBlock(block)
      if (ended) {
        onBlock(undefined)
        return () => {}
      }
      listeners.add(onBlock)
      return () => listeners.delete(onBlock)
    }
  }
}
