/**
 * The world around a dispatcher, without processes: workers that behave as the runner's session does, callers, a clock
 * and faults. What happens next is chosen from outside among the {@link enabled} actions, so that every order of events
 * can be had. The laws watch each event and each command.
 */
import { begin, makeState, transition } from "../../../src/internal/pool/dispatcher.ts"
import type { Block, Chunk, Command, Event, JobOptions, State } from "../../../src/internal/pool/model.ts"
import { after, before, check, fault } from "./laws.ts"

// ---------------------------------------------------------------------------------------------------- plans

/**
 * What an item does when it runs. "slow" suspends, and ends by itself or when it is interrupted; "wait" suspends and ends
 * only when it is interrupted; "stubborn" suspends and never ends; "deaf" computes and never ends; "crash" ends its
 * worker. "unsendable" never gets that far: the serializer refuses it.
 */
export type ItemKind = "ok" | "fail" | "slow" | "wait" | "stubborn" | "deaf" | "crash" | "unsendable"

export interface ItemPlan {
  readonly kind: ItemKind
  readonly moves: boolean
}

export interface JobPlan {
  readonly kind: "apply" | "map" | "stream"
  readonly items: ReadonlyArray<ItemPlan>
  readonly task: number
  readonly chunkSize: number | "auto"
  readonly window: number | "auto"
  readonly failFast: boolean
  /** The consumer takes results in the order of the items. */
  readonly ordered: boolean
  readonly retries: number
  readonly timed: boolean
  /** How many items the source gives at once; 0: as many as it is asked for. */
  readonly grain: number
  /** For one worker alone: which of those that live; or -1. */
  readonly bound: number
}

export interface Plan {
  readonly processes: number
  readonly maxRestarts: number
  /** How far the clock moves with each action. */
  readonly tick: number
  /** How long an item of each task runs, in milliseconds. */
  readonly costs: ReadonlyArray<number>
  /** How many workers crash where no item is at fault. */
  readonly faults: number
  readonly interrupts: number
  readonly closes: boolean
  readonly terminates: boolean
  readonly jobs: ReadonlyArray<JobPlan>
}

export const restartMillis = 100

// ---------------------------------------------------------------------------------------------------- the world

type ToChild =
  | { readonly _tag: "Run"; readonly chunk: Chunk }
  | { readonly _tag: "Cancel"; readonly run: number }
  | { readonly _tag: "Close" }

type Report = Extract<Event, { readonly _tag: "Started" | "Succeeded" | "Failed" | "Cancelled" }>

/** A run in a worker. */
interface Queued {
  readonly chunk: Chunk
  index: number
  cancelled: boolean
}

export interface Value {
  readonly of: unknown
  readonly by: number
}

export interface SimWorker {
  readonly id: number
  /** "dead": its parent has not been told. */
  phase: "starting" | "up" | "dead" | "gone"
  /** Killed, and not yet dead. */
  doomed: boolean
  leaving: boolean
  /** It has computed for so long that it reads before it begins the next item. */
  reads: boolean
  /** The parent's messages, before they are posted and before they are read. */
  outbox: Array<ToChild>
  readonly inbox: Array<ToChild>
  readonly queue: Array<Queued>
  /** The next item of `queue[0]` has begun. */
  running: boolean
  announced: boolean
  /** The run that it says it runs, for whoever asks, or -1. */
  progress: number
  /** Reports before they are flushed, and on their way. */
  said: Array<Report>
  readonly sent: Array<Report>
  readonly questions: Array<{ readonly run: number; readonly late: boolean }>
  readonly answers: Array<{ readonly run: number; readonly late: boolean; readonly running: number | undefined }>
  readonly graces: Set<number>
  /** What the dispatcher has been told and has commanded. */
  ready: boolean
  killed: boolean
  closed: boolean
  /** In hand: sent, and not over. */
  readonly runs: Array<Run>
}

/** A chunk that was handed out, as the dispatcher may know it. */
export interface Run {
  readonly id: number
  readonly worker: SimWorker
  readonly job: SimJob
  readonly first: number
  readonly length: number
  readonly moves: boolean
  readonly itemMillis: number
  reported: number
  announced: number
  cancelled: boolean
  cancelEnded: boolean
  /** Its worker has been asked after the Cancel, and ran something else. */
  proven: boolean
  over: boolean
  /** The item whose time is measured, or -1. */
  timer: number
}

export interface SimJob {
  readonly id: number
  readonly plan: JobPlan
  options: JobOptions
  phase: "planned" | "live" | "stopped" | "settled" | "abandoned"
  supplied: number
  complete: boolean
  /** The count of a Pull without an answer, or 0. */
  asked: number
  readonly outcomes: Array<string | undefined>
  /** Items that are in hand or have an outcome. */
  readonly out: Array<boolean>
  handed: number
  consumed: number
  readonly retried: Array<number>
  /** The length of the last chunk with this item that was refused. */
  readonly refused: Array<number>
  readonly marked: Array<boolean>
  readonly buffers: Array<ArrayBuffer | undefined>
  readonly runs: Array<Run>
}

export interface Expected {
  readonly job: SimJob
  readonly index: number
  readonly outcome: string
  done: boolean
}

export interface World {
  readonly plan: Plan
  readonly state: State
  readonly workers: Array<SimWorker>
  readonly jobs: ReadonlyArray<SimJob>
  readonly runs: Map<number, Run>
  /** Messages are posted and reports flushed at once: fewer orders of events, for an exhaustive search. */
  readonly quick: boolean
  pool: "open" | "closing" | "ended"
  readonly deaths: Array<number>
  unexpected: number
  broken: number
  ended: number
  now: number
  faults: number
  interrupts: number
  closes: boolean
  terminates: boolean
  /** No more faults: whatever is there comes to its end. */
  draining: boolean
  readonly expected: Array<Expected>
  readonly log: Array<Event | Command>
}

const optionsOf = ({ chunkSize, failFast, kind, retries, task, timed, window }: JobPlan): JobOptions => {
  const shared = { task, retries, timeoutMillis: timed ? 1000 : undefined }
  switch (kind) {
    case "apply":
      return { ...shared, chunkSize: 1, failFast: false, window: Infinity }
    case "map":
      return { ...shared, chunkSize, failFast: true, window: Infinity }
    case "stream":
      return { ...shared, chunkSize, failFast, window }
  }
}

const makeJob = (plan: JobPlan, i: number): SimJob => ({
  id: i + 1,
  plan,
  options: optionsOf(plan),
  phase: "planned",
  supplied: 0,
  complete: false,
  asked: 0,
  outcomes: [],
  out: [],
  handed: 0,
  consumed: 0,
  retried: [],
  refused: [],
  marked: [],
  buffers: [],
  runs: []
})

export const makeWorld = (plan: Plan, quick = false): World => {
  const world: World = {
    plan,
    state: makeState({ processes: plan.processes, maxRestarts: plan.maxRestarts, restartMillis }),
    workers: [],
    jobs: plan.jobs.map(makeJob),
    runs: new Map(),
    quick,
    pool: "open",
    deaths: [],
    unexpected: 0,
    broken: 0,
    ended: 0,
    now: 0,
    faults: plan.faults,
    interrupts: plan.interrupts,
    closes: plan.closes,
    terminates: plan.terminates,
    draining: false,
    expected: [],
    log: []
  }
  for (const command of begin(world.state)) perform(world, command)
  return world
}

export const addWorker = (world: World, id: number): void => {
  world.workers.push({
    id,
    phase: "starting",
    doomed: false,
    leaving: false,
    reads: false,
    outbox: [],
    inbox: [],
    queue: [],
    running: false,
    announced: false,
    progress: -1,
    said: [],
    sent: [],
    questions: [],
    answers: [],
    graces: new Set(),
    ready: false,
    killed: false,
    closed: false,
    runs: []
  })
}

/** A payload says whose it is, so that a value says what it was computed from. */
export const payloadOf = (job: SimJob, index: number): number => job.id * 1000 + index

const itemOf = (world: World, payload: unknown): ItemPlan => {
  const number = payload as number
  return world.jobs[Math.floor(number / 1000) - 1]!.plan.items[number % 1000]!
}

/** Whether a result has to be revived: some have to. */
export const isMarkedValue = (payload: number): boolean => payload % 5 === 0

// ---------------------------------------------------------------------------------------------------- events and commands

export const tell = (world: World, event: Event): void => {
  world.log.push(event)
  before(world, event)
  for (const command of transition(world.state, event)) {
    world.log.push(command)
    check(world, event, command)
    perform(world, command)
  }
  after(world)
  if (world.quick) { for (const worker of world.workers) if (worker.outbox.length > 0) post(world, worker) }
}

const perform = (world: World, command: Command): void => {
  switch (command._tag) {
    case "Launch":
      return addWorker(world, command.worker)
    case "Send":
      return void workerAt(world, command.worker).outbox.push({ _tag: "Run", chunk: command.chunk })
    case "Cancel": {
      const worker = workerAt(world, command.worker)
      worker.outbox.push({ _tag: "Cancel", run: command.run })
      worker.questions.push({ run: command.run, late: false })
      worker.graces.add(command.run)
      return
    }
    case "CancelEnded":
      return void workerAt(world, command.worker).graces.delete(command.run)
    case "Kill":
      workerAt(world, command.worker).doomed = true
      return
    case "CloseWorker": {
      const worker = workerAt(world, command.worker)
      if (worker.phase === "starting") worker.doomed = true
      else worker.outbox.push({ _tag: "Close" })
    }
  }
}

export const workerAt = (world: World, id: number): SimWorker =>
  world.workers[id - 1] ?? fault(world, `worker ${id} was launched`)

// ---------------------------------------------------------------------------------------------------- actions

export type Action =
  | {
    readonly _tag:
      | "Post"
      | "Boot"
      | "FailToLaunch"
      | "Read"
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
    readonly worker: SimWorker
  }
  | { readonly _tag: "Grace" | "Elapse"; readonly worker: SimWorker; readonly run: number }
  | { readonly _tag: "Submit" | "Supply" | "Consume" | "Interrupt"; readonly job: SimJob }
  | { readonly _tag: "Close" | "Terminate" }

/** How often each is chosen. */
export const weights: Record<Action["_tag"], number> = {
  Post: 6,
  Boot: 4,
  FailToLaunch: 1,
  Read: 6,
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
  Grace: 1,
  Elapse: 1,
  Submit: 4,
  Supply: 4,
  Consume: 3,
  Interrupt: 1,
  Close: 1,
  Terminate: 1
}

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
    if (job.id === 1 || world.jobs[job.id - 2]!.phase !== "planned") out.push({ _tag: "Submit", job })
    return
  }
  if (job.phase !== "live") return
  if (job.asked > 0) out.push({ _tag: "Supply", job })
  if (job.plan.kind === "stream" && consumable(job) > 0) out.push({ _tag: "Consume", job })
  if (world.interrupts > 0 && !world.draining) out.push({ _tag: "Interrupt", job })
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
    if (!world.quick) out.push({ _tag: "Exit", worker })
  }
  ofQuestions(world, worker, out)
  for (const run of worker.runs) {
    if (run.timer >= 0) out.push({ _tag: "Elapse", worker, run: run.id })
  }
}

const ofQuestions = (world: World, worker: SimWorker, out: Array<Action>): void => {
  if (worker.questions.length > 0) {
    out.push({ _tag: "Look", worker })
    if (!world.draining && !world.quick) out.push({ _tag: "Assume", worker })
  }
  if (worker.answers.length > 0) out.push({ _tag: "Answer", worker })
  // the grace is long: at its end the worker has read the Cancel, or has computed one item all the time
  const behind = worker.outbox.length > 0 ||
    (worker.inbox.length > 0 && worker.phase === "up" && !computes(world, worker))
  if (behind) return
  for (const run of worker.graces) out.push({ _tag: "Grace", worker, run })
}

/** It runs an item that does not suspend, and so it reads nothing. */
const computes = (world: World, { queue, running }: SimWorker): boolean => {
  const kind = running ? kindOf(world, queue[0]!) : undefined
  return kind !== undefined && kind !== "slow" && kind !== "wait" && kind !== "stubborn"
}

const ofSession = (world: World, worker: SimWorker, out: Array<Action>): void => {
  const { inbox, queue, running, said } = worker
  const head = queue[0]
  const kind = head !== undefined && running ? kindOf(world, head) : undefined
  if (inbox.length > 0 && !computes(world, worker)) out.push({ _tag: "Read", worker })
  if (inbox.length === 0) worker.reads = false
  if (head !== undefined && !running && !worker.leaving && !worker.reads) {
    if (head.chunk.job.options.timeoutMillis === undefined) out.push({ _tag: "Begin", worker })
    out.push({ _tag: "Announce", worker })
  }
  const interrupted = head?.cancelled === true || worker.leaving
  if (kind !== undefined && kind !== "deaf" && kind !== "stubborn" && (kind !== "wait" || interrupted)) {
    out.push({ _tag: "Finish", worker })
  }
  if (said.length > 0) out.push({ _tag: "Flush", worker })
}

const kindOf = (world: World, { chunk, index }: Queued): ItemKind => itemOf(world, chunk.items[index]).kind

export const act = (world: World, action: Action): void => {
  world.now += world.plan.tick
  switch (action._tag) {
    case "Submit":
      return submit(world, action.job)
    case "Supply":
      return supply(world, action.job)
    case "Consume":
      return tell(world, { _tag: "Consumed", job: action.job.id, count: consumable(action.job) })
    case "Interrupt":
      world.interrupts--
      return tell(world, { _tag: "Interrupted", job: action.job.id })
    case "Close":
      world.closes = false
      return tell(world, { _tag: "CloseRequested" })
    case "Terminate":
      world.terminates = false
      return tell(world, { _tag: "TerminateRequested" })
    case "Grace":
      action.worker.graces.delete(action.run)
      action.worker.reads = true
      action.worker.questions.push({ run: action.run, late: true })
      return world.quick ? actOn(world, action.worker, "Look") : undefined
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

type OnWorker = Exclude<Extract<Action, { readonly worker: SimWorker }>["_tag"], "Grace" | "Elapse">

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
    case "Begin":
    case "Announce":
      return start(world, worker, tag === "Announce")
    case "Finish":
      return finish(world, worker)
    case "Flush":
      return flush(worker)
    case "Deliver":
      return tell(world, worker.sent.shift()!)
    case "Crash":
    case "Exit":
      world.faults--
      if (tag === "Exit") lastReport(worker)
      return die(worker)
    case "Die":
      return die(worker)
    case "Bury":
      worker.phase = "gone"
      return tell(world, { _tag: "WorkerExited", worker: worker.id, detail: "exit", now: world.now })
    case "Look":
    case "Assume": {
      const question = worker.questions.shift()!
      const running = worker.progress < 0 ? undefined : worker.progress
      worker.answers.push({ ...question, running: tag === "Assume" ? question.run : running })
      return world.quick ? actOn(world, worker, "Answer") : undefined
    }
    case "Answer":
      return tell(world, { _tag: "Answered", worker: worker.id, ...worker.answers.shift()! })
  }
}

// ---------------------------------------------------------------------------------------------------- callers

const blocksOf = (job: SimJob, count: number): ReadonlyArray<Block> => {
  const blocks: Array<Block> = []
  const end = job.supplied + count
  let begun = job.supplied
  const marked = begun % 3 === 1
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

const payloads = (job: SimJob, first: number, end: number): ReadonlyArray<number> => {
  const items: Array<number> = []
  for (let i = first; i < end; i++) items.push(payloadOf(job, i))
  return items
}

const submit = (world: World, job: SimJob): void => {
  const count = job.plan.kind === "stream" ? 0 : job.plan.items.length
  const living = world.workers.filter(({ killed, phase }) => phase !== "gone" && !killed)
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

// ---------------------------------------------------------------------------------------------------- a worker

const post = (world: World, worker: SimWorker): void => {
  const messages = worker.outbox
  worker.outbox = []
  if (worker.phase !== "up") return
  for (const message of messages) {
    if (message._tag === "Run" && message.chunk.items.some((item) => itemOf(world, item).kind === "unsendable")) {
      tell(world, { _tag: "Unsent", worker: worker.id, run: message.chunk.run, detail: "refused" })
    } else {
      worker.inbox.push(message)
    }
  }
}

const read = (world: World, worker: SimWorker): void => {
  const message = worker.inbox.shift()!
  switch (message._tag) {
    case "Run":
      return void worker.queue.push({ chunk: message.chunk, index: 0, cancelled: false })
    case "Cancel": {
      const found = worker.queue.find(({ chunk }) => chunk.run === message.run)
      if (found === undefined) {
        worker.said.push({ _tag: "Cancelled", worker: worker.id, run: message.run })
        return flush(worker)
      }
      found.cancelled = true
      return dropDone(world, worker)
    }
    case "Close":
      worker.leaving = true
      if (!worker.running) leave(worker)
  }
}

const start = (world: World, worker: SimWorker, announce: boolean): void => {
  const { chunk, index } = worker.queue[0]!
  worker.running = true
  worker.announced = announce
  worker.progress = chunk.run
  if (announce) {
    worker.said.push({ _tag: "Started", worker: worker.id, run: chunk.run, index })
    flush(worker)
  } else if (world.quick && worker.said.length > 0) {
    flush(worker)
  }
}

const finish = (world: World, worker: SimWorker): void => {
  const head = worker.queue[0]!
  const kind = kindOf(world, head)
  if (kind === "crash") {
    // a crash that nobody was told of runs the item again: not for ever
    if (world.draining) lastReport(worker)
    return die(worker)
  }
  worker.running = false
  if (worker.leaving) return leave(worker)
  const interrupted = head.cancelled && (kind === "wait" || head.index % 2 === 0)
  if (kind === "fail" || interrupted) reportFailure(worker, head)
  else reportSuccess(world, worker, head)
  dropDone(world, worker)
}

const reportSuccess = (world: World, worker: SimWorker, head: Queued): void => {
  const { chunk, index } = head
  const payload = chunk.items[index]
  const value: Value = { of: payload, by: worker.id }
  const marked = isMarkedValue(payload as number)
  const millis = world.plan.costs[chunk.job.options.task]!
  const last = worker.said.at(-1)
  if (last?._tag === "Succeeded" && last.run === chunk.run && last.marked === marked) {
    worker.said[worker.said.length - 1] = { ...last, values: [...last.values, value], millis: last.millis + millis }
  } else {
    worker.said.push({ _tag: "Succeeded", worker: worker.id, run: chunk.run, index, values: [value], marked, millis })
  }
  head.index++
}

const reportFailure = (worker: SimWorker, head: Queued): void => {
  const { chunk, index } = head
  const detail: Value = { of: chunk.items[index], by: worker.id }
  worker.said.push({
    _tag: "Failed",
    worker: worker.id,
    run: chunk.run,
    index,
    failure: { _tag: "Reported", detail }
  })
  head.index = chunk.job.options.failFast ? chunk.items.length : index + 1
}

/** Runs that are over leave the queue; the last report of a queue is flushed some time after. */
const dropDone = (world: World, worker: SimWorker): void => {
  while (!worker.running && worker.queue.length > 0) {
    const { cancelled, chunk, index } = worker.queue[0]!
    if (!cancelled && index < chunk.items.length) return
    worker.queue.shift()
    if (cancelled) worker.said.push({ _tag: "Cancelled", worker: worker.id, run: chunk.run })
  }
  if (worker.queue.length > 0) return
  worker.progress = -1
  if (world.quick) flush(worker)
}

const flush = (worker: SimWorker): void => {
  worker.sent.push(...worker.said)
  worker.said = []
}

/** A child that ends itself says what it has done and what it runs. */
const lastReport = (worker: SimWorker): void => {
  const head = worker.queue[0]
  if (head !== undefined && worker.running && !worker.announced) {
    worker.said.push({ _tag: "Started", worker: worker.id, run: head.chunk.run, index: head.index })
  }
  flush(worker)
}

const leave = (worker: SimWorker): void => {
  flush(worker)
  die(worker)
}

const die = (worker: SimWorker): void => {
  worker.phase = "dead"
  worker.running = false
  worker.queue.length = 0
  worker.inbox.length = 0
  worker.said = []
}
