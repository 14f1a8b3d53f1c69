/**
 * What a child says, until it is posted: successes of neighbours grow together, and what the serializer refuses becomes a
 * failure of its own item.
 */
import type { Channel } from "../channel/Channel.ts"
import { wordsOf } from "../codec/errors.ts"
import { prepare } from "../codec/values.ts"
import { addRunSuccess, unbundle } from "../protocol/bundles.ts"
import { flagFailFast, Kind } from "../protocol/messages.ts"
import type { EncodedFailure, ToChild, ToParent } from "../protocol/messages.ts"
import { bufferOfBlock, packNumbers } from "../protocol/packing.ts"
import { border, reasonOf } from "./refusals.ts"
import { isCheap } from "./runs.ts"
import type { Run } from "./runs.ts"
import { nowMillis } from "./time.ts"

export interface Reports {
  readonly say: (message: ToParent) => void
  /** Posts what has been said. */
  readonly flush: () => void
  /** Says it, and posts it with all that has been said. */
  readonly tell: (message: ToParent) => void
  /** The same, soon: many at once are posted together. */
  readonly tellSoon: (message: ToParent) => void
  readonly success: (run: Run, value: unknown, millis: number) => void
  readonly failure: (run: Run, failure: EncodedFailure, millis?: number) => void
  /**
   * Says that an item starts, and before that what was to be said, unless items of this task are known to be cheap and something
   * was said a moment ago; work goes on since `since`. Where nobody needs to hear that it starts the rest is said all the same.
   * Was anything?
   */
  readonly announce: (run: Run, now: number, since: number) => boolean
  /** These buffers move with the next post. */
  readonly move: (buffers: ReadonlyArray<ArrayBuffer>) => void
  /** Something has failed, or was cancelled. */
  readonly fail: () => void
  readonly hasFailed: () => boolean
}

type Growing = [typeof Kind.Successes, number, number, ArrayLike<unknown>, boolean, number]

/** So much work of cheap items may stand unreported. */
const silentMillis = 0.25
/** A child that has said nothing for so long says what there is before the next item, also when it had nothing to do meanwhile. */
const restMillis = 2
/** Arrays of more bytes are posted at once, where they are cheap otherwise: a copy would cost more. */
const largestSnapshot = 16 * 1024

type Hearsay = Extract<
  ToParent,
  readonly [typeof Kind.Log | typeof Kind.SpanStarted | typeof Kind.SpanEnded, ...ReadonlyArray<unknown>]
>

const isHearsay = (message: ToParent): message is Hearsay =>
  message[0] === Kind.Log || message[0] === Kind.SpanStarted || message[0] === Kind.SpanEnded

const nothing = { value: {}, marked: false }

/** What is left of a log line or a span that cannot cross as it is. */
const shorten = (message: Hearsay, why: string): ToParent | undefined => {
  if (message[0] === Kind.Log) {
    const value = [`A log line could not cross to its parent: ${why}`]
    return [Kind.Log, message[1], {
      ...message[2],
      message: { value, marked: false },
      annotations: nothing,
      cause: undefined
    }]
  }
  if (message[0] === Kind.SpanEnded) {
    return [Kind.SpanEnded, message[1], {
      ...message[2],
      attributes: nothing,
      events: [],
      links: [],
      failure: undefined
    }]
  }
  return undefined
}

export const makeReports = (channel: Channel<ToParent, ToChild>, announces: (run: Run) => boolean): Reports => {
  /** The task of each run of which something in the outbox may be refused, for messages. */
  const names = new Map<number, string>()
  let outbox: Array<ToParent> = []
  let transfers: Array<ArrayBuffer> = []
  let lastFlush = -Infinity
  /** Something in the outbox could still be changed by the code that made it. */
  let loose = false
  let hasFailed = false
  let isPosting = false

  /** Posts what is there; when it cannot be cloned after all, each message by itself, and the offender as a failure. */
  const flush = (): void => {
    lastFlush = nowMillis()
    if (outbox.length === 0) return
    const batch = outbox
    for (let i = 0; i < batch.length; i++) pack(batch[i]!)
    const moved = transfers
    outbox = []
    transfers = []
    loose = false
    try {
      channel.post(batch, moved)
    } catch (cause) {
      const messages = unbundle(batch)
      if (messages.length === 1) postOne(messages[0]!, moved, cause)
      else for (const message of messages) postSafely(message, moved)
    }
    if (names.size > 0) names.clear()
  }

  /** Results that are all numbers become one block. */
  const pack = (message: ToParent): void => {
    if (message[0] !== Kind.Successes || message[4]) return
    const values = packNumbers(message[3])
    const buffer = bufferOfBlock(values)
    if (buffer === undefined) return
    ;(message as Growing)[3] = values
    if (channel.transfers) transfers.push(buffer)
  }

  const nameOfRun = (run: number): string => `task "${names.get(run) ?? ""}"`

  const postSafely = (message: ToParent, moved: ReadonlyArray<ArrayBuffer>): void => {
    try {
      channel.post([message], moved)
    } catch (cause) {
      postOne(message, moved, cause)
    }
  }

  const postOne = (message: ToParent, moved: ReadonlyArray<ArrayBuffer>, cause: unknown): void => {
    if (message[0] === Kind.Successes) {
      const [, run, first, values, marked, millis] = message
      if (values.length > 1) {
        for (let i = 0; i < values.length; i++) {
          postSafely([Kind.Successes, run, first + i, [values[i]], marked, millis / values.length], moved)
        }
      } else {
        channel.post([[Kind.Failure, run, first, border(reasonOf(cause, "success", nameOfRun(run))), millis]])
      }
    } else if (message[0] === Kind.Failure) {
      const [, run, index, , millis] = message
      channel.post([[Kind.Failure, run, index, border(reasonOf(cause, "error", nameOfRun(run))), millis]])
    } else if (isHearsay(message)) {
      const words = shorten(message, wordsOf(cause))
      if (words !== undefined) postHearsay(words)
    } else {
      throw cause
    }
  }

  /** Nobody waits for it: what cannot cross even shortened is dropped. */
  const postHearsay = (message: ToParent): void => {
    try {
      channel.post([message])
    } catch {
      // the task goes on without it
    }
  }

  const reportSuccess = (run: Run, value: unknown, millis: number): void => {
    let marked = false
    // these are never refused, nor too large
    if (typeof value !== "number" && typeof value !== "boolean" && value !== undefined) names.set(run.id, run.task.name)
    if (typeof value === "object" || typeof value === "function" || typeof value === "symbol") {
      try {
        const prepared = prepare(value, channel, "result")
        marked = prepared.marked
        value = isCheap(run) ? snapshot(prepared.value) : prepared.value
        if (value === prepared.value) loose = true
      } catch (cause) {
        return reportFailure(run, border(reasonOf(cause, "success", `task "${run.task.name}"`)), millis)
      }
    }
    if (run.items.length === 1) addRunSuccess(outbox, marked, run.id, value, millis)
    else grow(run, value, marked, millis)
    run.index++
  }

  /** Results of one run are one message, while nothing else is said. */
  const grow = (run: Run, value: unknown, marked: boolean, millis: number): void => {
    const last = outbox[outbox.length - 1]
    if (last !== undefined && last[0] === Kind.Successes && last[1] === run.id && last[4] === marked) {
      const growing = last as Growing // ours until it is posted
      ;(growing[3] as Array<unknown>).push(value)
      growing[5] += millis
    } else {
      outbox.push([Kind.Successes, run.id, run.index, [value], marked, millis])
    }
  }

  /** The next item may change what this one has returned: what is not sent before that is copied now. */
  const snapshot = (value: unknown): unknown => {
    if (typeof value !== "object" || transfers.length > 0) return value // moving buffers are sent at once
    if (ArrayBuffer.isView(value) && value.byteLength > largestSnapshot) return value // and so is what is large
    return structuredClone(value)
  }

  const reportFailure = (run: Run, failure: EncodedFailure, millis = 0): void => {
    hasFailed = true
    loose = true
    names.set(run.id, run.task.name)
    outbox.push([Kind.Failure, run.id, run.index, failure, millis])
    run.index = (run.flags & flagFailFast) !== 0 ? run.items.length : run.index + 1
  }

  const mayBeSilent = (now: number, since: number): boolean =>
    now - lastFlush < restMillis && now - Math.max(since, lastFlush) < silentMillis

  const announce = (run: Run, now: number, since: number): boolean => {
    if (isCheap(run) && mayBeSilent(now, since) && transfers.length === 0) {
      if (loose) flush()
      return false
    }
    if (announces(run)) outbox.push([Kind.Started, run.id, run.index])
    if (outbox.length === 0) {
      lastFlush = now // nothing waits to be said
      return false
    }
    flush()
    return true
  }

  return {
    say: (message) => void outbox.push(message),
    flush,
    tell: (message) => {
      outbox.push(message)
      flush()
    },
    tellSoon: (message) => {
      outbox.push(message)
      if (nowMillis() - lastFlush >= silentMillis) return flush()
      if (isPosting) return
      isPosting = true
      queueMicrotask(() => {
        isPosting = false
        flush()
      })
    },
    success: reportSuccess,
    failure: reportFailure,
    announce,
    move: (buffers) => {
      // processes are sent copies: nothing moves
      if (channel.transfers) transfers.push(...buffers)
    },
    fail: () => {
      hasFailed = true
    },
    hasFailed: () => hasFailed
  }
}
