/**
 * An end in this process: the state machine, the wire that it is at, and whoever waits here. Where the other end is found
 * is the matter of what is behind the line.
 */
import type { Socket } from "node:net"
import { installBeforeLeaving } from "../handles/handle.ts"
import type { Border } from "../handles/handle.ts"
import { perThread } from "../memory/perThread.ts"
import {
  accepts,
  arrivedAt,
  attach,
  close,
  detach,
  firstOf,
  giveUp,
  hasWords,
  hear,
  inboxSize,
  isNoLine,
  isWriteDue,
  Kind,
  mayAttach,
  nextFrame,
  offer,
  offeredAt,
  resumeOf,
  take
} from "./end.ts"
import type { Frame, Resume } from "./end.ts"
import { forsakeMessage } from "./message.ts"
import type { Message } from "./message.ts"
import type { Candidate, Handing, Line, Sender, Why } from "./state.ts"
import { makeWires, socketWire } from "./wire.ts"
import type { Ear, Landing, Wire } from "./wire.ts"

export type { Line, Why }

/** The ends of this process that the other end may come to, by ticket. */
export const lines = perThread("lines", () => new Map<string, Line>())

const patienceMillis = 10_000

// ---------------------------------------------------------------------------------------------------- wires

/** The other end is looked for all the time, unless the answer was that it is over; then again when the wire has ended. */
const askAgain = (line: Line): void => {
  const { candidates, isAsking, isFinished, wire } = line
  if (!isFinished && !isAsking && wire === undefined && candidates.size === 0) line.behind.seek(line, false)
}

/** Nobody opened there, or not to us: it may have moved, and then more is known behind the line. */
const dialFailed = (line: Line, ticket: string): void => {
  if (line.wire === undefined && !line.isFinished) line.behind.seek(line, ticket === line.met)
}

export const addCandidate = (line: Line, socket: Socket, dialed: string | undefined, landing?: Landing): Wire => {
  const wire = socketWire(socket, earOf(line), undefined, landing)
  // a process that computes answers late, and one that has died closes the socket: who has dialed can wait
  const timer = dialed === undefined ? setTimeout(() => wire.destroy(), patienceMillis).unref() : undefined
  line.candidates.set(wire, { dialed, arrived: arrivedAt(line.end), endPatience: () => clearTimeout(timer) })
  return wire
}

export const earOf = (line: Line): Ear => ({
  onFrames: (wire, frames) => onFrames(line, wire, frames),
  onFlushed: () => settle(line),
  onTooLarge: (wire, refused) => {
    if (line.wire !== wire) return
    line.wire = undefined
    line.tooLarge = refused
    giveUp(line.end, "ended")
    settle(line)
  },
  onClose: (wire) => onClose(line, wire)
})

/** One that knocks again has given up where it knocked before. */
const admits = (line: Line, resume: Resume): boolean => {
  if (line.end.wire && !line.isConfirmed && resume.epoch >= line.end.peerEpoch) detach(line.end)
  return mayAttach(line.end, resume)
}

/** Both are in this process. */
export const meetHere = (line: Line, other: Line): boolean => {
  const resumes = [resumeOf(line.end), resumeOf(other.end)] as const
  if (!admits(line, resumes[1]) || !admits(other, resumes[0])) return false
  const wires = makeWires(earOf(line), earOf(other))
  adopt(line, wires[0])
  adopt(other, wires[1])
  line.isConfirmed = true
  other.isConfirmed = true
  attach(line.end, resumes[1])
  attach(other.end, resumes[0])
  settle(line)
  settle(other)
  return true
}

const adopt = (line: Line, wire: Wire): void => {
  const before = line.wire
  line.wire = wire
  before?.destroy()
}

/** Who has come says who it is. */
const introduce = (line: Line, wire: Wire, candidate: Candidate, first: Frame | undefined): boolean => {
  const { arrived, dialed, endPatience } = candidate
  line.candidates.delete(wire)
  endPatience()
  const isCurrent = dialed === undefined || arrived === arrivedAt(line.end)
  if (first?.kind !== Kind.Resume || !isCurrent || !admits(line, first)) {
    wire.destroy()
    if (dialed === undefined) askAgain(line)
    else dialFailed(line, dialed)
    return false
  }
  adopt(line, wire)
  line.isConfirmed = dialed !== undefined
  if (dialed === undefined) wire.write([resumeOf(line.end)])
  attach(line.end, first)
  // whoever was dialed hears that we are there
  if (dialed !== undefined) wire.write([{ kind: Kind.Ack, consumed: line.end.told }])
  return true
}

const onFrames = (line: Line, wire: Wire, frames: ReadonlyArray<Frame>): void => {
  const candidate = line.candidates.get(wire)
  if (candidate === undefined && line.wire !== wire) return
  if (candidate !== undefined && !introduce(line, wire, candidate, frames[0])) return
  const from = candidate === undefined ? 0 : 1
  if (from < frames.length) line.isConfirmed = true
  try {
    for (let i = from; i < frames.length; i++) hear(line.end, frames[i]!)
  } catch (cause) {
    if (!isNoLine(cause)) throw cause
    wire.destroy() // it speaks another language: that is its end
    giveUp(line.end, "ended")
  }
  settle(line)
}

const onClose = (line: Line, wire: Wire): void => {
  const candidate = line.candidates.get(wire)
  if (candidate !== undefined) {
    line.candidates.delete(wire)
    candidate.endPatience()
    if (candidate.dialed === undefined) askAgain(line)
    else dialFailed(line, candidate.dialed)
    return
  }
  if (line.wire !== wire) return
  line.wire = undefined
  if (line.end.wire && !line.isConfirmed) {
    // it has dialed, and given that up before it was answered: the hub knows what has become of it
    detach(line.end)
    askAgain(line)
  } else if (line.end.wire) {
    giveUp(line.end, "ended") // without a word: its process has died
  }
  settle(line)
}

/** Says what is to be said. */
export const flush = (line: Line): void => {
  const { end, wire } = line
  if (wire !== undefined && end.wire) {
    const frames: Array<Frame> = []
    for (let frame = nextFrame(end); frame !== undefined; frame = nextFrame(end)) frames.push(frame)
    if (frames.length > 0) wire.write(frames)
  }
  for (const message of end.dropped.splice(0)) forsakeMessage(message)
  if (end.over) return finish(line)
  if (wire === undefined || line.wire !== wire || end.wire) return
  // the other end has moved
  line.wire = undefined
  wire.end()
  askAgain(line)
}

const flushSoon = (line: Line): void => {
  if (line.isFlushing) return
  line.isFlushing = true
  queueMicrotask(() => {
    line.isFlushing = false
    flush(line)
  })
}

/** Nothing will be said or heard any more; what has arrived can be read. */
const finish = (line: Line): void => {
  if (line.isFinished) return
  line.isFinished = true
  line.behind.stop(line)
  lines.delete(line.ticket)
  line.home?.delete(line.resident)
  for (const [wire, { endPatience }] of line.candidates) {
    endPatience()
    wire.destroy()
  }
  line.candidates.clear()
  line.wire?.end()
  line.wire = undefined
  line.behind.leave(line)
  wakeSoon(line)
}

// ---------------------------------------------------------------------------------------------------- whoever waits

/** Something has changed. */
export const settle = (line: Line): void => {
  flush(line)
  wakeSoon(line)
}

/** Tells what is behind the line whether somebody waits here. */
const hold = (line: Line): void => {
  const isAwaited = line.receivers.size + line.watchers.size + line.senders.size + line.handing.size > 0
  if (isAwaited === line.isHeld) return
  line.isHeld = isAwaited
  line.behind.hold?.(isAwaited)
}

/** Later: nobody's code runs while ours does. */
const wakeSoon = (line: Line): void => {
  if (line.isWaking) return
  line.isWaking = true
  queueMicrotask(() => {
    line.isWaking = false
    wake(line)
  })
}

const wake = (line: Line): void => {
  for (const leaver of leavers) leaver()
  for (const receiver of line.receivers) {
    if (!isReady(line)) break
    line.receivers.delete(receiver)
    receiver()
  }
  if (isReady(line)) {
    for (const watcher of line.watchers) watcher()
    line.watchers.clear()
  }
  for (const sender of line.senders) {
    const why = whyNotSend(line)
    if (why === undefined && !accepts(line.end)) break
    line.senders.delete(sender)
    if (why !== undefined) sender.done(why)
    else if (sendTo(line, sender.message) === "safe") sender.done(undefined)
    else line.handing.add({ until: offeredAt(line.end), done: sender.done })
  }
  for (const handing of line.handing) {
    const isSafe = line.end.local === "moved" || isHanded(line, handing.until)
    if (!isSafe && !line.isFinished) continue
    line.handing.delete(handing)
    handing.done(isSafe ? undefined : whyNotSend(line))
  }
  hold(line)
}

/** Those who wait until what was sent has left. */
const leavers = new Set<() => void>()
const leaveMillis = 10_000

/** Does it hold what the other side has to have, and has not? What ends with this process it need not have. */
const holdsBack = ({ behind, end, isConfirmed, isFinished, wire }: Line): boolean =>
  behind.outlives && !isFinished && end.outbox.length > 0 &&
  !(end.wire && isConfirmed && end.written === offeredAt(end) && wire?.isFlushed() === true)

installBeforeLeaving((done) => {
  const leave = (): void => {
    clearTimeout(timer)
    leavers.delete(look)
    done()
  }
  const look = (): void => {
    if (![...lines.values()].some(holdsBack)) leave()
  }
  const timer = setTimeout(leave, leaveMillis)
  leavers.add(look)
  look()
})

// ---------------------------------------------------------------------------------------------------- sending

export const whyNotSend = ({ end: { local, peer, sends }, tooLarge }: Line): Why | undefined => {
  if (!sends) return "direction"
  if (local !== "open") return local
  if (tooLarge !== undefined) return "tooLarge"
  return peer === "here" ? undefined : peer
}

/**
 * Is what was offered safe? It is, when this process may end now: it is with the system, or was consumed. That is not asked
 * where the other end does not outlive this process.
 */
const isHanded = ({ behind, end, isConfirmed, wire }: Line, until: number): boolean =>
  !behind.outlives || end.acked >= until ||
  (end.wire && isConfirmed && end.written >= until && wire?.isFlushed() === true)

/** May a message be offered at once? Nobody is passed by. */
export const hasRoom = (line: Line): boolean => line.senders.size === 0 && accepts(line.end)

/** Offers it, where there is room: is it safe at once? */
export const sendNow = (line: Line, message: Message): "safe" | "unsafe" | "full" =>
  hasRoom(line) ? sendTo(line, message) : "full"

const sendTo = (line: Line, message: Message): "safe" | "unsafe" => {
  offer(line.end, message)
  if (line.behind.outlives || isWriteDue(line.end)) flush(line)
  else flushSoon(line)
  return isHanded(line, offeredAt(line.end)) ? "safe" : "unsafe"
}

/** Several messages on their way as one: offers it, and leaves it to {@link whenHanded}. Only where it {@link hasRoom}. */
export const offerTo = (line: Line, message: Message): void => {
  offer(line.end, message)
  if (isWriteDue(line.end)) flush(line)
}

/** Calls back when all that was offered is safe. What is given stops the waiting. */
export const whenHanded = (line: Line, done: (why: Why | undefined) => void): () => void => {
  const until = offeredAt(line.end)
  flush(line)
  if (isHanded(line, until)) {
    done(undefined)
    return () => {}
  }
  const handing: Handing = { until, done }
  line.handing.add(handing)
  hold(line)
  return () => {
    line.handing.delete(handing)
    hold(line)
  }
}

/**
 * Sends it when there is room, and calls back when it is safe. What is given stops the waiting, and says whether the
 * message is still here. Only where it was found full.
 */
export const sendLater = (
  line: Line,
  holder: object,
  message: Message,
  done: (why: Why | undefined) => void
): () => boolean => {
  const sender: Sender = { holder, message, done }
  line.senders.add(sender)
  hold(line)
  return () => {
    const isHere = line.senders.delete(sender)
    hold(line)
    return isHere
  }
}

// ---------------------------------------------------------------------------------------------------- receiving

/** Why there is nothing to receive, now and ever; undefined while there is or may be. */
export const whyNotReceive = ({ end, tooLarge }: Line): Why | undefined => {
  if (!end.receives) return "direction"
  if (end.local === "closed" || end.local === "moved") return end.local
  if (inboxSize(end) > 0 || !end.over) return undefined
  if (tooLarge !== undefined) return "tooLarge"
  return end.peer === "here" ? "scope" : end.peer
}

const isReady = (line: Line): boolean => inboxSize(line.end) > 0 || whyNotReceive(line) !== undefined

/** What {@link receive} would take. */
export const nextMessage = ({ end }: Line): Message | undefined => firstOf(end)

export const hasMessage = ({ end }: Line): boolean => firstOf(end) !== undefined

/** The next message. */
export const receive = (line: Line): Message | undefined => {
  const message = take(line.end)
  if (message !== undefined && hasWords(line.end)) flush(line)
  return message
}

/** Calls back once there is a message, or never will be. What is given stops the waiting. */
export const whenReady = (line: Line, set: "receivers" | "watchers", callback: () => void): () => void => {
  line[set].add(callback)
  hold(line)
  if (isReady(line)) wakeSoon(line)
  return () => {
    line[set].delete(callback)
    hold(line)
  }
}

/** Calls back when what has come to the process meanwhile has been read. */
export const whenLooked = (callback: () => void): () => void => {
  // two turns: the first may be over before the loop has looked
  let waiting = setImmediate(() => {
    waiting = setImmediate(callback)
  })
  return () => clearImmediate(waiting)
}

export const isAwaited = ({ receivers }: Line): boolean => receivers.size > 0

/** The holder does not need it any more. */
export const closeLine = (line: Line): void => {
  if (line.end.local !== "open" && line.end.local !== "scope") return
  if (line.end.local === "scope") line.end.local = "closed"
  else close(line.end, "closed")
  settle(line)
}

/** A border through which this line is the way. */
export const borderThrough = (line: Line): Border => ({
  sharesMemory: false,
  through: line,
  far: line.behind.isFar
})
