/**
 * The items of a queue that are on their way to takers: handed out, and neither known to be taken nor given back.
 *
 * A taker says of each that it has taken it, or, where both see the same memory, notes it in a cell of its tally: then it is
 * looked up here, when somebody has to know.
 */
import { resetCell, tallyCells, usedOf, wantNews } from "../memory/tally.ts"
import type { OwnTally } from "../memory/tally.ts"
import type { Item } from "./bundle.ts"

/** Handed out with a cell: used in this order. */
interface Handing {
  readonly items: ReadonlyArray<Item>
  /** So many of them have been found noted. */
  seen: number
}

/** What is on its way to one process. */
interface Way {
  tally: OwnTally | undefined
  /** By cell. */
  readonly noted: Map<number, Handing>
  /** By number: the taker says what has become of them. */
  readonly said: Map<number, Item>
}

export interface Away {
  readonly size: () => number
  /** With a cell of its tally, or with none. */
  readonly hand: (slot: number, cell: number, items: ReadonlyArray<Item>) => void
  /** Finds what takers have noted; whether there was something new. */
  readonly look: () => boolean
  /** The same, and from now on they also say it. */
  readonly lookAndWant: () => boolean
  /** The process says that it has taken it. */
  readonly taken: (slot: number, number: number) => void
  /** What the process gives back of these. */
  readonly back: (slot: number, numbers: ReadonlyArray<number>) => ReadonlyArray<Item>
  /** The process has died: what it has not taken. */
  readonly gone: (slot: number) => ReadonlyArray<Item>
  /** That of the process; undefined where there is no shared memory. */
  readonly tallyOf: (slot: number) => OwnTally | undefined
}

export const makeAway = (
  makeTally: () => OwnTally | undefined,
  onTaken: (slot: number, count: number) => void
): Away => {
  const ways = new Map<number, Way>()
  let size = 0

  const wayOf = (slot: number): Way => {
    let way = ways.get(slot)
    if (way === undefined) ways.set(slot, way = { tally: undefined, noted: new Map(), said: new Map() })
    return way
  }

  const lookAt = (slot: number, { noted, tally }: Way): boolean => {
    let count = 0
    for (const [cell, handing] of noted) {
      const used = Math.min(usedOf(tally!, cell), handing.items.length)
      count += Math.max(0, used - handing.seen)
      handing.seen = Math.max(used, handing.seen)
      if (used === handing.items.length) noted.delete(cell)
    }
    size -= count
    if (count > 0) onTaken(slot, count)
    return count > 0
  }

  const look = (): boolean => {
    let isNew = false
    for (const [slot, way] of ways) if (lookAt(slot, way)) isNew = true
    return isNew
  }

  /** Of what is there, with what is left of it. */
  const say = ({ noted, said }: Way, cell: number): void => {
    const { items, seen } = noted.get(cell) ?? { items: [], seen: 0 }
    for (const item of items.slice(seen)) said.set(item.number, item)
    noted.delete(cell)
  }

  return {
    size: () => size,
    look,
    hand: (slot, cell, items) => {
      const way = wayOf(slot)
      size += items.length
      if (way.tally === undefined || !(cell >= 0 && cell < tallyCells)) {
        for (const item of items) way.said.set(item.number, item)
        return
      }
      lookAt(slot, way)
      say(way, cell) // who uses a cell again gives back what it had there, if that crosses with this
      resetCell(way.tally, cell)
      way.noted.set(cell, { items, seen: 0 })
    },
    lookAndWant: () => {
      for (const { noted, tally } of ways.values()) for (const cell of noted.keys()) wantNews(tally!, cell)
      return look()
    },
    taken: (slot, number) => {
      // what is noted was found before
      if (ways.get(slot)?.said.delete(number) !== true) return
      size--
      onTaken(slot, 1)
    },
    back: (slot, numbers) => {
      const way = wayOf(slot)
      const given = new Set(numbers)
      for (const [cell, { items, seen }] of way.noted) {
        if (items.some(({ number }, i) => i >= seen && given.has(number))) say(way, cell)
      }
      const items = numbers.flatMap((number) => way.said.get(number) ?? [])
      for (const { number } of items) if (way.said.delete(number)) size--
      return items
    },
    gone: (slot) => {
      const way = ways.get(slot)
      if (way === undefined) return []
      lookAt(slot, way)
      for (const cell of way.noted.keys()) say(way, cell)
      ways.delete(slot)
      way.tally?.release()
      size -= way.said.size
      return [...way.said.values()]
    },
    tallyOf: (slot) => wayOf(slot).tally ??= makeTally()
  }
}
