/**
 * When a worker comes and when it goes: the one that has done its share, or has grown too large, is replaced; the one that
 * nobody needs is let go, and comes back when it is needed.
 */
import type { Chunk, Command, Job, State, Worker } from "./model.ts"
import * as Table from "./Table.ts"

/** Launches a worker; its number. */
export const addWorker = (state: State, out: Array<Command>, predecessor?: Worker): number => {
  const id = state.nextWorker++
  state.workers.set(id, {
    id,
    status: "starting",
    chunks: [],
    items: 0,
    millis: 0,
    bytes: 0,
    tasks: 0,
    busyMillis: 0,
    stuckIn: undefined,
    handed: 0,
    outgrown: false,
    spent: false,
    successor: undefined,
    predecessor: predecessor?.id,
    watched: false,
    used: false
  })
  if (predecessor !== undefined) {
    predecessor.successor = id
    state.retiring.add(predecessor)
  }
  out.push({ _tag: "Launch", worker: id })
  return id
}

/** May it be given work? One that waits for another to leave may not, so that no more than `processes` work. */
export const isActive = (worker: Worker): boolean =>
  worker.status === "ready" && !worker.spent && worker.predecessor === undefined

const hasWork = (state: State): boolean => state.status === "open" || state.jobs.size > 0

// ---------------------------------------------------------------------------------------------------- its share is done

/** Its successor is launched when this share of `maxTasks` is left, so that it is ready in time. */
const leadShare = 0.2

/** How many items more it may be handed. */
export const shareLeft = ({ options: { maxTasks } }: State, worker: Worker): number =>
  maxTasks === undefined ? Infinity : maxTasks - worker.handed

/** Notes that it was handed so many items. */
export const wear = (state: State, worker: Worker, items: number, out: Array<Command>): void => {
  const { maxTasks } = state.options
  if (maxTasks === undefined) return
  worker.handed += items
  if (worker.handed >= maxTasks) worker.spent = true
  if (worker.handed >= maxTasks - Math.ceil(maxTasks * leadShare)) succeed(state, worker, out)
}

/** So many items of the chunk came back: it has not had them. */
export const recount = (state: State, worker: Worker, { job }: Chunk, items: number): void => {
  if (state.options.maxTasks === undefined || job.worker !== undefined) return
  worker.handed -= items
  if (worker.handed < state.options.maxTasks) worker.spent = worker.outgrown && hasReadySuccessor(state, worker)
}

export const outgrown = (state: State, id: number, out: Array<Command>): void => {
  const worker = state.workers.get(id)
  if (worker === undefined || worker.status !== "ready") return
  worker.outgrown = true
  succeed(state, worker, out)
}

const succeed = (state: State, worker: Worker, out: Array<Command>): void => {
  // one that waits itself has its own when it has begun
  if (worker.successor !== undefined || worker.predecessor !== undefined || !hasWork(state)) return
  addWorker(state, out, worker)
}

const beginWork = (state: State, successor: Worker, out: Array<Command>): void => {
  successor.predecessor = undefined
  if (successor.outgrown) succeed(state, successor, out)
}

const successorOf = (state: State, worker: Worker): Worker | undefined =>
  worker.successor === undefined ? undefined : state.workers.get(worker.successor)

const hasReadySuccessor = (state: State, worker: Worker): boolean => successorOf(state, worker)?.status === "ready"

/** Is a job waiting for it alone? */
export const isBound = (state: State, worker: Worker): boolean => {
  if (state.bound.size === 0) return false
  for (const job of state.bound) {
    if (job.worker === worker.id) return true
  }
  return false
}

/** Those whose successor is ready leave when they are spent and idle; then the successor begins. Did one leave? */
export const retire = (state: State, out: Array<Command>): boolean => {
  let left = false
  for (const worker of state.retiring) {
    const successor = successorOf(state, worker)
    if (worker.status !== "ready" || successor?.status !== "ready") continue
    if (worker.outgrown) worker.spent = true
    if (!worker.spent || worker.chunks.length > 0 || isBound(state, worker)) continue
    dismiss(worker, out)
    state.retiring.delete(worker)
    beginWork(state, successor, out)
    left = true
  }
  return left
}

/** A worker is gone: its place is taken, unless it was let go. By whom? */
export const leave = (state: State, worker: Worker, out: Array<Command>): number | undefined => {
  state.retiring.delete(worker)
  const successor = successorOf(state, worker)
  // a successor has begun when its predecessor was told to leave; it may have been let go since
  if (worker.status === "closing") return successor?.status === "closing" ? undefined : successor?.id
  if (successor !== undefined) {
    beginWork(state, successor, out)
    return successor.id
  }
  if (!hasWork(state)) return undefined
  const predecessor = worker.predecessor === undefined ? undefined : state.workers.get(worker.predecessor)
  // one that has outgrown works on until the next is ready
  if (predecessor?.outgrown === true) predecessor.spent = shareLeft(state, predecessor) <= 0
  return addWorker(state, out, predecessor)
}

// ---------------------------------------------------------------------------------------------------- nobody needs it

/** Those that are idle are looked at again in a while. */
export const watchIdle = (state: State, millis: number, out: Array<Command>): void => {
  for (const worker of state.workers.values()) {
    if (worker.watched || !isActive(worker) || worker.chunks.length > 0) continue
    worker.watched = true
    worker.used = false
    out.push({ _tag: "StartIdle", worker: worker.id, millis })
  }
}

export const idleElapsed = (state: State, id: number, out: Array<Command>): void => {
  const worker = state.workers.get(id)
  if (worker === undefined) return
  worker.watched = false
  if (worker.used || !isActive(worker) || worker.chunks.length > 0) return
  const successor = successorOf(state, worker)
  // what is for the successor alone is about to run
  if (successor !== undefined && (successor.chunks.length > 0 || isBound(state, successor))) return
  if (successor !== undefined) {
    state.retiring.delete(worker)
    worker.successor = undefined
    successor.predecessor = undefined
    dismiss(successor, out)
  }
  dismiss(worker, out)
}

/** It is told to leave, once; one that was killed leaves anyway. */
export const dismiss = (worker: Worker, out: Array<Command>): void => {
  if (worker.status === "killed" || worker.status === "closing") return
  worker.status = "closing"
  out.push({ _tag: "CloseWorker", worker: worker.id })
}

/** Places without a worker, and workers that are on their way to a place. */
const freePlaces = ({ options, workers }: State): { readonly places: number; readonly starting: number } => {
  let places = options.processes
  let starting = 0
  for (const worker of workers.values()) {
    // a successor takes no other place than its predecessor's; that of one that was killed is taken when it is gone
    if (worker.predecessor !== undefined || worker.status === "closing") continue
    places--
    if (worker.status === "starting") starting++
  }
  return { places, starting }
}

/** Workers that were let go come back, whether there is work for them or not. */
export const comeBack = (state: State, out: Array<Command>): void => {
  if (state.status !== "open") return
  for (let { places } = freePlaces(state); places > 0; places--) addWorker(state, out)
}

/** Work waits, and workers were let go: as many come back as have something to do. `offered`: items, not bound ones. */
export const grow = (state: State, offered: (job: Job) => number, out: Array<Command>): void => {
  if (state.jobs.size === 0) return
  const { places, starting } = freePlaces(state)
  if (places <= 0) return
  let waiting = 0
  Table.forEach(state.jobs, (job) => {
    waiting += offered(job)
  })
  for (let i = Math.min(places, waiting - starting); i > 0; i--) addWorker(state, out)
}
