/**
 * The world around a dispatcher, without processes: its workers, its jobs, and what the laws have to know of both. It is
 * data; what happens in it is in the files beside this one.
 */
import { makeState } from "../../../src/internal/pool/dispatcher.ts"
import type { Chunk, Command, Event, JobOptions, State } from "../../../src/internal/pool/model.ts"
import type { LastItem } from "../../../src/internal/protocol/progress.ts"
import type { ItemPlan, JobPlan, Plan } from "./plans.ts"

export const restartMillis = 100
export const idleMillis = 50

// ---------------------------------------------------------------------------------------------------- data

export type ToChild =
  | { readonly _tag: "Run"; readonly chunk: Chunk }
  | { readonly _tag: "Cancel"; readonly run: number }
  | { readonly _tag: "Close" }

export type Report = Extract<
  Event,
  { readonly _tag: "Started" | "Succeeded" | "Failed" | "Cancelled" | "Returned" | "Outgrown" }
>

/** A run in a worker. */
export interface Queued {
  readonly chunk: Chunk
  index: number
  cancelled: boolean
}

/** It says whose it is, so that a value says what it was computed from. */
export type Payload = number | { readonly of: number; readonly ballast: ArrayBuffer }

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
  /** It has said that it uses too much memory. */
  complained: boolean
  /** The parent's messages, before they are posted and before they are read. */
  outbox: Array<ToChild>
  readonly inbox: Array<ToChild>
  readonly queue: Array<Queued>
  /** The next item of `queue[0]` has begun. */
  running: boolean
  announced: boolean
  /** It loads the module of the task of `queue[0]`; it has loaded those of these tasks. */
  loading: boolean
  readonly loaded: Set<number>
  /** The run that it says it runs, for whoever asks, or -1. */
  progress: number
  /** The item of that run; and what it was in when it died, as far as that is known. */
  noted: number
  last: LastItem
  /** Reports before they are flushed, and on their way. */
  said: Array<Report>
  readonly sent: Array<Report>
  readonly questions: Array<{ readonly run: number; readonly late: boolean }>
  readonly answers: Array<{
    readonly run: number
    readonly late: boolean
    readonly running: number | undefined
    readonly isKnown: boolean
  }>
  /** Runs about which it will be asked a moment after their Cancel, and again when the grace is over. */
  readonly asks: Set<number>
  readonly graces: Set<number>
  /** What the dispatcher has been told and has commanded. */
  ready: boolean
  killed: boolean
  /** It has been found in a run whose grace was over: it begins nothing more. */
  condemned: boolean
  /** Runs that it is asked about once more; late: it was found in them. */
  readonly again: Map<number, boolean>
  /** The run that it has said to be in when it was killed for that. */
  stuckIn: number | undefined
  closed: boolean
  /** In hand: sent, and not over. */
  readonly runs: Array<Run>
  /** Items that it was handed, without those that it gave back and those of jobs for one worker alone. */
  handed: number
  /** It has said that it grew too large; and its successor has been ready since, and has not died. */
  outgrown: boolean
  outlived: boolean
  successor: SimWorker | undefined
  readonly predecessor: SimWorker | undefined
  /** It is looked at when the period is over; and it was handed nothing since that began. */
  idling: boolean
  rested: boolean
}

/** A chunk that was handed out, as the dispatcher may know it. */
export interface Run {
  readonly id: number
  readonly worker: SimWorker
  readonly job: SimJob
  readonly first: number
  readonly length: number
  readonly moves: boolean
  readonly bytes: number
  readonly itemMillis: number
  reported: number
  announced: number
  cancelled: boolean
  cancelEnded: boolean
  /** Its worker has said that it was not in it. */
  letGo: boolean
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
  /** The index behind the last item that was ever handed out. */
  frontier: number
  consumed: number
  readonly retried: Array<number>
  /** The length of the last chunk with this item that was refused. */
  readonly refused: Array<number>
  /** How many workers have died that had this item next; and it goes alone since. */
  readonly suspected: Array<number>
  readonly alone: Array<boolean>
  readonly payloads: Array<Payload>
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

/** Fewer orders of events, for an exhaustive search: messages are posted and reports flushed at once. */
export interface Small {
  /** Whether items are announced: all, none, or each as it comes. */
  readonly announces: "all" | "none" | "some"
  /** A worker is asked what it runs at some time, or when nothing else goes on. */
  readonly asks: "early" | "late"
}

export interface World {
  readonly plan: Plan
  readonly state: State
  readonly workers: Array<SimWorker>
  readonly jobs: ReadonlyArray<SimJob>
  readonly runs: Map<number, Run>
  readonly small: Small | undefined
  pool: "open" | "closing" | "ended"
  terminated: boolean
  readonly deaths: Array<number>
  unexpected: number
  broken: number
  ended: number
  now: number
  faults: number
  interrupts: number
  outgrows: number
  returns: number
  rests: number
  closes: boolean
  terminates: boolean
  /** It goes a way again that the laws have watched. */
  replaying: boolean
  /** No more faults: whatever is there comes to its end. */
  draining: boolean
  readonly expected: Array<Expected>
  /** Jobs for a worker that has just gone: they are for the one that is launched in its place. */
  readonly bereft: Array<SimJob>
  /** The run whose item has started, when its time is limited. */
  timed: Run | undefined
  /** The job that came when the pool was closing. */
  refused: SimJob | undefined
  /** Workers have to be launched: successors of these, or, of nobody, those that take a place. */
  readonly due: Array<SimWorker | undefined>
  /** The worker whose successor is launched now. */
  heirTo: SimWorker | undefined
  /** The worker that was idle for a whole period. */
  lapsed: SimWorker | undefined
  readonly log: Array<Event | Command>
}

// ---------------------------------------------------------------------------------------------------- making it

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
  frontier: 0,
  consumed: 0,
  retried: [],
  refused: [],
  suspected: [],
  alone: [],
  payloads: [],
  marked: [],
  buffers: [],
  runs: []
})

/** Its workers come and go while it is open. */
export const isRecycled = ({ maxTasks, outgrows, rests }: Plan): boolean =>
  maxTasks !== undefined || rests !== undefined || outgrows > 0

export const makeWorld = (plan: Plan, small: Small | undefined): World => ({
  plan,
  state: makeState({
    processes: plan.processes,
    maxRestarts: plan.maxRestarts,
    restartMillis,
    maxTasks: plan.maxTasks,
    idleMillis: plan.rests === undefined ? undefined : idleMillis
  }),
  workers: [],
  jobs: plan.jobs.map(makeJob),
  runs: new Map(),
  small,
  pool: "open",
  terminated: false,
  deaths: [],
  unexpected: 0,
  broken: 0,
  ended: 0,
  now: 0,
  faults: plan.faults,
  interrupts: plan.interrupts,
  outgrows: plan.outgrows,
  returns: plan.returns,
  rests: plan.rests ?? 0,
  closes: plan.closes,
  terminates: plan.terminates,
  replaying: false,
  draining: false,
  expected: [],
  bereft: [],
  timed: undefined,
  refused: undefined,
  due: [],
  heirTo: undefined,
  lapsed: undefined,
  log: []
})

export const addWorker = (world: World, id: number): void => {
  const predecessor = world.heirTo
  const worker: SimWorker = {
    id,
    phase: "starting",
    doomed: false,
    leaving: false,
    complained: false,
    outbox: [],
    inbox: [],
    queue: [],
    running: false,
    announced: false,
    loading: false,
    loaded: new Set(),
    progress: -1,
    noted: 0,
    last: undefined,
    said: [],
    sent: [],
    questions: [],
    answers: [],
    asks: new Set(),
    graces: new Set(),
    ready: false,
    killed: false,
    condemned: false,
    again: new Map(),
    stuckIn: undefined,
    closed: false,
    runs: [],
    handed: 0,
    outgrown: false,
    outlived: false,
    successor: undefined,
    predecessor,
    idling: false,
    rested: false
  }
  if (predecessor !== undefined) predecessor.successor = worker
  world.workers.push(worker)
}

/** Two of these go into one message, and not three. */
const ballast = new ArrayBuffer(400_000)

export const payloadOf = (job: SimJob, index: number): Payload => {
  const number = job.id * 1000 + index
  return job.payloads[index] ??= job.plan.heavy ? { of: number, ballast } : number
}

/** What an item weighs at least. */
export const weightOfItem = ({ plan }: SimJob): number => plan.heavy ? ballast.byteLength : 0

const numberOf = (payload: Payload): number => typeof payload === "number" ? payload : payload.of

export const itemOf = (world: World, payload: unknown): ItemPlan => {
  const number = numberOf(payload as Payload)
  return world.jobs[Math.floor(number / 1000) - 1]!.plan.items[number % 1000]!
}

/** Whether a result has to be revived: some have to. */
export const isMarkedValue = (payload: Payload): boolean => numberOf(payload) % 5 === 0

export const workerAt = (world: World, id: number): SimWorker => world.workers[id - 1]!
