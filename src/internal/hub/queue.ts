/**
 * A queue, in the hub of its owner: the items that were accepted, those that are on their way to a taker, and who waits on
 * either side. The items are bytes, of which nothing is known here.
 *
 * Every item is in one place: in the queue, on its way to one process, or taken. What is on its way comes back to its place
 * when the taker gives it back, or when its process dies; until then it takes up room, so that there is room for it.
 */
import { makeChain } from "./chain.ts"
import type { HubObject } from "./link.ts"

/** A message, as it is offered. */
export type Parcel = readonly [tag: number, bytes: Uint8Array]

/** As it is handed out, with the number by which the taker says what has become of it. */
export type Item = readonly [number: number, tag: number, bytes: Uint8Array]

/** Answers an offer to a queue that has ended, or ends meanwhile. An offer that is accepted has the number of its last item. */
export const hasEnded = -1

/** Answers whoever takes: nothing where nothing is there now, `null` where nothing will ever be. */
export type Handed = ReadonlyArray<Item> | null

interface Offer {
  readonly parcels: ReadonlyArray<Parcel>
  /** So many of them are accepted. */
  accepted: number
  readonly answer: (value: unknown) => void
}

interface Taker {
  readonly slot: number
  readonly most: number
  readonly answer: (handed: Handed) => void
}

/** Of several items that are handed out at once. One may have more. */
const mostBytes = 256 * 1024

/** Fibers of this process that answer each other's questions could go on for ever: after so many others have their turn. */
const mostAnswers = 4096

const numberOf = ([number]: Item): number => number

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
    take: (slot: number): void => void taken.set(slot, (taken.get(slot) ?? 0) + 1),
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
    /** Answers with how many will never be done: those that were taken by processes that have died. */
    join: (answer: (unfinished: number) => void): () => void => {
      joiners.push(answer)
      return () => {
        joiners = joiners.filter((other) => other !== answer)
      }
    }
  }
}

export const makeQueueObject = (capacity: number) => (): HubObject => {
  const items = makeChain<Item>()
  const onTheWay = new Map<number, { readonly slot: number; readonly item: Item }>()
  const offers = makeChain<Offer>()
  const takers = makeChain<Taker>()
  const account = makeAccount(items.size)
  let lastNumber = 0
  let isEnded = false
  let isServing = false

  const size = (): number => items.size() + onTheWay.size

  /** Each of these answers one question, where it can be answered. */
  const refuse = (): boolean => {
    const offer = isEnded ? offers.shift() : undefined
    offer?.answer(hasEnded)
    return offer !== undefined
  }

  const accept = (): boolean => {
    const offer = offers.first()
    if (offer === undefined) return false
    while (offer.accepted < offer.parcels.length && size() < capacity) {
      const [tag, bytes] = offer.parcels[offer.accepted++]!
      items.push([++lastNumber, tag, bytes])
      account.accept()
    }
    if (offer.accepted < offer.parcels.length) return false
    offers.shift()
    offer.answer(lastNumber)
    return true
  }

  const pick = (slot: number, most: number): ReadonlyArray<Item> => {
    const picked: Array<Item> = []
    let bytes = 0
    while (picked.length < most && items.size() > 0) {
      bytes += items.first()![2].byteLength
      if (picked.length > 0 && bytes > mostBytes) break
      const item = items.shift()!
      onTheWay.set(numberOf(item), { slot, item })
      picked.push(item)
    }
    return picked
  }

  /** Whoever wants many leaves their share to the others who wait. */
  const hand = (): boolean => {
    if (items.size() === 0 || takers.size() === 0) return false
    const share = Math.ceil(items.size() / takers.size())
    const { answer, most, slot } = takers.shift()!
    answer(pick(slot, Math.min(most, share)))
    return true
  }

  /** What is on its way may come back. */
  const isDrained = (): boolean => isEnded && size() === 0

  const finish = (): boolean => {
    const taker = isDrained() ? takers.shift() : undefined
    taker?.answer(null)
    return taker !== undefined
  }

  /**
   * A fiber of this process goes on while it is answered, and may ask again: that is served here when it waits, not inside
   * of the answer, where a long row of fibers would exhaust the stack.
   */
  const serve = (): void => {
    if (isServing) return
    isServing = true
    let answers = 0
    try {
      while (refuse() || accept() || hand() || finish()) {
        if (++answers < mostAnswers) continue
        setImmediate(serve)
        return
      }
    } finally {
      isServing = false
    }
    account.settle() // not before: who waited for room may have added something
  }

  const taken = (number: number, slot: number): void => {
    if (onTheWay.get(number)?.slot !== slot) return
    onTheWay.delete(number)
    account.take(slot)
  }

  const comeBack = (numbers: Iterable<number>, slot: number): void => {
    for (const number of numbers) {
      const there = onTheWay.get(number)
      if (there === undefined || there.slot !== slot) continue
      onTheWay.delete(number)
      items.insert(there.item, (other) => numberOf(other) > number)
    }
  }

  const poll = (slot: number): Handed => items.size() > takers.size() ? pick(slot, 1) : isDrained() ? null : []

  /** What is answered at once. */
  const reply = (slot: number, operation: string, argument: unknown): unknown => {
    switch (operation) {
      case "poll":
        return poll(slot)
      case "taken":
        return taken(argument as number, slot) // the number of an item
      case "back":
        return comeBack(argument as ReadonlyArray<number>, slot) // the numbers of items
      case "retract":
        // too late for what is on its way, or taken
        return items.removeLast((item) => numberOf(item) === argument) ? account.retract() : undefined
      case "done":
        return account.done(slot)
      case "end":
        isEnded = true
        return undefined
      case "size":
        return size()
      default:
        throw new Error(`A queue does not know what ${operation} is.`)
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
      return offers.push({ parcels: argument as ReadonlyArray<Parcel>, accepted: 0, answer }) // what is encoded for it
    }
    if (operation === "take") return takers.push({ slot, most: argument as number, answer }) // one or more
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
      comeBack([...onTheWay.values()].filter((one) => one.slot === slot).map(({ item }) => numberOf(item)), slot)
      account.gone(slot)
      serve()
    }
  }
}
