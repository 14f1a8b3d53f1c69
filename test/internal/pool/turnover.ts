/**
 * The laws of who comes and who goes: the worker that has done its share or has outgrown, its successor, the one that
 * nobody needs. The referee tells them what happens; they know it from events and commands alone.
 */
import type { Command, Event } from "../../../src/internal/pool/model.ts"
import { hold } from "./verdict.ts"
import { idleMillis, isRecycled, workerAt } from "./world.ts"
import type { Run, SimJob, SimWorker, World } from "./world.ts"

// ---------------------------------------------------------------------------------------------------- what is known

const isGone = ({ phase }: SimWorker): boolean => phase === "gone"

/** It has said that it is ready, and nobody has told it to go. */
export const isUp = (worker: SimWorker): boolean => worker.ready && !worker.killed && !worker.closed && !isGone(worker)

const isStarting = (worker: SimWorker): boolean => !worker.ready && !worker.killed && !worker.closed && !isGone(worker)

/** The one before it has not been told to leave, and lives. */
const isWaiting = ({ predecessor }: SimWorker): boolean =>
  predecessor !== undefined && !predecessor.closed && !isGone(predecessor)

export const heirOf = ({ successor }: SimWorker): SimWorker | undefined =>
  successor === undefined || isGone(successor) ? undefined : successor

const isHeirUp = (worker: SimWorker): boolean => {
  const heir = heirOf(worker)
  return heir !== undefined && isUp(heir)
}

const isShareDone = ({ plan }: World, { handed }: SimWorker): boolean => handed >= (plan.maxTasks ?? Infinity)

/** One that grew too large works until its successor is ready. */
const isReplaced = (worker: SimWorker): boolean => worker.outgrown && isHeirUp(worker)

/** It may be given items of jobs that are not for one worker alone. */
export const isFree = (world: World, worker: SimWorker): boolean =>
  isUp(worker) && !isWaiting(worker) && !isShareDone(world, worker) && !worker.outlived

const isIdle = ({ runs }: SimWorker): boolean => runs.length === 0

const hasBound = ({ jobs }: World, { id }: SimWorker): boolean =>
  jobs.some(({ handed, options, phase, supplied }) => options.worker === id && phase === "live" && supplied > handed)

/** A fifth of its share is left then, or less. */
const isNearItsEnd = ({ plan: { maxTasks } }: World, { handed }: SimWorker): boolean =>
  maxTasks !== undefined && maxTasks - handed <= Math.ceil(maxTasks / 5)

/** Workers that stand in a place of the pool: not those that wait for one, nor those that have been told to leave. */
const placed = ({ workers }: World): ReadonlyArray<SimWorker> =>
  workers.filter((worker) => !isGone(worker) && !worker.closed && !isWaiting(worker))

// ---------------------------------------------------------------------------------------------------- events

export const foretell = (world: World, event: Event): void => {
  world.due.length = 0
  world.lapsed = undefined
  switch (event._tag) {
    case "WorkerReady": {
      const worker = workerAt(world, event.worker)
      worker.ready = true
      if (isWaiting(worker) && isUp(worker)) worker.predecessor!.outlived = worker.predecessor!.outgrown
      return
    }
    case "AllWanted": {
      const missing = world.pool === "open" ? world.plan.processes - placed(world).length : 0
      for (let i = 0; i < missing; i++) world.due.push(undefined)
      return
    }
    case "LaunchFailed":
    case "WorkerExited":
      return departs(world, workerAt(world, event.worker))
    case "Outgrown": {
      const worker = workerAt(world, event.worker)
      if (!isUp(worker)) return
      worker.outgrown = true
      worker.outlived = isHeirUp(worker)
      return needsHeir(world, worker)
    }
    case "IdleElapsed": {
      const worker = workerAt(world, event.worker)
      worker.idling = false
      const heir = heirOf(worker)
      const isHeirBusy = heir !== undefined && (!isIdle(heir) || hasBound(world, heir))
      if (worker.rested && isFree(world, worker) && isIdle(worker) && !isHeirBusy) world.lapsed = worker
    }
  }
}

/** A successor has to be launched, unless there is one. */
const needsHeir = (world: World, worker: SimWorker): void => {
  if (world.pool === "ended" || isWaiting(worker) || heirOf(worker) !== undefined || world.due.includes(worker)) return
  world.due.push(worker)
}

/** Its successor begins at once; who has no successor is replaced, also one that waits: until then its predecessor works. */
const departs = (world: World, worker: SimWorker): void => {
  if (world.pool === "ended" || worker.closed) return
  const heir = heirOf(worker)
  if (isWaiting(worker)) worker.predecessor!.outlived = false
  if (heir === undefined) world.due.push(isWaiting(worker) ? worker.predecessor : undefined)
  else begins(world, heir)
}

const begins = (world: World, heir: SimWorker): void => {
  if (heir.outgrown) needsHeir(world, heir)
}

/** Items of the run that its worker has not had after all. */
export const tookBack = ({ job, worker }: Run, count: number): void => {
  if (job.options.worker === undefined) worker.handed -= count
}

// ---------------------------------------------------------------------------------------------------- commands

export const launched = (world: World): void => {
  hold(world, world.pool !== "ended", "a pool that has ended starts no worker")
  const isDue = world.due.length > 0
  world.heirTo = world.due.shift()
  if (isDue) return
  const places = placed(world)
  hold(
    world,
    world.plan.rests !== undefined && places.length < world.plan.processes &&
      offered(world, roomAtMost) > places.filter(isStarting).length,
    "a worker is launched for one that died, for one that is near its end, or for work that waits"
  )
}

export const handed = (world: World, worker: SimWorker, { options }: SimJob, length: number): void => {
  worker.rested = false
  if (options.worker !== undefined) return
  hold(world, !isWaiting(worker), "a successor gets nothing before its predecessor has been told to leave, or is gone")
  hold(world, !isReplaced(worker), "a worker that has outgrown gets nothing when its successor is ready")
  worker.handed += length
  hold(world, worker.handed <= (world.plan.maxTasks ?? Infinity), "a worker is handed no more than its share")
  if (isNearItsEnd(world, worker)) needsHeir(world, worker)
}

export const dismissed = (world: World, event: Event, worker: SimWorker, isOver: boolean): void => {
  hold(world, !worker.closed && !worker.killed, "a worker is asked to leave once")
  worker.closed = true
  if (isOver) return
  hold(world, isIdle(worker) && !hasBound(world, worker), "a worker leaves when it is idle and no job is for it alone")
  if (event._tag === "IdleElapsed" && worker.predecessor?.id === event.worker) {
    return hold(world, worker.predecessor === world.lapsed, "a successor is let go with the worker that was idle")
  }
  if (world.lapsed === worker) return
  const heir = heirOf(worker)
  if (heir === undefined) {
    return hold(world, false, "a worker without successor leaves when it was idle for a whole period")
  }
  hold(world, isUp(heir), "a worker leaves when its successor is ready")
  hold(world, isShareDone(world, worker) || worker.outgrown, "a worker is replaced when it is spent")
  begins(world, heir)
}

export const watched = (world: World, { millis, worker }: Extract<Command, { readonly _tag: "StartIdle" }>): void => {
  const one = workerAt(world, worker)
  hold(world, world.plan.rests !== undefined && millis === idleMillis, "a worker is looked at when its pool wants it")
  hold(world, isUp(one) && isIdle(one), "a worker is looked at from when it is idle")
  hold(world, !one.idling, "a worker is looked at once in a period")
  one.idling = true
  one.rested = true
}

// ---------------------------------------------------------------------------------------------------- after a transition

export const afterwards = (world: World): void => {
  const { lapsed, plan } = world
  hold(world, world.due.length === 0, "a worker that is gone is replaced, and one that is near its end has a successor")
  hold(world, lapsed?.closed !== false, "a worker that was idle for a whole period is let go")
  let working = 0
  let living = 0
  for (const worker of world.workers) {
    if (isGone(worker)) continue
    living++
    if (worker.runs.some(({ job }) => job.options.worker === undefined)) working++
    if (isUp(worker) && isIdle(worker)) afterIdle(world, worker)
  }
  hold(world, working <= plan.processes, "no more workers work than the pool has places")
  if (!isRecycled(plan)) hold(world, living === plan.processes, "a worker that is gone is replaced")
  const places = placed(world)
  if (plan.rests === undefined) {
    return hold(world, places.length === plan.processes, "a pool has all its workers, and nobody has two successors")
  }
  hold(world, places.length <= plan.processes, "a pool has no more workers than places")
  if (places.length === plan.processes) return
  const starting = places.filter(isStarting).length
  hold(world, offered(world, roomAtLeast) <= starting, "workers that were let go come back when work waits")
}

const afterIdle = (world: World, worker: SimWorker): void => {
  const leaves = (isShareDone(world, worker) || worker.outgrown) && isHeirUp(worker) && !hasBound(world, worker)
  hold(world, !leaves, "a worker that is spent and idle leaves when its successor is ready")
  const isWatched = world.plan.rests === undefined || !isFree(world, worker) || worker.idling
  hold(world, isWatched, "a worker that is idle is looked at in a while")
}

/** Items that could be handed out, were there a worker: what has come back, and new ones as the window has room. */
const offered = (world: World, room: (world: World, job: SimJob) => number): number => {
  let count = 0
  for (const job of world.jobs) {
    if (job.phase !== "live" || job.options.worker !== undefined) continue
    const fresh = job.supplied - job.frontier
    count += job.supplied - job.handed - fresh + Math.min(fresh, room(world, job))
  }
  return count
}

const roomAtLeast = (_: World, { consumed, frontier, options: { window } }: SimJob): number => {
  const out = frontier - consumed
  if (window !== "auto") return Math.max(0, window - out)
  return out === 0 ? 1 : 0
}

const roomAtMost = (world: World, job: SimJob): number =>
  job.options.window === "auto" ? Infinity : roomAtLeast(world, job)
