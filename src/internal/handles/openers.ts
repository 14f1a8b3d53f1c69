/**
 * What is made of each kind of handle on the other side.
 */
import { openArray } from "./array.ts"
import type { Handle, OpenHandle } from "./handle.ts"
import { openSharedLock } from "./sharedLock.ts"
import { openMemory } from "./sharedMemory.ts"
import { openValue } from "./value.ts"

/** Plain data, as the `write` of a handle of this kind has given it. */
type Open = (data: never) => Handle

const openers: Readonly<Record<string, Open>> = {
  SharedArray: openArray,
  SharedLock: openSharedLock,
  SharedMemory: openMemory,
  SharedValue: openValue
}

export const openHandle: OpenHandle = (name, data) => {
  const open = openers[name] as ((data: unknown) => Handle) | undefined
  if (open === undefined) throw new TypeError(`There is no handle of the kind ${name}.`)
  return open(data)
}
