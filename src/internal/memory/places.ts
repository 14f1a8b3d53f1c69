/**
 * Where shared bytes lie: the segment, and where in it; here, and as it crosses.
 */
import type { Cell } from "./arena.ts"
import { isGone } from "./gone.ts"
import { openSegment, referTo } from "./segments.ts"
import type { SegmentReference } from "./segments.ts"
import { isUnreachable } from "./unreachable.ts"

export type Place = Pick<Cell, "segment" | "offset">

export interface PlaceData {
  readonly segment: SegmentReference
  readonly offset: number
}

/** Throws a `Gone` when its owner has let it go. */
export const writePlace = (
  { offset, segment }: Place,
  { sharesMemory }: { readonly sharesMemory: boolean }
): PlaceData => ({ segment: referTo(segment, sharesMemory), offset })

/** Throws a `Gone`, or an `Unreachable`. */
export const openPlace = ({ offset, segment }: PlaceData): Place => ({ segment: openSegment(segment), offset })

/** Undefined where what is asked of the bytes can be asked of the hub, which knows whether its owner is gone. */
export const tryOpenPlace = (place: PlaceData): Place | undefined => {
  try {
    return openPlace(place)
  } catch (cause) {
    if (isGone(cause) || isUnreachable(cause)) return undefined
    throw cause
  }
}

/** So many bytes of it, after so many others, as words of 32 bits. */
export const wordsAt = ({ offset, segment }: Place, bytes: number, after = 0): Int32Array<SharedArrayBuffer> =>
  new Int32Array(segment.buffer, offset + after, bytes / Int32Array.BYTES_PER_ELEMENT)
