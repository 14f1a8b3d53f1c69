/**
 * A condition: a way to its hub, and its lock.
 */
import { makeConditionObject } from "../hub/condition.ts"
import type { ObjectReference } from "../hub/link.ts"
import { crossing, makeHandle } from "./handle.ts"
import type { Handle } from "./handle.ts"
import { homeOf, leaveHome, makeHome, referTo, tell } from "./home.ts"
import type { Home } from "./home.ts"
import { watchLock } from "./lock.ts"
import { openSharedLock } from "./sharedLock.ts"
import type { LockHandle } from "./sharedLock.ts"

export const ConditionTypeId = "~effect-multiprocessing/SharedCondition" as const

export interface ConditionHandle extends Handle {
  readonly [ConditionTypeId]: typeof ConditionTypeId
  readonly lock: LockHandle
  readonly home: Home
}

interface ConditionData {
  readonly home: ObjectReference
  readonly lock: Parameters<typeof openSharedLock>[0]
}

const makeConditionHandle = (lock: LockHandle, home: Home): ConditionHandle =>
  makeHandle({ [ConditionTypeId]: ConditionTypeId, lock, home }, {
    name: "SharedCondition",
    refusal: lock[crossing].refusal,
    write: (border, given): ConditionData => ({
      home: referTo(home),
      lock: lock[crossing].write(border, given) as ConditionData["lock"] // what a lock writes is what is opened as one
    })
  })

export const makeCondition = (
  lock: LockHandle
): { readonly handle: ConditionHandle; readonly release: () => void } => {
  const home = makeHome(makeConditionObject)
  // who died with the lock might have been the one to notify; and nobody can notify any more when the lock is closed
  const unwatch = watchLock(lock.lock, () => tell(home, "notify", Infinity), () => leaveHome(home))
  const release = (): void => {
    unwatch()
    leaveHome(home)
  }
  return { handle: makeConditionHandle(lock, home), release }
}

export const openCondition = ({ home, lock }: ConditionData): ConditionHandle =>
  makeConditionHandle(openSharedLock(lock), homeOf(home))
