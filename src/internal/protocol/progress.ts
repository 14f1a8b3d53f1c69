/**
 * The word in which a child notes the run that it is in, for a parent that reads it also while the child's event loop does
 * not turn, and when it has died; beside it the item of that run. A parent that is about to kill the child for a run takes
 * the word away from it in the same step as it reads it: what the child would begin after that run is not begun, and does
 * not end with it.
 *
 * ```
 *          enter(run)                       condemn(run), in that run
 *   idle <------------> the run's number ------------------------------> condemned: enter is refused from now on
 *          enter(idle)
 * ```
 */

export const idle = -1

export const condemned = -2

/** Of so many bytes. */
export const makeProgress = (buffer: ArrayBufferLike): Int32Array => new Int32Array(buffer).fill(idle)

/** Where the item of the run stands. Between the two is another's: `internal/memory/words.ts`. */
const itemAt = 2

export const progressBytes = 12

const runOf = (noted: number): number | undefined => noted < 0 ? undefined : noted

/** The child's step to an item of a run, or to `idle`. False when it may not go on: it will be killed. */
export const enter = (progress: Int32Array, run: number, item = 0): boolean => {
  const noted = Atomics.load(progress, 0)
  if (noted === condemned) return false
  progress[itemAt] = item
  return noted === run || Atomics.compareExchange(progress, 0, noted, run) === noted
}

/** What a child was in when it died: an item of a run, or nothing. Undefined where that is not known. */
export type LastItem = { readonly run: number; readonly index: number } | "none" | undefined

export const lastItem = (progress: Int32Array): LastItem => {
  const noted = Atomics.load(progress, 0)
  if (noted === condemned) return undefined
  return noted < 0 ? "none" : { run: noted, index: progress[itemAt]! }
}

/** The run that the child is in. */
export const runIn = (progress: Int32Array): number | undefined => runOf(Atomics.load(progress, 0))

/** The same; a child that is in this run begins nothing after it. */
export const condemn = (progress: Int32Array, run: number): number | undefined =>
  runOf(Atomics.compareExchange(progress, 0, run, condemned))

// ---------------------------------------------------------------------------------------------------- without shared memory

/** Asked over a descriptor: what run it is in; the same, and to begin nothing after that run; how much memory it uses. */
export type Question = "r" | "c" | "m"

export const questionTo = (question: Question, run: number): Buffer => {
  const bytes = Buffer.alloc(5)
  bytes.write(question)
  bytes.writeInt32LE(run, 1)
  return bytes
}
