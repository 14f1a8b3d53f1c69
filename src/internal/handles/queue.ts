/**
 * A queue: nothing but a way to its hub, so that it also crosses where shared memory does not.
 */
import { numberAt } from "../hub/bundle.ts"
import type { Handful } from "../hub/bundle.ts"
import { ownSlot } from "../hub/link.ts"
import type { Link, ObjectReference } from "../hub/link.ts"
import { makeQueueObject, noCell } from "../hub/queue.ts"
import { makeTally, noteUsed, openTally, tallyCells } from "../memory/tally.ts"
import type { PlaceData } from "../memory/places.ts"
import type { OwnTally, Tally } from "../memory/tally.ts"
import { invariant, makeHandle } from "./handle.ts"
import type { Border, Handle } from "./handle.ts"
import { homeOf, leaveHome, linkOf, makeHome, referTo, tell } from "./home.ts"
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
  const tallies = new Set<OwnTally>()
  const home = makeHome(makeQueueObject(capacity, () => tracked(tallies)))
  const release = (): void => {
    leaveHome(home)
    for (const tally of tallies) tally.release()
  }
  return { handle: makeQueueHandle(capacity, home, schema), release }
}

/** Released with its process, or with the queue. */
const tracked = (tallies: Set<OwnTally>): OwnTally | undefined => {
  const made = makeTally()
  if (made === undefined) return undefined
  const tally: OwnTally = {
    ...made,
    release: () => {
      tallies.delete(tally)
      made.release()
    }
  }
  tallies.add(tally)
  return tally
}

export const openQueue = ({ capacity, home }: QueueData): QueueHandle =>
  makeQueueHandle(capacity, homeOf(home), undefined)

/** The same queue, whose items are encoded and decoded so. */
export const withSchema = ({ capacity, home }: QueueHandle, schema: unknown): QueueHandle =>
  makeQueueHandle(capacity, home, schema)

// ---------------------------------------------------------------------------------------------------- what has come

/** Where this process notes what it has used of one queue. */
interface Notes {
  /** The place for it is asked for at the second time: who takes one does without. */
  times: number
  tally: Tally | undefined
  readonly free: Array<number>
}

const notesOfLinks = new WeakMap<Link, Map<number, Notes>>()

const askForTally = (link: Link, object: number, notes: Notes): void => {
  link.ask(object, "tally", undefined, (outcome) => {
    if (outcome._tag !== "Value" || outcome.value === null) return
    notes.tally = openTally(outcome.value as PlaceData) // what the queue answers
    if (notes.tally === undefined) return
    for (let cell = tallyCells - 1; cell >= 0; cell--) notes.free.push(cell)
  })
}

const notesOf = ({ home }: QueueHandle): Notes | undefined => {
  const link = linkOf(home)
  if (link.slot() === ownSlot) return undefined // there it is a call
  let ofLink = notesOfLinks.get(link)
  if (ofLink === undefined) notesOfLinks.set(link, ofLink = new Map())
  let notes = ofLink.get(home.object)
  if (notes === undefined) ofLink.set(home.object, notes = { times: 0, tally: undefined, free: [] })
  return notes
}

/** What is handed out with the cell is noted there: it is given back when that is used, or given back. */
export interface Receipt {
  readonly notes: Notes | undefined
  readonly cell: number
}

export const noReceipt: Receipt = { notes: undefined, cell: noCell }

export const openReceipt = (handle: QueueHandle): Receipt => {
  const notes = notesOf(handle)
  if (notes === undefined) return noReceipt
  if (++notes.times === 2) askForTally(linkOf(handle.home), handle.home.object, notes)
  const cell = notes.free.pop()
  return cell === undefined ? noReceipt : { notes, cell }
}

export const closeReceipt = ({ cell, notes }: Receipt): void => void notes?.free.push(cell)

/** Says that an item, the `used`th of its handing, has really come: it does not come back any more. */
export const acknowledge = ({ home }: QueueHandle, { cell, notes }: Receipt, used: number, number: number): void => {
  if (notes?.tally === undefined || noteUsed(notes.tally, cell, used)) tell(home, "taken", number)
}

/** What has come and was not used, from this place on, returns to its place. */
export const giveBack = ({ home }: QueueHandle, { contents, numbers }: Handful, from: number): void => {
  if (from < contents.length) tell(home, "back", contents.slice(from).map((_, i) => numberAt(numbers, from + i)))
}

/** Takes back what was accepted, unless somebody has it already. */
export const retract = ({ home }: QueueHandle, number: number): void => tell(home, "retract", number)
