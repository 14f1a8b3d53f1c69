/**
 * A pool's side of one worker: what goes out is collected and posted once per microtask; a batch that the serializer
 * refuses is posted message by message, so that only the message at fault is refused.
 */
import type * as Fiber from "effect/Fiber"
import type { ProcessError } from "../../ProcessError.ts"
import { flagAnnounce, flagFailFast, flagMarked, flagReturns, Kind } from "../protocol/messages.ts"
import { addRun, eachToChild } from "../protocol/bundles.ts"
import { bufferOfBlock, packNumbers } from "../protocol/packing.ts"
import type { ToChild } from "../protocol/messages.ts"
import { after } from "../start/child.ts"
import type { Child } from "../start/Launcher.ts"
import { usesEffect } from "../codec/registry.ts"
import type { TaskDefinition } from "../codec/registry.ts"
import type { Chunk } from "./model.ts"

export interface Worker {
  readonly id: number
  readonly launching: Fiber.Fiber<Child, ProcessError>
  /** Called with a run that the serializer has refused. */
  readonly refused: (run: number, cause: unknown) => void
  child: Child | undefined
  /** When it was up, by `performance.now`. */
  readyAt: number
  outbox: Array<ToChild>
  /** The buffers that move with a message of the outbox. */
  readonly moving: Map<ToChild, Array<ArrayBuffer>>
  /** The objects in the outbox that are items. */
  readonly posting: Set<object>
  /** Tasks that it has been told of. */
  readonly known: Set<number>
  /** How to give up the wait for an answer to a Cancel, and the limit of an item's time, by run. */
  readonly graces: Map<number, () => void>
  readonly limits: Map<number, () => void>
  /** How to stop looking whether it is idle. */
  idleTimer: (() => void) | undefined
  /** How to give up the wait for one that was told to leave. */
  leaveTimer: (() => void) | undefined
  /** Since when what it runs runs: it was given something to do then, or has reported what was before. */
  runningSince: number
}

export const makeWorker = (
  id: number,
  launching: Fiber.Fiber<Child, ProcessError>,
  refused: Worker["refused"]
): Worker => ({
  id,
  launching,
  refused,
  child: undefined,
  readyAt: 0,
  outbox: [],
  moving: new Map(),
  posting: new Set(),
  known: new Set(),
  graces: new Map(),
  limits: new Map(),
  idleTimer: undefined,
  leaveTimer: undefined,
  runningSince: 0
})

const flagsOf = (chunk: Chunk): number =>
  (chunk.marked ? flagMarked : 0) |
  (chunk.job.options.failFast ? flagFailFast : 0) |
  (chunk.job.options.timeoutMillis === undefined ? 0 : flagAnnounce) |
  (chunk.job.options.chunkSize === "auto" ? flagReturns : 0)

const postSoon = (worker: Worker): void => {
  if (worker.outbox.length === 0) queueMicrotask(() => flush(worker))
}

const collect = (worker: Worker, message: ToChild): void => {
  postSoon(worker)
  worker.outbox.push(message)
}

export const sendChunk = (worker: Worker, chunk: Chunk, definition: TaskDefinition): void => {
  const { ambient, task } = chunk.job.options
  if (!worker.known.has(task)) {
    worker.known.add(task)
    collect(worker, [Kind.Define, task, definition.module, definition.name, usesEffect(definition)])
  }
  if (chunk.items.length === 1 && ambient === undefined && chunk.moves === undefined) {
    postSoon(worker)
    return addRun(worker.outbox, task, flagsOf(chunk), chunk.run, ownCopy(worker, chunk.items[0]))
  }
  const items = packNumbers(ownCopies(worker, chunk))
  const buffer = bufferOfBlock(items)
  const message: ToChild = ambient === undefined
    ? [Kind.Run, chunk.run, task, items, flagsOf(chunk)]
    : [Kind.Run, chunk.run, task, items, flagsOf(chunk), ambient]
  const moves = [
    ...chunk.moves ?? [],
    ...(buffer !== undefined && worker.child?.channel.transfers === true ? [buffer] : [])
  ]
  if (moves.length > 0) worker.moving.set(message, moves)
  collect(worker, message)
}

/** What goes in one message is cloned as one: an object that stands there twice would be one object in the worker too. */
const ownCopies = (worker: Worker, chunk: Chunk): ReadonlyArray<unknown> => {
  let copies: Array<unknown> | undefined
  for (let i = 0; i < chunk.items.length; i++) {
    const item = chunk.items[i]
    const own = ownCopy(worker, item)
    if (own !== item) {
      copies ??= chunk.items.slice()
      copies[i] = own
    }
  }
  return copies ?? chunk.items
}

const ownCopy = ({ posting }: Worker, item: unknown): unknown => {
  if (typeof item !== "object" || item === null) return item
  if (posting.has(item)) return copyOf(item)
  posting.add(item)
  return item
}

const copyOf = (item: object): unknown => {
  try {
    return structuredClone(item)
  } catch {
    return item // the post will say why
  }
}

export const sendCancel = (worker: Worker, run: number): void => collect(worker, [Kind.Cancel, run])

const nothingMoves: ReadonlyMap<ToChild, Array<ArrayBuffer>> = new Map()

const flush = (worker: Worker): void => {
  const { child, outbox, refused } = worker
  const moving = worker.moving.size === 0 ? nothingMoves : new Map(worker.moving)
  worker.outbox = []
  // clearing makes anew what is empty, too
  if (worker.moving.size > 0) worker.moving.clear()
  if (worker.posting.size > 0) worker.posting.clear()
  if (child === undefined || child.status() !== undefined) return // its chunks go back to their jobs
  try {
    if (moving.size === 0) child.channel.post(outbox)
    else child.channel.post(outbox, [...moving.values()].flat())
  } catch (cause) {
    if (isSingle(outbox)) refuse(child, outbox[0]!, cause, refused)
    else eachToChild(outbox, (message) => postAlone(child, message, moving.get(message), refused))
  }
}

const isSingle = (outbox: ReadonlyArray<ToChild>): boolean =>
  outbox.length === 1 && (outbox[0]![0] !== Kind.Runs || outbox[0]![3].length === 1)

const postAlone = (
  child: Child,
  message: ToChild,
  transfers: ReadonlyArray<ArrayBuffer> | undefined,
  refused: Worker["refused"]
): void => {
  try {
    child.channel.post([message], transfers)
  } catch (cause) {
    refuse(child, message, cause, refused)
  }
}

const refuse = (child: Child, message: ToChild, cause: unknown, refused: Worker["refused"]): void => {
  if (message[0] === Kind.Run) refused(message[1], cause)
  else if (message[0] === Kind.Runs) refused(message[3][0]!, cause)
  // the others are ours, and small: a child that cannot be told them is of no use, and its items go to another
  else child.kill("SIGKILL")
}

/** A worker whose watchdog does not answer in this time is taken to run what it was asked about. */
const answerMillis = 500

/**
 * What it runs. Asked `late`, one that is in this run begins nothing after it: it is to be killed, also when it says so
 * after all.
 */
export const askRunning = (
  worker: Worker,
  run: number,
  late: boolean,
  answer: (running: number | undefined, isKnown: boolean) => void
): void => {
  const child = worker.child
  if (child === undefined || child.status() !== undefined) return
  const giveUp = after(answerMillis, () => answer(run, false))
  const tell = (running: number | undefined): void => {
    giveUp()
    answer(running, true)
  }
  if (late) child.condemn(run, tell)
  else child.running(tell)
}

export const clearTimers = (worker: Worker): void => {
  worker.idleTimer?.()
  worker.leaveTimer?.()
  for (const timers of [worker.graces, worker.limits]) {
    for (const cancel of timers.values()) cancel()
    timers.clear()
  }
}

export const clearTimer = (timers: Map<number, () => void>, run: number): void => {
  timers.get(run)?.()
  timers.delete(run)
}
