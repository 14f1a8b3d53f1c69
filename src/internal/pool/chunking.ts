/**
 * How many items go into one message. Too few, and the message costs more than the work; too many, and one worker still
 * computes when the others have nothing left.
 */

/** A chunk should take about this long: long against a message, short against a person. */
export const chunkMillis = 2
/** A message weighs at most about this much, unless one item weighs more. */
export const maxChunkBytes = 1 << 20
/** Even items that cost nothing come in pieces, so that a result is seen before all is done. */
export const maxChunkItems = 16_384

export interface Shape {
  /** Mean run time of an item in milliseconds; undefined before the first result. */
  readonly itemMillis: number | undefined
  /** Items that wait in the pool. */
  readonly waiting: number
  /** No more items will come. */
  readonly complete: boolean
  readonly workers: number
}

/** "auto": by the measured time, and never more than an even share of half of what is left. */
export const autoSize = ({ complete, itemMillis, waiting, workers }: Shape): number => {
  const byTime = itemMillis === undefined
    ? 1
    : Math.min(maxChunkItems, Math.max(1, Math.floor(chunkMillis / Math.max(itemMillis, 1e-6))))
  return complete ? Math.min(byTime, Math.max(1, Math.ceil(waiting / (2 * workers)))) : byTime
}

/**
 * The next estimate of an item's time. A batch says more than a single item, which may have paid for a first call.
 */
export const nextMean = (mean: number | undefined, items: number, millis: number): number => {
  const sample = millis / items
  if (mean === undefined) return sample
  const weight = items >= 8 ? 0.7 : 0.3
  return mean * (1 - weight) + sample * weight
}

// ---------------------------------------------------------------------------------------------------- weights

const wordBytes = 8
/** What an object costs beside what it holds. */
const objectBytes = 64
/** More fields, and elements of arrays, are not looked at. */
const fieldsSeen = 16

/** What a value weighs in a message, roughly: its texts and buffers are what counts. */
export const weightOf = (value: unknown): number => {
  try {
    return weigh(value, 0)
  } catch {
    return objectBytes // a getter of the user's that throws: whoever posts it will say so
  }
}

const weigh = (value: unknown, depth: number): number => {
  if (typeof value === "string") return wordBytes + value.length
  if (typeof value !== "object" || value === null) return wordBytes
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return objectBytes + value.byteLength
  if (depth === 2) return objectBytes
  if (Array.isArray(value)) {
    // the others are taken to be like the first
    return objectBytes + (value.length === 0 ? 0 : value.length * weigh(value[0], depth + 1))
  }
  let bytes = objectBytes
  let seen = 0
  for (const key in value) {
    if (++seen > fieldsSeen) break
    bytes += weigh((value as Record<string, unknown>)[key], depth + 1)
  }
  return bytes
}

/** Items of a collection are of one kind: numbers need no look at each. */
const areNumbers = (items: ReadonlyArray<unknown>): boolean =>
  typeof items[0] === "number" && typeof items[items.length - 1] === "number"

export const weightOfAll = (items: ReadonlyArray<unknown>): number => {
  if (areNumbers(items)) return items.length * wordBytes
  let bytes = 0
  for (const item of items) bytes += weightOf(item)
  return bytes
}

/** How many of the items from here on, at most `most`, one message may carry: at least one. */
export const fitting = (items: ReadonlyArray<unknown>, from: number, most: number): number => {
  if (most === 1 || (areNumbers(items) && most * wordBytes <= maxChunkBytes)) return most
  const end = Math.min(items.length, from + most)
  let bytes = 0
  for (let i = from; i < end; i++) {
    bytes += weightOf(items[i])
    if (bytes > maxChunkBytes) return Math.max(1, i - from)
  }
  return most
}
