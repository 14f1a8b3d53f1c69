/**
 * A lock as one process sees it: the word in shared bytes, the way to the hub where those wait who have to, and who holds
 * it here.
 */
import type { Address } from "../hub/door.ts"
import { ownHub } from "../hub/hubs.ts"
import type { Link, ObjectReference } from "../hub/link.ts"
import { makeLockObject } from "../hub/lock.ts"
import type { OnOwnerDeath } from "../hub/lock.ts"
import { give, isHeld, lockBytes, lockClosed, run, stateAt, take, takeAgain, wordAt } from "../memory/lockWord.ts"
import { allocate } from "../memory/arena.ts"
import type { Cell } from "../memory/arena.ts"
import { wordsAt } from "../memory/places.ts"
import type { Place } from "../memory/places.ts"
import { linkOf, nameOf, referTo } from "./home.ts"
import type { Home } from "./home.ts"
import { gone } from "../memory/gone.ts"
import { makeWeakTable, perThread } from "../memory/perThread.ts"

/** The one of this process for a lock, however many handles there are. */
export interface LockSide extends Home {
  readonly words: Int32Array
  /** Whoever of this process holds it, and how often. */
  holder: object | undefined
  depth: number
  /** As whom it was taken: the hub may be gone when it is given. */
  through: Link | undefined
  /** The last way to its hub; undefined until it is needed. */
  link: Link | undefined
  /** The hub was there, or was looked for, and is not. */
  isLost: boolean
  /** Until then this process may take the lock again that it has given, if the hub has not given it to another yet. */
  turnEnds: number
}

/**
 * How long a turn lasts at most for a process to which the hub has given the lock, in milliseconds. To hand a lock over takes
 * two messages: until the hub has the first of them, who takes it for a moment again and again may go on.
 */
const turnMillis = 0.5

// ---------------------------------------------------------------------------------------------------- making, opening

const known = perThread("locks", makeWeakTable<LockSide>)

const sideOf = (words: Int32Array, object: number, hub: Address | undefined): LockSide => ({
  words,
  object,
  hub,
  holder: undefined,
  depth: 0,
  through: undefined,
  link: undefined,
  isLost: false,
  turnEnds: 0
})

/** A lock of this process. */
const makeLock = (words: Int32Array, onOwnerDeath: OnOwnerDeath): LockSide =>
  sideOf(words, ownHub().put(makeLockObject(words, onOwnerDeath)), undefined)

/** Its scope has ended: whoever waits, and whoever will, is told. */
const removeLock = (side: LockSide): void => {
  Atomics.store(side.words, stateAt, lockClosed)
  ownHub().remove(side.object)
}

export const lockWordsAt = (place: Place, after = 0): Int32Array => wordsAt(place, lockBytes, after)

/** A new cell of so many bytes, with a lock in it after so many. */
export const makeLockedCell = (
  size: number,
  after: number,
  onOwnerDeath: OnOwnerDeath
): { readonly cell: Cell; readonly lock: LockSide; readonly release: () => void } => {
  const cell = allocate(size)
  const lock = makeLock(lockWordsAt(cell, after), onOwnerDeath)
  const release = (): void => {
    removeLock(lock)
    cell.release()
  }
  return { cell, lock, release }
}

/** Throws a `Gone` when its scope has ended: what was sent would be of no use there. */
export const referToLock = (side: LockSide): ObjectReference => {
  if (stateOf(side) === lockClosed) throw gone()
  const reference = referTo(side)
  // it may come back, and is then the same lock
  const name = nameOf(reference)
  if (side.hub === undefined && known.get(name) !== side) known.set(name, side)
  return reference
}

/** The lock that a reference stands for. */
export const openLock = (words: Int32Array, reference: ObjectReference): LockSide => {
  const name = nameOf(reference)
  return known.get(name) ?? known.set(name, sideOf(words, reference.object, reference.hub))
}

/** The way to its hub: a new one where the last has closed. */
const way = (side: LockSide): Link => {
  const last = side.link
  if (last !== undefined && !last.isClosed()) return last
  side.isLost = last !== undefined
  const link = linkOf(side)
  side.link = link
  link.whenReady(() => {
    side.isLost = link.isClosed()
  })
  return link
}

/**
 * For a lock that will be taken. The hub sees the death of a process only where there is a connection, and whoever does not
 * want to wait for the lock should not have to wait for that.
 */
export const connectLock = (side: LockSide): LockSide => {
  way(side)
  return side
}

// ---------------------------------------------------------------------------------------------------- taking, giving

export const stateOf = ({ words }: LockSide): number => Atomics.load(words, stateAt)

/** Its scope has ended, or the process of its owner, as far as it is known here. */
const isClosed = (side: LockSide): boolean =>
  stateOf(side) === lockClosed || side.isLost || side.link?.isClosed() === true

/** What is closed is held by nobody: there is no hub that would free the word. */
export const isHeldByAnyone = (side: LockSide): boolean => isHeld(Atomics.load(side.words, wordAt)) && !isClosed(side)

const enter = (side: LockSide, who: object, link: Link): void => {
  side.holder = who
  side.depth = 1
  side.through = link
}

/** Takes it when it is free and this process is known to its hub; does nothing otherwise. */
export const tryTake = (side: LockSide, who: object): boolean => {
  const link = way(side)
  const slot = link.slot()
  if (slot === 0 || link.isClosed()) return false
  const isTaken = Atomics.compareExchange(side.words, wordAt, 0, slot) === 0 ||
    (performance.now() < side.turnEnds && run(takeAgain(slot), side.words))
  if (!isTaken) return false
  enter(side, who, link)
  return true
}

/** Calls back once the hub knows this process, or never will. */
export const whenKnown = (side: LockSide, callback: (isKnown: boolean) => void): void => {
  const link = way(side)
  link.whenReady(() => callback(!link.isClosed()))
}

export type Wait = (outcome: "held" | "closed") => void

/** Takes it, and waits where it has to. What is given stops the waiting: the lock is then not held, or given back. */
export const waitToTake = (side: LockSide, who: object, onOutcome: Wait): () => void => {
  const link = way(side)
  let isOver = false
  let withdraw: ((undo: () => void) => void) | undefined
  const settle: Wait = (outcome) => {
    if (isOver) return
    isOver = true
    if (outcome === "held") enter(side, who, link)
    onOutcome(outcome)
  }
  link.whenReady(() => {
    if (isOver) return
    if (link.isClosed()) return settle("closed")
    if (run(take(link.slot()), side.words) === "held") return settle("held")
    withdraw = link.ask(side.object, "wait", undefined, ({ _tag }) => {
      if (_tag !== "Value") return settle("closed")
      side.turnEnds = performance.now() + turnMillis
      settle("held")
    })
  })
  return () => {
    if (isOver) return
    isOver = true
    withdraw?.(() => giveWord(side, link))
  }
}

const giveWord = (side: LockSide, link: Link): void => {
  if (run(give(link.slot()), side.words) === "tell") link.tell(side.object, "give", undefined)
}

/** Gives it once; it is free when it has been given as often as it was taken. */
export const giveLock = (side: LockSide): void => {
  if (--side.depth > 0) return
  const link = side.through
  side.holder = undefined
  side.through = undefined
  // undefined: it was closed when it was to be taken again
  if (link !== undefined) giveWord(side, link)
}

/** Gives it however often it was taken, and says how often that was. */
export const giveAll = (side: LockSide): number => {
  const { depth } = side
  side.depth = 1
  giveLock(side)
  return depth
}

/**
 * Takes it again as often as it was taken before. When it is closed, so many will still give it: they are counted, so that
 * they do not give what another of this process has.
 */
export const takeAll = (side: LockSide, who: object, depth: number, onOutcome: Wait): void =>
  void waitToTake(side, who, (outcome) => {
    side.depth = outcome === "held" ? depth : side.depth + depth
    onOutcome(outcome)
  })

/** Tells, each time, that it is abandoned; and once that it is closed. What is given ends that. */
export const watchLock = (side: LockSide, onAbandoned: () => void, onClosed: () => void): () => void => {
  let isOver = false
  let withdraw: ((undo: () => void) => void) | undefined
  const watch = (): void => {
    withdraw = way(side).ask(side.object, "watch", undefined, (outcome) => {
      if (isOver) return
      if (outcome._tag !== "Value") return onClosed()
      onAbandoned()
      watch()
    })
  }
  watch()
  return () => {
    isOver = true
    withdraw?.(() => {})
  }
}

/** The next taker need not be told any more. */
export const repair = ({ words }: LockSide, state: number): void => {
  Atomics.compareExchange(words, stateAt, state, 0)
}
