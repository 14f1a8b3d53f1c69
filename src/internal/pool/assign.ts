/**
 * Who gets what, when: which job hands out its next items, how many, and to which worker.
 */
import { autoSize, chunkMillis, fitting, maxChunkBytes, maxChunkItems, weightOfAll } from "./chunking.ts"
import * as Deque from "./Deque.ts"
import { isActive, isBound, shareLeft, wear } from "./lives.ts"
import type { Block, Chunk, Command, Event, Job, State, Waiting, Worker } from "./model.ts"

export const enqueue = (state: State, job: Job): void => {
  if (job.queued || job.stopped) return
  if (job.worker !== undefined) return void state.bound.add(job)
  job.queued = true
  Deque.push(needsIdle(state, job) ? state.idle : state.turn, job)
}

/** A worker may hold this much work ahead, in milliseconds. */
const aheadMillis = chunkMillis
const maxChunksAhead = 1024
/** The chunks of a stream grow with what its consumer has taken, from this. */
const firstChunkItems = 16

const sizeFor = (state: State, job: Job): number => {
  const { chunkSize, task, timeoutMillis, window } = job.options
  if (timeoutMillis !== undefined) return 1 // the limit is each item's own
  // a consumer who takes ten results has not asked for twenty thousand items
  const wanted = window === "auto" ? Math.max(firstChunkItems, job.consumed) : maxChunkItems
  const most = Math.min(wanted, Math.max(1, Math.floor(maxChunkBytes / Math.max(1, job.itemBytes))))
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

/** How many items of the job only wait for a worker: for it stands in a queue, and its window has room. */
export const offered = (state: State, job: Job): number => {
  if (!job.queued || job.stopped) return 0
  const fresh = job.supplied - job.frontier
  return job.waiting - fresh + Math.max(0, Math.min(fresh, freshRoom(state, job, sizeFor(state, job))))
}

const hasRoom = (worker: Worker): boolean =>
  isActive(worker) && worker.millis < aheadMillis && worker.chunks.length < maxChunksAhead &&
  worker.chunks[0]?.alone !== true &&
  (worker.bytes < maxChunkBytes || worker.chunks.length < 2)

/** A worker counts as idle when it holds nothing, also nothing that is being cancelled. */
const isIdle = (worker: Worker): boolean => isActive(worker) && worker.chunks.length === 0

/** An item of unknown cost, one that moves, and what a worker may have died of, is not queued behind others. */
const needsIdle = (state: State, job: Job): boolean => {
  const block = Deque.peek(job.blocks)?.block
  return state.means[job.options.task] === undefined || block?.moves !== undefined || block?.alone === true
}

/** Estimates that differ by less are the same. */
const alikeMillis = 0.05

/** Among those that are alike it is the count: what has just reported is given more, and is told all of it at once. */
const hasLess = (one: Worker, other: Worker): boolean => {
  const more = one.millis - other.millis
  return Math.abs(more) < alikeMillis && one.items !== other.items ? one.items < other.items : more < 0
}

const leastLoaded = (state: State, suits: (worker: Worker) => boolean): Worker | undefined => {
  let best: Worker | undefined
  for (const worker of state.workers.values()) {
    if (!suits(worker)) continue
    // one that only cancels has no load, but it is not idle
    if (best === undefined || hasLess(worker, best) || (isIdle(worker) && !isIdle(best))) best = worker
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
  const chunk = take(state, job, Math.min(size, roomOf(state, job, size), shareLeft(state, worker)))
  send(worker, chunk, out)
  wear(state, worker, chunk.items.length, out)
}

/** A call of one item that comes when nobody waits goes to a worker without standing in a queue. Was there one? */
export const handAtOnce = (
  state: State,
  job: Job,
  { blocks, complete }: Pick<Extract<Event, { readonly _tag: "Submitted" }>, "blocks" | "complete">,
  out: Array<Command>
): boolean => {
  if (!complete || blocks.length !== 1 || job.worker !== undefined || !isNobodyWaiting(state)) return false
  const block = blocks[0]!
  const itemMillis = state.means[job.options.task]
  if (block.items.length !== 1 || block.moves !== undefined || itemMillis === undefined) return false
  const worker = leastLoaded(state, hasRoom)
  if (worker === undefined) return false
  job.complete = true
  job.supplied = job.handed = 1
  job.frontier = block.first + 1
  send(worker, makeChunk(state, job, block, block.items, block.first, weightOfAll(block.items)), out)
  wear(state, worker, 1, out)
  return true
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
    const worker = leastLoaded(state, (one) => isIdle(one) && !isBound(state, one))
    if (worker === undefined) {
      const reserved = state.reserved === undefined ? undefined : state.workers.get(state.reserved)
      if (reserved === undefined || !isActive(reserved)) state.reserved = leastLoaded(state, isActive)?.id
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
    const worker = leastLoaded(state, (one) => hasRoom(one) && one.id !== state.reserved && !isBound(state, one))
    if (worker === undefined) return false
    handOut(state, worker, job, out)
    state.sharedFirst = false
  }
  rotate(state, state.turn)
  return true
}

/** Jobs for one worker: it gets nothing else until it has had them. */
const serveBound = (state: State, out: Array<Command>): void => {
  for (const job of state.bound) {
    const worker = state.workers.get(job.worker!)
    // also one that gets nothing else any more: it does not leave before it has had them
    if (worker?.status === "ready" && worker.chunks.length === 0 && !job.stopped && job.waiting > 0) {
      send(worker, take(state, job, 1), out)
    }
    if (job.stopped || job.waiting === 0) state.bound.delete(job)
  }
}

/** Nobody stands in a queue. */
const isNobodyWaiting = ({ bound, idle, turn }: State): boolean =>
  Deque.isEmpty(turn) && Deque.isEmpty(idle) && bound.size === 0

export const assign = (state: State, out: Array<Command>): void => {
  if (isNobodyWaiting(state)) {
    state.reserved = undefined
    return
  }
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
  const allowed = Math.min(count, block.limit ?? count)
  // whoever gives a number has weighed the items
  const isAuto = job.options.chunkSize === "auto"
  const most = offset + (isAuto ? fitting(block.items, offset, allowed) : allowed)
  const isWhole = block.items.length <= most
  const own = isWhole && offset === 0 ? block.items : block.items.slice(offset, most)
  const begun: Load = { items: own, bytes: weightOfAll(own) }
  if (!isWhole) Deque.pushFront(job.blocks, { block, offset: most })
  const joined = isWhole && own.length < count && joins(block)
  const { bytes, items } = joined ? gather(job, block, begun, block.first + offset, count) : begun
  job.waiting -= items.length
  job.itemBytes = (job.itemBytes + bytes / items.length) / 2
  const first = block.first + offset
  if (first >= job.frontier) {
    job.frontier = first + items.length
    job.handed += items.length
  }
  return makeChunk(state, job, block, items, first, bytes)
}

const makeChunk = (
  state: State,
  job: Job,
  { alone, at, marked, moves }: Block,
  items: ReadonlyArray<unknown>,
  first: number,
  bytes: number
): Chunk => ({
  run: state.nextRun = (state.nextRun + 1) & 0x3fffffff, // it stands in a 32 bit word where progress is shared
  job,
  first,
  items,
  marked,
  moves,
  alone: alone === true,
  itemMillis: state.means[job.options.task] ?? aheadMillis,
  bytes,
  at,
  reported: 0,
  announced: -1,
  cancelled: false,
  awaited: false,
  letGo: false
})

const joins = (block: Block): boolean => block.moves === undefined && block.limit === undefined

/** Items of one message, and what they weigh. */
interface Load {
  readonly items: ReadonlyArray<unknown>
  readonly bytes: number
}

/** Adds the blocks that follow, while they fit. */
const gather = (job: Job, block: Block, begun: Load, first: number, count: number): Load => {
  let items: Array<unknown> | undefined
  let { length } = begun.items
  let { bytes } = begun
  while (true) {
    const next = Deque.peek(job.blocks)
    if (
      next === undefined || next.offset > 0 || !joins(next.block) || next.block.marked !== block.marked ||
      next.block.first !== first + length || length + next.block.items.length > count
    ) {
      break
    }
    const more = weightOfAll(next.block.items)
    if (bytes + more > maxChunkBytes && job.options.chunkSize === "auto") break
    bytes += more
    items ??= begun.items.slice()
    for (const item of next.block.items) items.push(item)
    length = items.length
    Deque.shift(job.blocks)
  }
  return items === undefined ? begun : { items, bytes }
}

const send = (worker: Worker, chunk: Chunk, out: Array<Command>): void => {
  worker.used = true
  worker.chunks.push(chunk)
  worker.items += chunk.items.length
  worker.bytes += chunk.bytes
  worker.millis += chunk.items.length * chunk.itemMillis
  out.push({ _tag: "Send", worker: worker.id, chunk })
}

interface Back extends Pick<Block, "alone" | "limit"> {
  readonly to?: number
}

/** Items go back to their job. Of a suspect at most `limit` go together, and nothing with them. */
export const giveBack = (
  state: State,
  chunk: Chunk,
  from: number,
  { alone, limit, to = chunk.items.length }: Back = {}
): void => {
  const { job } = chunk
  if (from >= to) return
  const items = to - from === chunk.items.length ? chunk.items : chunk.items.slice(from, to)
  const block: Block = {
    first: chunk.first + from,
    items,
    marked: chunk.marked,
    moves: chunk.moves,
    limit,
    alone,
    at: undefined
  }
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
