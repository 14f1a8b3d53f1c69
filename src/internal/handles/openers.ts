/**
 * What is made of each kind of handle on the other side.
 */
import { openArray } from "./array.ts"
import { openBarrier } from "./barrier.ts"
import { openCondition } from "./condition.ts"
import { openEvent } from "./event.ts"
import { openConnection } from "./connection.ts"
import type { Handle, OpenHandle } from "./handle.ts"
import { openProxy } from "./manager.ts"
import { openQueue } from "./queue.ts"
import { openSemaphore } from "./semaphore.ts"
import { openSharedLock } from "./sharedLock.ts"
import { openMemory } from "./sharedMemory.ts"
import { openValue } from "./value.ts"

/** Plain data, as the `write` of a handle of this kind has given it. */
type Open = (data: never) => Handle

const openers: Readonly<Record<string, Open>> = {
  Connection: openConnection,
  Manager: openProxy,
  SharedArray: openArray,
  SharedBarrier: openBarrier,
  SharedCondition: openCondition,
  SharedEvent: openEvent,
  SharedLock: openSharedLock,
  SharedMemory: openMemory,
  SharedQueue: openQueue,
  SharedSemaphore: openSemaphore,
  SharedValue: openValue
}

export const openHandle: OpenHandle = (name, data) => {
  const open = Object.hasOwn(openers, name) ? openers[name] as ((data: unknown) => Handle) : undefined
  if (open === undefined) throw new TypeError(`There is no handle of the kind ${name}.`)
  return open(data)
}
