/**
 * How many items go into one message. Too few, and the message costs more than the work; too many, and one worker still
 * computes when the others have nothing left.
 */

/** A chunk should take about this long: long against a message, short against a person. */
export const chunkMillis = 2
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
