/**
 * The items of a queue in their order, which is that of their numbers: they leave at the front, many at once, and what comes
 * back finds its place again.
 */

export interface Numbered {
  readonly number: number
}

export interface Row<A extends Numbered> {
  readonly size: () => number
  /** Counted from the front; it is there. */
  readonly at: (index: number) => A
  /** Its number is the greatest. */
  readonly push: (item: A) => void
  /** Takes so many out, from the front. */
  readonly shift: (count: number) => ReadonlyArray<A>
  readonly insert: (item: A) => void
  /** Takes it out; whether it was there. */
  readonly remove: (number: number) => boolean
}

/** Places at the front that nobody is in any more are let go when they are so many, and half of all. */
const mostEmpty = 4096

export const makeRow = <A extends Numbered>(): Row<A> => {
  const all: Array<A | undefined> = []
  let head = 0

  /** The first place whose number is not less. */
  const placeOf = (number: number): number => {
    let low = head
    let high = all.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (all[middle]!.number < number) low = middle + 1
      else high = middle
    }
    return low
  }

  return {
    size: () => all.length - head,
    at: (index) => all[head + index]!,
    push: (item) => void all.push(item),
    shift: (count) => {
      const taken = all.slice(head, head + count) as Array<A> // behind the head every place is taken
      all.fill(undefined, head, head + taken.length)
      head += taken.length
      if (head === all.length || (head >= mostEmpty && 2 * head >= all.length)) {
        all.splice(0, head)
        head = 0
      }
      return taken
    },
    insert: (item) => {
      const place = placeOf(item.number)
      if (place === head && head > 0) all[--head] = item
      else all.splice(place, 0, item)
    },
    remove: (number) => {
      const place = placeOf(number)
      if (all[place]?.number !== number) return false
      all.splice(place, 1)
      return true
    }
  }
}
