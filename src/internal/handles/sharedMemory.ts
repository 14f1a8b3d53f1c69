/**
 * A block of shared bytes with a name.
 */
import { createSegment } from "../memory/segments.ts"
import type { Segment } from "../memory/segments.ts"
import { openPlace, writePlace } from "../memory/places.ts"
import type { PlaceData } from "../memory/places.ts"
import { refusalOf } from "./bytes.ts"
import { makeHandle } from "./handle.ts"
import type { Handle } from "./handle.ts"

export const MemoryTypeId = "~effect-multiprocessing/SharedMemory" as const

export interface MemoryHandle extends Handle {
  readonly [MemoryTypeId]: typeof MemoryTypeId
  readonly name: string
  readonly size: number
  readonly bytes: Uint8Array<SharedArrayBuffer>
}

interface MemoryData extends PlaceData {
  readonly name: string
}

export const memoryOf = (name: string, segment: Segment): MemoryHandle =>
  makeHandle({
    [MemoryTypeId]: MemoryTypeId,
    name,
    size: segment.size,
    bytes: new Uint8Array(segment.buffer, 0, segment.size)
  }, {
    name: "SharedMemory",
    refusal: refusalOf(segment),
    write: (border): MemoryData => ({ ...writePlace({ segment, offset: 0 }, border), name })
  })

export const createMemory = (
  name: string,
  size: number
): { readonly segment: Segment; readonly handle: MemoryHandle } => {
  const segment = createSegment(size)
  return { segment, handle: memoryOf(name, segment) }
}

export const openMemory = ({ name, ...data }: MemoryData): MemoryHandle => memoryOf(name, openPlace(data).segment)
