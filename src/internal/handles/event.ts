/**
 * An event: a way to its hub, and the word that says whether it is set. The word saves a question; where shared memory does
 * not reach, it is asked.
 */
import { clearAlone, eventBytes, makeEventObject, setAlone, State } from "../hub/event.ts"
import type { ObjectReference } from "../hub/link.ts"
import { allocate } from "../memory/arena.ts"
import { tryOpenPlace, wordsAt, writePlace } from "../memory/places.ts"
import type { Place, PlaceData } from "../memory/places.ts"
import { refusalOf } from "./bytes.ts"
import { makeHandle } from "./handle.ts"
import type { Handle } from "./handle.ts"
import { homeOf, leaveHome, linkOf, makeHome, referTo } from "./home.ts"
import type { Home } from "./home.ts"

export const EventTypeId = "~effect-multiprocessing/SharedEvent" as const

export interface EventHandle extends Handle {
  readonly [EventTypeId]: typeof EventTypeId
  readonly home: Home
  /** Undefined where the bytes did not reach. */
  readonly words: Int32Array | undefined
}

interface EventData {
  readonly home: ObjectReference
  readonly place: PlaceData | undefined
}

const makeEventHandle = (home: Home, place: Place | undefined): EventHandle =>
  makeHandle(
    { [EventTypeId]: EventTypeId, home, words: place === undefined ? undefined : wordsAt(place, eventBytes) },
    {
      name: "SharedEvent",
      refusal: () => undefined,
      write: (border): EventData => ({
        home: referTo(home),
        place: place === undefined || refusalOf(place.segment)(border) !== undefined
          ? undefined
          : writePlace(place, border)
      })
    }
  )

export const makeEvent = (set: boolean): { readonly handle: EventHandle; readonly release: () => void } => {
  const cell = allocate(eventBytes)
  const words = wordsAt(cell, eventBytes)
  Atomics.store(words, 0, set ? State.Set : State.Clear)
  const home = makeHome(makeEventObject(words))
  const release = (): void => {
    Atomics.store(words, 0, State.Closed)
    leaveHome(home)
    cell.release()
  }
  return { handle: makeEventHandle(home, cell), release }
}

export const openEvent = ({ home, place }: EventData): EventHandle =>
  makeEventHandle(homeOf(home), place === undefined ? undefined : tryOpenPlace(place))

/** Undefined when only the hub can say. */
export const readEvent = ({ words }: EventHandle): boolean | undefined =>
  words === undefined ? undefined : Atomics.load(words, 0) === State.Set

/** Its hub has been there a moment ago: bytes outlive their owner. */
const isThere = ({ home }: EventHandle): boolean => {
  const link = linkOf(home)
  return link.slot() > 0 && !link.isClosed()
}

/** It is set, and nobody has ended it. */
export const isSurelySet = (handle: EventHandle): boolean => readEvent(handle) === true && isThere(handle)

/** False: that is for the hub. */
export const setHere = (handle: EventHandle): boolean =>
  handle.words !== undefined && isThere(handle) && setAlone(handle.words)

export const clearHere = (handle: EventHandle): boolean =>
  handle.words !== undefined && isThere(handle) && clearAlone(handle.words)
