/**
 * What there is of an end in a process. What is done with it stands in `line.ts`.
 */
import type { Household } from "../handles/handle.ts"
import { newTicket } from "../hub/door.ts"
import type { Address } from "../hub/door.ts"
import { makeEnd } from "./end.ts"
import type { End, Luggage, Nature } from "./end.ts"
import type { FrameTooLarge } from "../protocol/frames.ts"
import type { Message } from "./message.ts"
import type { Wire } from "./wire.ts"

export interface PipeReference {
  /** Undefined in the process that made it. */
  readonly hub: Address | undefined
  readonly object: number
}

/** What is behind a line: where the other end is looked for while there is no wire to it. */
export interface Behind {
  /** Only an end of a pipe can be sent away. */
  readonly pipe: PipeReference | undefined
  /** The other end may be there when this process has ended: what was sent is safe when the system has it. */
  readonly outlives: boolean
  /** The other end may be on another machine. */
  readonly isFar: boolean
  /** So many bytes may a message have that is sent. */
  readonly limit: number
  /** No wire is left, and the line is not over: looks for the other end, or gives it up. `failed`: nobody opened there. */
  readonly seek: (line: Line, failed: boolean) => void
  /** Somebody here waits for what comes, or until something has left; or nobody any more. */
  readonly hold?: (isAwaited: boolean) => void
  /** Looks no more. */
  readonly stop: (line: Line) => void
  /** Nothing will be said or heard any more; that is told where it matters. */
  readonly leave: (line: Line) => void
}

export interface Line {
  readonly behind: Behind
  readonly nature: Nature
  /** The child without a process of its own that has it. */
  readonly home: Household | undefined
  readonly resident: { readonly leave: () => void }
  /** So many objects stand for it, where it is not the pipe's scope that closes it. */
  faces: number
  end: End
  ticket: string
  /** That of the other side, which it was told to dial. */
  met: string | undefined
  wire: Wire | undefined
  /** The other end knows that it is at this wire: whoever was dialed learns that by what follows the first word. */
  isConfirmed: boolean
  /** Wires on which the other end has not said who it is. */
  readonly candidates: Map<Wire, Candidate>
  /** How to withdraw the question that the hub has, and its number. */
  withdraw: (() => void) | undefined
  question: number
  isAsking: boolean
  unexpect: (() => void) | undefined
  isHubGone: boolean
  /** What has ended it: the other side announced a message that is too large. */
  tooLarge: FrameTooLarge | undefined
  isFinished: boolean
  isWaking: boolean
  isFlushing: boolean
  isHeld: boolean
  /** In the order of their coming. */
  readonly receivers: Set<() => void>
  readonly watchers: Set<() => void>
  readonly senders: Set<Sender>
  /** Those whose message is accepted, and not yet with the system. */
  readonly handing: Set<Handing>
}

export interface Candidate {
  /** The ticket, where it was this side that knocked. */
  readonly dialed: string | undefined
  /** What we have said, or will say, has arrived here. */
  readonly arrived: number
  readonly endPatience: () => void
}

/** Why an end cannot be used, or not any more. */
export type Why = "closed" | "moved" | "scope" | "ended" | "direction" | "tooLarge"

export interface Sender {
  /** In sight while it waits. */
  readonly holder: object
  readonly message: Message
  readonly done: (why: Why | undefined) => void
}

export interface Handing {
  /** The number of the message behind it. */
  readonly until: number
  readonly done: (why: Why | undefined) => void
}

export const makeLine = (
  behind: Behind,
  nature: Nature,
  luggage: Luggage,
  home: Household | undefined,
  close: (line: Line) => void
): Line => {
  const line: Line = {
    behind,
    nature,
    home,
    resident: { leave: () => close(line) },
    faces: 0,
    end: makeEnd(nature, luggage),
    ticket: newTicket(),
    met: undefined,
    wire: undefined,
    isConfirmed: false,
    candidates: new Map(),
    withdraw: undefined,
    question: 0,
    isAsking: false,
    unexpect: undefined,
    isHubGone: false,
    tooLarge: undefined,
    isFinished: false,
    isWaking: false,
    isFlushing: false,
    isHeld: false,
    receivers: new Set(),
    watchers: new Set(),
    senders: new Set(),
    handing: new Set()
  }
  return line
}
