/**
 * A pool's side of one worker: what goes out is collected and posted once per microtask; a batch that the serializer
 * refuses is posted message by message, so that only the message at fault is refused.
 */
import type * as Fiber from "effect/Fiber"
import type { ProcessError } from "../../ProcessError.ts"
import { flagAnnounce, flagFailFast, flagMarked, flagReturns, Kind } from "../protocol/messages.ts"
import { bundleRuns } from "../protocol/bundles.ts"
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
  /** Since when the item runs that it has announced. */
  runningSince: number
}

export const makeWorker = (id: number, launching: Fiber.Fiber<Child, ProcessError>): Worker => ({
  id,
  launching,
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

type Refused = (run: number, cause: unknown) => void

const collect = (worker: Worker, message: ToChild, refused: Refused): void => {
  if (worker.outbox.length === 0) queueMicrotask(() => flush(worker, refused))
  worker.outbox.push(message)
}

export const sendChunk = (worker: Worker, chunk: Chunk, definition: TaskDefinition, refused: Refused): void => {
  const { ambient, task } = chunk.job.options
  if (!worker.known.has(task)) {
    worker.known.add(task)
    collect(worker, [Kind.Define, task, definition.module, definition.name, usesEffect(definition)], refused)
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
  collect(worker, message, refused)
}

/** What goes in one message is cloned as one: an object that stands there twice would be one object in the worker too. */
const ownCopies = (worker: Worker, chunk: Chunk): ReadonlyArray<unknown> => {
  let copies: Array<unknown> | undefined
  for (let i = 0; i < chunk.items.length; i++) {
    const item = chunk.items[i]
    if (typeof item !== "object" || item === null) continue
    if (worker.posting.has(item)) {
      copies ??= chunk.items.slice()
      copies[i] = copyOf(item)
    } else worker.posting.add(item)
  }
  return copies ?? chunk.items
}

const copyOf = (item: object): unknown => {
  try {
    return structuredClone(item)
  } catch {
    return item // the post will say why
  }
}

export const sendCancel = (worker: Worker, run: number, refused: Refused): void =>
  collect(worker, [Kind.Cancel, run], refused)

const flush = (worker: Worker, refused: Refused): void => {
  const { child, outbox } = worker
  const moving = new Map(worker.moving)
  worker.outbox = []
  worker.moving.clear()
  worker.posting.clear()
  if (child === undefined || child.status() !== undefined) return // its chunks go back to their jobs
  try {
    if (moving.size === 0) child.channel.post(bundleRuns(outbox))
    else child.channel.post(outbox, [...moving.values()].flat())
  } catch (cause) {
    if (outbox.length === 1) refuse(child, outbox[0]!, cause, refused)
    else for (const message of outbox) postAlone(child, message, moving.get(message), refused)
  }
}

const postAlone = (
  child: Child,
  message: ToChild,
  transfers: ReadonlyArray<ArrayBuffer> | undefined,
  refused: Refused
): void => {
  try {
    child.channel.post([message], transfers)
  } catch (cause) {
    refuse(child, message, cause, refused)
  }
}

const refuse = (child: Child, message: ToChild, cause: unknown, refused: Refused): void => {
  if (message[0] === Kind.Run) refused(message[1], cause)
  // the others are ours, and small: a child that cannot be told them is of no use, and its items go to another
  else child.kill("SIGKILL")
}

/** A worker whose watchdog does not answer in this time is taken to run what it was asked about. */
const answerMillis = 500

export const askRunning = (
  worker: Worker,
  run: number,
  answer: (running: number | undefined, isKnown: boolean) => void
): void => {
  const child = worker.child
  if (child === undefined || child.status() !== undefined) return
  let answered = false
  const tell = (running: number | undefined, isKnown: boolean): void => {
    if (answered) return
    answered = true
    giveUp()
    answer(running, isKnown)
  }
  const giveUp = after(answerMillis, () => tell(run, false))
  child.running((running) => tell(running, true))
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
