/**
 * Whose process is at the other end of a private socket.
 */
import type { Socket } from "node:net"
import { native } from "./native.ts"

/** Undefined when it is closed, and where a socket has none. */
export const descriptorOf = (socket: Socket): number | undefined => {
  const { _handle } = socket as unknown as { readonly _handle?: { readonly fd?: number } | null } // Node has no other way
  const fd = _handle?.fd
  return fd === undefined || fd < 0 ? undefined : fd
}

/** The system says it on Linux; elsewhere the socket lies in a folder that no other user can enter. */
export const isOfThisUser = (socket: Socket): boolean => {
  const addon = native()
  if (addon === undefined) return true
  try {
    return addon.peerOf(descriptorOf(socket) ?? -1).uid === process.geteuid?.()
  } catch {
    return false // it has hung up
  }
}
