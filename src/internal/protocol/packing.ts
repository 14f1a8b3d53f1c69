/**
 * Numbers in bulk travel as one block of doubles: a hundredth of the cost of an array of them. Whoever reads them reads an
 * array all the same: both have a length and indexes.
 */

/** Below this a block costs more than it saves. */
const leastNumbers = 64

/** A block of doubles when every value is a number; otherwise the values as they are. */
export const packNumbers = (values: ArrayLike<unknown>): ArrayLike<unknown> => {
  const { length } = values
  if (length < leastNumbers || typeof values[0] !== "number" || typeof values[length - 1] !== "number") return values
  const block = new Float64Array(length)
  for (let i = 0; i < length; i++) {
    const value = values[i]
    if (typeof value !== "number") return values
    block[i] = value
  }
  return block
}

/** The buffer of a block, to be moved where buffers move. */
export const bufferOfBlock = (values: ArrayLike<unknown>): ArrayBuffer | undefined =>
  values instanceof Float64Array ? values.buffer as ArrayBuffer : undefined // packNumbers makes no other
