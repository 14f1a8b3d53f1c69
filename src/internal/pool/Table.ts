/**
 * A map whose keys are whole numbers from 1 on, for what comes and goes all the time. A `Map` is none for that: V8 links
 * each of its tables to the one that has taken its place, so a table that has grown old keeps alive what was in all
 * that came after it, until a full collection.
 *
 * Open addressing with linear probing; a deletion moves back what it would cut off (Knuth, The Art of Computer Programming,
 * volume 3, section 6.4, algorithm R).
 */
export interface Table<A> {
  size: number
  /** 0 where nothing is; a power of two of them. */
  keys: Float64Array
  values: Array<A | undefined>
}

/** It shrinks when fewer than one of so many places is used. */
const mostPlacesForEach = 8

const leastPlaces = 16

const places = <A>(count: number): Pick<Table<A>, "keys" | "values"> => ({
  keys: new Float64Array(count),
  values: new Array<A | undefined>(count).fill(undefined)
})

export const makeTable = <A>(): Table<A> => ({ size: 0, ...places<A>(leastPlaces) })

/** 2^32 divided by the golden ratio: keys that follow each other, or stay, fall far apart (Knuth, section 6.4). */
const golden = 0x9e3779b1

/** The first place that a key may have. */
const homeOf = ({ length }: Float64Array, key: number): number =>
  // the upper bits are the ones that differ
  Math.imul(key, golden) >>> (Math.clz32(length) + 1)

/** Where the key is, or would be. */
const placeOf = (keys: Float64Array, key: number): number => {
  const mask = keys.length - 1
  let at = homeOf(keys, key)
  while (keys[at] !== 0 && keys[at] !== key) at = (at + 1) & mask
  return at
}

export const get = <A>(self: Table<A>, key: number): A | undefined => self.values[placeOf(self.keys, key)]

export const set = <A>(self: Table<A>, key: number, value: A): void => {
  let at = placeOf(self.keys, key)
  if (self.keys[at] === 0) {
    if ((self.size + 1) * 2 > self.keys.length) {
      resize(self, self.keys.length * 2)
      at = placeOf(self.keys, key)
    }
    self.size++
    self.keys[at] = key
  }
  self.values[at] = value
}

const resize = <A>(self: Table<A>, count: number): void => {
  const { keys, values } = self
  const next = places<A>(count)
  keys.forEach((key, from) => {
    if (key === 0) return
    const at = placeOf(next.keys, key)
    next.keys[at] = key
    next.values[at] = values[from]
  })
  self.keys = next.keys
  self.values = next.values
}

/** What was there. */
export const remove = <A>(self: Table<A>, key: number): A | undefined => {
  const { keys, values } = self
  const mask = keys.length - 1
  let hole = placeOf(keys, key)
  if (keys[hole] === 0) return undefined
  const removed = values[hole]
  self.size--
  for (let at = (hole + 1) & mask; keys[at] !== 0; at = (at + 1) & mask) {
    // what is found from its own place on without the hole stays
    if (((at - homeOf(keys, keys[at]!)) & mask) < ((at - hole) & mask)) continue
    keys[hole] = keys[at]!
    values[hole] = values[at]
    hole = at
  }
  keys[hole] = 0
  values[hole] = undefined
  if (keys.length > leastPlaces && self.size * mostPlacesForEach < keys.length) resize(self, keys.length / 2)
  return removed
}

export const clear = <A>(self: Table<A>): void => {
  const { keys, values } = places<A>(leastPlaces)
  self.size = 0
  self.keys = keys
  self.values = values
}

/** In any order. */
export const forEach = <A>({ keys, values }: Table<A>, f: (value: A) => void): void => {
  for (let at = 0; at < keys.length; at++) {
    if (keys[at] !== 0) f(values[at]!)
  }
}

/** In the order of their keys. */
export const valuesOf = <A>({ keys, values }: Table<A>): ReadonlyArray<A> =>
  Array.from(keys.keys())
    .filter((at) => keys[at] !== 0)
    .sort((one, other) => keys[one]! - keys[other]!)
    .map((at) => values[at]!)
