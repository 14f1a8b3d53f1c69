/**
 * What is said on a connection to a hub.
 */
import { isFrameTooLarge } from "../protocol/frames.ts"
import type { Outcome } from "./link.ts"

export const Word = { Ask: 1, Withdraw: 2, Welcome: 3, Outcome: 4 } as const

/** A question with the number 0 is not answered. */
export type ToHub =
  | readonly [typeof Word.Ask, request: number, object: number, operation: string, argument: unknown]
  | readonly [typeof Word.Withdraw, request: number]

/** What a peer has said is a question, or takes one back. What it asks for is the object's to judge. */
export const isToHub = (said: unknown): said is ToHub => {
  if (!Array.isArray(said) || typeof said[1] !== "number") return false
  return said[0] === Word.Withdraw ||
    (said[0] === Word.Ask && typeof said[2] === "number" && typeof said[3] === "string")
}

export type ToPeer =
  | readonly [typeof Word.Welcome, slot: number]
  | readonly [typeof Word.Outcome, request: number, outcome: Outcome]

export interface Outbox<A> {
  /** What is said in one turn travels as one message. */
  readonly say: (message: A) => void
  /** With what has been said before, now: whoever says it may compute next, and others wait for it. */
  readonly sayNow: (message: A) => void
}

export const makeOutbox = <A>(post: (batch: ReadonlyArray<A>) => void): Outbox<A> => {
  let outbox: Array<A> = []
  /** What is too large together goes one by one. */
  const postAll = (batch: ReadonlyArray<A>): void => {
    try {
      post(batch)
    } catch (cause) {
      if (batch.length === 1 || !isFrameTooLarge(cause)) throw cause
      for (const message of batch) post([message])
    }
  }
  const flush = (): void => {
    if (outbox.length === 0) return
    const batch = outbox
    outbox = []
    postAll(batch)
  }
  return {
    say: (message) => {
      if (outbox.push(message) === 1) queueMicrotask(flush)
    },
    sayNow: (message) => {
      outbox.push(message)
      flush()
    }
  }
}
