/**
 * Cells of shared bytes, many to a segment: a mapping for each value would run into the limits of the system.
 *
 * A place is given out once. Whoever still holds a view of a cell whose scope has ended reads and writes bytes that
 * belong to nobody else; the segment goes when the scopes of all its cells have ended.
 */
import { closeSegment, createSegment } from "./segments.ts"
import type { Segment } from "./segments.ts"

export interface Cell {
  readonly segment: Segment
  /** In bytes, from the start of the segment; a multiple of 64. */
  readonly offset: number
  readonly size: number
  /** Once, by the scope that made it. */
  readonly release: () => void
}

const arenaBytes = 1024 * 1024
/** What is larger gets a segment of its own. */
const largestShared = arenaBytes / 4
/** Cells do not share what processors move at once: two that are written by two processes would slow each other down. */
const alignment = 64

interface Arena {
  readonly segment: Segment
  used: number
  live: number
}

let current: Arena | undefined

const retire = (arena: Arena): void => {
  if (arena.live === 0) closeSegment(arena.segment)
}

const release = (arena: Arena): void => {
  arena.live--
  if (arena !== current) retire(arena)
}

const once = (action: () => void): () => void => {
  let done = false
  return () => {
    if (!done) {
      done = true
      action()
    }
  }
}

/** Zeroed bytes. Throws what the system answers when there are no more. */
export const allocate = (size: number): Cell => {
  if (size > largestShared) {
    const segment = createSegment(size)
    return { segment, offset: 0, size, release: once(() => closeSegment(segment)) }
  }
  if (current === undefined || current.used + size > arenaBytes) {
    const full = current
    current = { segment: createSegment(arenaBytes), used: 0, live: 0 }
    if (full !== undefined) retire(full)
  }
  const arena = current
  const offset = arena.used
  arena.used = Math.ceil((offset + size) / alignment) * alignment
  arena.live++
  return { segment: arena.segment, offset, size, release: once(() => release(arena)) }
}
