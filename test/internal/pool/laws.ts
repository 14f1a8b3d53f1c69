/**
 * The laws of the dispatcher, as a referee: told every event before the dispatcher, every command that it gives for it,
 * and that it has answered. It keeps books of its own, of what may be known from events and commands alone.
 */
import * as Deque from "../../../src/internal/pool/Deque.ts"
import { maxChunkBytes } from "../../../src/internal/pool/chunking.ts"
import type { Chunk, Command, Event } from "../../../src/internal/pool/model.ts"
import * as Table from "../../../src/internal/pool/Table.ts"
import {
  afterwards,
  dismissed,
  foretell,
  handed,
  heirOf,
  isFree,
  isUp,
  launched,
  tookBack,
  watched
} from "./turnover.ts"
import { hold } from "./verdict.ts"
import { isMarkedValue, payloadOf, restartMillis, weightOfItem, workerAt } from "./world.ts"
import type { Run, SimJob, SimWorker, Value, World } from "./world.ts"

const isOver = (job: SimJob): boolean => job.phase === "settled" || job.phase === "abandoned"

const jobAt = (world: World, id: number): SimJob => world.jobs[id - 1]!

const hasLiveJobs = (world: World): boolean => world.jobs.some(({ phase }) => phase === "live" || phase === "stopped")

const runOn = (world: World, worker: number, id: number): Run | undefined => {
  const run = world.runs.get(id)
  return run !== undefined && run.worker.id === worker && !run.over ? run : undefined
}

// ---------------------------------------------------------------------------------------------------- before a transition

/** Notes what the event says, and which outcomes have to come of it. */
export const before = (world: World, event: Event): void => {
  world.expected.length = 0
  world.bereft.length = 0
  world.timed = undefined
  world.refused = undefined
  foretell(world, event)
  switch (event._tag) {
    case "Submitted": {
      const job = jobAt(world, event.job)
      job.phase = "live"
      if (world.pool !== "open") world.refused = job
      return supplied(job, event)
    }
    case "Supplied":
      jobAt(world, event.job).asked = 0
      return supplied(jobAt(world, event.job), event)
    case "Consumed":
      jobAt(world, event.job).consumed += event.count
      return
    case "Interrupted": {
      const job = jobAt(world, event.job)
      if (job.phase === "live") stopped(job)
      return
    }
    case "LaunchFailed":
    case "WorkerExited":
      return exited(world, workerAt(world, event.worker), event.now)
    case "CloseRequested":
      if (world.pool === "open") world.pool = "closing"
      return
    case "TerminateRequested":
      world.pool = "ended"
      world.terminated = true
      return
    case "WorkerReady":
    case "Outgrown":
    case "IdleElapsed":
    case "AllWanted":
      return
    default: {
      const run = runOn(world, event.worker, event.run)
      if (run !== undefined) reported(world, run, event)
    }
  }
}

const stopped = (job: SimJob): void => {
  job.phase = "stopped"
  // what was out of time before has to prove it again: the job did not wait for it then
  for (const run of job.runs) run.proven = false
}

const supplied = (job: SimJob, event: Extract<Event, { readonly _tag: "Submitted" | "Supplied" }>): void => {
  for (const block of event.blocks) job.supplied += block.items.length
  if (event.complete) job.complete = true
}

type RunEvent = Exclude<Extract<Event, { readonly run: number }>, never>

const reported = (world: World, run: Run, event: RunEvent): void => {
  switch (event._tag) {
    case "Started":
      run.announced = event.index
      if (run.job.options.timeoutMillis !== undefined && !event.loading) world.timed = run
      return
    case "Succeeded":
      for (let i = 0; i < event.values.length; i++) expect(world, run, event.index + i, "Success")
      return advance(run, event.index + event.values.length)
    case "Failed":
      expect(world, run, event.index, event.failure._tag)
      return advance(run, run.job.options.failFast ? run.length : event.index + 1)
    case "Cancelled":
      return close(run)
    case "Returned":
      close(run)
      tookBack(run, run.length - event.index)
      if (!run.cancelled && run.job.phase === "live") giveBack(run, event.index, Infinity)
      return
    case "Unsent":
      close(run)
      tookBack(run, run.length)
      if (run.length === 1) return expect(world, run, 0, "Unsendable")
      if (!run.cancelled) giveBack(run, 0, run.length)
      return
    case "Answered":
      // early, an idle worker proves nothing
      if (event.running !== run.id && (event.late || event.running !== undefined)) run.proven = true
      return
    case "TimeElapsed":
      if (run.reported <= event.index) expect(world, run, event.index, "TimedOut")
  }
}

/** The item's outcome has to come of this event, and no other, unless it is nobody's any more. */
const expect = (world: World, { cancelled, first, job }: Run, index: number, outcome: string): void => {
  if (!cancelled && job.phase === "live") world.expected.push({ job, index: first + index, outcome, done: false })
}

const advance = (run: Run, to: number): void => {
  run.reported = to
  if (to === run.length) close(run)
}

const close = (run: Run): void => {
  run.over = true
  for (const runs of [run.worker.runs, run.job.runs]) runs.splice(runs.indexOf(run), 1)
}

/** These items wait again. */
const giveBack = (run: Run, from: number, refused: number): void => {
  for (let i = from; i < run.length; i++) waits(run, i, refused)
}

const waits = ({ first, job, moves }: Run, item: number, refused: number): void => {
  if (moves) return
  job.out[first + item] = false
  job.handed--
  job.refused[first + item] = refused
  job.alone[first + item] = false
}

/** In which item of the run it died, as far as that is known. */
const diedAt = ({ last, stuckIn }: SimWorker, { announced, id, reported }: Run): number | undefined => {
  if (stuckIn !== undefined) return undefined
  if (last === undefined) return announced >= reported ? reported : undefined
  return last !== "none" && last.run === id && last.index >= reported ? last.index : undefined
}

/** It died in none: it may have died of what it was to begin next. */
const suspectOf = (worker: SimWorker): Run | undefined =>
  worker.killed || worker.closed || worker.runs.some((run) => diedAt(worker, run) !== undefined)
    ? undefined
    : worker.runs.find(({ cancelled, job }) => !cancelled && job.phase === "live")

/** Whoever was alone when three have died of it is convicted. */
const isConvicted = ({ first, job, length, reported }: Run): boolean => {
  if (length - reported > 1) return false
  const index = first + reported
  job.suspected[index] = (job.suspected[index] ?? 0) + 1
  return job.suspected[index] >= Math.max(3, job.options.retries + 1)
}

/** The item in which it died fails, unless a retry is left; all others wait again. */
const ended = (world: World, run: Run, died: number | undefined, isSuspect: boolean): void => {
  const { job, reported: next } = run
  const at = died ?? (isSuspect && isConvicted(run) ? next : run.moves ? next : undefined)
  const index = run.first + (at ?? next)
  const retried = job.retried[index] ?? 0
  const retries = at !== undefined && !run.moves && retried < job.options.retries
  if (retries) job.retried[index] = retried + 1
  const fails = at !== undefined && !retries
  if (fails) expect(world, run, at, "Exited")
  const parted = isSuspect && !fails && run.length - next > 1 ? run.length - next : Infinity
  for (let i = next; i < run.length; i++) {
    if (fails && i === at) continue
    waits(run, i, parted)
    if (isSuspect && !fails) job.alone[run.first + i] = true
  }
}

const exited = (world: World, worker: SimWorker, now: number): void => {
  if (!worker.killed && !worker.closed && world.pool !== "ended") {
    world.unexpected++
    world.deaths.push(now)
    while (world.deaths[0]! < now - restartMillis) world.deaths.shift()
  }
  const suspect = suspectOf(worker)
  for (const run of worker.runs.slice()) {
    const at = diedAt(worker, run)
    close(run)
    if (run.cancelled || run.job.phase !== "live") continue
    ended(world, run, at, run === suspect)
  }
  const heir = heirOf(worker)
  for (const job of world.jobs) {
    if (job.options.worker !== worker.id || job.phase !== "live") continue
    if (heir !== undefined) bindTo(job, heir.id)
    else if (world.due.length > 0) world.bereft.push(job)
    else failBound(world, job)
  }
}

/** A worker takes the place of the one that the job was for. */
const bindTo = (job: SimJob, worker: number): void => {
  job.options = { ...job.options, worker }
}

/** A job that is for a worker whose place nobody takes dies with it. */
const failBound = (world: World, job: SimJob): void => {
  for (let index = 0; index < job.supplied; index++) {
    if (job.outcomes[index] !== undefined || world.expected.some((other) => other.job === job)) continue
    if (!job.out[index]) job.handed++
    job.out[index] = true
    world.expected.push({ job, index, outcome: "Exited", done: false })
  }
}

// ---------------------------------------------------------------------------------------------------- a command

export const check = (world: World, event: Event, command: Command): void => {
  switch (command._tag) {
    case "Deliver":
      return delivered(world, command)
    case "DeliverFailure": {
      const { failure, index, worker } = command
      const job = jobAt(world, command.job)
      outcome(world, job, index, failure._tag)
      if (failure._tag === "Reported") ownResult(world, job, index, failure.detail as Value, worker)
      if (job.options.failFast) stopped(job)
      return
    }
    case "Settled":
      return settled(world, jobAt(world, command.job))
    case "Abandoned": {
      const job = jobAt(world, command.job)
      hold(world, !isOver(job), "a job ends exactly once")
      hold(world, world.pool !== "open", "a job is abandoned only when its pool is")
      job.phase = "abandoned"
      return
    }
    case "Pull": {
      const job = jobAt(world, command.job)
      hold(world, job.phase === "live" && !job.complete && job.asked === 0, "a source is asked once at a time")
      hold(world, command.count >= 1, "a source is asked for something")
      job.asked = command.count
      return
    }
    case "Launch":
      launched(world)
      // it takes the place of the one that has just gone
      for (const job of world.bereft.splice(0)) bindTo(job, command.worker)
      return
    case "Broken":
      world.broken++
      world.pool = "ended"
      world.terminated = true
      return hold(world, command.restarts === world.unexpected, "the pool says how many workers died")
    case "Ended":
      world.ended++
      return
    case "Send":
      return sent(world, workerAt(world, command.worker), command.chunk)
    case "Kill":
      return killed(world, event, workerAt(world, command.worker))
    case "CloseWorker":
      return dismissed(world, event, workerAt(world, command.worker), world.pool === "closing" && !hasLiveJobs(world))
    case "StartIdle":
      return watched(world, command)
    default:
      return checkRun(world, event, command)
  }
}

const delivered = (world: World, command: Extract<Command, { readonly _tag: "Deliver" }>): void => {
  const job = jobAt(world, command.job)
  Array.from(command.values).forEach((value, i) => {
    const index = command.first + i
    outcome(world, job, index, "Success")
    ownResult(world, job, index, value as Value, command.worker)
    hold(world, command.marked === isMarkedValue(payloadOf(job, index)), "a value that has to be revived says so")
  })
}

const ownResult = (world: World, job: SimJob, index: number, { by, of }: Value, worker: number): void => {
  hold(world, of === payloadOf(job, index), "an outcome is that of its own item")
  hold(world, by === worker, "an outcome names the worker that it came from")
}

const outcome = (world: World, job: SimJob, index: number, tag: string): void => {
  hold(world, !isOver(job), "nothing is delivered when the job is over")
  hold(world, job.phase === "live", "nothing is delivered when the job is stopped")
  hold(world, job.outcomes[index] === undefined, "no outcome is delivered twice")
  const expected = world.expected.find((one) => one.job === job && one.index === index)
  hold(world, expected !== undefined, "an outcome comes of the event that brought it")
  hold(world, expected!.outcome === tag, "an item fails for the reason that it has")
  expected!.done = true
  job.outcomes[index] = tag
}

const settled = (world: World, job: SimJob): void => {
  hold(world, !isOver(job), "a job ends exactly once")
  if (job.phase === "stopped") {
    hold(world, job.runs.every(({ proven }) => proven), "a stopped job is over when nothing of it runs, not before")
  } else {
    hold(world, job.complete && isAnswered(job), "a job is over when each of its items has an outcome")
  }
  job.phase = "settled"
}

const isAnswered = (job: SimJob): boolean => {
  for (let i = 0; i < job.supplied; i++) {
    if (job.outcomes[i] === undefined) return false
  }
  return true
}

/** Why a worker may be killed: it runs what was cancelled although its grace is over, or the pool has ended. */
const killed = (world: World, event: Event, worker: SimWorker): void => {
  hold(world, !worker.killed, "a worker is killed once")
  worker.killed = true
  if (world.pool === "ended" && event._tag !== "Answered") return
  const run = event._tag === "Answered" ? runOn(world, worker.id, event.run) : undefined
  const stuck = event._tag === "Answered" && event.late && event.running === event.run
  if (stuck && event.isKnown) worker.stuckIn = event.run
  hold(
    world,
    stuck && (run === undefined ? event.isKnown : run.cancelled),
    "only a worker that still runs a cancelled item after the grace is killed"
  )
  hold(
    world,
    event._tag !== "Answered" || event.isKnown || worker.runs[0] === run,
    "a worker that says nothing is killed for what it has first: nothing else can be running"
  )
}

type RunCommand = Extract<
  Command,
  { readonly _tag: "AskAgain" | "Cancel" | "CancelEnded" | "StartTimer" | "StopTimer" }
>

const checkRun = (world: World, event: Event, command: RunCommand): void => {
  const run = world.runs.get(command.run)!
  hold(world, run.worker.id === command.worker, "a command about a run goes to its worker")
  switch (command._tag) {
    case "AskAgain":
      return hold(
        world,
        run.cancelled && !run.over && event._tag === "Answered" && event.run === run.id &&
          (!command.late || (event.running === run.id && !event.late)),
        "a worker is asked again as long as it may begin what is cancelled, or has just begun it"
      )
    case "Cancel": {
      const timedOut = event._tag === "TimeElapsed" && event.run === run.id
      hold(world, !run.cancelled, "a run is cancelled once")
      hold(world, timedOut || run.job.phase === "stopped", "only what is stopped or out of time is cancelled")
      run.cancelled = true
      return
    }
    case "CancelEnded":
      hold(world, run.cancelled && run.over && !run.cancelEnded, "a Cancel ends once, when its run is over")
      run.cancelEnded = true
      return
    case "StartTimer":
      hold(
        world,
        event._tag === "Started" && event.index === command.index && !event.loading,
        "an item's time counts from its start, when its task is loaded"
      )
      hold(world, !run.cancelled, "no time counts for an item that is cancelled")
      run.timer = command.index
      return
    case "StopTimer":
      run.timer = -1
  }
}

// ---------------------------------------------------------------------------------------------------- handing out

const sent = (world: World, worker: SimWorker, chunk: Chunk): void => {
  const job = jobAt(world, chunk.job.id)
  const length = chunk.items.length
  hold(world, worker.ready && !worker.killed && !worker.closed, "only a worker that is ready is sent a chunk")
  hold(world, world.pool !== "ended" && job.phase === "live", "nothing is handed out of a job that is stopped")
  hold(world, !world.runs.has(chunk.run), "a run has a number of its own")
  hold(
    world,
    (job.options.worker ?? worker.id) === worker.id,
    "a job for one worker runs on that, or on the one that takes its place"
  )
  const run: Run = {
    id: chunk.run,
    worker,
    job,
    first: chunk.first,
    length,
    moves: chunk.moves !== undefined,
    bytes: chunk.bytes,
    itemMillis: chunk.itemMillis,
    reported: 0,
    announced: -1,
    cancelled: false,
    cancelEnded: false,
    letGo: false,
    proven: false,
    over: false,
    timer: -1
  }
  sizeFits(world, job, length)
  for (let i = 0; i < chunk.first; i++) hold(world, job.out[i] === true, "items are handed out in their order")
  for (let i = 0; i < length; i++) itemSent(world, job, chunk, i)
  weightFits(world, worker, job, length)
  handed(world, worker, job, length)
  if (run.moves) hold(world, worker.runs.length === 0, "what moves goes to an idle worker")
  if (goesAlone(run) || worker.runs.some(goesAlone)) {
    hold(world, worker.runs.length === 0, "what a worker may have died of is all that a worker has")
  }
  world.runs.set(run.id, run)
  worker.runs.push(run)
  job.runs.push(run)
}

const goesAlone = ({ first, job }: Run): boolean => job.alone[first] === true

const itemSent = (world: World, job: SimJob, chunk: Chunk, i: number): void => {
  const index = chunk.first + i
  hold(world, index < job.supplied && chunk.items[i] === payloadOf(job, index), "an item keeps its index")
  hold(world, chunk.marked === job.marked[index], "a payload that has to be revived says so")
  hold(world, job.outcomes[index] === undefined, "an item with an outcome does not run again")
  hold(
    world,
    !job.out[index],
    "an item runs again only when its worker died before it said that it started it, or a retry is left"
  )
  hold(world, chunk.items.length < (job.refused[index] ?? Infinity), "of a chunk that was refused the parts are tried")
  const buffer = job.buffers[index]
  if (buffer === undefined) hold(world, chunk.moves === undefined, "what moves is its item's own")
  else hold(world, chunk.items.length === 1 && chunk.moves?.[0] === buffer, "what moves goes with its item, alone")
  job.out[index] = true
  job.handed++
  job.frontier = Math.max(job.frontier, index + 1)
}

/** The chunks of a stream start small. */
const firstChunkItems = 16

const sizeFits = (world: World, job: SimJob, length: number): void => {
  const { chunkSize, timeoutMillis, window } = job.options
  hold(world, length >= 1, "no chunk is empty")
  hold(world, timeoutMillis === undefined || length === 1, "items with a time limit travel one by one")
  hold(world, chunkSize === "auto" || length <= chunkSize, "a chunk has at most the size that was asked for")
  const unconsumed = job.handed + length - job.consumed
  if (window !== "auto") {
    hold(world, unconsumed <= window, "no more is handed out than the window has room for")
  } else {
    const most = timeoutMillis !== undefined
      ? 1
      : chunkSize === "auto"
      ? Math.max(firstChunkItems, job.consumed)
      : chunkSize
    hold(world, unconsumed <= 2 * world.plan.processes * most, "no more is handed out than two chunks a worker")
  }
}

const weightFits = (world: World, worker: SimWorker, job: SimJob, length: number): void => {
  if (job.options.chunkSize !== "auto") return
  const bytes = length * weightOfItem(job)
  hold(world, length === 1 || bytes <= maxChunkBytes, "a message weighs no more than it may, unless one item does")
  const inHand = worker.runs.reduce((sum, run) => sum + run.length * weightOfItem(run.job), 0)
  hold(world, worker.runs.length < 2 || inHand < maxChunkBytes, "a worker holds no more ahead than it may")
}

// ---------------------------------------------------------------------------------------------------- after a transition

export const after = (world: World): void => {
  if (world.pool === "closing" && !hasLiveJobs(world)) world.pool = "ended"
  if (world.replaying) return
  for (const { done, job } of world.expected) {
    if (!done) hold(world, job.phase !== "live", "no outcome is lost")
  }
  const { timed } = world
  if (timed !== undefined && timed.job.phase === "live" && !timed.cancelled) {
    hold(world, timed.timer >= 0, "an item's time counts from its start, when its task is loaded")
  }
  hold(world, (world.refused?.phase ?? "abandoned") === "abandoned", "a pool that closes takes no job")
  for (const job of world.jobs) afterJob(world, job)
  for (const worker of world.workers) {
    if (worker.phase === "gone") continue
    books(world, worker)
    if (world.pool === "ended") hold(world, worker.killed || worker.closed, "a pool that has ended lets its workers go")
    if (world.terminated) hold(world, worker.killed, "a pool that terminates kills its workers")
  }
  const living = world.workers.filter(({ phase }) => phase !== "gone").length
  if (world.pool !== "ended") afterwards(world)
  hold(
    world,
    world.ended === (world.pool === "ended" && living === 0 ? 1 : 0),
    "a pool ends once, with its last worker"
  )
  hold(
    world,
    world.broken === (world.deaths.length > world.plan.maxRestarts ? 1 : 0),
    "a pool breaks once, when its workers die too often"
  )
  if (world.pool !== "ended") noStall(world)
}

const afterJob = (world: World, job: SimJob): void => {
  if (job.phase === "planned" || isOver(job)) return
  hold(world, world.pool !== "ended", "a job that is pending when its pool ends is abandoned")
  if (job.phase === "live") {
    hold(world, !job.complete || !isAnswered(job), "a job is over when each of its items has an outcome")
    hold(world, Table.get(world.state.jobs, job.id)?.waiting === job.supplied - job.handed, "what waits is counted")
  } else {
    const blocks = Table.get(world.state.jobs, job.id)?.blocks
    hold(world, blocks !== undefined && Deque.size(blocks) === 0, "a stopped job keeps no payload alive")
    hold(world, !job.runs.every(({ proven }) => proven), "a stopped job is over when nothing of it runs")
    hold(world, job.runs.every(({ cancelled }) => cancelled), "what runs of a stopped job is cancelled")
  }
}

const books = (world: World, { id, runs }: SimWorker): void => {
  const worker = world.state.workers.get(id)!
  let items = 0
  let millis = 0
  let bytes = 0
  for (const run of runs) {
    bytes += run.bytes
    items += run.length - run.reported
    millis += (run.length - run.reported) * run.itemMillis
  }
  hold(world, worker.chunks.length === runs.length && worker.items === items, "a worker's items are counted")
  hold(world, worker.bytes === bytes, "what a worker's chunks weigh is counted")
  hold(world, Math.abs(worker.millis - millis) < 1e-6, "a worker's work ahead is counted")
  if (runs.length === 0) hold(world, worker.millis === 0, "a worker without a chunk has nothing ahead")
}

/** Nothing waits for a worker while a worker waits for something. */
const noStall = (world: World): void => {
  for (const worker of world.workers) {
    if (!isUp(worker) || worker.runs.length > 0) continue
    const free = isFree(world, worker)
    for (const job of world.jobs) {
      const { window, worker: bound } = job.options
      if (job.phase !== "live" || (bound === undefined ? !free : bound !== worker.id)) continue
      const out = job.handed - job.consumed
      const hasRoom = out === 0 || (window !== "auto" && out < window)
      if (!hasRoom) continue
      hold(world, job.supplied === job.handed, "no item waits while a worker is idle")
      hold(world, job.complete || job.asked > 0, "a source is asked while a worker is idle")
    }
  }
}

/** An item begins in a worker. One that was not in it when it was asked may begin it before it reads the Cancel. */
export const begins = (world: World, id: number): void => {
  const run = world.runs.get(id)
  hold(world, run?.job.phase !== "settled" || run.letGo, "nothing of a call begins when it has ended")
}

// ---------------------------------------------------------------------------------------------------- at the end

/** When all is quiet: every call has ended, and the books are even. */
export const atRest = (world: World): void => {
  for (const job of world.jobs) hold(world, isOver(job), "every call ends")
  for (const run of world.runs.values()) {
    hold(world, run.over || run.job.phase === "abandoned", "every run is over")
    hold(world, !run.cancelled || run.cancelEnded, "every Cancel ends")
    hold(world, run.timer === -1 || run.worker.phase === "gone", "no timer is left behind")
  }
  const { completed, failed, jobs, restarts, workers } = world.state
  const outcomes = world.jobs.flatMap((job) => job.outcomes.filter((tag) => tag !== undefined))
  const successes = outcomes.filter((tag) => tag === "Success").length
  hold(world, completed === successes && failed === outcomes.length - successes, "what has ended is counted")
  hold(world, restarts === world.unexpected, "crashes are counted")
  hold(world, jobs.size === 0, "no job is left behind")
  for (const worker of workers.values()) {
    hold(world, worker.items === 0 && worker.millis === 0 && worker.chunks.length === 0, "nothing is in hand")
  }
}
