/**
 * Shared bytes as they cross: the segment, and where in it.
 */
import type { Cell } from "../memory/arena.ts"
import { isGone } from "../memory/gone.ts"
import { whyAbsent } from "../memory/native.ts"
import { openSegment, referTo } from "../memory/segments.ts"
import type { Segment, SegmentReference } from "../memory/segments.ts"
import type { Border, Crossing } from "./handle.ts"

export type Place = Pick<Cell, "segment" | "offset">

export interface PlaceData {
  readonly segment: SegmentReference
  readonly offset: number
}

export const writePlace = ({ offset, segment }: Place, { sharesMemory }: Border): PlaceData => ({
  segment: referTo(segment, sharesMemory),
  offset
})

export const openPlace = ({ offset, segment }: PlaceData): Place => ({ segment: openSegment(segment), offset })

/** Undefined where what is asked of the bytes can be asked of the hub, which knows whether its owner is gone. */
export const tryOpenPlace = (place: PlaceData): Place | undefined => {
  try {
    return openPlace(place)
  } catch (cause) {
    if (isGone(cause)) return undefined
    throw cause
  }
}

/** What lies in a plain SharedArrayBuffer reaches threads only. */
export const refusalOf = (segment: Segment): Crossing["refusal"] => ({ sharesMemory }) =>
  sharesMemory || segment.source !== undefined
    ? undefined
    : `Shared memory reaches threads only here, because ${whyAbsent()}. Or use StartMethod.layerThreads, or send a copy.`
