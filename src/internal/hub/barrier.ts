/**
 * Those who wait at a barrier, in the hub of its owner.
 *
 * ```
 * filling --the last one comes--> acting --the action has succeeded--> filling   (a round is over, all of it go)
 *    |                              |
 *    +--one withdraws, abort--------+--or the action fails--> broken --reset--> filling
 * ```
 *
 * Whoever comes while the action runs is of the next round.
 */
import { notUnderstood } from "./link.ts"
import type { HubObject } from "./link.ts"

/** A place in the round, or why there is none. */
export type Arrival = number | string

type Waiting = (arrival: Arrival) => void

/** Runs the action, and says how it has ended: why it failed. */
export type Act = (done: (failure: string | undefined) => void) => void

export const makeBarrierObject = (parties: number, act: Act | undefined) => (): HubObject => {
  /** Those of this round first. */
  let waiting: Array<Waiting> = []
  let broken: string | undefined
  let isActing = false
  let round = 0

  const letGo = (): void => {
    round++
    waiting.splice(0, parties).forEach((answer, index) => answer(index))
  }

  const turnAway = (why: string): void => {
    round++
    const all = waiting
    waiting = []
    for (const answer of all) answer(why)
  }

  const breakUp = (why: string): void => {
    broken = why
    turnAway(why)
  }

  const runAction = (run: Act): void => {
    const started = round
    isActing = true
    run((failure) => {
      isActing = false
      // a round that was given up meanwhile is not decided by it
      if (started === round) failure === undefined ? letGo() : breakUp(failure)
      proceed()
    })
  }

  const isComplete = (): boolean => !isActing && waiting.length >= parties

  const proceed = (): void => {
    while (isComplete()) act === undefined ? letGo() : runAction(act)
  }

  const wait = (answer: Waiting): (() => void) | undefined => {
    if (broken !== undefined) {
      answer(broken)
      return undefined
    }
    waiting.push(answer)
    proceed()
    return () => {
      const index = waiting.indexOf(answer)
      if (index < 0) return
      waiting.splice(index, 1)
      breakUp("one of those who waited was interrupted, or its process died")
    }
  }

  const reset = (): void => {
    broken = undefined
    turnAway("it was reset while others waited")
  }

  return {
    call: (_, operation, __, answer) => {
      if (operation === "wait") return wait(answer)
      if (operation === "waiting") {
        answer(waiting.length)
        return undefined
      }
      if (operation === "abort") breakUp("it was aborted")
      else if (operation === "reset") reset()
      else if (operation !== "isBroken") throw notUnderstood("barrier", operation)
      answer(broken !== undefined)
      return undefined
    },
    gone: () => {} // its questions have been withdrawn
  }
}
