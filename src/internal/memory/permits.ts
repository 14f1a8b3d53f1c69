/**
 * The permits of a semaphore in shared bytes. Those that the hub has given to a process and that nobody uses there lie idle
 * in a word of that process: it takes them and puts them back with one compare-and-exchange, and the hub takes them away
 * when others want them. See the README.
 */

/** The first word is the hub's, the others are for processes, by their index. */
export const permitWords = 16
export const permitBytes = permitWords * Int32Array.BYTES_PER_ELEMENT

/** Its index means that a process has no word. */
export const noWord = 0

/** What the first word says when the number is none that it can hold. */
const unsaid = -1

/** Others wait: what is put back goes to the hub. */
const wanted = 1 << 15
const mostIdle = wanted - 1
/** Above them: whose word it is, so that one who was taken for dead changes nothing. */
const ownerShift = 16
const mostOwner = (1 << 15) - 1

const ownerOf = (word: number): number => word >>> ownerShift
const idleOf = (word: number): number => word & mostIdle
const isWanted = (word: number): boolean => (word & wanted) !== 0

/** A number for the owner of a word; 0 when this slot cannot have one. */
const ownerNumber = (slot: number): number => slot & mostOwner

/** Changes a word as a function says, unless it says that it is as it should be. Gives what was there. */
const change = (words: Int32Array, at: number, f: (word: number) => number): number => {
  let before = Atomics.load(words, at)
  while (true) {
    const next = f(before)
    if (next === before) return before
    const found = Atomics.compareExchange(words, at, before, next)
    if (found === before) return before
    before = found
  }
}

// ---------------------------------------------------------------------------------------------------- a process

/** What one process knows of a semaphore. */
export interface Permits {
  /** Undefined where shared bytes do not reach. */
  readonly words: Int32Array | undefined
  /** As whom the hub knows this process. */
  slot: number
  /** Of its word. */
  at: number
  /** What this process has, and does not lie idle. */
  inUse: number
}

export const makePermits = (words: Int32Array | undefined): Permits => ({ words, slot: 0, at: noWord, inUse: 0 })

/** After another connection nothing is left of what was had through the last one. */
const comeAs = (self: Permits, slot: number): void => {
  if (self.slot === slot) return
  self.slot = slot
  self.at = noWord
  self.inUse = 0
}

/** The hub has granted so many, and has said which word this process has. */
export const granted = (self: Permits, slot: number, count: number, at: number): void => {
  comeAs(self, slot)
  self.at = at
  self.inUse += count
}

/** Takes idle ones, if so many lie there. */
export const takeIdle = (self: Permits, slot: number, count: number): boolean => {
  const { at, words } = self
  if (words === undefined || at === noWord || self.slot !== slot) return false
  const owner = ownerNumber(slot)
  const has = (word: number): boolean => ownerOf(word) === owner && !isWanted(word) && idleOf(word) >= count
  if (!has(change(words, at, (word) => has(word) ? word - count : word))) return false
  self.inUse += count
  return true
}

/** Puts back what this process has in use, if nobody waits. Otherwise it is for the hub, and counted out here. */
export const putIdle = (self: Permits, slot: number, count: number): boolean => {
  comeAs(self, slot)
  const { at, inUse, words } = self
  self.inUse = Math.max(0, inUse - count)
  if (words === undefined || at === noWord || count > inUse) return false
  const owner = ownerNumber(slot)
  const mayPut = (word: number): boolean =>
    ownerOf(word) === owner && !isWanted(word) && idleOf(word) + count <= mostIdle
  return mayPut(change(words, at, (word) => mayPut(word) ? word + count : word))
}

/** How many nobody has in use; undefined when only the hub can say. */
export const countFree = (words: Int32Array): number | undefined => {
  let sum = Atomics.load(words, 0)
  if (sum === unsaid) return undefined
  for (let at = 1; at < permitWords; at++) sum += idleOf(Atomics.load(words, at))
  return sum
}

// ---------------------------------------------------------------------------------------------------- the hub

/** How many are free at the hub. */
export const sayFree = (words: Int32Array, free: number): void => {
  Atomics.store(words, 0, free < 2 ** 30 ? free : unsaid)
}

/** The index of a word that is now of this process; {@link noWord} when all are taken. */
export const giveWord = (words: Int32Array, slot: number, isContended: boolean): number => {
  const owner = ownerNumber(slot)
  if (owner === 0) return noWord
  for (let at = 1; at < permitWords; at++) {
    if (Atomics.load(words, at) !== 0) continue
    Atomics.store(words, at, (owner << ownerShift) | (isContended ? wanted : 0))
    return at
  }
  return noWord
}

/** Takes so many idle ones away, or what there is. */
export const collect = (words: Int32Array, at: number, most: number): number => {
  const taken = (word: number): number => Math.min(idleOf(word), most)
  return taken(change(words, at, (word) => word - taken(word)))
}

/** Takes all idle ones away, and what is put back from now on comes to the hub. */
export const markWanted = (words: Int32Array, at: number): number =>
  idleOf(change(words, at, (word) => (word - idleOf(word)) | wanted))

export const unmarkWanted = (words: Int32Array, at: number): void => {
  Atomics.and(words, at, ~wanted)
}

/** It is nobody's word any more. Gives what lay idle there. */
export const dropWord = (words: Int32Array, at: number): number => idleOf(Atomics.exchange(words, at, 0))

export const readIdle = (words: Int32Array, at: number): number => idleOf(Atomics.load(words, at))
