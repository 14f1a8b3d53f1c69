/**
 * A queue: nothing but a way to its hub, so that it also crosses where shared memory does not.
 */
import type { ObjectReference } from "../hub/link.ts"
import { makeQueueObject } from "../hub/queue.ts"
import type { Handed } from "../hub/queue.ts"
import { invariant, makeHandle } from "./handle.ts"
import type { Border, Handle } from "./handle.ts"
import { homeOf, leaveHome, makeHome, referTo, tell } from "./home.ts"
import type { Home } from "./home.ts"

export const QueueTypeId = "~effect-multiprocessing/SharedQueue" as const

/** What it stands for in the types only. */
export type Variance<in out A> = (_: A) => A

export interface QueueHandle extends Handle {
  readonly [QueueTypeId]: Variance<unknown>
  /** `Infinity` where it has no bound. */
  readonly capacity: number
  readonly home: Home
  /** How items are encoded and decoded, of which nothing is known here. It does not cross. */
  readonly schema: unknown
}

interface QueueData {
  readonly capacity: number
  readonly home: ObjectReference
}

/** What every item has to cross, also where its taker is in this process. */
export const borderOfItems: Border = { sharesMemory: false, kept: true }

const makeQueueHandle = (capacity: number, home: Home, schema: unknown): QueueHandle =>
  makeHandle({ [QueueTypeId]: invariant<unknown>, capacity, home, schema }, {
    name: "SharedQueue",
    refusal: () => undefined,
    write: (): QueueData => ({ capacity, home: referTo(home) })
  })

export const makeQueue = (
  capacity: number,
  schema: unknown
): { readonly handle: QueueHandle; readonly release: () => void } => {
  const home = makeHome(makeQueueObject(capacity))
  return { handle: makeQueueHandle(capacity, home, schema), release: () => leaveHome(home) }
}

export const openQueue = ({ capacity, home }: QueueData): QueueHandle =>
  makeQueueHandle(capacity, homeOf(home), undefined)

/** The same queue, whose items are encoded and decoded so. */
export const withSchema = ({ capacity, home }: QueueHandle, schema: unknown): QueueHandle =>
  makeQueueHandle(capacity, home, schema)

/** Says that an item has really come: it does not come back any more. */
export const acknowledge = ({ home }: QueueHandle, number: number): void => tell(home, "taken", number)

/** What has come and was not used returns to its place. */
export const giveBack = ({ home }: QueueHandle, handed: Handed): void => {
  if (handed !== null && handed.length > 0) tell(home, "back", handed.map(([number]) => number))
}

/** Takes back what was accepted, unless somebody has it already. */
export const retract = ({ home }: QueueHandle, number: number): void => tell(home, "retract", number)
