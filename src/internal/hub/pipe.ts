/**
 * Where the holders of a pipe's two ends find each other. Each claims its side and says at which door it is at home; the
 * later of two is told to knock there. A holder that does not have to do anything waits for its answer: it comes when
 * that changes, or when the other side is over.
 */
import type { Address } from "./door.ts"
import { malformed, notUnderstood } from "./link.ts"
import type { HubObject, Peer } from "./link.ts"

type Side = 0 | 1

export interface Claiming {
  readonly side: Side
  /** How often the end has moved: whoever has it now comes after those who had it. */
  readonly epoch: number
  /** Undefined for the hub's own process. */
  readonly door: Address | undefined
  /** By which the door knows the end. New whenever it has moved. */
  readonly ticket: string
  /** The ticket of the other side that it was told to dial last. */
  readonly met?: string | undefined
  /** Nobody opened there. */
  readonly failed?: boolean | undefined
}

/** `leave`: the holder is through with it. `forsake`: it was given away and never opened. `release`: it was given away. */
export interface Leaving {
  readonly side: Side
  readonly epoch: number
}

export type Told =
  | { readonly _tag: "Dial"; readonly door: Address | undefined; readonly ticket: string }
  /** The other side will never come, or has gone. */
  | { readonly _tag: "Over" }

const isLeaving = (value: unknown): value is Leaving => {
  const { epoch, side } = (value ?? {}) as Partial<Leaving>
  return (side === 0 || side === 1) && Number.isSafeInteger(epoch)
}

const isAddress = (value: unknown): value is Address => {
  const { path, secret } = (value ?? {}) as Partial<Address>
  return typeof path === "string" && typeof secret === "string"
}

/** The other side will knock where it says. */
const isClaiming = (value: unknown): value is Claiming => {
  const { door, ticket } = (value ?? {}) as Partial<Claiming>
  return isLeaving(value) && typeof ticket === "string" && (door === undefined || isAddress(door))
}

interface Claim extends Omit<Claiming, "side" | "failed"> {
  readonly peer: Peer
  answer: ((told: Told) => void) | undefined
}

interface SideState {
  claim: Claim | undefined
  /** It is over with holders up to this epoch. */
  overUntil: number
  /** Somebody has it, or will have it, with this epoch. */
  known: number
}

/** Two holders that have been made known to each other. */
interface Meeting {
  readonly tickets: readonly [string, string]
  dialer: Side
  /** The one has failed, and now the other tries. */
  swapped: boolean
}

const otherThan = (side: Side): Side => side === 0 ? 1 : 0

const over: Told = { _tag: "Over" }

export const makePipeObject = (): HubObject => {
  const sides: readonly [SideState, SideState] = [
    { claim: undefined, overUntil: -1, known: 0 },
    { claim: undefined, overUntil: -1, known: 0 }
  ]
  let meeting: Meeting | undefined

  const tell = (side: Side, told: Told): boolean => {
    const claim = sides[side].claim
    const answer = claim?.answer
    if (claim === undefined || answer === undefined) return false
    claim.answer = undefined
    answer(told)
    return true
  }

  const isOver = (side: Side): boolean => sides[side].claim === undefined && sides[side].overUntil >= 0

  /** Makes the two known to each other, or goes on with that. `newcomer` has just claimed. */
  const meet = (newcomer: Side): void => {
    const [first, second] = [sides[0].claim, sides[1].claim]
    if (first === undefined || second === undefined) return
    if (meeting?.tickets[0] !== first.ticket || meeting.tickets[1] !== second.ticket) {
      meeting = { tickets: [first.ticket, second.ticket], dialer: newcomer, swapped: false }
    }
    const { dialer } = meeting
    const [caller, { door, ticket }] = dialer === 0 ? [first, second] : [second, first]
    // it has heard that when it says so: an answer to a question that was withdrawn is heard by nobody
    if (caller.met !== ticket) tell(dialer, { _tag: "Dial", door, ticket })
  }

  const leave = (side: Side, epoch: number): void => {
    const state = sides[side]
    if (state.claim !== undefined && state.claim.epoch > epoch) return
    state.claim = undefined
    state.overUntil = Math.max(state.overUntil, epoch)
    tell(otherThan(side), over)
  }

  /** It could not reach the other. Then the other tries; where that fails too they are lost to each other. */
  const fail = (side: Side, ticket: string | undefined): void => {
    if (meeting === undefined || meeting.tickets[otherThan(side)] !== ticket || meeting.dialer !== side) return
    if (meeting.swapped) {
      const epochs = sides.map(({ claim: held }) => held?.epoch ?? 0)
      for (const each of [0, 1] as const) tell(each, over)
      for (const each of [0, 1] as const) leave(each, epochs[each]!)
    } else {
      meeting.swapped = true
      meeting.dialer = otherThan(side)
    }
  }

  const claim = (
    peer: Peer,
    { door, epoch, failed, met, side, ticket }: Claiming,
    answer: (told: Told) => void
  ): (() => void) | undefined => {
    const state = sides[side]
    if (epoch <= state.overUntil || epoch < (state.claim?.epoch ?? 0)) {
      answer(over)
      return undefined
    }
    const mine: Claim = { peer, epoch, door, ticket, met, answer }
    state.claim = mine
    state.known = Math.max(state.known, epoch)
    if (failed === true) fail(side, met)
    if (isOver(otherThan(side))) tell(side, over)
    else meet(side)
    return () => {
      mine.answer = undefined
    }
  }

  const release = (side: Side, epoch: number): void => {
    const state = sides[side]
    if (state.claim?.epoch === epoch) state.claim = undefined
    state.known = Math.max(state.known, epoch + 1)
  }

  const forsake = (side: Side, epoch: number): void => {
    const { claim: held, known } = sides[side]
    if (known <= epoch && held?.epoch !== epoch) leave(side, epoch)
  }

  return {
    call: (peer, operation, argument, answer) => {
      if (operation === "claim") {
        if (!isClaiming(argument)) throw malformed("pipe", operation)
        return claim(peer, argument, answer)
      }
      if (!["leave", "release", "forsake"].includes(operation)) throw notUnderstood("pipe", operation)
      if (!isLeaving(argument)) throw malformed("pipe", operation)
      const { epoch, side } = argument
      if (operation === "leave") leave(side, epoch)
      else if (operation === "release") release(side, epoch)
      else forsake(side, epoch)
      answer(undefined)
      return undefined
    },
    gone: ({ slot }) => {
      for (const side of [0, 1] as const) {
        const { claim: held } = sides[side]
        if (held?.peer.slot === slot) leave(side, held.epoch)
      }
    }
  }
}
