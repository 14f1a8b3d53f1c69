/**
 * A queue that may also be left from its middle. Whoever leaves does not look for its place: that takes
 * the same time, however many wait.
 */

interface Place<A> {
  readonly value: A
  before: Place<A> | undefined
  after: Place<A> | undefined
  isIn: boolean
}

export interface Chain<A> {
  readonly size: () => number
  readonly first: () => A | undefined
  /** Takes the first out. */
  readonly shift: () => A | undefined
  /** At the end. What is given takes it out, where it is still in. */
  readonly push: (value: A) => () => void
}

export const makeChain = <A>(): Chain<A> => {
  let head: Place<A> | undefined
  let tail: Place<A> | undefined
  let size = 0

  const enter = (value: A): Place<A> => {
    const place: Place<A> = { value, before: tail, after: undefined, isIn: true }
    if (tail === undefined) head = place
    else tail.after = place
    tail = place
    size++
    return place
  }

  const leave = (place: Place<A>): void => {
    if (!place.isIn) return
    const { after, before } = place
    if (before === undefined) head = after
    else before.after = after
    if (after === undefined) tail = before
    else after.before = before
    place.isIn = false
    place.before = place.after = undefined
    size--
  }

  return {
    size: () => size,
    first: () => head?.value,
    shift: () => {
      const place = head
      if (place !== undefined) leave(place)
      return place?.value
    },
    push: (value) => {
      const place = enter(value)
      return () => leave(place)
    }
  }
}
