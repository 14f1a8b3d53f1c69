/**
 * The permits of a semaphore, in the hub of its owner: those that are free, those that a process has, and who waits.
 *
 * Every permit is in one place: free, or with a process. So what a process has comes back once, by a release of whoever, or
 * when it dies. What a process has and does not use lies idle in its word, where the hub takes it away for others: the
 * process takes and puts back without asking, and the account here stays what it is.
 */
import { collect, dropWord, giveWord, markWanted, noWord, readIdle, sayFree, unmarkWanted } from "../memory/permits.ts"
import { malformed, notUnderstood, ownSlot } from "./link.ts"
import type { HubObject } from "./link.ts"

interface Waiting {
  readonly slot: number
  readonly count: number
  readonly grant: () => void
}

/** Answers a release of more than may come back. */
export const tooMany = -1

/** What every process has, with what lies idle there. */
const makeAccounts = (words: Int32Array) => {
  /** By slot, those first that have had some for longest. */
  const held = new Map<number, number>()
  const wordOf = new Map<number, number>()
  /** Nobody releases but who has taken: until then permits may lie idle. */
  let liesIdle = true
  let isWanted = false

  /** How many of these come from this slot. */
  const takeBack = (slot: number, count: number): number => {
    const has = held.get(slot) ?? 0
    const taken = Math.min(has, count)
    if (taken === has) held.delete(slot)
    else held.set(slot, has - taken)
    return taken
  }

  const sum = (collected: (slot: number, at: number) => number): number => {
    let all = 0
    for (const [slot, at] of wordOf) all += takeBack(slot, collected(slot, at))
    return all
  }

  return {
    hold: (slot: number, count: number): void => void held.set(slot, (held.get(slot) ?? 0) + count),
    takeBack,
    /** The word of a process, or a new one. */
    wordFor: (slot: number): number => {
      const known = wordOf.get(slot)
      if (known !== undefined) return known
      if (!liesIdle || slot === ownSlot) return noWord
      const at = giveWord(words, slot, isWanted)
      if (at !== noWord) wordOf.set(slot, at)
      return at
    },
    /** What lies idle anywhere, up to so many. */
    gather: (most: number): number => {
      let rest = most
      return sum((_, at) => {
        const taken = rest > 0 ? collect(words, at, rest) : 0
        rest -= taken
        return taken
      })
    },
    /** From now on nothing lies idle. Gives what did. */
    want: (): number => {
      if (isWanted) return 0
      isWanted = true
      return sum((_, at) => markWanted(words, at))
    },
    unwant: (): void => {
      if (!isWanted) return
      isWanted = false
      for (const at of wordOf.values()) unmarkWanted(words, at)
    },
    /** Nothing lies idle any more, ever: what is released may be what another has. Gives what did. */
    countAll: (): number => {
      liesIdle = false
      const idle = sum((_, at) => dropWord(words, at))
      wordOf.clear()
      return idle
    },
    inUseBy: (slot: number): number => {
      const at = wordOf.get(slot)
      return (held.get(slot) ?? 0) - (at === undefined ? 0 : readIdle(words, at))
    },
    /** With what lies idle. */
    all: (): number => [...held.values()].reduce((one, other) => one + other, 0),
    /** Of the releaser's own first, then of those who have had some for longest. */
    release: (slot: number, count: number): void => {
      let rest = count - takeBack(slot, count)
      for (const other of held.keys()) {
        if (rest === 0) break
        rest -= takeBack(other, rest)
      }
    },
    /** A process has died: all that it had. */
    bury: (slot: number): number => {
      const at = wordOf.get(slot)
      if (at !== undefined) dropWord(words, at)
      wordOf.delete(slot)
      return takeBack(slot, Infinity)
    }
  }
}

export const makeSemaphoreObject = (permits: number, bounded: boolean, words: Int32Array) => (): HubObject => {
  const accounts = makeAccounts(words)
  const queue: Array<Waiting> = []
  let free = permits

  const hasFree = (count: number): boolean => {
    if (free < count) free += accounts.gather(count - free)
    return free >= count
  }

  /** A large request at the head is waited for: those behind it would overtake it for ever. */
  const serve = (): void => {
    let isChanged = true
    while (isChanged) {
      while (queue.length > 0 && hasFree(queue[0]!.count)) {
        const { count, grant, slot } = queue.shift()!
        free -= count
        accounts.hold(slot, count)
        grant()
      }
      // what was put back before the words were marked is looked at again
      const found = queue.length > 0 ? accounts.want() : 0
      free += found
      isChanged = found > 0
    }
    if (queue.length === 0) accounts.unwant()
    sayFree(words, free)
  }

  const release = (slot: number, count: number): number => {
    if (count > accounts.inUseBy(slot)) {
      free += accounts.countAll()
      sayFree(words, free)
      if (count > (bounded ? accounts.all() : Number.MAX_SAFE_INTEGER - free)) return tooMany
    }
    // only when all are back there are more than before
    accounts.release(slot, count)
    free += count
    serve()
    return free
  }

  sayFree(words, free)

  return {
    call: ({ slot }, operation, argument, answer) => {
      if (operation !== "take" && operation !== "release") throw notUnderstood("semaphore", operation)
      const count = argument as number // checked where it was asked for, unless somebody else speaks
      if (!Number.isSafeInteger(count) || count < 0) throw malformed("semaphore", operation)
      if (operation === "release") {
        answer(release(slot, count))
        return undefined
      }
      const waiting: Waiting = { slot, count, grant: () => answer(accounts.wordFor(slot)) }
      queue.push(waiting)
      serve()
      return () => {
        const index = queue.indexOf(waiting)
        if (index < 0) return
        queue.splice(index, 1)
        serve()
      }
    },
    gone: ({ slot }) => {
      free += accounts.bury(slot)
      serve()
    }
  }
}

/** The owner's scope has ended: who finds nothing in its word asks, and is told. */
export const closePermits = (words: Int32Array): void => {
  for (let at = 0; at < words.length; at++) Atomics.store(words, at, 0)
}
