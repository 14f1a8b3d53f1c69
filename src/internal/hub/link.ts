/**
 * How one side asks the objects of a hub, and what the answers are. Inside the owner's process the link is a call, from
 * elsewhere a connection.
 */
import type { Address } from "./door.ts"

/** An object that lives in a hub. */
export interface ObjectReference {
  readonly hub: Address
  readonly object: number
}

export type Outcome =
  | { readonly _tag: "Value"; readonly value: unknown }
  /** It was withdrawn before it was answered. */
  | { readonly _tag: "Withdrawn" }
  /** The object, or its hub, is gone. */
  | { readonly _tag: "Closed" }
  /** The object could not answer: a mistake of whoever asks, or of the object. */
  | { readonly _tag: "Failed"; readonly message: string }

/** Thrown by an object that is asked for what it does not know: whoever asks does not speak our language. */
export const notUnderstood = (what: string, operation: string): Error =>
  new Error(`A ${what} does not know what ${operation} is.`)

/** Thrown by an object before anything has come of the question: nobody else is to hear of it. */
export const malformed = (what: string, operation: string): Error =>
  new Error(`A ${what} was asked for ${operation} with something that is no argument of that.`)

export const closed: Outcome = { _tag: "Closed" }
export const withdrawn: Outcome = { _tag: "Withdrawn" }

export const failed = (cause: unknown): Outcome => ({
  _tag: "Failed",
  message: cause instanceof Error ? cause.message : String(cause)
})

/** Who asks. A number is given out once in the life of a hub. */
export interface Peer {
  readonly slot: number
  readonly pid: number
}

/** The slot of the hub's own process. */
export const ownSlot = 1

/** What an object of a hub does. It waits on nothing: whoever has to wait is answered later. */
export interface HubObject {
  /**
   * Answers once, now or later. What it gives is called when the question is withdrawn before that. Throws when it does not
   * know the operation: the answer says so, and where nobody waits for one the connection of the peer is ended.
   */
  readonly call: (
    peer: Peer,
    operation: string,
    argument: unknown,
    answer: (value: unknown) => void
  ) => (() => void) | undefined
  /** The process is gone; its questions have been withdrawn. */
  readonly gone: (peer: Peer) => void
}

export interface Link {
  /** 0 until the hub has given one: what is marked with a slot waits for {@link whenReady}. */
  readonly slot: () => number
  readonly isClosed: () => boolean
  /** Calls back once, also when the link closes; at once where there is nothing to wait for. */
  readonly whenReady: (callback: () => void) => void
  /**
   * The outcome comes once. What is given withdraws the question: when the answer was on its way already, `undo` is called
   * with it.
   */
  readonly ask: (
    object: number,
    operation: string,
    argument: unknown,
    onOutcome: (outcome: Outcome) => void
  ) => (undo: (value: unknown) => void) => void
  /** Nobody waits for the answer. */
  readonly tell: (object: number, operation: string, argument: unknown) => void
  /** In a copy of the process, where all of it is the original's: whoever asks is told that it is closed. */
  readonly abandon: () => void
}
