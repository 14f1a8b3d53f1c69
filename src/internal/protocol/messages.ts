/**
 * What a parent and its child say to each other. The README beside this file draws who sends what when.
 *
 * Messages are small tuples that begin with their kind: they are sent by the hundred thousand.
 */

import type { LogLevel } from "effect/LogLevel"
import type { SpanKind } from "effect/Tracer"

/** A name for a process in messages and logs, and its place in the tree of creators. */
export interface Identity {
  readonly name: string
  /** The numbers of its creators and its own: `[2, 1]` is the first child of the second child. */
  readonly path: ReadonlyArray<number>
  readonly daemon: boolean
  readonly startMethod: "inline" | "threads" | "spawn" | "forkserver" | "fork"
}

export interface ParentIdentity {
  readonly name: string
  readonly pid: number
}

/** A value made ready to cross; `marked` says that it must be revived. */
export interface Crossed {
  readonly value: unknown
  readonly marked: boolean
}

/** What a child is told first. */
export interface Boot {
  readonly identity: Identity
  readonly parent: ParentIdentity
  /** The options of the start method, so that the child starts its own children alike. */
  readonly startOptions: unknown
  readonly initializer: { readonly module: string; readonly name: string; readonly payload: Crossed } | undefined
  /** `true`: one run, then the end with its exit code (a process). `false`: runs until it is closed (a worker). */
  readonly once: boolean
  /** The child says when it uses more bytes of memory than this. */
  readonly maxMemory?: number | undefined
  /** Of what is logged outside of a run. */
  readonly logLevel: LogLevel
  /** Where a process notes its run, for a parent that shares memory with it (`internal/memory/words.ts`). */
  readonly word?: string | undefined
  /** The child says what it begins, also where its parent can read that. */
  readonly announces?: true | undefined
}

/** Why a run failed at the border, as plain data: the parent makes the ProcessError of it. */
export type EncodedReason =
  | {
    readonly _tag: "TaskNotFound"
    readonly module: string
    readonly task: string
    readonly message: string
    readonly cause?: Crossed
  }
  | {
    readonly _tag: "CodecFailed"
    readonly phase: "payload" | "success" | "error" | "message"
    readonly message: string
    readonly cause?: Crossed
  }
  | { readonly _tag: "NotShareable"; readonly handle: string; readonly message: string }
  | { readonly _tag: "Closed"; readonly what: string; readonly message: string }
  | { readonly _tag: "MessageTooLarge"; readonly size: number; readonly limit: number; readonly message: string }
  | { readonly _tag: "StartFailed"; readonly message: string; readonly cause?: Crossed }
  | { readonly _tag: "StartMethodUnavailable"; readonly message: string }

export type EncodedCauseReason =
  | readonly ["fail", Crossed]
  | readonly ["die", Crossed]
  | readonly ["interrupt", number | undefined]

/** How an item failed: at the border, or with a cause. */
export type EncodedFailure =
  | { readonly _tag: "Border"; readonly reason: EncodedReason }
  | { readonly _tag: "Cause"; readonly reasons: ReadonlyArray<EncodedCauseReason> }

/** What a call has around it, for the tasks that it runs: nothing, where that is what a child has anyway. */
export interface Ambient {
  /** Undefined where the call has none: what holds in the child, or what its initializer provides, holds then. */
  readonly logLevel: LogLevel | undefined
  readonly span: AmbientSpan | undefined
}

/** The span of the call: its W3C ids. */
export interface AmbientSpan {
  readonly traceId: string
  readonly spanId: string
  readonly sampled: boolean
  /** The parent wants to hear of the spans of its tasks. */
  readonly told: boolean
}

export interface EncodedLog {
  readonly level: LogLevel
  readonly message: Crossed
  readonly annotations: Crossed
  readonly spans: ReadonlyArray<readonly [label: string, timestamp: number]>
  readonly cause: EncodedFailure | undefined
  /** Epoch milliseconds. */
  readonly date: number
}

/** Ids of spans are those of the child: its parent makes spans of its own for them. */
export interface EncodedSpanStart {
  readonly id: string
  readonly traceId: string
  readonly parent: string | undefined
  readonly name: string
  readonly kind: SpanKind
  readonly startTime: bigint
  readonly sampled: boolean
}

export interface EncodedSpanEnd {
  readonly id: string
  readonly endTime: bigint
  readonly attributes: Crossed
  readonly events: ReadonlyArray<readonly [name: string, time: bigint, attributes: Crossed]>
  readonly links: ReadonlyArray<{ readonly traceId: string; readonly spanId: string; readonly attributes: Crossed }>
  readonly failure: EncodedFailure | undefined
}

export const Kind = {
  Boot: 0,
  Define: 1,
  Run: 2,
  Cancel: 3,
  Close: 4,
  Stop: 5,
  Runs: 6,
  Ready: 10,
  BootFailed: 11,
  Started: 12,
  Successes: 13,
  Failure: 14,
  Cancelled: 15,
  Notice: 16,
  Loading: 17,
  Returned: 18,
  Outgrown: 19,
  Log: 20,
  SpanStarted: 21,
  SpanEnded: 22,
  RunSuccesses: 23
} as const

/** The items of the run are marked (see {@link Crossed}). */
export const flagMarked = 1
/** The run ends with its first failing item. */
export const flagFailFast = 2
/** Every item is announced before it runs, however cheap: its parent measures its time. */
export const flagAnnounce = 4
/** The size of the run was guessed: when it takes much longer than was thought, what has not begun is given back. */
export const flagReturns = 8

export type ToChild =
  | readonly [typeof Kind.Boot, Boot]
  /** A task gets a number on first use in this child. */
  | readonly [typeof Kind.Define, task: number, module: string, name: string, usesEffect: boolean]
  | readonly [
    typeof Kind.Run,
    run: number,
    task: number,
    items: ArrayLike<unknown>,
    flags: number,
    ambient?: Ambient | undefined
  ]
  /** Runs of one item each, bundled: see `bundles.ts`. */
  | readonly [
    typeof Kind.Runs,
    task: number,
    flags: number,
    runs: ReadonlyArray<number>,
    items: ReadonlyArray<unknown>
  ]
  | readonly [typeof Kind.Cancel, run: number]
  /** Release the initializer, then end with code 0. */
  | readonly [typeof Kind.Close]
  /** Interrupt what runs, release the initializer, then end as if terminated. */
  | readonly [typeof Kind.Stop]

export type ToParent =
  | readonly [typeof Kind.Ready, pid: number]
  | readonly [typeof Kind.BootFailed, EncodedReason]
  /** The child is about to run this item of the run. Everything before it has been reported. */
  | readonly [typeof Kind.Started, run: number, index: number]
  /** The same, but before that it has to load the module of the task. */
  | readonly [typeof Kind.Loading, run: number, index: number]
  /** Results of consecutive items, and how long all of them ran. */
  | readonly [
    typeof Kind.Successes,
    run: number,
    first: number,
    values: ArrayLike<unknown>,
    marked: boolean,
    millis: number
  ]
  | readonly [typeof Kind.Failure, run: number, index: number, failure: EncodedFailure, millis: number]
  /** The answer to Cancel: nothing more comes of this run. */
  | readonly [typeof Kind.Cancelled, run: number]
  /** The run takes too long: its items from this one on have not begun, and go to whoever is free. */
  | readonly [typeof Kind.Returned, run: number, index: number]
  /** The child uses more memory than it may. */
  | readonly [typeof Kind.Outgrown, bytes: number]
  /** What a task has logged, while this run was the one; outside of any it is 0. */
  | readonly [typeof Kind.Log, run: number, log: EncodedLog]
  | readonly [typeof Kind.SpanStarted, run: number, span: EncodedSpanStart]
  | readonly [typeof Kind.SpanEnded, run: number, span: EncodedSpanEnd]
  /** The only results of runs of one item each, bundled. */
  | readonly [
    typeof Kind.RunSuccesses,
    marked: boolean,
    runs: ReadonlyArray<number>,
    values: ReadonlyArray<unknown>,
    millis: ReadonlyArray<number>
  ]
  /** Last words: an uncaught error's stack, or what is wrong with the program. */
  | readonly [typeof Kind.Notice, text: string]
