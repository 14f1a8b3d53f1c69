/**
 * What a worker died of: the item that it was in, or what it read next. Nothing here knows commands.
 */
import type { LastItem } from "../protocol/progress.ts"
import type { Chunk, Job, Worker } from "./model.ts"

/** Announced, and without a report: where nothing better is known it was that. */
const announcedAt = ({ announced, reported }: Chunk): number | undefined => announced >= reported ? reported : undefined

/** The item of the chunk in which its worker died; undefined where it was in none of it. */
export const diedAt = ({ stuckIn }: Worker, chunk: Chunk, last: LastItem): number | undefined => {
  // killed for a run that nobody wants any more; what was announced of another has ended, unseen
  if (stuckIn !== undefined) return undefined
  if (last === undefined) return announcedAt(chunk)
  return last !== "none" && last.run === chunk.run && last.index >= chunk.reported ? last.index : undefined
}

/** Where it died in none: reading a payload may end a worker too, and this is what came next. */
export const suspectOf = (worker: Worker, last: LastItem): Chunk | undefined =>
  worker.chunks.some((chunk) => diedAt(worker, chunk, last) !== undefined)
    ? undefined
    : worker.chunks.find(({ cancelled, job }) => !cancelled && !job.stopped)

/** So many workers may die of reading the same, one after the other. */
const mostSuspicions = 3

/** Is it what they die of? An item that is alone is known by that; of more, the halves are tried. */
export const isConvicted = ({ first, items, job, reported }: Chunk): boolean => {
  if (items.length - reported > 1) return false
  job.suspected ??= new Map()
  const times = (job.suspected.get(first + reported) ?? 0) + 1
  job.suspected.set(first + reported, times)
  return times >= Math.max(mostSuspicions, job.options.retries + 1)
}

export const mayRetry = (job: Job, index: number): boolean => {
  if (job.options.retries === 0) return false
  job.attempts ??= new Map()
  const attempts = job.attempts.get(index) ?? 0
  job.attempts.set(index, attempts + 1)
  return attempts < job.options.retries
}
