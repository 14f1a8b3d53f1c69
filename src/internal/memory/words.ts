/**
 * A word that a parent shares with one child: the number of the run that the child is in.
 */
import { allocate } from "./arena.ts"
import { native } from "./native.ts"
import { openSegment, referTo } from "./segments.ts"
import type { SegmentReference } from "./segments.ts"

export interface Word {
  readonly words: Int32Array
  /** Where the number stands. */
  readonly noted: 0
  /** 1 when the child has found it. */
  readonly isUsed: 1
}

interface WordReference {
  readonly segment: SegmentReference
  readonly offset: number
}

const bytes = 8

const wordAt = (buffer: SharedArrayBuffer, offset: number): Word => ({
  words: new Int32Array(buffer, offset, bytes / Int32Array.BYTES_PER_ELEMENT),
  noted: 0,
  isUsed: 1
})

/** With what the child is told; `undefined` where memory does not reach processes. */
export const makeWord = (): Word & { readonly reference: string; readonly release: () => void } | undefined => {
  if (native()?.canShare !== true) return undefined
  try {
    const { offset, release, segment } = allocate(bytes)
    const reference: WordReference = { segment: referTo(segment, false), offset }
    return { ...wordAt(segment.buffer, offset), reference: JSON.stringify(reference), release }
  } catch {
    return undefined // no descriptors, or no memory: it can be done without
  }
}

export const openWord = (reference: string): Word | undefined => {
  try {
    const { offset, segment } = JSON.parse(reference) as WordReference // the parent's
    return wordAt(openSegment(segment).buffer, offset)
  } catch {
    return undefined // another Node, or another user
  }
}
