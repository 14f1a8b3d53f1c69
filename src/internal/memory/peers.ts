/**
 * Whose process is at the other end of a private socket.
 */
import type { Socket } from "node:net"
import { native } from "./native.ts"

/** The system says it on Linux; elsewhere the socket lies in a folder that no other user can enter. */
export const isOfThisUser = (socket: Socket): boolean => {
  const fd = (socket as unknown as { readonly _handle?: { readonly fd?: number } })._handle?.fd
  const addon = native()
  if (addon === undefined) return true
  try {
    return addon.peerOf(fd ?? -1).uid === process.geteuid?.()
  } catch {
    return false // it has hung up
  }
}
