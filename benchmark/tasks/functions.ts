/** The work itself, without any library: every contender's task module calls these. */

export const square = (x: number): number => x * x

export const squareAll = (items: ReadonlyArray<number>): Array<number> => items.map(square)

export const squareInPlace = (items: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> => {
  for (let at = 0; at < items.length; at++) items[at]! *= items[at]!
  return items
}

/** Between two places of an array that others work on too. */
export const squareRange = (items: Float64Array<SharedArrayBuffer>, from: number, to: number): void => {
  for (let at = from; at < to; at++) items[at]! *= items[at]!
}

export interface Range {
  readonly items: Float64Array<SharedArrayBuffer>
  readonly from: number
  readonly to: number
}

export const squareShared = ({ from, items, to }: Range): void => squareRange(items, from, to)

export const echo = (bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> => bytes

/**
 * Arithmetic that no compiler folds away, because its value is the result. It stays within 32-bit integers and is made
 * of short calls, so that it costs the same in every contender, whatever its compiler saw before.
 */
const unit = (seed: number): number => {
  let state = seed
  for (let step = 0; step < 1_000; step++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    state ^= state >>> 13
  }
  return state
}

export const burn = (units: number): number => {
  let state = units | 0
  for (let call = units * 450; call > 0; call--) state = unit(state)
  return state
}
