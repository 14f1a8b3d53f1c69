/**
 * A barrier: nothing but a way to its hub, so that it also crosses where shared memory does not.
 */
import { makeBarrierObject } from "../hub/barrier.ts"
import type { Act } from "../hub/barrier.ts"
import type { ObjectReference } from "../hub/link.ts"
import { makeHandle } from "./handle.ts"
import type { Handle } from "./handle.ts"
import { homeOf, leaveHome, makeHome, referTo } from "./home.ts"
import type { Home } from "./home.ts"

export const BarrierTypeId = "~effect-multiprocessing/SharedBarrier" as const

export interface BarrierHandle extends Handle {
  readonly [BarrierTypeId]: typeof BarrierTypeId
  readonly parties: number
  readonly home: Home
}

interface BarrierData {
  readonly parties: number
  readonly home: ObjectReference
}

const makeBarrierHandle = (parties: number, home: Home): BarrierHandle =>
  makeHandle({ [BarrierTypeId]: BarrierTypeId, parties, home }, {
    name: "SharedBarrier",
    refusal: () => undefined,
    write: (): BarrierData => ({ parties, home: referTo(home) })
  })

export const makeBarrier = (
  parties: number,
  act: Act | undefined
): { readonly handle: BarrierHandle; readonly release: () => void } => {
  const home = makeHome(makeBarrierObject(parties, act))
  return { handle: makeBarrierHandle(parties, home), release: () => leaveHome(home) }
}

export const openBarrier = ({ home, parties }: BarrierData): BarrierHandle => makeBarrierHandle(parties, homeOf(home))
