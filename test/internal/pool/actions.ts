/** What may happen next in a world, and what happens then. */
import type { Block } from "../../../src/internal/pool/model.ts"
import {
  computes,
  die,
  finish,
  flush,
  giveBack,
  kindOf,
  lastReport,
  load,
  outgrow,
  post,
  read,
  start
} from "./child.ts"
import { tell } from "./tell.ts"
import { payloadOf } from "./world.ts"
import type { Payload, Queued, SimJob, SimWorker, World } from "./world.ts"

export type Action =
  | {
    readonly _tag:
      | "Post"
      | "Boot"
      | "FailToLaunch"
      | "Read"
      | "Load"
      | "Loaded"
      | "Begin"
      | "Announce"
      | "Finish"
      | "Flush"
      | "Deliver"
      | "Crash"
      | "Exit"
      | "Die"
      | "Bury"
      | "Look"
      | "Assume"
      | "Answer"
      | "GiveBack"
      | "Outgrow"
      | "Rest"
    readonly worker: SimWorker
  }
  | { readonly _tag: "Ask" | "Grace" | "Elapse"; readonly worker: SimWorker; readonly run: number }
  | { readonly _tag: "Submit" | "Supply" | "Consume" | "ConsumeOne" | "Interrupt"; readonly job: SimJob }
  | { readonly _tag: "Close" | "Terminate" }

/** How often each is chosen. */
export const weights: Record<Action["_tag"], number> = {
  Post: 6,
  Boot: 4,
  FailToLaunch: 1,
  Read: 6,
  Load: 2,
  Loaded: 4,
  Begin: 4,
  Announce: 3,
  Finish: 6,
  Flush: 3,
  Deliver: 6,
  Crash: 1,
  Exit: 1,
  Die: 3,
  Bury: 3,
  Look: 2,
  Assume: 1,
  Answer: 2,
  GiveBack: 4,
  Outgrow: 1,
  Rest: 1,
  Ask: 2,
  Grace: 1,
  Elapse: 1,
  Submit: 4,
  Supply: 4,
  Consume: 2,
  ConsumeOne: 2,
  Interrupt: 1,
  Close: 1,
  Terminate: 1
}

// ---------------------------------------------------------------------------------------------------- what is possible

export const enabled = (world: World): Array<Action> => {
  const out: Array<Action> = []
  for (const job of world.jobs) ofJob(world, job, out)
  for (const worker of world.workers) {
    if (worker.phase !== "gone") ofWorker(world, worker, out)
  }
  if (world.closes && !world.draining) out.push({ _tag: "Close" })
  if (world.terminates && !world.draining) out.push({ _tag: "Terminate" })
  return out
}

const ofJob = (world: World, job: SimJob, out: Array<Action>): void => {
  // jobs come in their order: another would be the same plan with other names
  if (job.phase === "planned") {
    if (job.id === 1 || isDue(job, world.jobs[job.id - 2]!)) out.push({ _tag: "Submit", job })
    return
  }
  if (job.phase !== "live") return
  if (job.asked > 0) out.push({ _tag: "Supply", job })
  const count = job.plan.kind === "stream" ? consumable(job) : 0
  if (count > 0) out.push({ _tag: "Consume", job })
  if (count > 1) out.push({ _tag: "ConsumeOne", job })
  if (world.interrupts > 0 && !world.draining) out.push({ _tag: "Interrupt", job })
}

const isDue = ({ plan }: SimJob, { outcomes, phase }: SimJob): boolean => {
  if (phase === "planned") return false
  return plan.late === 0 || phase !== "live" || outcomes.filter((tag) => tag !== undefined).length >= plan.late
}

const ofWorker = (world: World, worker: SimWorker, out: Array<Action>): void => {
  const faulty = world.faults > 0 && !world.draining
  if (worker.outbox.length > 0) out.push({ _tag: "Post", worker })
  if (worker.sent.length > 0) out.push({ _tag: "Deliver", worker })
  if (worker.phase === "up") ofSession(world, worker, out)
  if (worker.phase === "dead" && worker.sent.length === 0) out.push({ _tag: "Bury", worker })
  if (worker.phase === "starting" && !worker.doomed) out.push({ _tag: "Boot", worker })
  if (worker.doomed && worker.phase !== "dead") out.push({ _tag: "Die", worker })
  else if (faulty && worker.phase === "starting") out.push({ _tag: "FailToLaunch", worker })
  else if (faulty && worker.phase === "up") {
    out.push({ _tag: "Crash", worker })
    if (world.small === undefined) out.push({ _tag: "Exit", worker })
  }
  ofQuestions(world, worker, out)
  if (worker.idling && world.rests > 0) out.push({ _tag: "Rest", worker })
  for (const run of worker.runs) {
    if (run.timer >= 0) out.push({ _tag: "Elapse", worker, run: run.id })
  }
}

const ofQuestions = (world: World, worker: SimWorker, out: Array<Action>): void => {
  if (worker.questions.length > 0) {
    out.push({ _tag: "Look", worker })
    if (!world.draining && world.small === undefined) out.push({ _tag: "Assume", worker })
  }
  if (worker.answers.length > 0) out.push({ _tag: "Answer", worker })
  if (worker.outbox.length > 0) return
  const behind = isBehind(world, worker)
  for (const run of worker.asks) {
    if (!behind || worker.queue.length === 0) out.push({ _tag: "Ask", worker, run })
  }
  for (const run of worker.graces) {
    if (!behind && !worker.asks.has(run)) out.push({ _tag: "Grace", worker, run })
  }
  for (const [run, late] of worker.again) {
    // while it is in another run, each answer is as the one before
    if (late) out.push({ _tag: "Grace", worker, run })
    else if (worker.progress === run) out.push({ _tag: "Ask", worker, run })
  }
}

/**
 * The waits after a Cancel are long: at their end it is posted, and its worker has read it or has computed one item all the
 * time. Only to an idle one the run and its Cancel may still be on their way.
 */
const isBehind = (world: World, worker: SimWorker): boolean =>
  worker.inbox.length > 0 && worker.phase === "up" && !computes(world, worker)

const ofSession = (world: World, worker: SimWorker, out: Array<Action>): void => {
  const { inbox, leaving, queue, running, said } = worker
  const head = queue[0]
  if (inbox.length > 0 && !computes(world, worker)) out.push({ _tag: "Read", worker })
  if (worker.loading) out.push({ _tag: "Loaded", worker })
  else if (head !== undefined && !running && !leaving && !worker.condemned) {
    ofHead(world, worker, head, out)
  }
  const kind = head !== undefined && running ? kindOf(world, head) : undefined
  const interrupted = head?.cancelled === true || leaving
  if (kind !== undefined && kind !== "deaf" && kind !== "stubborn" && (kind !== "wait" || interrupted)) {
    out.push({ _tag: "Finish", worker })
  }
  if (said.length > 0) out.push({ _tag: "Flush", worker })
  const { draining, outgrows, returns } = world
  if (!running && head !== undefined && returns > 0 && mayGiveBack(head)) out.push({ _tag: "GiveBack", worker })
  if (!running && outgrows > 0 && !draining && !worker.complained) out.push({ _tag: "Outgrow", worker })
}

/** Whoever gave a number wants as many together. */
const mayGiveBack = ({ cancelled, chunk, index }: Queued): boolean =>
  index > 0 && !cancelled && chunk.job.options.chunkSize === "auto"

/** The next item begins, and its parent is told or not; or its task has to be loaded. */
const ofHead = ({ draining, small }: World, worker: SimWorker, { chunk }: Queued, out: Array<Action>): void => {
  const { task, timeoutMillis } = chunk.job.options
  const timed = timeoutMillis !== undefined
  if (!timed && small?.announces !== "all") out.push({ _tag: "Begin", worker })
  if (timed || small?.announces !== "none") out.push({ _tag: "Announce", worker })
  if (small === undefined && !draining && !worker.loaded.has(task)) out.push({ _tag: "Load", worker })
}

// ---------------------------------------------------------------------------------------------------- what happens

export const act = (world: World, action: Action): void => {
  world.now += world.plan.tick
  perform(world, action)
  if (world.small === undefined) return
  for (const worker of world.workers) {
    while (worker.outbox.length > 0) post(world, worker)
  }
}

const perform = (world: World, action: Action): void => {
  switch (action._tag) {
    case "Submit":
      return submit(world, action.job)
    case "Supply":
      return supply(world, action.job)
    case "Consume":
      return tell(world, { _tag: "Consumed", job: action.job.id, count: consumable(action.job) })
    case "ConsumeOne":
      return tell(world, { _tag: "Consumed", job: action.job.id, count: 1 })
    case "Interrupt":
      world.interrupts--
      return tell(world, { _tag: "Interrupted", job: action.job.id })
    case "Close":
      world.closes = false
      return tell(world, { _tag: "CloseRequested" })
    case "Terminate":
      world.terminates = false
      return tell(world, { _tag: "TerminateRequested" })
    case "Ask":
    case "Grace": {
      const { run, worker } = action
      const late = action._tag === "Grace"
      if (late) worker.graces.delete(run)
      else worker.asks.delete(run)
      worker.again.delete(run)
      if (isBehind(world, worker)) return void worker.answers.push({ run, late, running: undefined, isKnown: true })
      worker.questions.push({ run, late })
      return world.small === undefined ? undefined : actOn(world, worker, "Look")
    }
    case "Elapse": {
      const run = world.runs.get(action.run)!
      const index = run.timer
      run.timer = -1
      return tell(world, { _tag: "TimeElapsed", worker: action.worker.id, run: run.id, index })
    }
    default:
      return actOn(world, action.worker, action._tag)
  }
}

type OnWorker = Exclude<Extract<Action, { readonly worker: SimWorker }>["_tag"], "Ask" | "Grace" | "Elapse">

const actOn = (world: World, worker: SimWorker, tag: OnWorker): void => {
  switch (tag) {
    case "Post":
      return post(world, worker)
    case "Boot":
      worker.phase = "up"
      return tell(world, { _tag: "WorkerReady", worker: worker.id })
    case "FailToLaunch":
      world.faults--
      worker.phase = "gone"
      return tell(world, { _tag: "LaunchFailed", worker: worker.id, detail: "launch", now: world.now })
    case "Read":
      return read(world, worker)
    case "Load":
      return load(worker)
    case "Loaded":
      worker.loading = false
      return
    case "Begin":
    case "Announce":
      return start(world, worker, tag === "Announce")
    case "Finish":
      return finish(world, worker)
    case "Flush":
      return flush(worker)
    case "Deliver":
      return tell(world, worker.sent.shift()!)
    case "GiveBack":
      world.returns--
      return giveBack(world, worker)
    case "Outgrow":
      world.outgrows--
      return outgrow(world, worker)
    case "Rest":
      world.rests--
      return tell(world, { _tag: "IdleElapsed", worker: worker.id })
    case "Crash":
    case "Exit":
      world.faults--
      if (tag === "Exit") lastReport(worker)
      return die(worker)
    case "Die":
      return die(worker)
    case "Bury":
      worker.phase = "gone"
      return tell(world, {
        _tag: "WorkerExited",
        worker: worker.id,
        detail: "exit",
        now: world.now,
        last: worker.last
      })
    case "Look":
    case "Assume": {
      const question = worker.questions.shift()!
      const running = worker.progress < 0 ? undefined : worker.progress
      if (tag === "Look" && question.late && running === question.run) worker.condemned = true
      worker.answers.push({ ...question, running: tag === "Assume" ? question.run : running, isKnown: tag === "Look" })
      return world.small === undefined ? undefined : actOn(world, worker, "Answer")
    }
    case "Answer": {
      const answer = worker.answers.shift()!
      const isElsewhere = answer.late || answer.running !== undefined
      if (isElsewhere && answer.running !== answer.run) world.runs.get(answer.run)!.letGo = true
      return tell(world, { _tag: "Answered", worker: worker.id, ...answer })
    }
  }
}

// ---------------------------------------------------------------------------------------------------- callers

const blocksOf = (job: SimJob, count: number): ReadonlyArray<Block> => {
  const blocks: Array<Block> = []
  const end = job.supplied + count
  let begun = job.supplied
  const marked = (job.id + begun) % 3 === 0
  const cut = (next: number): void => {
    if (next > begun) blocks.push({ first: begun, items: payloads(job, begun, next), marked })
    begun = next
  }
  for (let i = begun; i < end; i++) {
    job.marked[i] = marked
    if (!job.plan.items[i]!.moves) continue
    cut(i)
    const moves = [job.buffers[i] = new ArrayBuffer(0)]
    blocks.push({ first: i, items: payloads(job, i, i + 1), marked, moves })
    begun = i + 1
  }
  cut(end)
  return blocks
}

const payloads = (job: SimJob, first: number, end: number): ReadonlyArray<Payload> => {
  const items: Array<Payload> = []
  for (let i = first; i < end; i++) items.push(payloadOf(job, i))
  return items
}

const submit = (world: World, job: SimJob): void => {
  const count = job.plan.kind === "stream" ? 0 : job.plan.items.length
  // as a broadcast asks them
  if (job.plan.bound >= 0) tell(world, { _tag: "AllWanted" })
  const living = world.workers.filter(({ closed, phase }) => phase !== "gone" && !closed)
  if (job.plan.bound >= 0 && living.length > 0) {
    job.options = { ...job.options, worker: living[job.plan.bound % living.length]!.id }
  }
  const blocks = blocksOf(job, count)
  tell(world, { _tag: "Submitted", job: job.id, options: job.options, blocks, complete: count > 0 })
}

/** A source says its end with its last items, or by itself when it is asked again. */
const supply = (world: World, job: SimJob): void => {
  const { grain, items } = job.plan
  const count = Math.min(grain === 0 ? job.asked : grain, items.length - job.supplied)
  const complete = job.supplied + count === items.length && (count === 0 || grain === 0)
  tell(world, { _tag: "Supplied", job: job.id, blocks: blocksOf(job, count), complete })
}

/** How many results a consumer can take: those that are there, in their order when it wants them so. */
const consumable = (job: SimJob): number => {
  let count = 0
  for (let i = 0; i < job.supplied; i++) {
    if (job.outcomes[i] !== undefined) count++
    else if (job.plan.ordered) break
  }
  return count - job.consumed
}
