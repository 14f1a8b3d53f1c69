/**
 * Those who wait for a notification, in the hub of the condition's owner.
 *
 * ```
 * enter -> token     while the lock is held: from now on a notification counts
 * wait(token)        after the lock was given up; answered when it is notified
 * leave(token)       it has the lock again, and goes on: the notification is used up
 * quit(token)        it was interrupted, or failed: a notification that it had goes to the next
 * ```
 *
 * A process that dies quits.
 */
import { notUnderstood } from "./link.ts"
import type { HubObject } from "./link.ts"

interface Waiter {
  readonly slot: number
  isNotified: boolean
  wake: (() => void) | undefined
}

export const makeConditionObject = (): HubObject => {
  /** In the order in which they came. */
  const waiters = new Map<number, Waiter>()
  let lastToken = 0

  const notify = (count: number): void => {
    let rest = count
    for (const waiter of waiters.values()) {
      if (rest === 0) return
      if (waiter.isNotified) continue
      rest--
      waiter.isNotified = true
      waiter.wake?.()
    }
  }

  const enter = (slot: number): number => {
    waiters.set(++lastToken, { slot, isNotified: false, wake: undefined })
    return lastToken
  }

  const wait = (token: number, wake: () => void): (() => void) | undefined => {
    const waiter = waiters.get(token)
    if (waiter === undefined || waiter.isNotified) {
      wake()
      return undefined
    }
    waiter.wake = wake
    return () => {
      waiter.wake = undefined // whoever withdraws it quits
    }
  }

  /** How many notifications it had. */
  const remove = (token: number): number => {
    const had = waiters.get(token)?.isNotified === true ? 1 : 0
    waiters.delete(token)
    return had
  }

  /** What is answered at once. */
  const reply = (slot: number, operation: string, number: number): unknown => {
    switch (operation) {
      case "enter":
        return enter(slot)
      case "notify":
        return notify(number)
      case "leave":
        return void remove(number)
      case "quit":
        return notify(remove(number))
      default:
        throw notUnderstood("condition", operation)
    }
  }

  return {
    call: ({ slot }, operation, argument, answer) => {
      const number = argument as number // a token or a count, as our own code sends it
      if (operation === "wait") return wait(number, () => answer(undefined))
      answer(reply(slot, operation, number))
      return undefined
    },
    gone: ({ slot }) => {
      // all of them first: none of its own is the next
      const tokens = Array.from(waiters).flatMap(([token, waiter]) => waiter.slot === slot ? [token] : [])
      notify(tokens.reduce((sum, token) => sum + remove(token), 0))
    }
  }
}
