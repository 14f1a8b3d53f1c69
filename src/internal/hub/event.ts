/**
 * An event, in the hub of its owner: the word in shared bytes, and who waits. Whoever finds that nobody waits sets and clears
 * the word alone; while somebody waits, setting is for the hub.
 */
import { notUnderstood } from "./link.ts"
import type { HubObject } from "./link.ts"

export const eventBytes = 4

/** What the word says. */
export const State = {
  Clear: 0,
  Set: 1,
  Closed: 2,
  /** Not set, and somebody waits at the hub. */
  Awaited: 3
} as const

/** Sets it, where nobody waits who has to be told. */
export const setAlone = (words: Int32Array): boolean => {
  const found = Atomics.compareExchange(words, 0, State.Clear, State.Set)
  return found === State.Clear || found === State.Set
}

/** False when it is closed. */
export const clearAlone = (words: Int32Array): boolean =>
  Atomics.compareExchange(words, 0, State.Set, State.Clear) !== State.Closed

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

  const leave = (letGo: () => void): void => {
    waiting.delete(letGo)
    if (waiting.size === 0) Atomics.compareExchange(words, 0, State.Awaited, State.Clear)
  }

  /** The word says so before anybody waits: whoever sets it afterwards comes here. */
  const wait = (letGo: () => void): (() => void) | undefined => {
    if (Atomics.compareExchange(words, 0, State.Clear, State.Awaited) === State.Set) {
      letGo()
      return undefined
    }
    waiting.add(letGo)
    return () => leave(letGo)
  }

  return {
    call: (_, operation, __, answer) => {
      if (operation === "wait") return wait(() => answer(undefined))
      if (operation === "set") set()
      else if (operation === "clear") clearAlone(words)
      else if (operation !== "isSet") throw notUnderstood("event", operation)
      answer(isSet())
      return undefined
    },
    gone: () => {}
  }
}
