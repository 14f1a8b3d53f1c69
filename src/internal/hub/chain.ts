/**
 * A queue that may also be left from its middle, and entered there. Whoever leaves does not look for its place: that takes
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
  /** Before the first that is to come after it. Looks from the front. */
  readonly insert: (value: A, isBefore: (other: A) => boolean) => void
  /** Takes out the last that is meant; whether there is one. Looks from the end. */
  readonly removeLast: (isMeant: (value: A) => boolean) => boolean
}

export const makeChain = <A>(): Chain<A> => {
  let head: Place<A> | undefined
  let tail: Place<A> | undefined
  let size = 0

  const enter = (value: A, before: Place<A> | undefined, after: Place<A> | undefined): Place<A> => {
    const place: Place<A> = { value, before, after, isIn: true }
    if (before === undefined) head = place
    else before.after = place
    if (after === undefined) tail = place
    else after.before = place
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
      const place = enter(value, tail, undefined)
      return () => leave(place)
    },
    insert: (value, isBefore) => {
      let after = head
      while (after !== undefined && !isBefore(after.value)) after = after.after
      enter(value, after === undefined ? tail : after.before, after)
    },
    removeLast: (isMeant) => {
      let place = tail
      while (place !== undefined && !isMeant(place.value)) place = place.before
      if (place !== undefined) leave(place)
      return place !== undefined
    }
  }
}
