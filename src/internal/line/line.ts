/**
 * An end of a pipe in this process: the state machine, the wire that it is at, the hub where it finds the other end, and
 * whoever waits here.
 */
import type { Socket } from "node:net"
import { householdNow, installBeforeLeaving } from "../handles/handle.ts"
import type { Border } from "../handles/handle.ts"
import { knock, newTicket } from "../hub/door.ts"
import type { Address } from "../hub/door.ts"
import { linkTo, ownHub } from "../hub/hubs.ts"
import type { Link, Outcome } from "../hub/link.ts"
import { makePipeObject } from "../hub/pipe.ts"
import type { Claiming, Leaving, Told } from "../hub/pipe.ts"
import { perThread } from "../memory/perThread.ts"
import {
  accepts,
  arrivedAt,
  attach,
  close,
  detach,
  freshLuggage,
  giveUp,
  hasWords,
  hear,
  inboxSize,
  isNoLine,
  Kind,
  makeEnd,
  mayAttach,
  nextFrame,
  offer,
  offeredAt,
  pack,
  resumeOf,
  take
} from "./end.ts"
import type { Frame, Luggage, Nature, Resume } from "./end.ts"
import { forsakeMessage } from "./message.ts"
import type { Message } from "./message.ts"
import { makeLine } from "./state.ts"
import type { Candidate, Handing, Line, PipeReference, Sender, Why } from "./state.ts"
import { makeWires, socketWire } from "./wire.ts"
import type { Ear, Wire } from "./wire.ts"

export type { Line, Why }

/** The ends of this process that the other end may come to, by ticket. */
const lines = perThread("lines", () => new Map<string, Line>())

const patienceMillis = 10_000
/** How long what was sent before the end of a scope may be on its way. */
const farewellMillis = 1000

const linkOf = ({ pipe: { hub } }: Line): Link => hub === undefined ? ownHub().link : linkTo(hub)

// ---------------------------------------------------------------------------------------------------- making, opening

/** Says at the hub that it is here. */
const begin = (line: Line): void => {
  if (line.end.over) {
    line.isFinished = true
    return
  }
  lines.set(line.ticket, line)
  line.home?.add(line.resident)
  line.unexpect = ownHub().expect(line.ticket, (socket) => void addCandidate(line, socket, undefined))
  claim(line)
}

/** Both ends of a new pipe, and how to end it. */
export const makePipe = (
  natures: readonly [Nature, Nature]
): { readonly lines: readonly [Line, Line]; readonly release: () => void } => {
  const hub = ownHub()
  const object = hub.put(makePipeObject)
  const make = (nature: Nature): Line => {
    const line = makeLine({ hub: undefined, object }, nature, freshLuggage, undefined, closeLine)
    begin(line)
    return line
  }
  return { lines: [make(natures[0]), make(natures[1])], release: () => hub.remove(object) }
}

/** What crosses instead of an end. */
export interface EndData {
  readonly hub: Address
  readonly object: number
  readonly nature: Nature
  readonly luggage: Luggage
}

const referenceOf = ({ hub, object }: Pick<EndData, "hub" | "object">): PipeReference => ({
  hub: ownHub().isAt(hub) ? undefined : hub,
  object
})

export const openEnd = (data: EndData): Line => {
  const line = makeLine(referenceOf(data), data.nature, data.luggage, householdNow(), closeLine)
  begin(line)
  return line
}

/** It crosses as bytes of its own, and what was given away with it cannot be told of any more from here. */
const packed = ({ bytes, tag }: Message): Message => ({
  tag,
  bytes: bytes.byteLength === bytes.buffer.byteLength && bytes.constructor === Uint8Array
    ? bytes
    : new Uint8Array(bytes)
})

/** It leaves. It has to be open. */
export const sendAway = (line: Line): EndData => {
  const { hub, object } = line.pipe
  const luggage = pack(line.end)
  const data: EndData = {
    hub: hub ?? ownHub().address(),
    object,
    nature: line.nature,
    luggage: { ...luggage, outbox: luggage.outbox.map(packed), inbox: luggage.inbox.map(packed) }
  }
  flush(line)
  return data
}

/** It has not left after all. */
export const comeBack = (line: Line, { luggage }: EndData): void => {
  line.end = makeEnd(line.nature, luggage)
  line.ticket = newTicket()
  line.met = undefined
  line.isFinished = false
  begin(line)
}

/** It has left, was never opened, and never will be. */
export const forsakeEnd = (data: EndData): void => {
  const { luggage, nature: { side }, object } = data
  const { hub } = referenceOf(data)
  const leaving: Leaving = { side, epoch: luggage.epoch }
  const link = hub === undefined ? ownHub().link : linkTo(hub)
  link.tell(object, "forsake", leaving)
  for (const message of luggage.inbox) forsakeMessage(message)
  for (const message of luggage.outbox) forsakeMessage(message)
}

/** Is it an end of the same pipe? */
export const isOfSamePipe = ({ pipe: one }: Line, { pipe: other }: Line): boolean =>
  one.object === other.object && one.hub?.path === other.hub?.path

// ---------------------------------------------------------------------------------------------------- the hub

/** Asks what is to be done: the answer comes when there is something. */
const claim = (line: Line, failed = false): void => {
  line.withdraw?.()
  line.withdraw = undefined
  line.isAsking = true
  const question = ++line.question
  const { met, nature: { side }, pipe: { hub }, ticket } = line
  const claiming: Claiming = {
    side,
    epoch: line.end.epoch,
    door: hub === undefined ? undefined : ownHub().address(),
    ticket,
    met,
    failed
  }
  const withdraw = linkOf(line).ask(line.pipe.object, "claim", claiming, (outcome) => {
    if (line.question !== question) return
    line.withdraw = undefined
    line.isAsking = false
    hearHub(line, outcome)
  })
  if (line.question === question && line.isAsking) line.withdraw = () => withdraw(() => {})
}

const hearHub = (line: Line, outcome: Outcome): void => {
  if (outcome._tag === "Closed") return scopeEnded(line)
  if (outcome._tag === "Withdrawn") return
  const told = outcome.value as Told // our own object answers
  if (told._tag === "Dial") return dial(line, told)
  // what the other side has said last may still be on its way here
  if (line.wire !== undefined || line.candidates.size > 0) return
  giveUp(line.end, "ended")
  settle(line)
}

/** There is always a question, unless the answer was that it is over; then it is asked again when the wire has ended. */
const askAgain = (line: Line): void => {
  if (!line.isFinished && !line.isAsking && line.wire === undefined && line.candidates.size === 0) claim(line)
}

const dial = (line: Line, { door, ticket }: Extract<Told, { readonly _tag: "Dial" }>): void => {
  const { hub } = line.pipe
  const at = door ?? hub
  line.met = ticket
  if (at !== undefined && !ownHub().isAt(at)) {
    const wire = addCandidate(line, knock(at, ticket), ticket)
    wire.write([resumeOf(line.end)])
    return claim(line)
  }
  const other = lines.get(ticket)
  const isMet = other !== undefined && meetHere(line, other)
  if (!line.isFinished) claim(line, !isMet)
}

/** Nobody opened there, or not to us: it may have moved, and then the hub knows more. */
const dialFailed = (line: Line, ticket: string): void => {
  if (line.wire === undefined && !line.isFinished) claim(line, ticket === line.met)
}

/** The scope of the pipe has ended, or its process. What is on its way may arrive; nothing more is sent. */
const scopeEnded = (line: Line): void => {
  line.isHubGone = true
  if (line.isFinished) return
  const { end } = line
  if (end.local === "open") close(end, "scope")
  else if (line.wire === undefined) giveUp(end, "scope")
  settle(line)
  if (line.isFinished) return
  const timer = setTimeout(() => {
    if (line.end !== end || line.isFinished) return
    giveUp(end, "scope")
    settle(line)
  }, farewellMillis)
  timer.unref()
}

// ---------------------------------------------------------------------------------------------------- wires

const addCandidate = (line: Line, socket: Socket, dialed: string | undefined): Wire => {
  const wire = socketWire(socket, earOf(line))
  // a process that computes answers late, and one that has died closes the socket: who has dialed can wait
  const timer = dialed === undefined ? setTimeout(() => wire.destroy(), patienceMillis).unref() : undefined
  line.candidates.set(wire, { dialed, arrived: arrivedAt(line.end), endPatience: () => clearTimeout(timer) })
  return wire
}

const earOf = (line: Line): Ear => ({
  onFrames: (wire, frames) => onFrames(line, wire, frames),
  onFlushed: () => settle(line),
  onClose: (wire) => onClose(line, wire)
})

/** One that knocks again has given up where it knocked before. */
const admits = (line: Line, resume: Resume): boolean => {
  if (line.end.wire && !line.isConfirmed && resume.epoch >= line.end.peerEpoch) detach(line.end)
  return mayAttach(line.end, resume)
}

/** Both are in this process. */
const meetHere = (line: Line, other: Line): boolean => {
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
const flush = (line: Line): void => {
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
  line.question++
  line.withdraw?.()
  line.withdraw = undefined
  line.isAsking = false
  lines.delete(line.ticket)
  line.home?.delete(line.resident)
  line.unexpect?.()
  line.unexpect = undefined
  for (const [wire, { endPatience }] of line.candidates) {
    endPatience()
    wire.destroy()
  }
  line.candidates.clear()
  line.wire?.end()
  line.wire = undefined
  const leaving: Leaving = { side: line.nature.side, epoch: line.end.epoch }
  if (!line.isHubGone) {
    linkOf(line).tell(line.pipe.object, line.end.local === "moved" ? "release" : "leave", leaving)
  }
  wakeSoon(line)
}

// ---------------------------------------------------------------------------------------------------- whoever waits

/** Something has changed. */
const settle = (line: Line): void => {
  flush(line)
  wakeSoon(line)
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
}

/** Those who wait until what was sent has left. */
const leavers = new Set<() => void>()
const leaveMillis = 10_000

/** Does it hold what the other side has to have, and has not? What this process has made ends with it anyway. */
const holdsBack = ({ end, isConfirmed, isFinished, pipe, wire }: Line): boolean =>
  pipe.hub !== undefined && !isFinished && end.outbox.length > 0 &&
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

export const whyNotSend = ({ end: { local, peer, sends } }: Line): Why | undefined => {
  if (!sends) return "direction"
  if (local !== "open") return local
  return peer === "here" ? undefined : peer
}

/**
 * Is what was offered safe? It is, when this process may end now: it is with the system, or was consumed. Where the pipe
 * was made that is not asked: when that process ends, so does the pipe.
 */
const isHanded = ({ end, isConfirmed, pipe, wire }: Line, until: number): boolean =>
  pipe.hub === undefined || end.acked >= until ||
  (end.wire && isConfirmed && end.written >= until && wire?.isFlushed() === true)

/** May a message be offered at once? Nobody is passed by. */
export const hasRoom = (line: Line): boolean => line.senders.size === 0 && accepts(line.end)

/** Offers it, where there is room: is it safe at once? */
export const sendNow = (line: Line, message: Message): "safe" | "unsafe" | "full" =>
  hasRoom(line) ? sendTo(line, message) : "full"

const sendTo = (line: Line, message: Message): "safe" | "unsafe" => {
  offer(line.end, message)
  if (line.pipe.hub === undefined) flushSoon(line)
  else flush(line)
  return isHanded(line, offeredAt(line.end)) ? "safe" : "unsafe"
}

/** Several messages on their way as one: offers it, and leaves it to {@link whenHanded}. Only where it {@link hasRoom}. */
export const offerTo = (line: Line, message: Message): void => {
  offer(line.end, message)
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
  return () => void line.handing.delete(handing)
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
  return () => line.senders.delete(sender)
}

// ---------------------------------------------------------------------------------------------------- receiving

/** Why there is nothing to receive, now and ever; undefined while there is or may be. */
export const whyNotReceive = ({ end }: Line): Why | undefined => {
  if (!end.receives) return "direction"
  if (end.local === "closed" || end.local === "moved") return end.local
  if (inboxSize(end) > 0 || !end.over) return undefined
  return end.peer === "here" ? "scope" : end.peer
}

const isReady = (line: Line): boolean => inboxSize(line.end) > 0 || whyNotReceive(line) !== undefined

export const hasMessage = ({ end }: Line): boolean => end.local !== "closed" && inboxSize(end) > 0

/** The next message. */
export const receive = (line: Line): Message | undefined => {
  const message = take(line.end)
  if (message !== undefined && hasWords(line.end)) flushSoon(line)
  return message
}

/** Calls back once there is a message, or never will be. What is given stops the waiting. */
export const whenReady = (line: Line, set: "receivers" | "watchers", callback: () => void): () => void => {
  line[set].add(callback)
  if (isReady(line)) wakeSoon(line)
  return () => void line[set].delete(callback)
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
export const borderThrough = (line: Line): Border => ({ sharesMemory: false, through: line })
