/**
 * What the dispatcher is about: jobs, chunks and workers; the events that it hears and the commands that it gives.
 */
import type { Given } from "../handles/handle.ts"
import type { Ambient } from "../protocol/messages.ts"
import type { LastItem } from "../protocol/progress.ts"
import type * as Deque from "./Deque.ts"
import type { Table } from "./Table.ts"

/** Consecutive items of a job, as they came from the caller: encoded. */
export interface Block {
  readonly first: number
  readonly items: ReadonlyArray<unknown>
  readonly marked: boolean
  /** Buffers, or none, that move with the only item of this block: it is handed to an idle worker, once. */
  readonly moves?: ReadonlyArray<ArrayBuffer> | undefined
  /** Handles that are used up by its only item. */
  readonly given?: ReadonlyArray<Given> | undefined
  /** At most so many of its items may be in one message. */
  readonly limit?: number | undefined
  /** A worker may have died of it: it is handed to an idle worker, which gets nothing else meanwhile. */
  readonly alone?: boolean | undefined
  /** When the caller gave them: of no meaning here. */
  readonly at?: number | undefined
}

/** A block that waits, and how many of its items have been handed out. */
export interface Waiting {
  readonly block: Block
  readonly offset: number
}

export interface JobOptions {
  /** A number for each task of the pool. */
  readonly task: number
  readonly chunkSize: number | "auto"
  /** The first failure stops the job. */
  readonly failFast: boolean
  /** How many results may be unconsumed before no more items are handed out; "auto": two chunks a worker. */
  readonly window: number | "auto"
  readonly retries: number
  readonly timeoutMillis: number | undefined
  /** Runs on this worker, or on the one that takes its place. */
  readonly worker?: number | undefined
  /** What the call has around it. */
  readonly ambient?: Ambient | undefined
}

export interface Job {
  readonly id: number
  readonly options: JobOptions
  readonly blocks: Deque.Deque<Waiting>
  /** It runs on this worker alone, or on the one that takes its place. */
  worker: number | undefined
  /** Items in `blocks`. */
  waiting: number
  /** Items of the source that have been supplied; of these, that have an outcome; that the consumer has taken. */
  supplied: number
  settled: number
  consumed: number
  /** Items that have been handed out, each counted once, and the index behind the last of them. */
  handed: number
  frontier: number
  /** The source has ended. */
  complete: boolean
  /** It has been asked for more items and has not answered. */
  pulling: boolean
  /** Interrupted, or failed fast: nothing of it runs any more, except chunks that are being cancelled. */
  stopped: boolean
  /** Chunks that the job waits for, when it is stopped. */
  cancelling: number
  queued: boolean
  /** What an item of it weighs, by those that were handed out last. */
  itemBytes: number
  attempts: Map<number, number> | undefined
  /** By the first item of a chunk: how many workers have died that had it next. */
  suspected: Map<number, number> | undefined
}

export interface Chunk {
  readonly run: number
  readonly job: Job
  readonly first: number
  readonly items: ReadonlyArray<unknown>
  readonly marked: boolean
  readonly moves: ReadonlyArray<ArrayBuffer> | undefined
  readonly alone: boolean
  /** What an item was expected to take when it was handed out. */
  readonly itemMillis: number
  /** What all of it weighs, about. */
  readonly bytes: number
  readonly at: number | undefined
  /** Items with a report. */
  reported: number
  /** The item that the worker has said it starts, or -1. */
  announced: number
  /** Cancelled: its outcomes are nobody's. */
  cancelled: boolean
  /** The stopped job waits for it. */
  awaited: boolean
  /** Cancelled, and its worker was in another run: nobody waits for it, and it may begin all the same. */
  letGo: boolean
}

export interface Worker {
  readonly id: number
  status: "starting" | "ready" | "closing" | "killed"
  readonly chunks: Array<Chunk>
  /** Items without a report. */
  items: number
  /** What they are expected to take. */
  millis: number
  /** What its chunks weigh. */
  bytes: number
  /** Items that ended here, and how long they ran. */
  tasks: number
  busyMillis: number
  /** The run that it was in when it was killed, where it has said so: its items of other runs had ended, or not begun. */
  stuckIn: number | undefined
  /** Items that it was handed, without those of bound jobs. */
  handed: number
  /** It uses more memory than it may: it works until its successor is ready. */
  outgrown: boolean
  /** It gets nothing more. */
  spent: boolean
  /** The worker that takes its place, and the one whose place it takes when that has left. */
  successor: number | undefined
  predecessor: number | undefined
  /** A timer runs that looks whether it is still idle; and it was handed something since that began. */
  watched: boolean
  used: boolean
}

export interface Options {
  readonly processes: number
  readonly maxRestarts: number
  readonly restartMillis: number
  /** Items after which a worker is replaced. */
  readonly maxTasks?: number | undefined
  /** How long a worker may be idle before it is let go. */
  readonly idleMillis?: number | undefined
}

export interface State {
  readonly options: Options
  status: "open" | "closing" | "ended"
  readonly workers: Map<number, Worker>
  readonly jobs: Table<Job>
  /** Jobs with waiting items, taken in turn. */
  readonly turn: Deque.Deque<Job>
  /** Those whose next item goes to an idle worker only, and those that are for one worker. */
  readonly idle: Deque.Deque<Job>
  readonly bound: Set<Job>
  /** This worker gets nothing more until it is idle. */
  reserved: number | undefined
  /** An idle worker has just been given away: the jobs in turn come first. */
  sharedFirst: boolean
  readonly means: Array<number | undefined>
  /** Workers with a successor. */
  readonly retiring: Set<Worker>
  nextWorker: number
  nextRun: number
  /** When workers died, within the window. */
  readonly deaths: Array<number>
  completed: number
  failed: number
  restarts: number
  killed: number
}

/** Why an item has no value: reported by the worker, or known to the pool. `detail` is opaque here. */
export type ItemFailure =
  | { readonly _tag: "Reported"; readonly detail: unknown }
  | { readonly _tag: "Exited"; readonly detail: unknown }
  | { readonly _tag: "Unsendable"; readonly detail: unknown }
  | { readonly _tag: "TimedOut" }

export type Event =
  | {
    readonly _tag: "Submitted"
    readonly job: number
    readonly options: JobOptions
    readonly blocks: ReadonlyArray<Block>
    readonly complete: boolean
  }
  | {
    readonly _tag: "Supplied"
    readonly job: number
    readonly blocks: ReadonlyArray<Block>
    readonly complete: boolean
  }
  | { readonly _tag: "Consumed"; readonly job: number; readonly count: number }
  | { readonly _tag: "Interrupted"; readonly job: number }
  | { readonly _tag: "WorkerReady"; readonly worker: number }
  | { readonly _tag: "LaunchFailed"; readonly worker: number; readonly detail: unknown; readonly now: number }
  /** `last` is what it was in when it died. */
  | {
    readonly _tag: "WorkerExited"
    readonly worker: number
    readonly detail: unknown
    readonly now: number
    readonly last: LastItem
  }
  | {
    readonly _tag: "Started"
    readonly worker: number
    readonly run: number
    readonly index: number
    /** The module of the task is loaded first: its time is not the item's. */
    readonly loading: boolean
  }
  | {
    readonly _tag: "Succeeded"
    readonly worker: number
    readonly run: number
    readonly index: number
    readonly values: ArrayLike<unknown>
    readonly marked: boolean
    readonly millis: number
  }
  | {
    readonly _tag: "Failed"
    readonly worker: number
    readonly run: number
    readonly index: number
    readonly failure: ItemFailure
    readonly millis: number
  }
  | { readonly _tag: "Cancelled"; readonly worker: number; readonly run: number }
  /** The chunk takes longer than was thought: the worker has not begun its items from this one on, and never will. */
  | { readonly _tag: "Returned"; readonly worker: number; readonly run: number; readonly index: number }
  /** The worker uses more memory than it may. */
  | { readonly _tag: "Outgrown"; readonly worker: number }
  | { readonly _tag: "IdleElapsed"; readonly worker: number }
  /** Every place of the pool is to have its worker, also those that were let go. */
  | { readonly _tag: "AllWanted" }
  /** The serializer refused the chunk; nothing of it was sent. */
  | { readonly _tag: "Unsent"; readonly worker: number; readonly run: number; readonly detail: unknown }
  /** What the worker is running, asked after a Cancel. `late`: the grace period is over. */
  | {
    readonly _tag: "Answered"
    readonly worker: number
    readonly run: number
    readonly running: number | undefined
    /** It has said so itself; one that does not answer is taken to be in the run that it was asked about. */
    readonly isKnown: boolean
    readonly late: boolean
  }
  | { readonly _tag: "TimeElapsed"; readonly worker: number; readonly run: number; readonly index: number }
  | { readonly _tag: "CloseRequested" }
  | { readonly _tag: "TerminateRequested" }

export type Command =
  | { readonly _tag: "Launch"; readonly worker: number }
  | { readonly _tag: "Send"; readonly worker: number; readonly chunk: Chunk }
  /** Tell the worker, ask what it runs, and ask again when the grace period is over: each answer is an `Answered`. */
  | { readonly _tag: "Cancel"; readonly worker: number; readonly run: number }
  /** It may begin this run before it reads the Cancel, or has: ask once more after a grace period. */
  | { readonly _tag: "AskAgain"; readonly worker: number; readonly run: number; readonly late: boolean }
  /** The worker has answered a Cancel. */
  | { readonly _tag: "CancelEnded"; readonly worker: number; readonly run: number }
  | {
    readonly _tag: "StartTimer"
    readonly worker: number
    readonly run: number
    readonly index: number
    readonly millis: number
  }
  | { readonly _tag: "StopTimer"; readonly worker: number; readonly run: number }
  | { readonly _tag: "StartIdle"; readonly worker: number; readonly millis: number }
  | { readonly _tag: "Kill"; readonly worker: number }
  | { readonly _tag: "CloseWorker"; readonly worker: number }
  | {
    readonly _tag: "Deliver"
    readonly job: number
    readonly worker: number
    readonly first: number
    readonly values: ArrayLike<unknown>
    readonly marked: boolean
  }
  | {
    readonly _tag: "DeliverFailure"
    readonly job: number
    readonly worker: number
    readonly index: number
    readonly failure: ItemFailure
  }
  /** The job is over: every item has its outcome, or it was stopped and nothing of it runs. */
  | { readonly _tag: "Settled"; readonly job: number }
  /** The job is over because the pool is. */
  | { readonly _tag: "Abandoned"; readonly job: number }
  | { readonly _tag: "Pull"; readonly job: number; readonly count: number }
  /** Workers died too often; the pool has ended itself. */
  | { readonly _tag: "Broken"; readonly restarts: number; readonly detail: unknown }
  /** The last worker is gone. */
  | { readonly _tag: "Ended" }
