/**
 * The pool without its processes: events in, commands out, no clock and no I/O. The README beside this file draws it.
 *
 * The state is changed in place, because a transition per tiny item has to be cheap; nobody else holds it.
 */
import { assign, enqueue, giveBack, handAtOnce, offered } from "./assign.ts"
import { nextMean } from "./chunking.ts"
import { diedAt, isConvicted, mayRetry, suspectOf } from "./deaths.ts"
import * as Deque from "./Deque.ts"
import {
  addWorker,
  comeBack,
  dismiss,
  grow,
  idleElapsed,
  leave,
  outgrown,
  recount,
  retire,
  watchIdle
} from "./lives.ts"
import type { Chunk, Command, Event, ItemFailure, Job, Options, State, Worker } from "./model.ts"
import * as Table from "./Table.ts"

export const makeState = (options: Options): State => ({
  options,
  status: "open",
  workers: new Map(),
  jobs: Table.makeTable(),
  turn: Deque.makeDeque(),
  idle: Deque.makeDeque(),
  bound: new Set(),
  reserved: undefined,
  sharedFirst: false,
  means: [],
  retiring: new Set(),
  nextWorker: 1,
  nextRun: 1,
  deaths: [],
  completed: 0,
  failed: 0,
  restarts: 0,
  killed: 0
})

/** The first workers. */
export const begin = (state: State): ReadonlyArray<Command> => {
  const out: Array<Command> = []
  for (let i = 0; i < state.options.processes; i++) addWorker(state, out)
  return out
}

// ---------------------------------------------------------------------------------------------------- transition

/** Adds its commands to those that are there, and returns all. */
export const transition = (state: State, event: Event, out: Array<Command> = []): ReadonlyArray<Command> => {
  switch (event._tag) {
    case "Submitted":
      // it has taken nothing from anybody: nothing else can be handed out now
      if (submit(state, event, out)) return out
      break
    case "Supplied":
      supply(state, event, out)
      break
    case "Consumed": {
      const job = Table.get(state.jobs, event.job)
      if (job === undefined) return out
      job.consumed += event.count
      enqueue(state, job)
      break
    }
    case "Interrupted": {
      const job = Table.get(state.jobs, event.job)
      if (job !== undefined) stop(state, job, out)
      break
    }
    case "WorkerReady": {
      const worker = state.workers.get(event.worker)
      if (worker?.status === "starting") worker.status = "ready"
      break
    }
    case "LaunchFailed":
    case "WorkerExited":
      exited(state, event, out)
      break
    case "Started":
      started(state, event, out)
      return out
    case "Succeeded":
      succeeded(state, event, out)
      break
    case "Failed":
      failed(state, event, out)
      break
    case "Cancelled":
      cancelled(state, event.worker, event.run, out)
      break
    case "Returned":
      returned(state, event, out)
      break
    case "Outgrown":
      outgrown(state, event.worker, out)
      break
    case "IdleElapsed":
      idleElapsed(state, event.worker, out)
      break
    case "AllWanted":
      comeBack(state, out)
      break
    case "Unsent":
      unsent(state, event.worker, event.run, event.detail, out)
      break
    case "Answered":
      answered(state, event, out)
      break
    case "TimeElapsed":
      timeElapsed(state, event.worker, event.run, event.index, out)
      break
    case "CloseRequested":
      if (state.status === "open") state.status = "closing"
      break
    case "TerminateRequested":
      end(state, out)
      return out
  }
  assign(state, out)
  if (state.retiring.size > 0 && retire(state, out)) assign(state, out)
  if (state.options.idleMillis !== undefined) {
    grow(state, (job) => offered(state, job), out)
    watchIdle(state, state.options.idleMillis, out)
  }
  closeIdle(state, out)
  return out
}

// ---------------------------------------------------------------------------------------------------- jobs

/** `true` when all of it has been handed out at once. */
const submit = (
  state: State,
  event: Extract<Event, { readonly _tag: "Submitted" }>,
  out: Array<Command>
): boolean => {
  const job: Job = {
    id: event.job,
    options: event.options,
    blocks: Deque.makeDeque(),
    // one that is gone already has no place any more: then it is for anyone
    worker: state.workers.has(event.options.worker ?? 0) ? event.options.worker : undefined,
    waiting: 0,
    supplied: 0,
    settled: 0,
    consumed: 0,
    handed: 0,
    frontier: 0,
    complete: false,
    pulling: false,
    stopped: false,
    cancelling: 0,
    queued: false,
    itemBytes: 0,
    attempts: undefined,
    suspected: undefined
  }
  if (state.status !== "open") {
    out.push({ _tag: "Abandoned", job: event.job })
    return false
  }
  Table.set(state.jobs, event.job, job)
  if (handAtOnce(state, job, event, out)) return true
  supply(state, event, out)
  return false
}

const supply = (
  state: State,
  { blocks, complete, job: id }: Extract<Event, { readonly _tag: "Submitted" | "Supplied" }>,
  out: Array<Command>
): void => {
  const job = Table.get(state.jobs, id)
  if (job === undefined || job.stopped) return
  job.pulling = false
  for (const block of blocks) {
    Deque.push(job.blocks, { block, offset: 0 })
    job.waiting += block.items.length
    job.supplied += block.items.length
  }
  if (complete) job.complete = true
  if (settleWhenDone(state, job, out)) return
  enqueue(state, job)
}

const settleWhenDone = (state: State, job: Job, out: Array<Command>): boolean => {
  const done = job.stopped ? job.cancelling === 0 : job.complete && job.settled === job.supplied
  if (done && Table.remove(state.jobs, job.id) !== undefined) out.push({ _tag: "Settled", job: job.id })
  return done
}

/** Nothing of the job is handed out any more; what is in hand is cancelled. */
const stop = (state: State, job: Job, out: Array<Command>): void => {
  if (job.stopped) return
  job.stopped = true
  Deque.clear(job.blocks)
  job.waiting = 0
  for (const worker of state.workers.values()) {
    for (const chunk of worker.chunks) {
      if (chunk.job !== job || chunk.awaited) continue
      chunk.awaited = true
      job.cancelling++
      if (chunk.cancelled) continue // out of time: it has been told
      chunk.cancelled = true
      out.push({ _tag: "Cancel", worker: worker.id, run: chunk.run })
    }
  }
  settleWhenDone(state, job, out)
}

const release = (state: State, chunk: Chunk, out: Array<Command>): void => {
  if (!chunk.awaited) return
  chunk.awaited = false
  chunk.job.cancelling--
  settleWhenDone(state, chunk.job, out)
}

// ---------------------------------------------------------------------------------------------------- reports

/** Nobody waits for its outcomes any more. */
const isNobodys = (chunk: Chunk): boolean => chunk.cancelled || chunk.job.stopped

const find = (worker: Worker | undefined, run: number): Chunk | undefined => {
  if (worker === undefined) return undefined
  const head = worker.chunks[0]
  return head?.run === run ? head : worker.chunks.find((chunk) => chunk.run === run)
}

const started = (
  state: State,
  { index, loading, run, worker: id }: Extract<Event, { readonly _tag: "Started" }>,
  out: Array<Command>
): void => {
  const chunk = find(state.workers.get(id), run)
  if (chunk === undefined || index < chunk.reported) return
  chunk.announced = index
  const millis = chunk.job.options.timeoutMillis
  if (millis !== undefined && !loading && !isNobodys(chunk)) {
    out.push({ _tag: "StartTimer", worker: id, run, index, millis })
  }
}

/** Notes that items up to `reported` have a report; the chunk leaves its worker with the last. Has it left? */
const advance = (worker: Worker, chunk: Chunk, reported: number, out: Array<Command>): boolean => {
  const count = reported - chunk.reported
  chunk.reported = reported
  worker.items -= count
  worker.millis = Math.max(0, worker.millis - count * chunk.itemMillis)
  if (chunk.job.options.timeoutMillis !== undefined) out.push({ _tag: "StopTimer", worker: worker.id, run: chunk.run })
  if (reported !== chunk.items.length) return false
  dropChunk(worker, chunk, out)
  return true
}

const dropChunk = (worker: Worker, chunk: Chunk, out: Array<Command>): void => {
  const left = chunk.items.length - chunk.reported
  worker.items -= left
  worker.millis = worker.chunks.length === 1 ? 0 : Math.max(0, worker.millis - left * chunk.itemMillis)
  if (worker.chunks[0] === chunk) worker.chunks.shift()
  else worker.chunks.splice(worker.chunks.indexOf(chunk), 1)
  worker.bytes = worker.chunks.length === 0 ? 0 : worker.bytes - chunk.bytes
  if (chunk.cancelled) out.push({ _tag: "CancelEnded", worker: worker.id, run: chunk.run })
}

const succeeded = (
  state: State,
  { index, marked, millis, run, values, worker: id }: Extract<Event, { readonly _tag: "Succeeded" }>,
  out: Array<Command>
): void => {
  const worker = state.workers.get(id)
  const chunk = find(worker, run)
  if (worker === undefined || chunk === undefined) return
  const { job } = chunk
  worker.tasks += values.length
  worker.busyMillis += millis
  state.means[job.options.task] = nextMean(state.means[job.options.task], values.length, millis)
  if (!isNobodys(chunk)) {
    state.completed += values.length
    job.settled += values.length
    out.push({ _tag: "Deliver", job: job.id, worker: id, first: chunk.first + index, values, marked })
  }
  afterReport(state, chunk, advance(worker, chunk, index + values.length, out), out)
}

const afterReport = (state: State, chunk: Chunk, hasLeft: boolean, out: Array<Command>): void => {
  if (hasLeft) release(state, chunk, out)
  if (!chunk.job.stopped) settleWhenDone(state, chunk.job, out)
}

const failed = (
  state: State,
  { failure, index, millis, run, worker: id }: Extract<Event, { readonly _tag: "Failed" }>,
  out: Array<Command>
): void => {
  const worker = state.workers.get(id)
  const chunk = find(worker, run)
  if (worker === undefined || chunk === undefined) return
  worker.tasks++
  worker.busyMillis += millis
  if (!isNobodys(chunk)) fail(state, chunk.job, id, chunk.first + index, failure, out)
  // a chunk of a job that fails fast ends in the worker with its first failure
  const last = chunk.job.options.failFast && failure._tag === "Reported"
  afterReport(state, chunk, advance(worker, chunk, last ? chunk.items.length : index + 1, out), out)
}

const fail = (
  state: State,
  job: Job,
  worker: number,
  index: number,
  failure: ItemFailure,
  out: Array<Command>
): void => {
  state.failed++
  job.settled++
  out.push({ _tag: "DeliverFailure", job: job.id, worker, index, failure })
  if (job.options.failFast) stop(state, job, out)
}

const cancelled = (state: State, id: number, run: number, out: Array<Command>): void => {
  const worker = state.workers.get(id)
  const chunk = find(worker, run)
  if (worker === undefined || chunk === undefined) return // its last report and our request crossed
  dropChunk(worker, chunk, out)
  release(state, chunk, out)
}

const returned = (
  state: State,
  { index, run, worker: id }: Extract<Event, { readonly _tag: "Returned" }>,
  out: Array<Command>
): void => {
  const worker = state.workers.get(id)
  const chunk = find(worker, run)
  if (worker === undefined || chunk === undefined) return
  dropChunk(worker, chunk, out)
  recount(state, worker, chunk, chunk.items.length - index)
  if (isNobodys(chunk)) return release(state, chunk, out)
  giveBack(state, chunk, index)
}

/** One item alone is at fault; of more, the halves are tried. */
const unsent = (state: State, id: number, run: number, detail: unknown, out: Array<Command>): void => {
  const worker = state.workers.get(id)
  const chunk = find(worker, run)
  if (worker === undefined || chunk === undefined) return
  dropChunk(worker, chunk, out)
  recount(state, worker, chunk, chunk.items.length)
  if (isNobodys(chunk)) return release(state, chunk, out)
  if (chunk.items.length === 1) fail(state, chunk.job, id, chunk.first, { _tag: "Unsendable", detail }, out)
  else giveBack(state, chunk, 0, { limit: Math.ceil(chunk.items.length / 2) })
  settleWhenDone(state, chunk.job, out)
}

/**
 * A cancelled chunk that does not run needs no waiting for; one that still runs after its grace costs its worker. So does one
 * that is begun late, after a grace of its own: a child that computes, or is given no time, has not read its Cancel.
 */
const answered = (
  state: State,
  { isKnown, late, run, running, worker: id }: Extract<Event, { readonly _tag: "Answered" }>,
  out: Array<Command>
): void => {
  const worker = state.workers.get(id)
  const chunk = find(worker, run)
  if (worker === undefined) return
  // one that says nothing is in the first of its chunks: killed for another, it would die in that
  const isIn = running === run && (isKnown || (chunk !== undefined && worker.chunks[0] === chunk))
  if (chunk !== undefined && !isIn) {
    // early, an idle child is no proof: the run and its Cancel may both be on their way
    if (isKnown && (late || running !== undefined)) release(state, chunk, out)
    if (!late && !chunk.letGo) return
    chunk.letGo = true
    out.push({ _tag: "AskAgain", worker: id, run, late: false })
    return
  }
  if (!late) {
    // it has begun after it was asked
    if (chunk?.letGo === true) out.push({ _tag: "AskAgain", worker: id, run, late: true })
    return
  }
  if (!isIn || worker.status === "killed") return
  // one that was found in it begins nothing more, also when its report has come meanwhile; it may leave
  if (chunk === undefined && worker.status !== "ready") return
  worker.status = "killed"
  if (isKnown) worker.stuckIn = run
  state.killed++
  out.push({ _tag: "Kill", worker: id })
}

const timeElapsed = (state: State, id: number, run: number, index: number, out: Array<Command>): void => {
  const worker = state.workers.get(id)
  const chunk = find(worker, run)
  if (worker === undefined || chunk === undefined || isNobodys(chunk) || chunk.reported > index) return
  // items with a time limit travel one by one, so the chunk is this item
  chunk.cancelled = true
  out.push({ _tag: "Cancel", worker: id, run })
  fail(state, chunk.job, id, chunk.first + index, { _tag: "TimedOut" }, out)
  settleWhenDone(state, chunk.job, out)
}

// ---------------------------------------------------------------------------------------------------- deaths

type Ended = Pick<Extract<Event, { readonly _tag: "WorkerExited" }>, "detail" | "last">

const exited = (
  state: State,
  event: Extract<Event, { readonly _tag: "LaunchFailed" | "WorkerExited" }>,
  out: Array<Command>
): void => {
  const worker = state.workers.get(event.worker)
  if (worker === undefined) return
  state.workers.delete(worker.id)
  const expected = worker.status === "closing" || worker.status === "killed"
  const ended: Ended = { detail: event.detail, last: event._tag === "WorkerExited" ? event.last : "none" }
  const suspect = expected ? undefined : suspectOf(worker, ended.last)
  // the last first, so that they wait in their order again
  for (const chunk of worker.chunks.toReversed()) returnChunk(state, worker, chunk, chunk === suspect, ended, out)
  if (state.status === "ended") {
    if (state.workers.size === 0) out.push({ _tag: "Ended" })
    return
  }
  if (!expected && !mayRestart(state, event.now)) {
    out.push({ _tag: "Broken", restarts: state.restarts, detail: event.detail })
    return end(state, out)
  }
  const heir = leave(state, worker, out)
  for (const job of Table.valuesOf(state.jobs)) {
    if (job.worker !== worker.id || job.stopped) continue
    job.worker = heir
    if (heir === undefined) failWaiting(state, job, worker.id, event.detail, out)
  }
}

/** What waits of a job that was for a worker whose place nobody takes. */
const failWaiting = (state: State, job: Job, worker: number, detail: unknown, out: Array<Command>): void => {
  while (job.waiting > 0) {
    const { block, offset } = Deque.shift(job.blocks)!
    for (let i = offset; i < block.items.length; i++) {
      job.waiting--
      fail(state, job, worker, block.first + i, { _tag: "Exited", detail }, out)
    }
  }
  settleWhenDone(state, job, out)
}

const mayRestart = (state: State, now: number): boolean => {
  state.restarts++
  state.deaths.push(now)
  while (state.deaths[0]! < now - state.options.restartMillis) state.deaths.shift()
  return state.deaths.length <= state.options.maxRestarts
}

/**
 * What a dead worker held: the item that it died in fails, all others go back to the front of its job. Those before it that have
 * no report have run, and nobody knows what they gave: they run again.
 */
const returnChunk = (
  state: State,
  worker: Worker,
  chunk: Chunk,
  isSuspect: boolean,
  { detail, last }: Ended,
  out: Array<Command>
): void => {
  const { job, reported } = chunk
  if (chunk.cancelled || job.stopped) {
    if (chunk.cancelled) out.push({ _tag: "CancelEnded", worker: worker.id, run: chunk.run })
    return release(state, chunk, out)
  }
  if (job.options.timeoutMillis !== undefined) out.push({ _tag: "StopTimer", worker: worker.id, run: chunk.run })
  // what has moved is gone with its worker
  const isLost = chunk.moves !== undefined || (isSuspect && isConvicted(chunk))
  const at = diedAt(worker, chunk, last) ?? (isLost ? reported : undefined)
  const fails = at !== undefined && (chunk.moves !== undefined || !mayRetry(job, chunk.first + at))
  if (fails) {
    fail(state, job, worker.id, chunk.first + at, { _tag: "Exited", detail }, out)
    if (job.stopped) return
    giveBack(state, chunk, at + 1)
    giveBack(state, chunk, reported, { to: at })
  } else if (isSuspect) {
    giveBack(state, chunk, reported, { limit: Math.ceil((chunk.items.length - reported) / 2), alone: true })
  } else {
    giveBack(state, chunk, reported)
  }
  settleWhenDone(state, job, out)
}

// ---------------------------------------------------------------------------------------------------- the end

/** All that is pending is abandoned, all workers are killed. */
const end = (state: State, out: Array<Command>): void => {
  const before = state.status
  state.status = "ended"
  for (const job of Table.valuesOf(state.jobs)) {
    job.stopped = true
    out.push({ _tag: "Abandoned", job: job.id })
  }
  Table.clear(state.jobs)
  Deque.clear(state.turn)
  Deque.clear(state.idle)
  state.bound.clear()
  for (const worker of state.workers.values()) {
    if (worker.status === "killed") continue
    worker.status = "killed"
    out.push({ _tag: "Kill", worker: worker.id })
  }
  if (state.workers.size === 0 && before !== "ended") out.push({ _tag: "Ended" })
}

/** A pool that closes lets its workers go when the last job is over. */
const closeIdle = (state: State, out: Array<Command>): void => {
  if (state.status !== "closing" || state.jobs.size > 0) return
  state.status = "ended"
  for (const worker of state.workers.values()) dismiss(worker, out)
  if (state.workers.size === 0) out.push({ _tag: "Ended" })
}
