/**
 * A line on a socket of its own: both ends were made with the socket, and its loss is the end of both. Nothing is behind it.
 */
import type { Socket } from "node:net"
import { attach, freshLuggage, giveUp, Kind } from "./end.ts"
import type { Side } from "./end.ts"
import { closeLine, earOf, lines, settle } from "./line.ts"
import { makeLine } from "./state.ts"
import type { Behind, Line } from "./state.ts"
import { socketWire } from "./wire.ts"

export interface Terms {
  readonly side: Side
  /** So many bytes may a message have: one that is sent, and one that comes. */
  readonly sends: number
  readonly receives: number
  readonly isFar: boolean
}

/** So many messages of one direction may be unread: both sides have to know it. */
const capacity = 256

/** So long a process that needs the line no more stays for what was said last, unless the other side has heard it before. */
const farewellMillis = 1000
/** So long the socket stays in a process that lives on. */
const longestFarewellMillis = 30_000

const nothingBehind = (socket: Socket, { isFar, sends }: Terms): Behind => ({
  pipe: undefined,
  outlives: true,
  isFar,
  limit: sends,
  seek: (line) => {
    giveUp(line.end, "ended")
    settle(line)
  },
  // a program that waits for what others say goes on until they have said it
  hold: (isAwaited) => void (isAwaited ? socket.ref() : socket.unref()),
  stop: () => {},
  leave: () => {}
})

/** The socket is ours from here on, and so is what it has not been asked for yet. `release` closes it, for good. */
export const lineOn = (socket: Socket, terms: Terms): { readonly line: Line; readonly release: () => void } => {
  const nature = { side: terms.side, capacity, sends: true, receives: true }
  const line = makeLine(nothingBehind(socket, terms), nature, freshLuggage, undefined, closeLine)
  lines.set(line.ticket, line)
  socket.unref()
  const ear = earOf(line)
  const wire = socketWire(socket, ear, terms.receives)
  line.wire = wire
  line.isConfirmed = true
  attach(line.end, { kind: Kind.Resume, epoch: 0, consumed: 0, arrived: 0 }) // both are new, and know it
  if (socket.closed) ear.onClose(wire)
  socket.resume() // it may have been held back until somebody wanted it
  const release = (): void => {
    closeLine(line)
    if (socket.closed) return
    // a connection that is cut off takes with it what the system has not sent, or the other side not read
    socket.ref()
    let timer = setTimeout(() => {
      socket.end()
      socket.unref()
      timer = setTimeout(() => socket.destroy(), longestFarewellMillis).unref()
    }, farewellMillis)
    socket.once("close", () => clearTimeout(timer))
  }
  return { line, release }
}
