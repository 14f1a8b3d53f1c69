/**
 * The lock, without its queue: what its word in shared bytes says, and the atomic steps of those who take and give it.
 *
 * The steps are generators: each `yield` is one compare-and-exchange, and is sent what was there before. So the same code
 * runs on shared bytes and, one step at a time, under every interleaving that a test can think of. See the README.
 */

/** What to expect, and what to put in its place. */
export type Exchange = readonly [expected: number, next: number]
export type Steps<A> = Generator<Exchange, A, number>

/** Somebody waits at the hub: only the hub gives the lock to another then. */
export const contended = 1 << 30
/** Its holder has let go, and the hub may give it to the next; until it does, the holder may take it again. */
const idle = 1 << 29
/** The hub is to be told when the holder lets go. Where it is not, it has been told, and will look. */
const unheard = 1 << 28
const marks = contended | unheard

export const holderOf = (word: number): number => word & ~(contended | idle | unheard)
const isContended = (word: number): boolean => (word & contended) !== 0
const isIdle = (word: number): boolean => (word & idle) !== 0
const isUnheard = (word: number): boolean => (word & unheard) !== 0

/** Somebody is under it: who dies now leaves it abandoned. */
export const isHeldBy = (word: number, slot: number): boolean => holderOf(word) === slot && !isIdle(word)
export const isHeld = (word: number): boolean => word !== 0 && !isIdle(word)

/** What a lock takes: the word, its state, and room. */
export const lockBytes = 16

export const wordAt = 0
/** Behind the word stands what the next holder has to know: 0 when all is well. */
export const stateAt = 1

/** The owner's scope has ended. */
export const lockClosed = -1
export const unknownProcess = 0
/** The process that held it has died: its id, which is above 0; or that somebody has, when its id is not known. */
const abandonedByUnknown = -2
export const abandonedAt = (pid: number): number => pid === unknownProcess ? abandonedByUnknown : pid
/** Undefined when it is not abandoned. */
export const abandonedBy = (state: number): number | undefined =>
  state > 0 ? state : state === abandonedByUnknown ? unknownProcess : undefined

/** No holder has this number: an exchange that expects it changes nothing, and says what is there. */
const look: Exchange = [-1, -1]

/** Takes the lock, or marks it and says that the taker has to wait at the hub. */
export function* take(slot: number): Steps<"held" | "wait"> {
  while (true) {
    const before = yield [0, slot]
    if (before === 0) return "held"
    if (isContended(before)) return "wait"
    if ((yield [before, before | marks]) === before) return "wait"
  }
}

/** Gives it. `"tell"`: the hub has to be told, because somebody waits; `"told"`: it has been. */
export function* give(slot: number): Steps<"free" | "tell" | "told"> {
  if ((yield [slot, 0]) === slot) return "free"
  while (true) {
    if ((yield [slot | marks, slot | contended | idle]) === (slot | marks)) return "tell"
    // the hub looks now, or will: it may mark the word before it is idle
    if ((yield [slot | contended, slot | contended | idle]) === (slot | contended)) return "told"
  }
}

/** Takes it again, by the process that has given it, unless the hub was faster. */
export function* takeAgain(slot: number): Steps<boolean> {
  const idling = slot | contended | idle
  return (yield [idling, slot | contended]) === idling
}

export interface Waiter {
  readonly slot: number
}

const wordFor = (waiter: Waiter, queue: ReadonlyArray<Waiter>): number =>
  queue.length > 0 ? waiter.slot | marks : waiter.slot

const wordAfter = ([next, ...rest]: ReadonlyArray<Waiter>): number => next === undefined ? 0 : wordFor(next, rest)

/** What the hub does when somebody who has to wait arrives. */
export function* arrive<W extends Waiter>(
  queue: Array<W>,
  waiter: W,
  isAlive: (slot: number) => boolean
): Steps<"granted" | "abandoned" | "queued"> {
  let before = yield look
  while (true) {
    const holder = holderOf(before)
    // given meanwhile; or taken by one who had lost its hub a moment before, and noticed too late
    const isFree = holder === 0 || !isAlive(holder)
    const next = isFree ? wordFor(waiter, queue) : isContended(before) ? before : before | marks
    const found = next === before ? before : yield [before, next]
    if (found !== before) {
      before = found
    } else if (isFree) {
      return holder === 0 || isIdle(before) ? "granted" : "abandoned"
    } else {
      queue.push(waiter)
      return "queued"
    }
  }
}

/** What the hub does when it is told that a holder has let go: the one who waits longest is next, unless it was taken again. */
export function* passOn<W extends Waiter>(queue: Array<W>, slot: number): Steps<W | undefined> {
  let before = yield look
  while (holderOf(before) === slot) {
    if (!isIdle(before) && isUnheard(before)) return undefined
    const found = yield [before, isIdle(before) ? wordAfter(queue) : before | unheard]
    if (found === before) return isIdle(before) ? queue.shift() : undefined
    before = found
  }
  return undefined // it has been given on meanwhile
}

/** What the hub does when a holder has died: the one who waits longest is next. */
export function* inherit<W extends Waiter>(queue: Array<W>, slot: number): Steps<W | undefined> {
  let before = yield look
  while (holderOf(before) === slot) {
    const found = yield [before, wordAfter(queue)]
    if (found === before) return queue.shift()
    before = found // somebody has marked it
  }
  return undefined // it was not held by this one
}

/** On shared bytes. */
export const run = <A>(steps: Steps<A>, words: Int32Array): A => {
  let step = steps.next(0)
  while (step.done !== true) {
    const [expected, next] = step.value
    step = steps.next(Atomics.compareExchange(words, wordAt, expected, next))
  }
  return step.value
}
