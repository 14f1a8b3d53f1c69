/**
 * Numbers side by side in shared bytes, with one lock before them.
 */
import type { ObjectReference } from "../hub/link.ts"
import { bytesPerElement, numbersAt } from "../memory/kinds.ts"
import type { Kind, Numbers } from "../memory/kinds.ts"
import { openPlace, writePlace } from "../memory/places.ts"
import type { Place, PlaceData } from "../memory/places.ts"
import { refusalOf } from "./bytes.ts"
import { invariant, makeHandle } from "./handle.ts"
import type { Handle } from "./handle.ts"
import { lockWordsAt, makeLockedCell, openLock, referToLock } from "./lock.ts"
import type { LockSide } from "./lock.ts"

export const ArrayTypeId = "~effect-multiprocessing/SharedArray" as const

export interface ArrayHandle<K extends Kind> extends Handle {
  readonly [ArrayTypeId]: (_: K) => K
  readonly kind: K
  readonly length: number
  readonly numbers: Numbers<K>
  readonly lock: LockSide
}

/** The lock comes first, and the elements begin where no other cell is. */
const elementsAfter = 64

interface ArrayData extends PlaceData {
  readonly kind: Kind
  readonly length: number
  readonly lock: ObjectReference
}

const makeArrayHandle = <K extends Kind>(kind: K, length: number, place: Place, lock: LockSide): ArrayHandle<K> =>
  makeHandle({
    [ArrayTypeId]: invariant<K>,
    kind,
    length,
    numbers: numbersAt(kind, place.segment.buffer, place.offset + elementsAfter, length),
    lock
  }, {
    name: "SharedArray",
    refusal: refusalOf(place.segment),
    write: (border): ArrayData => ({ ...writePlace(place, border), kind, length, lock: referToLock(lock) })
  })

/** Of zeros. */
export const makeArray = <K extends Kind>(
  kind: K,
  length: number
): { readonly handle: ArrayHandle<K>; readonly release: () => void } => {
  const { cell, lock, release } = makeLockedCell(elementsAfter + length * bytesPerElement(kind), 0, "poison")
  return { handle: makeArrayHandle(kind, length, cell, lock), release }
}

export const openArray = ({ kind, length, lock, ...data }: ArrayData): ArrayHandle<Kind> => {
  const place = openPlace(data)
  return makeArrayHandle(kind, length, place, openLock(lockWordsAt(place), lock))
}
