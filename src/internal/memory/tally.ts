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
import { allocate } from "./arena.ts"
import { native } from "./native.ts"
import { openSegment, referTo } from "./segments.ts"
import type { SegmentReference } from "./segments.ts"

/** As many handings of one process can be noted at a time. */
export const tallyCells = 32
const bytes = tallyCells * 2 * Int32Array.BYTES_PER_ELEMENT

export interface Tally {
  readonly words: Int32Array
}

export interface TallyReference {
  readonly segment: SegmentReference
  readonly offset: number
}

/** As its maker has it. */
export interface OwnTally extends Tally {
  readonly reference: TallyReference
  readonly release: () => void
}

const tallyAt = (buffer: SharedArrayBuffer, offset: number): Tally => ({
  words: new Int32Array(buffer, offset, bytes / Int32Array.BYTES_PER_ELEMENT)
})

/** `undefined` where memory does not reach processes. */
export const makeTally = (): OwnTally | undefined => {
  if (native()?.canShare !== true) return undefined
  try {
    const { offset, release, segment } = allocate(bytes)
    return { ...tallyAt(segment.buffer, offset), reference: { segment: referTo(segment, false), offset }, release }
  } catch {
    return undefined // no descriptors, or no memory: it can be done without
  }
}

export const openTally = ({ offset, segment }: TallyReference): Tally | undefined => {
  try {
    return tallyAt(openSegment(segment).buffer, offset)
  } catch {
    return undefined // another Node, or another user
  }
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
