/**
 * Where clients come in. Each has its handshake at once, beside those of all others; who has proven the key waits in line
 * until somebody accepts it. The README beside this file says what has a limit.
 */
import { createServer } from "node:net"
import type { Socket } from "node:net"
import { codeOf, keepAliveMillis, leaveAt, listenAt, makePlace, show } from "./address.ts"
import type { Address, Place, Refused } from "./address.ts"
import { authenticate } from "./authenticate.ts"
import type { Result, Terms } from "./authenticate.ts"
import { refusal, welcome } from "./handshake.ts"

/** So many may be in the middle of their handshake: when one more comes, the one that has taken longest has to go. */
export const mostVisitors = 256
/** So many may wait to be accepted: one more is told to come again. */
export const mostGuests = 128

/** It has proven the key, and no more of it is read than a socket keeps: 64 KiB. */
export interface Guest {
  readonly socket: Socket
  readonly peerLimit: number
}

export interface Hall {
  readonly address: Address
  /** The one that has waited longest. */
  readonly take: () => Guest | undefined
  readonly isClosed: () => boolean
  /** Calls back when there is a guest, or never will be. What is given stops the waiting. */
  readonly whenReady: (callback: () => void) => () => void
  readonly close: () => void
}

const said: Record<Extract<Result, { readonly _tag: "Failed" }>["why"], string> = {
  noise: "it said what no client says",
  version: "it has another version of the handshake",
  key: "it has another key",
  busy: "it has no room",
  late: "its handshake took too long",
  gone: "it left before its handshake was over: it may have another key"
}

interface Guests extends Pick<Hall, "take" | "isClosed" | "whenReady" | "close"> {
  readonly isFull: () => boolean
  readonly put: (guest: Guest) => void
}

/** Who waits to be accepted, and who waits for them: `hold` is told whether anybody does. */
const makeGuests = (hold: (isAwaited: boolean) => void): Guests => {
  const guests: Array<Guest> = []
  const takers = new Set<() => void>()
  let isClosed = false
  const wake = (): void => {
    const woken = [...takers]
    takers.clear()
    hold(false)
    for (const taker of woken) taker()
  }
  return {
    isFull: () => guests.length >= mostGuests,
    put: (guest) => {
      guests.push(guest)
      wake()
    },
    take: () => guests.shift(),
    isClosed: () => isClosed,
    whenReady: (callback) => {
      takers.add(callback)
      hold(true)
      if (guests.length > 0 || isClosed) queueMicrotask(wake)
      return () => {
        takers.delete(callback)
        if (takers.size === 0) hold(false)
      }
    },
    close: () => {
      isClosed = true
      for (const { socket } of guests.splice(0)) socket.destroy()
      wake()
    }
  }
}

interface Visitors {
  readonly come: (socket: Socket) => void
  readonly close: () => void
}

/** Who is in the middle of a handshake. */
const makeVisitors = (terms: Terms, guests: Guests, turnAway: (why: string) => void): Visitors => {
  const visitors = new Map<Socket, () => void>()
  const onResult = (socket: Socket, result: Result): void => {
    visitors.delete(socket)
    if (result._tag === "Failed") return turnAway(said[result.why])
    if (guests.isFull()) {
      socket.resume().end(refusal("busy"), () => socket.destroy())
      return turnAway(`${mostGuests} others wait to be accepted`)
    }
    socket.write(welcome)
    guests.put({ socket, peerLimit: result.peerLimit })
  }
  return {
    come: (socket) => {
      socket.on("error", () => {}) // who comes may be killed
      socket.unref()
      if (visitors.size >= mostVisitors) {
        const [oldest, stop] = visitors.entries().next().value!
        visitors.delete(oldest)
        stop()
        turnAway(`${mostVisitors} handshakes were under way, and its had taken longest`)
      }
      visitors.set(socket, authenticate(socket, "server", terms, (result) => onResult(socket, result)))
    },
    close: () => {
      for (const stop of visitors.values()) stop()
      visitors.clear()
    }
  }
}

/** Listens. `note` is told about the clients that are turned away. */
export const openHall = async (
  wanted: Address | undefined,
  terms: Terms,
  note: (message: string) => void
): Promise<Hall | Refused> => {
  let place: Place | undefined
  try {
    place = wanted === undefined ? makePlace() : undefined
  } catch (cause) {
    return { code: codeOf(cause), cause }
  }
  let address = wanted ?? { path: place!.path }
  const guests = makeGuests((isAwaited) => void (isAwaited ? server.ref() : server.unref()))
  const visitors = makeVisitors(
    terms,
    guests,
    (why) => note(`A client of the Listener at ${show(address)} was turned away: ${why}.`)
  )
  const options = { noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMillis }
  const server = createServer(options, visitors.come)
  const refused = await listenAt(server, address)
  if (refused !== undefined) {
    place?.leave()
    return refused
  }
  server.unref()
  server.on("error", () => {}) // no descriptors were left for one that came: it tries again
  const bound = server.address()
  if (!("path" in address) && typeof bound === "object" && bound !== null) address = { ...address, port: bound.port }
  const leave = leaveAt(address)
  const close = (): void => {
    leave(() => void server.close())
    visitors.close()
    place?.leave()
    guests.close()
  }
  return { address, take: guests.take, isClosed: guests.isClosed, whenReady: guests.whenReady, close }
}
