/**
 * The values of a hosted queue: what is handed to somebody who does not say that it has come returns to its place.
 */
import * as MutableList from "effect/MutableList"

/** A value, and its place among all. */
export interface Entry {
  readonly place: number
  readonly value: unknown
}

/** Whoever waits can leave. */
type Leave = () => void

export interface Values {
  /** Calls back when it is in: at once, where there is room. */
  readonly offer: (value: unknown, whenIn: () => void) => Leave
  readonly take: (give: (entry: Entry) => void) => Leave
  readonly poll: () => Entry | undefined
  /** It comes before all that are behind its place: there may be one more than there is room for. */
  readonly putBack: (entry: Entry) => void
  /** Those that are handed to somebody are not among them. */
  readonly size: () => number
}

const nobody: Leave = () => {}

/** The first of a line. */
const shift = <A>(waiting: Set<A>): A | undefined => {
  for (const first of waiting) {
    waiting.delete(first)
    return first
  }
  return undefined
}

export const makeValues = (capacity: number): Values => {
  const fresh = MutableList.make<Entry>()
  /** What has been handed out before all that are fresh, in the order of its places. */
  const returned: Array<Entry> = []
  const takers = new Set<(entry: Entry) => void>()
  const offers = new Set<() => void>()
  let last = 0

  const size = (): number => fresh.length + returned.length

  const enter = (value: unknown): void => {
    const entry = { place: ++last, value }
    const taker = shift(takers)
    if (taker === undefined) MutableList.append(fresh, entry)
    else taker(entry)
  }

  const next = (): Entry | undefined => {
    const entry = returned.shift() ?? MutableList.take(fresh)
    if (entry === MutableList.Empty) return undefined
    while (size() < capacity && offers.size > 0) shift(offers)!()
    return entry
  }

  return {
    size,
    poll: next,
    offer: (value, whenIn) => {
      const goIn = (): void => {
        enter(value)
        whenIn()
      }
      if (takers.size === 0 && size() >= capacity) {
        offers.add(goIn)
        return () => void offers.delete(goIn)
      }
      goIn()
      return nobody
    },
    take: (give) => {
      const entry = next()
      if (entry === undefined) {
        takers.add(give)
        return () => void takers.delete(give)
      }
      give(entry)
      return nobody
    },
    putBack: (entry) => {
      const taker = shift(takers)
      if (taker !== undefined) return taker(entry)
      const at = returned.findIndex(({ place }) => place > entry.place)
      returned.splice(at < 0 ? returned.length : at, 0, entry)
    }
  }
}
