/**
 * What the handles of shared bytes have in common at a border.
 */
import { whyAbsent } from "../memory/native.ts"
import type { Segment } from "../memory/segments.ts"
import type { Crossing } from "./handle.ts"

/** What lies in a plain SharedArrayBuffer reaches threads only. */
export const refusalOf = (segment: Segment): Crossing["refusal"] => ({ sharesMemory }) =>
  sharesMemory || segment.source !== undefined
    ? undefined
    : `Shared memory reaches threads only here, because ${whyAbsent()}. Or use StartMethod.layerThreads, or send a copy.`
