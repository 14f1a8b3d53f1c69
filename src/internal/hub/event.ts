/**
 * An event, in the hub of its owner: the word in shared bytes that everybody reads and only the hub writes, and who waits.
 */
import type { HubObject } from "./link.ts"

export const eventBytes = 4

/** What the word says. */
export const State = { Clear: 0, Set: 1, Closed: 2 } as const

export const makeEventObject = (words: Int32Array) => (): HubObject => {
  const waiting = new Set<() => void>()
  const isSet = (): boolean => Atomics.load(words, 0) === State.Set

  /** All who wait are let go, also when it is cleared at once. */
  const set = (): void => {
    Atomics.store(words, 0, State.Set)
    const all = [...waiting]
    waiting.clear()
    for (const letGo of all) letGo()
  }

  const wait = (letGo: () => void): (() => void) | undefined => {
    if (isSet()) {
      letGo()
      return undefined
    }
    waiting.add(letGo)
    return () => void waiting.delete(letGo)
  }

  return {
    call: (_, operation, __, answer) => {
      if (operation === "wait") return wait(() => answer(undefined))
      if (operation === "set") set()
      if (operation === "clear") Atomics.store(words, 0, State.Clear)
      answer(isSet())
      return undefined
    },
    gone: () => {}
  }
}
