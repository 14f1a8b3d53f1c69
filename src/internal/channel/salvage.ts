/**
 * What the system still has of a connection whose other side has ended. Node closes a socket when a write fails, and what
 * has come and was not read goes with it.
 */
import { Buffer } from "node:buffer"
import { readSync } from "node:fs"
import type { Socket } from "node:net"
import { descriptorOf } from "../memory/peers.ts"

const blockBytes = 64 * 1024

/** To be called when a write has failed, from its callback: the socket is closed after that. */
export const salvage = (socket: Socket, onBlock: (block: Buffer) => void): void => {
  const fd = descriptorOf(socket)
  if (fd === undefined) return
  for (;;) {
    const block = Buffer.allocUnsafeSlow(blockBytes)
    let count = 0
    try {
      count = readSync(fd, block)
    } catch {
      return // EAGAIN: it is there; ECONNRESET: that was all
    }
    if (count === 0) return
    onBlock(block.subarray(0, count))
  }
}
