/**
 * A semaphore: a way to its hub, and the words in which permits lie idle. Where shared memory does not reach, the hub is
 * asked for each.
 */
import type { Link, ObjectReference } from "../hub/link.ts"
import { ownSlot } from "../hub/link.ts"
import { closePermits, makeSemaphoreObject } from "../hub/semaphore.ts"
import { allocate } from "../memory/arena.ts"
import { countFree, granted, makePermits, permitBytes, putIdle, takeIdle } from "../memory/permits.ts"
import type { Permits } from "../memory/permits.ts"
import { makeWeakTable, perThread } from "../memory/perThread.ts"
import { tryOpenPlace, wordsAt, writePlace } from "../memory/places.ts"
import type { Place, PlaceData } from "../memory/places.ts"
import { refusalOf } from "./bytes.ts"
import { makeHandle } from "./handle.ts"
import type { Handle } from "./handle.ts"
import { homeOf, leaveHome, linkOf, makeHome, nameOf, referTo, tell } from "./home.ts"
import type { Home } from "./home.ts"

export const SemaphoreTypeId = "~effect-multiprocessing/SharedSemaphore" as const

export interface SemaphoreHandle extends Handle {
  readonly [SemaphoreTypeId]: typeof SemaphoreTypeId
  readonly permits: number
  readonly bounded: boolean
  readonly home: Home
  readonly here: Permits
}

interface SemaphoreData {
  readonly permits: number
  readonly bounded: boolean
  readonly home: ObjectReference
  readonly place: PlaceData | undefined
}

/** One for a semaphore, however many handles there are. */
const known = perThread("semaphores", makeWeakTable<Permits>)

const makeSemaphoreHandle = (
  permits: number,
  bounded: boolean,
  home: Home,
  place: Place | undefined,
  here: Permits
): SemaphoreHandle =>
  makeHandle({ [SemaphoreTypeId]: SemaphoreTypeId, permits, bounded, home, here }, {
    name: "SharedSemaphore",
    refusal: () => undefined,
    write: (border): SemaphoreData => ({
      permits,
      bounded,
      home: referTo(home),
      place: place === undefined || refusalOf(place.segment)(border) !== undefined
        ? undefined
        : writePlace(place, border)
    })
  })

export const makeSemaphore = (
  permits: number,
  bounded: boolean
): { readonly handle: SemaphoreHandle; readonly release: () => void } => {
  const cell = allocate(permitBytes)
  const words = wordsAt(cell, permitBytes)
  const home = makeHome(makeSemaphoreObject(permits, bounded, words))
  const release = (): void => {
    leaveHome(home)
    closePermits(words)
    cell.release()
  }
  return { handle: makeSemaphoreHandle(permits, bounded, home, cell, makePermits(words)), release }
}

export const openSemaphore = ({ bounded, home: reference, permits, place: data }: SemaphoreData): SemaphoreHandle => {
  const place = data === undefined ? undefined : tryOpenPlace(data)
  const name = nameOf(reference)
  const here = known.get(name) ??
    known.set(name, makePermits(place === undefined ? undefined : wordsAt(place, permitBytes)))
  return makeSemaphoreHandle(permits, bounded, homeOf(reference), place, here)
}

/** Undefined where the hub has to be asked: it is here, or not known yet, or gone. */
const wayOf = ({ home }: SemaphoreHandle): Link | undefined => {
  const link = linkOf(home)
  return link.slot() > ownSlot && !link.isClosed() ? link : undefined
}

/** The hub has granted so many, and has said where they may lie idle. */
export const permitsGranted = (self: SemaphoreHandle, count: number, at: number): void => {
  const link = wayOf(self)
  if (link !== undefined) granted(self.here, link.slot(), count, at)
}

/** Takes what lies idle here. False: the hub has to be asked. */
export const takePermits = (self: SemaphoreHandle, count: number): boolean => {
  const link = wayOf(self)
  return link !== undefined && takeIdle(self.here, link.slot(), count)
}

const putPermits = (self: SemaphoreHandle, count: number): boolean => {
  const link = wayOf(self)
  return link !== undefined && putIdle(self.here, link.slot(), count)
}

/** For those that were taken here. */
export const givePermits = (self: SemaphoreHandle, count: number): void => {
  if (!putPermits(self, count)) tell(self.home, "release", count)
}

/** Gives how many are free then. Undefined: the hub has to be told, and will say so. */
export const releasePermits = (self: SemaphoreHandle, count: number): number | undefined => {
  const { words } = self.here
  const free = words === undefined ? undefined : countFree(words)
  // what the word does not say, the hub does
  return free !== undefined && putPermits(self, count) ? countFree(words!) : undefined
}
