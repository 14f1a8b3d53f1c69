/**
 * A number in shared bytes, with its lock behind it.
 */
import { numbersAt } from "../memory/kinds.ts"
import type { Kind, Numbers, Of } from "../memory/kinds.ts"
import { lockBytes } from "../memory/lockWord.ts"
import { openPlace, writePlace } from "../memory/places.ts"
import type { Place, PlaceData } from "../memory/places.ts"
import { refusalOf } from "./bytes.ts"
import { invariant, makeHandle } from "./handle.ts"
import type { Handle } from "./handle.ts"
import { lockWordsAt, makeLockedCell, openLock, referToLock } from "./lock.ts"
import type { LockSide } from "./lock.ts"
import type { ObjectReference } from "../hub/link.ts"

export const ValueTypeId = "~effect-multiprocessing/SharedValue" as const

export interface ValueHandle<K extends Kind> extends Handle {
  readonly [ValueTypeId]: (_: K) => K
  readonly kind: K
  readonly numbers: Numbers<K>
  readonly lock: LockSide
}

/** Room for the largest kind. */
const valueBytes = 8

interface ValueData extends PlaceData {
  readonly kind: Kind
  readonly lock: ObjectReference
}

const makeValueHandle = <K extends Kind>(kind: K, place: Place, lock: LockSide): ValueHandle<K> =>
  makeHandle({
    [ValueTypeId]: invariant<K>,
    kind,
    numbers: numbersAt(kind, place.segment.buffer, place.offset, 1),
    lock
  }, {
    name: "SharedValue",
    refusal: refusalOf(place.segment),
    write: (border): ValueData => ({ ...writePlace(place, border), kind, lock: referToLock(lock) })
  })

export const makeValue = <K extends Kind>(
  kind: K,
  initial: Of<K> | undefined
): { readonly handle: ValueHandle<K>; readonly release: () => void } => {
  const { cell, lock, release } = makeLockedCell(valueBytes + lockBytes, valueBytes, "poison")
  const handle = makeValueHandle(kind, cell, lock)
  if (initial !== undefined) handle.numbers.store(0, initial)
  return { handle, release }
}

export const openValue = ({ kind, lock, ...data }: ValueData): ValueHandle<Kind> => {
  const place = openPlace(data)
  return makeValueHandle(kind, place, openLock(lockWordsAt(place, valueBytes), lock))
}
