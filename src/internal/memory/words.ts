/**
 * A word that a parent shares with one child: the number of the run that the child is in.
 */
import { allocate } from "./arena.ts"
import { native } from "./native.ts"
import { openPlace, wordsAt, writePlace } from "./places.ts"
import type { Place, PlaceData } from "./places.ts"

export interface Word {
  readonly words: Int32Array
  /** Where the number stands. */
  readonly noted: 0
  /** 1 when the child has found it. */
  readonly isUsed: 1
}

const bytes = 8

const wordOf = (place: Place): Word => ({ words: wordsAt(place, bytes), noted: 0, isUsed: 1 })

/** With what the child is told; `undefined` where memory does not reach processes. */
export const makeWord = (): Word & { readonly reference: string; readonly release: () => void } | undefined => {
  if (native()?.canShare !== true) return undefined
  try {
    const cell = allocate(bytes)
    const reference = JSON.stringify(writePlace(cell, { sharesMemory: false }))
    return { ...wordOf(cell), reference, release: cell.release }
  } catch {
    return undefined // no descriptors, or no memory: it can be done without
  }
}

export const openWord = (reference: string): Word | undefined => {
  try {
    return wordOf(openPlace(JSON.parse(reference) as PlaceData)) // the parent's
  } catch {
    return undefined // another Node, or another user
  }
}
