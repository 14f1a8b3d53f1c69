/**
 * Words that a parent shares with one child: the run that the child is in, and the item of it (`internal/protocol/progress.ts`).
 */
import type { PlaceData } from "./places.ts"
import { makeToldWords, openToldWords } from "./told.ts"

export interface Word {
  readonly words: Int32Array
  /** Where the number stands. */
  readonly noted: 0
  /** 1 when the child has found it. */
  readonly isUsed: 1
}

const bytes = 12

const wordOf = (words: Int32Array): Word => ({ words, noted: 0, isUsed: 1 })

/** With what the child is told; `undefined` where memory does not reach processes. */
export const makeWord = (): Word & { readonly reference: string; readonly release: () => void } | undefined => {
  const made = makeToldWords(bytes)
  if (made === undefined) return undefined
  return { ...wordOf(made.words), reference: JSON.stringify(made.place), release: made.release }
}

export const openWord = (reference: string): Word | undefined => {
  const words = openToldWords(JSON.parse(reference) as PlaceData, bytes) // the parent's
  return words === undefined ? undefined : wordOf(words)
}
