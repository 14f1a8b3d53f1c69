/**
 * Where a process notes how many of the things that another has handed to it are used, without a message for each: the
 * other looks there when it has to know, also when the process has died.
 *
 * ```
 * cell 0                cell 1
 * [ used ][ wanted ]    [ used ][ wanted ]   ...    numbers of 32 bits
 * ```
 *
 * Who uses something notes it, then looks whether news is wanted; who wants news says so, then looks at what is noted. So
 * one of the two sees the other.
 */
import type { PlaceData } from "./places.ts"
import { makeToldWords, openToldWords } from "./told.ts"
import type { ToldWords } from "./told.ts"

/** As many handings of one process can be noted at a time. */
export const tallyCells = 32
const bytes = tallyCells * 2 * Int32Array.BYTES_PER_ELEMENT

export interface Tally {
  readonly words: Int32Array
}

/** As its maker has it. */
export type OwnTally = ToldWords

/** `undefined` where memory does not reach processes. */
export const makeTally = (): OwnTally | undefined => makeToldWords(bytes)

export const openTally = (place: PlaceData): Tally | undefined => {
  const words = openToldWords(place, bytes)
  return words === undefined ? undefined : { words }
}

/** Before something is handed out with the cell. */
export const resetCell = ({ words }: Tally, cell: number): void => {
  Atomics.store(words, 2 * cell, 0)
  Atomics.store(words, 2 * cell + 1, 0)
}

export const wantNews = ({ words }: Tally, cell: number): void => void Atomics.store(words, 2 * cell + 1, 1)

export const usedOf = ({ words }: Tally, cell: number): number => Atomics.load(words, 2 * cell)

/** Whether that has to be said, too. */
export const noteUsed = ({ words }: Tally, cell: number, used: number): boolean => {
  Atomics.store(words, 2 * cell, used)
  return Atomics.load(words, 2 * cell + 1) !== 0
}
