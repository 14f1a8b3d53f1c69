/**
 * A child whose parent is gone leaves by itself when its event loop turns. One that computes without end is ended by the
 * kernel where the addon is there, and by a thread of its own elsewhere. The parent reads what such a child runs in memory that
 * they share; where they share none, that thread answers.
 */
import { native } from "../memory/native.ts"
import { openWord } from "../memory/words.ts"
import { watchParent } from "./watchdog.ts"

/** After the time that the session gives to finalizers, and within two seconds. */
const graceSeconds = 1

/** Gives the shared place in which the run is noted from now on, if there is one. */
export const endWithParent = (
  parentPid: number,
  word: string | undefined,
  descriptor: number,
  progress: Int32Array
): Int32Array | undefined => {
  const shared = word === undefined ? undefined : openWord(word)
  if (shared !== undefined && asksForItsEnd(parentPid)) {
    Atomics.store(shared.words, shared.noted, progress[0]!)
    Atomics.store(shared.words, shared.isUsed, 1)
    return shared.words
  }
  watchParent(descriptor, progress)
  return undefined
}

const asksForItsEnd = (parentPid: number): boolean => {
  try {
    return native()?.dieWithParent(parentPid, graceSeconds) === true
  } catch {
    return false // somebody else has the signal: the thread does it
  }
}
