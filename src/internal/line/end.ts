/**
 * One end of a pipe as a state machine, without input or output: what was sent and is not yet consumed over there, what has
 * come and is not yet consumed here, and what has to be said next. The README beside this file draws it.
 */
import { Kind, noLine } from "./header.ts"
import type { Message } from "./message.ts"

export { isNoLine, Kind, noLine } from "./header.ts"

/** Why an end is closed: by its holder, or because the scope of the pipe has ended. */
export type Ending = "closed" | "scope"

export interface Resume {
  readonly kind: typeof Kind.Resume
  /** How often the end has moved. */
  readonly epoch: number
  /** So many messages were consumed, and so many have arrived: what comes next is the message with that number. */
  readonly consumed: number
  readonly arrived: number
}

export type Frame =
  | Resume
  | { readonly kind: typeof Kind.Data; readonly messages: ReadonlyArray<Message> }
  | { readonly kind: typeof Kind.Ack; readonly consumed: number }
  | { readonly kind: typeof Kind.Moved }
  | { readonly kind: typeof Kind.Bye; readonly ending: Ending }
  | { readonly kind: typeof Kind.Over }

/** So many bytes may be unconsumed before nothing more is accepted; the message that exceeds it is. */
export const windowBytes = 1024 * 1024

export type Side = 0 | 1

/** What never changes about an end, wherever it is. */
export interface Nature {
  readonly side: Side
  readonly capacity: number
  readonly sends: boolean
  readonly receives: boolean
}

/** What moves with an end. */
export interface Luggage {
  readonly epoch: number
  readonly peerEpoch: number
  readonly acked: number
  readonly outbox: ReadonlyArray<Message>
  readonly consumed: number
  readonly inbox: ReadonlyArray<Message>
  readonly peer: "here" | "ended" | "scope"
}

export interface End extends Nature {
  readonly epoch: number
  peerEpoch: number
  /** The holder's view: usable, closed by it or by the scope, or sent away. */
  local: "open" | Ending | "moved"
  /** What is known of the other end: it is there, or has ended, or the scope of the pipe has. */
  peer: "here" | "ended" | "scope"
  wire: boolean
  /** Nothing will be said or heard any more. */
  over: boolean
  /** Messages `acked` to `acked + outbox.length - 1`; those before `written` are on the wire, or were. */
  outbox: Array<Message>
  outBytes: number
  /** Of those that are not on the wire. */
  unwrittenBytes: number
  acked: number
  written: number
  /** Messages `consumed` to `arrived - 1`, from `head` on. */
  inbox: Array<Message>
  head: number
  inBytes: number
  consumed: number
  /** What the other side knows of that, and how much was consumed since. */
  told: number
  untoldBytes: number
  /** What has to be said beside messages. */
  due: "none" | "bye" | "byeSaid" | "over" | "moved"
  /** Messages that nobody will open. */
  dropped: Array<Message>
}

export const freshLuggage: Luggage = {
  epoch: 0,
  peerEpoch: 0,
  acked: 0,
  outbox: [],
  consumed: 0,
  inbox: [],
  peer: "here"
}

const sizeOf = (messages: ReadonlyArray<Message>): number => messages.reduce((sum, { size }) => sum + size, 0)

export const makeEnd = (
  { capacity, receives, sends, side }: Nature,
  { acked, consumed, epoch, inbox, outbox, peer, peerEpoch }: Luggage
): End => ({
  side,
  capacity,
  sends,
  receives,
  epoch,
  peerEpoch,
  local: "open",
  peer,
  wire: false,
  over: peer !== "here",
  outbox: [...outbox],
  outBytes: sizeOf(outbox),
  unwrittenBytes: sizeOf(outbox),
  acked,
  written: acked,
  inbox: [...inbox],
  head: 0,
  inBytes: sizeOf(inbox),
  consumed,
  told: consumed,
  untoldBytes: 0,
  due: "none",
  dropped: []
})

export const inboxSize = ({ head, inbox }: End): number => inbox.length - head

export const arrivedAt = (end: End): number => end.consumed + inboxSize(end)

export const offeredAt = ({ acked, outbox }: End): number => acked + outbox.length

// ---------------------------------------------------------------------------------------------------- the holder

/** Is there room for a message? */
export const accepts = ({ capacity, local, outBytes, outbox, peer, sends }: End): boolean =>
  sends && local === "open" && peer === "here" && outbox.length < capacity && outBytes < windowBytes

/** Only where it {@link accepts} one. */
export const offer = (end: End, message: Message): void => {
  end.outbox.push(message)
  end.outBytes += message.size
  end.unwrittenBytes += message.size
}

/** The next message, where there is one that may be read. */
export const firstOf = ({ head, inbox, local }: End): Message | undefined =>
  local === "closed" || local === "moved" ? undefined : inbox[head]

/** Takes it. */
export const take = (end: End): Message | undefined => {
  const message = firstOf(end)
  if (message === undefined) return undefined
  end.inbox[end.head++] = undefined as unknown as Message // nobody looks before the head: what was taken is let go
  if (end.head === end.inbox.length || end.head === 1024) {
    end.inbox.splice(0, end.head)
    end.head = 0
  }
  end.inBytes -= message.size
  end.consumed++
  end.untoldBytes += message.size
  return message
}

const dropInbox = (end: End): void => {
  end.dropped.push(...end.inbox.slice(end.head))
  end.inbox = []
  end.head = 0
  end.inBytes = 0
}

const dropOutbox = (end: End): void => {
  end.dropped.push(...end.outbox)
  end.outbox = []
  end.outBytes = 0
  end.unwrittenBytes = 0
}

/** The holder closes it: what it has sent still goes, what it has not read is lost. Or the scope ends: that may be read. */
export const close = (end: End, ending: Ending): void => {
  if (end.local !== "open") return
  end.local = ending
  if (ending === "closed") dropInbox(end)
  if (end.over) return
  if (end.wire) end.due = "bye"
  else if (ending === "scope") giveUp(end, "scope")
  // what was sent waits for whoever comes
  else if (end.outbox.length === 0) end.over = true
}

/** It goes to another process, with all that has to be known there. Only an open one. */
export const pack = (end: End): Luggage => {
  const luggage: Luggage = {
    epoch: end.epoch + 1,
    peerEpoch: end.peerEpoch,
    acked: end.acked,
    outbox: end.outbox,
    consumed: end.consumed,
    inbox: end.inbox.slice(end.head),
    peer: end.peer
  }
  end.local = "moved"
  end.outbox = []
  end.inbox = []
  end.head = 0
  if (end.wire && !end.over) end.due = "moved"
  else end.over = true
  return luggage
}

/** The other end will never be heard of again. */
export const giveUp = (end: End, peer: "ended" | "scope"): void => {
  end.wire = false
  end.over = true
  end.due = "none"
  dropOutbox(end)
  if (end.peer === "here") end.peer = peer
}

// ---------------------------------------------------------------------------------------------------- the wire

/** What is said first on a wire. */
export const resumeOf = (end: End): Resume => {
  end.told = end.consumed
  end.untoldBytes = 0
  return { kind: Kind.Resume, epoch: end.epoch, consumed: end.consumed, arrived: arrivedAt(end) }
}

/** May the one that says this be the other end? One that has moved on comes before one that is there. */
export const mayAttach = (end: End, { arrived, consumed, epoch }: Resume): boolean =>
  !end.over && end.local !== "moved" && (end.wire ? epoch > end.peerEpoch : epoch >= end.peerEpoch) &&
  consumed >= end.acked && arrived >= consumed && arrived <= offeredAt(end)

/** The other end is at this wire. Its Resume has been said, ours has or will be. */
export const attach = (end: End, { arrived, consumed, epoch }: Resume): void => {
  end.peerEpoch = epoch
  end.wire = true
  acknowledge(end, consumed)
  end.written = arrived
  end.unwrittenBytes = sizeOf(end.outbox.slice(arrived - end.acked))
  end.due = end.local === "open" ? "none" : "bye"
}

/** The wire is gone, and the other end is not: it comes again, or another holder of it. */
export const detach = (end: End): void => {
  end.wire = false
  end.due = "none"
  if (end.local === "scope") giveUp(end, "scope")
}

const acknowledge = (end: End, consumed: number): void => {
  const gone = end.outbox.splice(0, consumed - end.acked)
  end.outBytes -= sizeOf(gone)
  end.acked = consumed
}

/** Enough was consumed that the other side should know: half of what it may have out. */
const isAckDue = ({ capacity, consumed, told, untoldBytes }: End): boolean =>
  consumed > told && (2 * (consumed - told) >= capacity || 2 * untoldBytes >= windowBytes)

/** Enough was offered that the other side should begin: a quarter of what may be out. */
export const isWriteDue = (end: End): boolean =>
  4 * (offeredAt(end) - end.written) >= end.capacity || 4 * end.unwrittenBytes >= windowBytes

/** Is there something to say besides what was offered? */
export const hasWords = (end: End): boolean =>
  end.wire && (end.due !== "none" && end.due !== "byeSaid" || isAckDue(end))

/** What is to be said next; undefined where nothing is. */
export const nextFrame = (end: End): Frame | undefined => {
  if (!end.wire) return undefined
  if (end.due === "moved") {
    end.wire = false
    end.over = true
    end.due = "none"
    return { kind: Kind.Moved }
  }
  // before the end is told, how far it was read: what the other side has to mourn depends on it
  if (isAckDue(end) || (end.due === "bye" && end.told < end.consumed)) {
    end.told = end.consumed
    end.untoldBytes = 0
    return { kind: Kind.Ack, consumed: end.consumed }
  }
  const messages = end.outbox.slice(end.written - end.acked)
  if (messages.length > 0) {
    end.written += messages.length
    end.unwrittenBytes = 0
    return { kind: Kind.Data, messages }
  }
  if (end.due === "over") {
    end.wire = false
    end.over = true
    end.due = "none"
    return { kind: Kind.Over }
  }
  if (end.due !== "bye") return undefined
  end.due = "byeSaid"
  return { kind: Kind.Bye, ending: end.local === "scope" ? "scope" : "closed" }
}

const hearData = (end: End, messages: ReadonlyArray<Message>): void => {
  if (!end.receives) throw noLine("a message to an end that does not receive")
  if (end.local === "closed" || end.local === "moved") return void end.dropped.push(...messages)
  for (const message of messages) {
    if (inboxSize(end) >= end.capacity || end.inBytes >= windowBytes) throw noLine("a message beyond the window")
    end.inbox.push(message)
    end.inBytes += message.size
  }
}

/** Throws {@link NoLine}. */
export const hear = (end: End, frame: Frame): void => {
  if (!end.wire) return // it has left, or is over: what was on its way is another's
  switch (frame.kind) {
    case Kind.Data:
      return hearData(end, frame.messages)
    case Kind.Ack:
      if (frame.consumed < end.acked || frame.consumed > end.written) throw noLine("an acknowledgement of nothing")
      return acknowledge(end, frame.consumed)
    case Kind.Moved:
      return detach(end)
    case Kind.Bye:
      end.peer = frame.ending === "scope" ? "scope" : "ended"
      // the end of a scope leaves what has arrived to be read, and what was sent before it counts as that
      if (frame.ending === "closed") dropOutbox(end)
      end.due = "over"
      return
    case Kind.Over:
      if (end.due !== "byeSaid") throw noLine("the answer to a farewell that was not said")
      end.outbox = [] // all of it is over there
      return giveUp(end, end.local === "scope" ? "scope" : "ended")
    case Kind.Resume:
      throw noLine("a beginning in the middle")
  }
}
