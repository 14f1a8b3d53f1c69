/**
 * The word in which a child notes the run that it is in, for a parent that reads it also while the child's event loop does
 * not turn. A parent that is about to kill the child for a run takes the word away from it in the same step as it reads it:
 * what the child would begin after that run is not begun, and does not end with it.
 *
 * ```
 *          enter(run)                       condemn(run), in that run
 *   idle <------------> the run's number ------------------------------> condemned: enter is refused from now on
 *          enter(idle)
 * ```
 */

export const idle = -1

export const condemned = -2

export const makeProgress = (buffer: ArrayBufferLike): Int32Array => new Int32Array(buffer).fill(idle)

const runOf = (noted: number): number | undefined => noted < 0 ? undefined : noted

/** The child's step to its next run, or to `idle`. False when it may not go on: it will be killed. */
export const enter = (progress: Int32Array, run: number): boolean => {
  const noted = Atomics.load(progress, 0)
  return noted === run || (noted !== condemned && Atomics.compareExchange(progress, 0, noted, run) === noted)
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
