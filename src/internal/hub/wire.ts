/**
 * What is said on a connection to a hub.
 */
import type { Outcome } from "./link.ts"

export const Word = { Ask: 1, Withdraw: 2, Welcome: 3, Outcome: 4 } as const

/** A question with the number 0 is not answered. */
export type ToHub =
  | readonly [typeof Word.Ask, request: number, object: number, operation: string, argument: unknown]
  | readonly [typeof Word.Withdraw, request: number]

export type ToPeer =
  | readonly [typeof Word.Welcome, slot: number]
  | readonly [typeof Word.Outcome, request: number, outcome: Outcome]

/** What is said in one turn travels as one message. */
export const coalesced = <A>(post: (batch: ReadonlyArray<A>) => void): (message: A) => void => {
  let outbox: Array<A> = []
  const flush = (): void => {
    const batch = outbox
    outbox = []
    post(batch)
  }
  return (message) => {
    if (outbox.push(message) === 1) queueMicrotask(flush)
  }
}
