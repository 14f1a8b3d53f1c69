/**
 * The pool without its processes: events in, commands out, no clock and no I/O. The README beside this file draws it.
 *
 * The state is changed in place, because a transition per tiny item has to be cheap; nobody else holds it.
 */
import { autoSize, chunkMillis, maxChunkItems, nextMean } from "./chunking.ts"
import * as Deque from "./Deque.ts"
import type { Block, Chunk, Command, Event, ItemFailure, Job, Options, State, Waiting, Worker } from "./model.ts"

export const makeState = (options: Options): State => ({
  options,
  status: "open",
  workers: new Map(),
  jobs: new Map(),
  turn: Deque.makeDeque(),
  idle: Deque.makeDeque(),
  bound: new Set(),
  reserved: undefined,
  sharedFirst: false,
  means: [],
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

const addWorker = (state: State, out: Array<Command>): void => {
  const id = state.nextWorker++
  state.workers.set(id, { id, status: "starting", chunks: [], items: 0, millis: 0, tasks: 0, busyMillis: 0 })
  out.push({ _tag: "Launch", worker: id })
}

// ---------------------------------------------------------------------------------------------------- transition

export const transition = (state: State, event: Event): ReadonlyArray<Command> => {
  const out: Array<Command> = []
  switch (event._tag) {
    case "Submitted":
      submit(state, event, out)
      break
    case "Supplied":
      supply(state, event, out)
      break
    case "Consumed": {
      const job = state.jobs.get(event.job)
      if (job === undefined) return out
      job.consumed += event.count
      enqueue(state, job)
      break
    }
    case "Interrupted": {
      const job = state.jobs.get(event.job)
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
      failed(state, event.worker, event.run, event.index, event.failure, out)
      break
    case "Cancelled":
      cancelled(state, event.worker, event.run, out)
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
  closeIdle(state, out)
  return out
}

// ---------------------------------------------------------------------------------------------------- jobs

const submit = (
  state: State,
  event: Extract<Event, { readonly _tag: "Submitted" }>,
  out: Array<Command>
): void => {
  const job: Job = {
    id: event.job,
    options: event.options,
    blocks: Deque.makeDeque(),
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
    attempts: undefined
  }
  if (state.status !== "open") {
    out.push({ _tag: "Abandoned", job: event.job })
    return
  }
  state.jobs.set(event.job, job)
  supply(state, event, out)
}

const supply = (
  state: State,
  { blocks, complete, job: id }: Extract<Event, { readonly _tag: "Submitted" | "Supplied" }>,
  out: Array<Command>
): void => {
  const job = state.jobs.get(id)
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

const enqueue = (state: State, job: Job): void => {
  if (job.queued || job.stopped) return
  if (job.options.worker !== undefined) return void state.bound.add(job)
  job.queued = true
  Deque.push(needsIdle(state, job) ? state.idle : state.turn, job)
}

const settleWhenDone = (state: State, job: Job, out: Array<Command>): boolean => {
  const done = job.stopped ? job.cancelling === 0 : job.complete && job.settled === job.supplied
  if (done && state.jobs.delete(job.id)) out.push({ _tag: "Settled", job: job.id })
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

// ---------------------------------------------------------------------------------------------------- handing out

/** A worker may hold this much work ahead, in milliseconds. */
const aheadMillis = chunkMillis
const maxChunksAhead = 1024
/** The chunks of a stream grow with what its consumer has taken, from this. */
const firstChunkItems = 16

const sizeFor = (state: State, job: Job): number => {
  const { chunkSize, task, timeoutMillis, window } = job.options
  if (timeoutMillis !== undefined) return 1 // the limit is each item's own
  // a consumer who takes ten results has not asked for twenty thousand items
  const most = window === "auto" ? Math.max(firstChunkItems, job.consumed) : maxChunkItems
  return chunkSize === "auto"
    ? Math.min(
      most,
      autoSize({
        itemMillis: state.means[task],
        waiting: job.waiting,
        complete: job.complete,
        workers: state.options.processes
      })
    )
    : chunkSize
}

const firstOf = ({ block, offset }: Waiting): number => block.first + offset

/** How many items more the window of the job has room for. */
const freshRoom = (state: State, job: Job, size: number): number => {
  const { window } = job.options
  const limit = window === "auto" ? 2 * state.options.processes * size : window
  const out = job.handed - job.consumed
  return out === 0 ? Math.max(1, limit) : limit - out
}

/** How many items of the job may be handed out now, at most. Those that have come back had their room before. */
const roomOf = (state: State, job: Job, size: number): number => {
  const front = Deque.peek(job.blocks)
  return front !== undefined && firstOf(front) < job.frontier
    ? job.frontier - firstOf(front)
    : freshRoom(state, job, size)
}

const hasRoom = (worker: Worker): boolean =>
  worker.status === "ready" && worker.millis < aheadMillis && worker.chunks.length < maxChunksAhead

/** A worker counts as idle when it holds nothing, also nothing that is being cancelled. */
const isIdle = (worker: Worker): boolean => worker.status === "ready" && worker.chunks.length === 0

/** An item of unknown cost, and one that moves, is not queued behind others. */
const needsIdle = (state: State, job: Job): boolean =>
  state.means[job.options.task] === undefined || Deque.peek(job.blocks)?.block.moves !== undefined

const leastLoaded = (state: State, suits: (worker: Worker) => boolean): Worker | undefined => {
  let best: Worker | undefined
  for (const worker of state.workers.values()) {
    if (!suits(worker)) continue
    // one that only cancels has no load, but it is not idle
    if (best === undefined || worker.millis < best.millis || (isIdle(worker) && !isIdle(best))) best = worker
  }
  return best
}

/** The first job of a queue that has something to hand out; those that have not leave the queue. */
const frontOf = (state: State, queue: Deque.Deque<Job>, out: Array<Command>): Job | undefined => {
  while (true) {
    const job = Deque.peek(queue)
    if (job === undefined) return undefined
    if (!job.stopped) {
      const size = sizeFor(state, job)
      pull(job, size, freshRoom(state, job, size), state, out)
      if (job.waiting > 0 && roomOf(state, job, size) > 0) return job
    }
    Deque.shift(queue)
    job.queued = false // it comes back with more items, or when results have been consumed
  }
}

const handOut = (state: State, worker: Worker, job: Job, out: Array<Command>): void => {
  const size = sizeFor(state, job)
  send(worker, take(state, job, Math.min(size, roomOf(state, job, size))), out)
}

/** Puts a queue's first job at the end of the queue where it belongs now. */
const rotate = (state: State, queue: Deque.Deque<Job>): void => {
  const job = Deque.shift(queue)!
  Deque.push(needsIdle(state, job) ? state.idle : state.turn, job)
}

/** Something for an idle worker. Where none is idle, one is kept from getting more. */
const serveIdle = (state: State, out: Array<Command>): boolean => {
  const job = frontOf(state, state.idle, out)
  if (job === undefined) {
    const released = state.reserved !== undefined
    state.reserved = undefined
    return released // which may be room for the others
  }
  if (needsIdle(state, job)) {
    const worker = leastLoaded(state, isIdle)
    if (worker === undefined) {
      if (state.reserved === undefined || !state.workers.has(state.reserved)) {
        state.reserved = leastLoaded(state, (one) => one.status === "ready")?.id
      }
      return false
    }
    handOut(state, worker, job, out)
    state.sharedFirst = true // the others have their turn before the next of these
  }
  state.reserved = undefined
  rotate(state, state.idle)
  return true
}

const serveShared = (state: State, out: Array<Command>): boolean => {
  const job = frontOf(state, state.turn, out)
  if (job === undefined) return false
  if (!needsIdle(state, job)) {
    const worker = leastLoaded(state, (one) => hasRoom(one) && one.id !== state.reserved)
    if (worker === undefined) return false
    handOut(state, worker, job, out)
    state.sharedFirst = false
  }
  rotate(state, state.turn)
  return true
}

/** Jobs for one worker. */
const serveBound = (state: State, out: Array<Command>): void => {
  for (const job of state.bound) {
    const worker = state.workers.get(job.options.worker!)
    if (job.stopped || job.waiting === 0) state.bound.delete(job)
    else if (worker !== undefined && isIdle(worker)) handOut(state, worker, job, out)
  }
}

const assign = (state: State, out: Array<Command>): void => {
  if (state.bound.size > 0) serveBound(state, out)
  let served = true
  while (served) {
    served = state.sharedFirst
      ? serveShared(state, out) || serveIdle(state, out)
      : serveIdle(state, out) || serveShared(state, out)
  }
}

const pull = (job: Job, size: number, room: number, state: State, out: Array<Command>): void => {
  if (job.complete || job.pulling || room <= 0) return
  const wanted = Math.min(room, size * state.options.processes)
  if (job.waiting >= wanted) return
  job.pulling = true
  out.push({ _tag: "Pull", job: job.id, count: wanted - job.waiting })
}

/** The next items of a job, at most `count`, from as many blocks as fit together. */
const take = (state: State, job: Job, count: number): Chunk => {
  const { block, offset } = Deque.shift(job.blocks)!
  const most = offset + Math.min(count, block.limit ?? count)
  let items: ReadonlyArray<unknown>
  if (block.items.length > most) {
    items = block.items.slice(offset, most)
    Deque.pushFront(job.blocks, { block, offset: most })
  } else {
    items = offset === 0 ? block.items : block.items.slice(offset)
    if (items.length < count && joins(block)) items = gather(job, block, items, block.first + offset, count)
  }
  job.waiting -= items.length
  const first = block.first + offset
  if (first >= job.frontier) {
    job.frontier = first + items.length
    job.handed += items.length
  }
  return {
    run: state.nextRun = (state.nextRun + 1) & 0x3fffffff, // it stands in a 32 bit word where progress is shared
    job,
    first,
    items,
    marked: block.marked,
    moves: block.moves,
    itemMillis: state.means[job.options.task] ?? aheadMillis,
    reported: 0,
    announced: -1,
    cancelled: false,
    awaited: false
  }
}

const joins = (block: Block): boolean => block.moves === undefined && block.limit === undefined

const gather = (
  job: Job,
  block: Block,
  begun: ReadonlyArray<unknown>,
  first: number,
  count: number
): ReadonlyArray<unknown> => {
  let items: Array<unknown> | undefined
  let length = begun.length
  while (true) {
    const next = Deque.peek(job.blocks)
    if (
      next === undefined || next.offset > 0 || !joins(next.block) || next.block.marked !== block.marked ||
      next.block.first !== first + length || length + next.block.items.length > count
    ) {
      return items ?? begun
    }
    items ??= begun.slice()
    for (const item of next.block.items) items.push(item)
    length = items.length
    Deque.shift(job.blocks)
  }
}

const send = (worker: Worker, chunk: Chunk, out: Array<Command>): void => {
  worker.chunks.push(chunk)
  worker.items += chunk.items.length
  worker.millis += chunk.items.length * chunk.itemMillis
  out.push({ _tag: "Send", worker: worker.id, chunk })
}

/** Items that have not started go back to their job. */
const giveBack = (state: State, chunk: Chunk, from: number, limit: number | undefined): void => {
  const { job } = chunk
  if (from >= chunk.items.length) return
  const items = from === 0 ? chunk.items : chunk.items.slice(from)
  const block: Block = { first: chunk.first + from, items, marked: chunk.marked, moves: chunk.moves, limit }
  // in the order of the items: whoever wants the results in order waits for the first of them
  const before: Array<Waiting> = []
  for (
    let next = Deque.peek(job.blocks);
    next !== undefined && firstOf(next) < block.first;
    next = Deque.peek(job.blocks)
  ) {
    before.push(Deque.shift(job.blocks)!)
  }
  Deque.pushFront(job.blocks, { block, offset: 0 })
  for (const earlier of before.toReversed()) Deque.pushFront(job.blocks, earlier)
  job.waiting += items.length
  enqueue(state, job)
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

/** Notes that items up to `reported` have a report; the chunk leaves its worker with the last. */
const advance = (worker: Worker, chunk: Chunk, reported: number, out: Array<Command>): void => {
  const count = reported - chunk.reported
  chunk.reported = reported
  worker.items -= count
  worker.millis = Math.max(0, worker.millis - count * chunk.itemMillis)
  if (chunk.job.options.timeoutMillis !== undefined) out.push({ _tag: "StopTimer", worker: worker.id, run: chunk.run })
  if (reported === chunk.items.length) dropChunk(worker, chunk, out)
}

const dropChunk = (worker: Worker, chunk: Chunk, out: Array<Command>): void => {
  const left = chunk.items.length - chunk.reported
  worker.items -= left
  worker.millis = worker.chunks.length === 1 ? 0 : Math.max(0, worker.millis - left * chunk.itemMillis)
  if (worker.chunks[0] === chunk) worker.chunks.shift()
  else worker.chunks.splice(worker.chunks.indexOf(chunk), 1)
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
  advance(worker, chunk, index + values.length, out)
  afterReport(state, worker, chunk, out)
}

const afterReport = (state: State, worker: Worker, chunk: Chunk, out: Array<Command>): void => {
  if (!worker.chunks.includes(chunk)) release(state, chunk, out)
  if (!chunk.job.stopped) settleWhenDone(state, chunk.job, out)
}

const failed = (
  state: State,
  id: number,
  run: number,
  index: number,
  failure: ItemFailure,
  out: Array<Command>
): void => {
  const worker = state.workers.get(id)
  const chunk = find(worker, run)
  if (worker === undefined || chunk === undefined) return
  worker.tasks++
  if (!isNobodys(chunk)) fail(state, chunk.job, id, chunk.first + index, failure, out)
  // a chunk of a job that fails fast ends in the worker with its first failure
  const last = chunk.job.options.failFast && failure._tag === "Reported"
  advance(worker, chunk, last ? chunk.items.length : index + 1, out)
  afterReport(state, worker, chunk, out)
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

/** One item alone is at fault; of more, the halves are tried. */
const unsent = (state: State, id: number, run: number, detail: unknown, out: Array<Command>): void => {
  const worker = state.workers.get(id)
  const chunk = find(worker, run)
  if (worker === undefined || chunk === undefined) return
  dropChunk(worker, chunk, out)
  if (isNobodys(chunk)) return release(state, chunk, out)
  if (chunk.items.length === 1) fail(state, chunk.job, id, chunk.first, { _tag: "Unsendable", detail }, out)
  else giveBack(state, chunk, 0, Math.ceil(chunk.items.length / 2))
  settleWhenDone(state, chunk.job, out)
}

/** A cancelled chunk that does not run needs no waiting for; one that still runs after its grace costs its worker. */
const answered = (
  state: State,
  { late, run, running, worker: id }: Extract<Event, { readonly _tag: "Answered" }>,
  out: Array<Command>
): void => {
  const worker = state.workers.get(id)
  const chunk = find(worker, run)
  if (worker === undefined || chunk === undefined) return
  if (running !== run) return release(state, chunk, out)
  if (!late || worker.status === "killed") return
  worker.status = "killed"
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

const exited = (
  state: State,
  event: Extract<Event, { readonly _tag: "LaunchFailed" | "WorkerExited" }>,
  out: Array<Command>
): void => {
  const worker = state.workers.get(event.worker)
  if (worker === undefined) return
  state.workers.delete(worker.id)
  const expected = worker.status === "closing" || worker.status === "killed"
  // the last first, so that they wait in their order again
  for (const chunk of worker.chunks.toReversed()) returnChunk(state, worker, chunk, event.detail, out)
  if (state.status === "ended") {
    if (state.workers.size === 0) out.push({ _tag: "Ended" })
    return
  }
  failBound(state, worker.id, event.detail, out)
  if (!expected && !mayRestart(state, event.now)) {
    out.push({ _tag: "Broken", restarts: state.restarts, detail: event.detail })
    return end(state, out)
  }
  if (state.status === "open" || state.jobs.size > 0) addWorker(state, out)
}

/** Jobs that were for this worker have nowhere to go. */
const failBound = (state: State, worker: number, detail: unknown, out: Array<Command>): void => {
  for (const job of state.jobs.values()) {
    if (job.options.worker !== worker || job.stopped) continue
    while (job.waiting > 0) {
      const { block, offset } = Deque.shift(job.blocks)!
      for (let i = offset; i < block.items.length; i++) {
        job.waiting--
        fail(state, job, worker, block.first + i, { _tag: "Exited", detail }, out)
      }
    }
    settleWhenDone(state, job, out)
  }
}

const mayRestart = (state: State, now: number): boolean => {
  state.restarts++
  state.deaths.push(now)
  while (state.deaths[0]! < now - state.options.restartMillis) state.deaths.shift()
  return state.deaths.length <= state.options.maxRestarts
}

/** What a dead worker held: the item that had started fails, what had not goes back to the front of its job. */
const returnChunk = (
  state: State,
  worker: Worker,
  chunk: Chunk,
  detail: unknown,
  out: Array<Command>
): void => {
  const { job } = chunk
  if (chunk.cancelled || job.stopped) {
    if (chunk.cancelled) out.push({ _tag: "CancelEnded", worker: worker.id, run: chunk.run })
    return release(state, chunk, out)
  }
  if (job.options.timeoutMillis !== undefined) out.push({ _tag: "StopTimer", worker: worker.id, run: chunk.run })
  let from = chunk.reported
  const held = chunk.announced >= from || chunk.moves !== undefined
  const retry = held && chunk.moves === undefined && mayRetry(job, chunk.first + from)
  if (held && !retry) {
    fail(state, job, worker.id, chunk.first + from, { _tag: "Exited", detail }, out)
    from++
    if (job.stopped) return
  }
  giveBack(state, chunk, from, undefined)
  settleWhenDone(state, job, out)
}

const mayRetry = (job: Job, index: number): boolean => {
  if (job.options.retries === 0) return false
  job.attempts ??= new Map()
  const attempts = job.attempts.get(index) ?? 0
  job.attempts.set(index, attempts + 1)
  return attempts < job.options.retries
}

// ---------------------------------------------------------------------------------------------------- the end

/** All that is pending is abandoned, all workers are killed. */
const end = (state: State, out: Array<Command>): void => {
  const before = state.status
  state.status = "ended"
  for (const job of state.jobs.values()) {
    job.stopped = true
    out.push({ _tag: "Abandoned", job: job.id })
  }
  state.jobs.clear()
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
  for (const worker of state.workers.values()) {
    if (worker.status === "killed") continue
    worker.status = "closing"
    out.push({ _tag: "CloseWorker", worker: worker.id })
  }
  if (state.workers.size === 0) out.push({ _tag: "Ended" })
}
