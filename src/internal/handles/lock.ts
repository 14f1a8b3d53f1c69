/**
 * A lock as one process sees it: the word in shared bytes, the way to the hub where those wait who have to, and who holds
 * it here.
 */
import type { Address } from "../hub/door.ts"
import { linkTo, ownHub } from "../hub/hubs.ts"
import type { Link, ObjectReference } from "../hub/link.ts"
import { makeLockObject } from "../hub/lock.ts"
import type { OnOwnerDeath } from "../hub/lock.ts"
import { give, lockClosed, run, stateAt, take } from "../memory/lockWord.ts"

/** The one of this process for a lock, however many handles there are. */
export interface LockSide {
  readonly words: Int32Array
  /** Of the word; its state stands behind it. */
  readonly index: number
  readonly object: number
  /** Undefined for the owner. */
  readonly hub: Address | undefined
  /** Whoever of this process holds it, and how often. */
  holder: object | undefined
  depth: number
}

// ---------------------------------------------------------------------------------------------------- making, opening

const key = Symbol.for("effect-multiprocessing/locks")
const known = ((globalThis as { [key]?: Map<string, WeakRef<LockSide>> })[key] ??= new Map<string, WeakRef<LockSide>>())

const forget = new FinalizationRegistry<string>((name) => {
  if (known.get(name)?.deref() === undefined) known.delete(name)
})

const nameOf = ({ hub, object }: ObjectReference): string => `${hub.path} ${object}`

const remember = (name: string, side: LockSide): LockSide => {
  known.set(name, new WeakRef(side))
  forget.register(side, name)
  return side
}

const sideOf = (words: Int32Array, index: number, object: number, hub: Address | undefined): LockSide => ({
  words,
  index,
  object,
  hub,
  holder: undefined,
  depth: 0
})

/** A lock of this process. */
export const makeLock = (words: Int32Array, index: number, onOwnerDeath: OnOwnerDeath): LockSide =>
  sideOf(words, index, ownHub().put(makeLockObject(words, index, onOwnerDeath)), undefined)

/** Its scope has ended: whoever waits, and whoever will, is told. */
export const removeLock = (side: LockSide): void => {
  Atomics.store(side.words, stateAt(side.index), lockClosed)
  ownHub().remove(side.object)
}

export const referToLock = (side: LockSide): ObjectReference => {
  if (side.hub !== undefined) return { hub: side.hub, object: side.object }
  const reference = { hub: ownHub().address(), object: side.object }
  // it may come back, and is then the same lock
  remember(nameOf(reference), side)
  return reference
}

/** The lock that a reference stands for. */
export const openLock = (words: Int32Array, index: number, reference: ObjectReference): LockSide => {
  const name = nameOf(reference)
  return known.get(name)?.deref() ?? remember(name, sideOf(words, index, reference.object, reference.hub))
}

// ---------------------------------------------------------------------------------------------------- taking, giving

const linkOf = ({ hub }: LockSide): Link => hub === undefined ? ownHub().link : linkTo(hub)

export const stateOf = ({ index, words }: LockSide): number => Atomics.load(words, stateAt(index))

export const isHeld = ({ index, words }: LockSide): boolean => Atomics.load(words, index) !== 0

const enter = (side: LockSide, who: object): void => {
  side.holder = who
  side.depth = 1
}

/** Takes it when it is free and this process is known to its hub; does nothing otherwise. */
export const tryTake = (side: LockSide, who: object): boolean => {
  const link = linkOf(side)
  const slot = link.slot()
  if (slot === 0 || link.isClosed()) return false
  if (Atomics.compareExchange(side.words, side.index, 0, slot) !== 0) return false
  enter(side, who)
  return true
}

/** Calls back once the hub knows this process, or never will. */
export const whenKnown = (side: LockSide, callback: () => void): void => linkOf(side).whenReady(callback)

export type Wait = (outcome: "held" | "closed") => void

/** Takes it, and waits where it has to. What is given stops the waiting: the lock is then not held, or given back. */
export const waitToTake = (side: LockSide, who: object, onOutcome: Wait): () => void => {
  const link = linkOf(side)
  let isOver = false
  let withdraw: ((undo: () => void) => void) | undefined
  const settle: Wait = (outcome) => {
    if (isOver) return
    isOver = true
    if (outcome === "held") enter(side, who)
    onOutcome(outcome)
  }
  link.whenReady(() => {
    if (isOver) return
    if (link.isClosed()) return settle("closed")
    if (run(take(link.slot()), side.words, side.index) === "held") return settle("held")
    withdraw = link.ask(side.object, "wait", undefined, ({ _tag }) => settle(_tag === "Value" ? "held" : "closed"))
  })
  return () => {
    if (isOver) return
    isOver = true
    withdraw?.(() => giveWord(side))
  }
}

const giveWord = (side: LockSide): void => {
  const link = linkOf(side)
  if (run(give(link.slot()), side.words, side.index) === "handOver") link.tell(side.object, "give", undefined)
}

/** Gives it once; it is free when it has been given as often as it was taken. */
export const giveLock = (side: LockSide): void => {
  if (--side.depth > 0) return
  side.holder = undefined
  giveWord(side)
}

/** The next taker need not be told any more. */
export const repair = ({ index, words }: LockSide, state: number): void => {
  Atomics.compareExchange(words, stateAt(index), state, 0)
}
