/**
 * A semaphore: nothing but a way to its hub, so that it also crosses where shared memory does not.
 */
import type { ObjectReference } from "../hub/link.ts"
import { makeSemaphoreObject } from "../hub/semaphore.ts"
import { makeHandle } from "./handle.ts"
import type { Handle } from "./handle.ts"
import { homeOf, leaveHome, makeHome, referTo } from "./home.ts"
import type { Home } from "./home.ts"

export const SemaphoreTypeId = "~effect-multiprocessing/SharedSemaphore" as const

export interface SemaphoreHandle extends Handle {
  readonly [SemaphoreTypeId]: typeof SemaphoreTypeId
  readonly permits: number
  readonly bounded: boolean
  readonly home: Home
}

interface SemaphoreData {
  readonly permits: number
  readonly bounded: boolean
  readonly home: ObjectReference
}

const makeSemaphoreHandle = (permits: number, bounded: boolean, home: Home): SemaphoreHandle =>
  makeHandle({ [SemaphoreTypeId]: SemaphoreTypeId, permits, bounded, home }, {
    name: "SharedSemaphore",
    refusal: () => undefined,
    write: (): SemaphoreData => ({ permits, bounded, home: referTo(home) })
  })

export const makeSemaphore = (
  permits: number,
  bounded: boolean
): { readonly handle: SemaphoreHandle; readonly release: () => void } => {
  const home = makeHome(makeSemaphoreObject(permits, bounded))
  return { handle: makeSemaphoreHandle(permits, bounded, home), release: () => leaveHome(home) }
}

export const openSemaphore = ({ bounded, home, permits }: SemaphoreData): SemaphoreHandle =>
  makeSemaphoreHandle(permits, bounded, homeOf(home))
