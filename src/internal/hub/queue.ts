/**
 * A queue, in the hub of its owner: the items that were accepted, those that are on their way to a taker, and who waits on
 * either side. The items are bytes, of which nothing is known here.
 *
 * Every item is in one place: in the queue, on its way to one process, or taken. What is on its way comes back to its place
 * when the taker gives it back, or when its process dies; until then it takes up room, so that there is room for it.
 */
import type { OwnTally } from "../memory/tally.ts"
import { makeAway } from "./away.ts"
import { handOut, isBundle, sizeOf, tagAt, unbundle } from "./bundle.ts"
import type { Handed, Item, Parcels } from "./bundle.ts"
import { makeChain } from "./chain.ts"
import { malformed, notUnderstood, ownSlot } from "./link.ts"
import type { HubObject } from "./link.ts"
import { makeRow } from "./row.ts"

/** Answers an offer to a queue that has ended, or ends meanwhile. An offer that is accepted has the number of its last item. */
export const hasEnded = -1

/** Answers whoever takes: nothing where nothing is there now, `null` where nothing will ever be. */
export type Answer = Handed | null

/** How many at most, and the cell of the taker's tally in which it will note what it has used of them. */
export type Wish = readonly [most: number, cell: number]

/** Who has no tally says "taken" of each. */
export const noCell = -1

interface Offer {
  readonly parcels: Parcels
  /** So many of them are accepted. */
  accepted: number
  readonly answer: (value: unknown) => void
}

interface Taker {
  readonly slot: number
  readonly wish: Wish
  readonly answer: (answer: Answer) => void
}

const isWish = (value: unknown): value is Wish =>
  Array.isArray(value) && typeof value[0] === "number" && value[0] >= 1 && typeof value[1] === "number"

const parcelsOf = (argument: unknown): Parcels => {
  if (!isBundle(argument)) throw malformed("queue", "offer")
  return unbundle(argument)
}

const wishOf = (argument: unknown): Wish => {
  if (!isWish(argument)) throw malformed("queue", "take")
  return argument
}

/** Of items. Places that nobody has written take no time. */
const numbersOf = (argument: unknown): ReadonlyArray<number> => {
  if (!Array.isArray(argument)) throw malformed("queue", "back")
  return Object.values(argument)
}

/** Of several items that are handed out at once. One may have more. */
const mostBytes = 256 * 1024

/** Fibers of this process that answer each other's questions could go on for ever: after so many others have their turn. */
const mostAnswers = 4096

/** What is not done yet, for those who wait until all is. */
const makeAccount = (inQueue: () => number) => {
  let unfinished = 0
  /** Taken by processes that have died since. */
  let lost = 0
  /** By slot: taken, and not done. */
  const taken = new Map<number, number>()
  let joiners: Array<(unfinished: number) => void> = []

  const settle = (): void => {
    if (unfinished > lost) return
    const all = joiners
    joiners = []
    for (const answer of all) answer(unfinished)
  }

  const forget = (slot: number): boolean => {
    const count = taken.get(slot) ?? 0
    if (count > 1) taken.set(slot, count - 1)
    else taken.delete(slot)
    return count > 0
  }

  /** Of the process's own first, then of those that died, then of whoever has one. */
  const forgetOne = (slot: number): void => {
    if (forget(slot)) return
    if (lost > 0) lost--
    else for (const other of taken.keys()) if (forget(other)) return
  }

  return {
    accept: (): void => void unfinished++,
    retract: (): void => void unfinished--,
    take: (slot: number, count: number): void => void taken.set(slot, (taken.get(slot) ?? 0) + count),
    /** Whether there was something to be done. */
    done: (slot: number): boolean => {
      if (unfinished <= inQueue()) return false
      unfinished--
      forgetOne(slot)
      return true
    },
    gone: (slot: number): void => {
      lost += taken.get(slot) ?? 0
      taken.delete(slot)
    },
    settle,
    isAwaited: (): boolean => joiners.length > 0,
    /** Answers with how many will never be done: those that were taken by processes that have died. */
    join: (answer: (unfinished: number) => void): () => void => {
      joiners.push(answer)
      return () => {
        joiners = joiners.filter((other) => other !== answer)
      }
    }
  }
}

export const makeQueueObject = (
  capacity: number,
  makeTally: () => OwnTally | undefined = () => undefined
) =>
(): HubObject => {
  const items = makeRow<Item>()
  const offers = makeChain<Offer>()
  const takers = makeChain<Taker>()
  const account = makeAccount(items.size)
  const away = makeAway(makeTally, account.take)
  let lastNumber = 0
  let isEnded = false
  let isServing = false

  const size = (): number => items.size() + away.size()

  const hasRoom = (): boolean => size() < capacity || (away.look() && size() < capacity)

  /** Each of these answers one question, where it can be answered. */
  const refuse = (): boolean => {
    const offer = isEnded ? offers.shift() : undefined
    offer?.answer(hasEnded)
    return offer !== undefined
  }

  const accept = (): boolean => {
    const offer = offers.first()
    if (offer === undefined) return false
    const { parcels: { contents, tags } } = offer
    while (offer.accepted < contents.length && hasRoom()) {
      const index = offer.accepted++
      items.push({ number: ++lastNumber, tag: tagAt(tags, index), content: contents[index] })
      account.accept()
    }
    if (offer.accepted < contents.length) return false
    offers.shift()
    offer.answer(lastNumber)
    return true
  }

  const pick = (most: number): ReadonlyArray<Item> => {
    const enough = Math.min(most, items.size())
    let count = 0
    let bytes = 0
    while (count < enough) {
      bytes += sizeOf(items.at(count).content)
      if (count > 0 && bytes > mostBytes) break
      count++
    }
    return items.shift(count)
  }

  const handTo = (slot: number, most: number, cell: number): Handed => {
    const picked = pick(most)
    away.hand(slot, cell, picked)
    return handOut(picked)
  }

  /** Whoever wants many leaves their share to the others who wait. */
  const hand = (): boolean => {
    if (items.size() === 0 || takers.size() === 0) return false
    const share = Math.ceil(items.size() / takers.size())
    const { answer, slot, wish: [most, cell] } = takers.shift()!
    answer(handTo(slot, Math.min(most, share), cell))
    return true
  }

  /** What is on its way may come back. */
  const isDrained = (): boolean => isEnded && size() === 0

  const finish = (): boolean => {
    const taker = isDrained() ? takers.shift() : undefined
    taker?.answer(null)
    return taker !== undefined
  }

  /** Somebody waits who may be answered when something is used. */
  const wantsNews = (): boolean => offers.size() > 0 || (isEnded && takers.size() > 0) || account.isAwaited()

  const hearNews = (): boolean => wantsNews() && away.lookAndWant()

  /**
   * A fiber of this process goes on while it is answered, and may ask again: that is served here when it waits, not inside
   * of the answer, where a long row of fibers would exhaust the stack.
   */
  const serve = (): void => {
    if (isServing) return
    isServing = true
    let answers = 0
    try {
      while (refuse() || accept() || hand() || finish() || hearNews()) {
        if (++answers < mostAnswers) continue
        setImmediate(serve)
        return
      }
    } finally {
      isServing = false
    }
    account.settle() // not before: who waited for room may have added something
  }

  const comeBack = (some: ReadonlyArray<Item>): void => some.forEach(items.insert)

  const poll = (slot: number): Answer => {
    if (items.size() > takers.size()) return handTo(slot, 1, noCell)
    return isDrained() ? null : handOut([])
  }

  /** What is answered at once. */
  const reply = (slot: number, operation: string, argument: unknown): unknown => {
    away.look()
    switch (operation) {
      case "poll":
        return poll(slot)
      case "taken":
        return away.taken(slot, argument as number) // the number of an item
      case "back":
        return comeBack(away.back(slot, numbersOf(argument)))
      case "retract":
        // too late for what is on its way, or taken
        return items.remove(argument as number) ? account.retract() : undefined // a number
      case "done":
        return account.done(slot)
      case "end":
        isEnded = true
        return undefined
      case "size":
        return size()
      case "tally":
        return slot === ownSlot ? null : away.tallyOf(slot)?.place ?? null
      default:
        throw notUnderstood("queue", operation)
    }
  }

  /** What has to wait. Gives how it leaves. */
  const wait = (
    slot: number,
    operation: string,
    argument: unknown,
    answer: (value: unknown) => void
  ): (() => void) | undefined => {
    if (operation === "offer") {
      return offers.push({ parcels: parcelsOf(argument), accepted: 0, answer })
    }
    if (operation === "take") return takers.push({ slot, wish: wishOf(argument), answer })
    return operation === "join" ? account.join(answer) : undefined
  }

  return {
    call: ({ slot }, operation, argument, answer) => {
      const leave = wait(slot, operation, argument, answer)
      if (leave === undefined) answer(reply(slot, operation, argument))
      serve()
      if (leave === undefined) return undefined
      return () => {
        leave()
        serve()
      }
    },
    gone: ({ slot }) => {
      comeBack(away.gone(slot))
      account.gone(slot)
      serve()
    }
  }
}
