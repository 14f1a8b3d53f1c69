/**
 * Words of which one other process is told: where memory does not reach, both do without.
 */
import { allocate } from "./arena.ts"
import { native } from "./native.ts"
import { openPlace, wordsAt, writePlace } from "./places.ts"
import type { PlaceData } from "./places.ts"

export interface ToldWords {
  readonly words: Int32Array
  readonly place: PlaceData
  readonly release: () => void
}

/** `undefined` where memory does not reach processes. */
export const makeToldWords = (bytes: number): ToldWords | undefined => {
  if (native()?.canShare !== true) return undefined
  try {
    const cell = allocate(bytes)
    return { words: wordsAt(cell, bytes), place: writePlace(cell, { sharesMemory: false }), release: cell.release }
  } catch {
    return undefined // no descriptors, or no memory: it can be done without
  }
}

export const openToldWords = (place: PlaceData, bytes: number): Int32Array | undefined => {
  try {
    return wordsAt(openPlace(place), bytes)
  } catch {
    return undefined // another Node, or another user
  }
}
