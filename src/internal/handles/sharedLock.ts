/**
 * A lock that stands for itself.
 */
import type { ObjectReference } from "../hub/link.ts"
import type { OnOwnerDeath } from "../hub/lock.ts"
import { lockBytes } from "../memory/lockWord.ts"
import { openPlace, writePlace } from "../memory/places.ts"
import type { Place, PlaceData } from "../memory/places.ts"
import { refusalOf } from "./bytes.ts"
import { makeHandle } from "./handle.ts"
import type { Handle } from "./handle.ts"
import { connectLock, lockWordsAt, makeLockedCell, openLock, referToLock } from "./lock.ts"
import type { LockSide } from "./lock.ts"

export const LockTypeId = "~effect-multiprocessing/SharedLock" as const

export interface LockHandle extends Handle {
  readonly [LockTypeId]: typeof LockTypeId
  readonly reentrant: boolean
  readonly lock: LockSide
}

interface LockData extends PlaceData {
  readonly reentrant: boolean
  readonly lock: ObjectReference
}

const makeLockHandle = (reentrant: boolean, place: Place, lock: LockSide): LockHandle =>
  makeHandle({ [LockTypeId]: LockTypeId, reentrant, lock }, {
    name: "SharedLock",
    refusal: refusalOf(place.segment),
    write: (border): LockData => ({ ...writePlace(place, border), reentrant, lock: referToLock(lock) })
  })

export const makeSharedLock = (
  reentrant: boolean,
  onOwnerDeath: OnOwnerDeath
): { readonly handle: LockHandle; readonly release: () => void } => {
  const { cell, lock, release } = makeLockedCell(lockBytes, 0, onOwnerDeath)
  return { handle: makeLockHandle(reentrant, cell, lock), release }
}

export const openSharedLock = ({ lock, reentrant, ...data }: LockData): LockHandle => {
  const place = openPlace(data)
  return makeLockHandle(reentrant, place, connectLock(openLock(lockWordsAt(place), lock)))
}
