/**
 * A queue that fibers of all processes share: any number of them offer values, and any number take them.
 *
 * ```ts run
 * import { Effect, Stream } from "effect"
 * import { SharedQueue } from "effect-multiprocessing"
 *
 * const program = Effect.scoped(Effect.gen(function*() {
 *   const names = yield* SharedQueue.unbounded<string>()
 *   // it may be sent to other threads and processes, in a payload or a message
 *   yield* SharedQueue.offerAll(names, ["Ada", "Grace"])
 *   yield* SharedQueue.end(names)
 *   return yield* Stream.runCollect(SharedQueue.toStream(names))
 * }))
 *
 * console.log(await Effect.runPromise(program))
 * // => [ 'Ada', 'Grace' ]
 * ```
 *
 * **Laws**
 *
 * - Each value goes to one taker, first come, first served. The values of one producer are handed out in their order; one
 *   that comes back may then be behind those that were handed out meanwhile.
 * - What was accepted is not lost: not when its producer dies, and not when a taker is interrupted or dies before it really
 *   has the value. It returns to its place then, and goes to the next.
 * - What a producer has waiting is in the queue wholly or not at all; interrupted, or dead, it adds nothing.
 * - Nobody waits for ever: after {@link end} producers fail with `Closed`, and takers drain the queue and see `Cause.Done`;
 *   when the scope that made it has ended, or its process, everybody fails with `Closed`.
 *
 * **What it costs**
 *
 * A value is *copied*: it becomes bytes when it is offered, and a value again where it is taken, also in one process, so
 * what its producer changes later is not seen. The bytes lie in the process that made the queue. Numbers, strings and
 * booleans, which nobody can change, are the fastest. To offer and to take is a
 * question to it and its answer: a call there, a message each way from elsewhere. Many at once cost one question:
 * {@link offerAll}, {@link toSink} and {@link toStream}.
 *
 * **Once, or once more**
 *
 * A taker says that it has the value in the very step in which it goes on with it. A process that is killed between the two
 * (the value has come, and that was not said yet) leaves it to the next taker, who may be the second to see it; what a
 * process had taken goes with it. So a value that kills its taker does so once.
 *
 * | for | use |
 * |---|---|
 * | work for many, from many | `SharedQueue` |
 * | two sides that talk | a `Pipe`: no third process is between them |
 * | results of tasks, in order or as they come | `Pool.imap`, `Pool.imapUnordered` |
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import type { Pipeable } from "effect/Pipeable"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { codecFailed, crossingError, encodingFailed, tryEncode } from "./internal/codec/payload.ts"
import { valueCodec } from "./internal/codec/schema.ts"
import { installOpeners } from "./internal/handles/handle.ts"
import { linkOf } from "./internal/handles/home.ts"
import { openHandle } from "./internal/handles/openers.ts"
import {
  acknowledge,
  borderOfItems,
  closeReceipt,
  giveBack,
  makeQueue,
  noReceipt,
  openReceipt,
  QueueTypeId,
  retract,
  withSchema
} from "./internal/handles/queue.ts"
import type { QueueHandle, Receipt, Variance } from "./internal/handles/queue.ts"
import { bundle, isPlain, mostOffered, numberAt, sizeOf, tagAt, tagsOf, takeIn } from "./internal/hub/bundle.ts"
import type { Bundle, Content, Handful, Parcels } from "./internal/hub/bundle.ts"
import { ownSlot } from "./internal/hub/link.ts"
import { hasEnded } from "./internal/hub/queue.ts"
import type { Answer, Wish } from "./internal/hub/queue.ts"
import { decodeMessage, encodeAlone, maxMessageBytes, messageOf } from "./internal/line/message.ts"
import type { Message } from "./internal/line/message.ts"
import type { FrameTooLarge } from "./internal/protocol/frames.ts"
import { ask, inOneGo, isAboutToYield, obtain, obtainWithin, unanswered } from "./internal/sync/asking.ts"
import type { Asked } from "./internal/sync/asking.ts"
import { checkedCount } from "./internal/sync/checks.ts"
import { owned } from "./internal/sync/owned.ts"
import { Closed, ProcessError } from "./ProcessError.ts"

// items may hold handles
installOpeners(openHandle)

/**
 * A queue of values. It may sit anywhere inside a payload, a result or a message, and is the same queue there.
 *
 * @category models
 * @since 0.1.0
 */
export interface SharedQueue<in out A> extends Pipeable {
  readonly [QueueTypeId]: Variance<A>
  /** As it was made with; `Infinity` where it is unbounded. */
  readonly capacity: number
}

type AnySchema = Schema.Codec<unknown, unknown>

/**
 * Is this value a {@link SharedQueue}?
 *
 * @category guards
 * @since 0.1.0
 */
export const isSharedQueue = (u: unknown): u is SharedQueue<unknown> => hasProperty(u, QueueTypeId)

/** Every SharedQueue is made here or by the codec. */
const handleOf = <A>(self: SharedQueue<A>): QueueHandle => self as unknown as QueueHandle

const anyQueue = Schema.declare(isSharedQueue, { identifier: "SharedQueue", expected: "a SharedQueue" })

/**
 * For payload schemas: `Schema.Struct({ orders: SharedQueue.schema(Order), ... })`.
 *
 * **Details**
 *
 * The schema of a queue does not cross with it. What is given here is what it uses where it arrives, for what is offered
 * there and for what is taken. Without it values arrive as structured clone leaves them.
 *
 * @category schemas
 * @since 0.1.0
 */
export const schema = <A = unknown>(item?: Schema.Codec<A, any>): Schema.Codec<SharedQueue<A>, SharedQueue<A>> => {
  const queue = anyQueue as unknown as Schema.Codec<SharedQueue<A>, SharedQueue<A>> // as the schema says
  if (item === undefined) return queue
  return queue.pipe(Schema.decodeTo(
    queue,
    SchemaTransformation.transform({
      decode: (self: SharedQueue<A>) => withSchema(handleOf(self), item) as unknown as SharedQueue<A>,
      encode: (self: SharedQueue<A>) => self
    })
  ))
}

const what = "SharedQueue"

const askedOf = ({ home }: QueueHandle): Asked => ({ name: what, home })

// ---------------------------------------------------------------------------------------------------- making

const make = <A>(called: string, capacity: number, item: unknown) =>
  owned(called, () => {
    const { handle, release } = makeQueue(capacity, item)
    return { handle: handle as unknown as SharedQueue<A>, release } // its type is what its schema says
  })

/**
 * A new queue for so many values, which belongs to this scope: when it ends, everybody who waits, and will, fails with
 * `Closed`.
 *
 * **Options**
 *
 * - `schema`: values are encoded with it when they are offered and decoded when they are taken, so that classes arrive as
 *   classes. It does not cross with the queue: the payload schema of the other side says it again, see {@link schema}.
 *
 * **Details**
 *
 * A value takes up room from when it is accepted until somebody has it. While there is no room, {@link offer} waits.
 *
 * **Gotchas**
 *
 * A `capacity` that is no whole number of 1 or more is a `RangeError` defect.
 *
 * @see {@link unbounded} for one where nobody waits for room
 * @category constructors
 * @since 0.1.0
 */
export const bounded = <A>(capacity: number, options?: {
  readonly schema?: Schema.Codec<A, any> | undefined
}): Effect.Effect<SharedQueue<A>, ProcessError, Scope.Scope> =>
  Effect.suspend(() => {
    checkedCount(capacity, 1, "SharedQueue.bounded: the capacity")
    return make<A>("SharedQueue.bounded", capacity, options?.schema)
  })

/**
 * A new queue for as many values as there is memory for. Options and scope as for {@link bounded}.
 *
 * **Gotchas**
 *
 * Producers that are faster than takers fill the memory of the process that made it: {@link bounded} makes them wait.
 *
 * @category constructors
 * @since 0.1.0
 */
export const unbounded = <A>(options?: {
  readonly schema?: Schema.Codec<A, any> | undefined
}): Effect.Effect<SharedQueue<A>, ProcessError, Scope.Scope> =>
  make<A>("SharedQueue.unbounded", Infinity, options?.schema)

// ---------------------------------------------------------------------------------------------------- items

const schemaOf = ({ schema }: QueueHandle): AnySchema | undefined => schema as AnySchema | undefined // as it was given

/** What is asked along with it goes in the same frame. */
const maxItemBytes = maxMessageBytes - 64 * 1024

/** Of what is no bytes. */
const plainTag = 0

interface Parcel {
  readonly tag: number
  readonly content: Content
}

/** Throws a ProcessError. */
const encode = (handle: QueueHandle, value: unknown): Parcel => {
  let encoded = value
  const item = schemaOf(handle)
  if (item !== undefined) {
    const exit = valueCodec(item).encode(value, [])
    if (Exit.isFailure(exit)) throw codecFailed(what, "message", Cause.squash(exit.cause))
    encoded = exit.value
  }
  if (isPlain(encoded)) return { tag: plainTag, content: encoded }
  try {
    const { bytes, size, tag } = encodeAlone(encoded, borderOfItems)
    if (size > maxItemBytes) throw { _tag: "FrameTooLarge", size, limit: maxItemBytes } satisfies FrameTooLarge
    return { tag, content: bytes }
  } catch (cause) {
    throw crossingError(what, "message", cause)
  }
}

/** What the taker makes of a value. */
type Shape<A> = (value: unknown) => A

const asItIs: Shape<unknown> = (value) => value

const decode = <A>(
  handle: QueueHandle,
  tag: number,
  content: Content,
  shape: Shape<A>
): Exit.Exit<A, ProcessError> => {
  let value: unknown = content
  if (content instanceof Uint8Array) {
    try {
      value = decodeMessage(messageOf(tag as Message["tag"], content)) // what `encode` has given
    } catch (cause) {
      return Exit.fail(crossingError(what, "message", cause))
    }
  }
  const item = schemaOf(handle)
  if (item === undefined) return Exit.succeed(shape(value))
  const decoded = valueCodec(item).decode(value)
  return Exit.isSuccess(decoded)
    ? Exit.succeed(shape(decoded.value))
    : Exit.fail(codecFailed(what, "message", Cause.squash(decoded.cause)))
}

// ---------------------------------------------------------------------------------------------------- offering

type Offered = Effect.Effect<void, ProcessError>

const endedError = (): ProcessError =>
  new ProcessError({
    reason: new Closed({ what, message: `${what}: it has ended: nothing more may be offered to it.` })
  })

const outcome = (number: number): Offered => number === hasEnded ? Effect.fail(endedError()) : Effect.void

/** A bundle of one. */
const packed = (handle: QueueHandle, value: unknown): Effect.Effect<Bundle, ProcessError> =>
  Effect.map(
    tryEncode(() => encode(handle, value)),
    ({ content, tag }) => bundle({ tags: tag, contents: [content] })
  )

const offerOne = (handle: QueueHandle, value: unknown): Offered =>
  Effect.flatMap(packed(handle, value), (bundle) =>
    Effect.flatMap(
      obtain<number>(askedOf(handle), "offer", bundle, (number) => retract(handle, number)),
      outcome
    ))

const offerOneWithin = (
  handle: QueueHandle,
  value: unknown,
  limit: Duration.Input
): Effect.Effect<boolean, ProcessError> =>
  Effect.flatMap(packed(handle, value), (bundle) =>
    Effect.flatMap(
      obtainWithin<number>(askedOf(handle), "offer", bundle, limit, "size", (number) => retract(handle, number)),
      Option.match({
        onNone: () => Effect.succeed(false),
        onSome: (number) => Effect.as(outcome(number), true)
      })
    ))

/**
 * Adds a value. Completes when the queue has accepted it: waits for room, interruptibly, first come, first served.
 *
 * **Details**
 *
 * - Interrupted, it takes back what it has added, unless that was on its way to somebody already: whoever gives up by
 *   `Effect.timeout` does not know. {@link offerWithin} does.
 * - What has been accepted stays in the queue, also when this process ends right after.
 * - Handles in the value arrive working. The end of a pipe is refused: who would have it is not known.
 *
 * **Gotchas**
 *
 * - The value is *copied*, when `offer` is called.
 * - It fails with `Closed` when the queue has ended, also while it waits, and when its scope has; with `CodecFailed` or
 *   `NotShareable` for what cannot cross; with `MessageTooLarge` above about 2 GiB. Nothing was added then.
 * - One after the other, each waits for its answer: {@link offerAll} adds many with one question.
 *
 * @category offering
 * @since 0.1.0
 */
export const offer: {
  <A>(value: A): (self: SharedQueue<A>) => Effect.Effect<void, ProcessError>
  <A>(self: SharedQueue<A>, value: A): Effect.Effect<void, ProcessError>
} = dual(2, <A>(self: SharedQueue<A>, value: A) => offerOne(handleOf(self), value))

/**
 * Adds a value if the queue accepts it within this time. `true` when it has, `false` when it has not, and will not.
 *
 * **Details**
 *
 * - With a time of 0 it asks whether there is room now.
 * - At the end of the time the process that made the queue has the last word, so that it may take as much longer as that
 *   takes to answer.
 * - Otherwise as {@link offer}.
 *
 * **Example** (Somebody else's work, when this queue is full)
 *
 * ```ts
 * import { Console, Effect } from "effect"
 * import { SharedQueue } from "effect-multiprocessing"
 *
 * const hand = (orders: SharedQueue.SharedQueue<string>, order: string) =>
 *   Effect.gen(function*() {
 *     const isAccepted = yield* SharedQueue.offerWithin(orders, order, "50 millis")
 *     if (!isAccepted) yield* Console.log(`${order} has to wait`)
 *   })
 * ```
 *
 * @category offering
 * @since 0.1.0
 */
export const offerWithin: {
  <A>(value: A, limit: Duration.Input): (self: SharedQueue<A>) => Effect.Effect<boolean, ProcessError>
  <A>(self: SharedQueue<A>, value: A, limit: Duration.Input): Effect.Effect<boolean, ProcessError>
} = dual(
  3,
  <A>(self: SharedQueue<A>, value: A, limit: Duration.Input) => offerOneWithin(handleOf(self), value, limit)
)

/** Unless one has more. */
const mostBytesTogether = 1024 * 1024

interface Source {
  readonly values: Iterator<unknown>
  /** Encoded, and too large to go with those before it. */
  kept: Parcel | undefined
}

interface Batch {
  readonly parcels: Parcels
  readonly isLast: boolean
  /** What the next value has against being encoded. */
  readonly problem: Offered | undefined
}

const nextBatch = (handle: QueueHandle, source: Source): Batch => {
  const tags: Array<number> = []
  const contents: Array<Content> = []
  let bytes = 0
  let isLast = false
  let problem: Offered | undefined
  try {
    while (contents.length < mostOffered) {
      let parcel = source.kept
      source.kept = undefined
      if (parcel === undefined) {
        const next = source.values.next()
        isLast = next.done === true
        if (next.done === true) break
        parcel = encode(handle, next.value)
      }
      bytes += sizeOf(parcel.content)
      if (contents.length > 0 && bytes > mostBytesTogether) {
        source.kept = parcel
        break
      }
      tags.push(parcel.tag)
      contents.push(parcel.content)
    }
  } catch (error) {
    problem = encodingFailed(error)
  }
  return { parcels: { tags: tagsOf(tags), contents }, isLast, problem }
}

const offerFrom = (handle: QueueHandle, source: Source): Offered =>
  Effect.suspend(() => {
    const { isLast, parcels, problem } = nextBatch(handle, source)
    const rest = problem ?? (isLast ? Effect.void : offerFrom(handle, source))
    if (parcels.contents.length === 0) return rest
    return Effect.flatMap(
      ask<number>(askedOf(handle), "offer", bundle(parcels)),
      (number) => number === hasEnded ? outcome(number) : rest
    )
  })

const offerMany = (handle: QueueHandle, values: Iterable<unknown>): Offered =>
  Effect.suspend(() => {
    const iterator = values[Symbol.iterator]()
    return Effect.onExitPrimitive(offerFrom(handle, { values: iterator, kept: undefined }), (exit) => {
      if (Exit.isFailure(exit)) iterator.return?.()
      return undefined
    })
  })

/**
 * Adds values in their order, many with one question. Completes when all are accepted.
 *
 * **Gotchas**
 *
 * - They are not all or none: where it fails, or is interrupted, those before stay in the queue.
 * - A value is encoded when its turn comes: a generator may be long.
 * - Other producers may come between.
 *
 * @category offering
 * @since 0.1.0
 */
export const offerAll = <A>(self: SharedQueue<A>, values: Iterable<A>): Effect.Effect<void, ProcessError> =>
  offerMany(handleOf(self), values)

/**
 * Adds all elements of a stream, those of one chunk together. It does not end the queue.
 *
 * @category offering
 * @since 0.1.0
 */
export const toSink = <A>(self: SharedQueue<A>): Sink.Sink<void, A, never, ProcessError> =>
  Sink.forEachArray((values: ReadonlyArray<A>) => offerMany(handleOf(self), values))

/**
 * Ends the queue: nothing more may be offered, and who has taken all that is there sees `Cause.Done`.
 *
 * **Details**
 *
 * - Producers that wait for room fail with `Closed`: what they were about to add is not in the queue. What was accepted before
 *   is delivered.
 * - Takers see the end when nothing can come any more: what is on its way to another taker might come back.
 * - To end it twice changes nothing.
 *
 * @category ending
 * @since 0.1.0
 */
export const end = <A>(self: SharedQueue<A>): Effect.Effect<void, ProcessError> => ask(askedOf(handleOf(self)), "end")

// ---------------------------------------------------------------------------------------------------- taking

type Taken<A> = Effect.Effect<A, ProcessError | Cause.Done>

/** What has come, with its receipt: whoever uses it closes that. Undefined says that nothing will ever come. */
type Use<A> = (items: Handful | undefined, receipt: Receipt) => Taken<A>

const noItems: Handful = { numbers: 0, tags: 0, contents: [] }

/**
 * What is handed out here is used in the step in which the fiber goes on, or goes back: an interruption comes before that
 * step or after it.
 */
const handedTo = <A>(handle: QueueHandle, operation: "take" | "poll", most: number, use: Use<A>): Taken<A> =>
  inOneGo(Effect.suspend(() => {
    const { object } = handle.home
    const receipt = operation === "take" ? openReceipt(handle) : noReceipt
    let unused: Handful | undefined
    let isUsed = false
    const asked: Taken<A> = Effect.callback((resume) => {
      const wish: Wish = [most, receipt.cell]
      const withdraw = linkOf(handle.home).ask(object, operation, wish, (outcome) => {
        if (outcome._tag !== "Value") return resume(unanswered(what, outcome))
        const items = itemsOf(outcome.value)
        unused = items
        resume(Effect.suspend(() => {
          isUsed = true
          return use(items, receipt)
        }))
      })
      return Effect.sync(() => withdraw((answer) => giveBack(handle, itemsOf(answer) ?? noItems, 0)))
    })
    return Effect.onExitPrimitive(asked, () => {
      if (isUsed) return undefined
      giveBack(handle, unused ?? noItems, 0)
      closeReceipt(receipt)
      return undefined
    })
  }))

/** What the queue answers. */
const itemsOf = (answer: unknown): Handful | undefined =>
  answer === null ? undefined : takeIn(answer as Exclude<Answer, null>)

const done: Effect.Effect<never, Cause.Done> = Effect.fail(Cause.Done())

/** First it is said that it has come: what cannot be decoded, or kills whoever takes it, does not come back. */
const unpack = <A>(handle: QueueHandle, receipt: Receipt, items: Handful, index: number, shape: Shape<A>) => {
  const { contents, numbers, tags } = items
  acknowledge(handle, receipt, index + 1, numberAt(numbers, index))
  if (index + 1 === contents.length) closeReceipt(receipt)
  return decode(handle, tagAt(tags, index), contents[index], shape)
}

const takeOne = (handle: QueueHandle): Taken<unknown> =>
  handedTo(handle, "take", 1, (items, receipt) => {
    if (items !== undefined) return unpack(handle, receipt, items, 0, asItIs)
    closeReceipt(receipt)
    return done
  })

/**
 * The next value. Waits for it, interruptibly, first come, first served.
 *
 * **Details**
 *
 * - It fails with `Cause.Done` when the queue has ended and everything was taken; with `Closed` when its scope has ended, or
 *   the process that made it; with `CodecFailed` for a value that does not fit the schema, which is taken then.
 * - Interrupted, alone or as the loser of a race, it leaves the value to the next, in its place.
 *
 * **Example** (Until the end)
 *
 * ```ts
 * import { Console, Effect, Pull } from "effect"
 * import { SharedQueue } from "effect-multiprocessing"
 *
 * const readAll = (names: SharedQueue.SharedQueue<string>) =>
 *   SharedQueue.take(names).pipe(
 *     Effect.flatMap(Console.log),
 *     Effect.forever,
 *     Pull.catchDone(() => Console.log("that was all"))
 *   )
 * ```
 *
 * @see {@link toStream} for all of them
 * @category taking
 * @since 0.1.0
 */
export const take = <A>(self: SharedQueue<A>): Effect.Effect<A, ProcessError | Cause.Done> =>
  takeOne(handleOf(self)) as Taken<A> // what was offered

/**
 * The next value, where one is there now. Does not wait for one.
 *
 * **Details**
 *
 * It fails as {@link take} does: `Cause.Done` says that none will come.
 *
 * @category taking
 * @since 0.1.0
 */
export const poll = <A>(self: SharedQueue<A>): Effect.Effect<Option.Option<A>, ProcessError | Cause.Done> =>
  Effect.suspend(() => {
    const handle = handleOf(self)
    return handedTo(handle, "poll", 1, (items, receipt): Taken<Option.Option<A>> => {
      if (items === undefined) return done
      if (items.contents.length === 0) return Effect.succeedNone
      return unpack(handle, receipt, items, 0, (value) => Option.some(value as A)) // what was offered
    })
  })

/**
 * How many values are accepted and not taken. Those on their way to a taker are among them.
 *
 * **Gotchas**
 *
 * It is what was true when the queue was asked: others offer and take.
 *
 * @category taking
 * @since 0.1.0
 */
export const size = <A>(self: SharedQueue<A>): Effect.Effect<number, ProcessError> =>
  ask<number>(askedOf(handleOf(self)), "size")

const mostAhead = 4096
/** A stream has so much work at hand, as far as the last items tell. */
const aheadMillis = 2

/** Whatever its consumer is waiting for then, it might be one of the items that it has at hand: so others may have them. */
const idleMillis = 10

/** The items that a stream has at hand, and how many of them it has used. */
interface Reader {
  items: Handful
  receipt: Receipt
  used: number
  arrived: number
  timer: ReturnType<typeof setTimeout> | undefined
  /** What is wrong with the item behind the last chunk: it was taken, and that is still to be said. */
  problem: Exit.Exit<never, ProcessError> | undefined
}

const newReader = (): Reader => ({
  items: noItems,
  receipt: noReceipt,
  used: 0,
  arrived: 0,
  timer: undefined,
  problem: undefined
})

const letGo = (handle: QueueHandle, reader: Reader): void => {
  clearTimeout(reader.timer)
  if (reader.used < reader.items.contents.length) {
    giveBack(handle, reader.items, reader.used)
    closeReceipt(reader.receipt)
  }
  Object.assign(reader, { items: noItems, used: 0, timer: undefined })
}

/** Runs while there is something at hand, and lets it go when nothing was used for a while. */
const watch = (handle: QueueHandle, reader: Reader): void => {
  const { items, used } = reader
  const isIdle = (): boolean => reader.items === items && reader.used === used
  const look = (): void => {
    if (isIdle()) letGo(handle, reader)
    else if (reader.used < reader.items.contents.length) watch(handle, reader)
    else reader.timer = undefined
  }
  reader.timer = setTimeout(() => {
    // a turn later: where others had the processor meanwhile, its consumer goes on now
    reader.timer = setTimeout(look)
    reader.timer.unref()
  }, idleMillis)
  reader.timer.unref()
}

const howMany = (handle: QueueHandle, { arrived, items: { contents } }: Reader, chunk: number): number => {
  // in the owner's process they are at hand anyway
  if (contents.length === 0 || linkOf(handle.home).slot() === ownSlot) return chunk
  const fitting = Math.floor(contents.length * aheadMillis / (performance.now() - arrived))
  return Math.max(chunk, Math.min(mostAhead, 2 * contents.length, fitting))
}

type Chunk = ReadonlyArray<unknown>

/** Of those at hand: there is one. */
const next = (handle: QueueHandle, reader: Reader, most: number): Exit.Exit<Chunk, ProcessError> => {
  const { items, receipt } = reader
  const values: Array<unknown> = []
  do {
    const exit = unpack(handle, receipt, items, reader.used++, asItIs)
    if (Exit.isSuccess(exit)) {
      values.push(exit.value)
    } else {
      const problem = Exit.failCause(exit.cause)
      if (values.length === 0) return problem
      reader.problem = problem
    }
  } while (values.length < most && reader.used < items.contents.length && reader.problem === undefined)
  return Exit.succeed(values)
}

const fetch = (handle: QueueHandle, reader: Reader, most: number): Taken<Chunk> =>
  handedTo(handle, "take", howMany(handle, reader, most), (items, receipt) => {
    if (items === undefined) {
      closeReceipt(receipt)
      return done
    }
    Object.assign(reader, { items, receipt, used: 0, arrived: performance.now() })
    const first = next(handle, reader, most)
    if (reader.used < items.contents.length && reader.timer === undefined) watch(handle, reader)
    return first
  })

const readNext = (handle: QueueHandle, reader: Reader, most: number): Taken<Chunk> =>
  Effect.withFiber((fiber): Taken<Chunk> => {
    const { problem } = reader
    if (problem !== undefined) {
      reader.problem = undefined
      return problem
    }
    if (reader.used === reader.items.contents.length) return fetch(handle, reader, most)
    // it could be interrupted there with the item in its hands
    return isAboutToYield(fiber)
      ? Effect.flatMap(Effect.yieldNow, () => readNext(handle, reader, most))
      : next(handle, reader, most)
  })

/**
 * All values, until the queue has ended.
 *
 * **Options**
 *
 * - `chunkSize`: so many values, of those that are there, are taken together (default 1). They are one chunk of the stream,
 *   and with many small values that is several times as fast.
 *
 * **Details**
 *
 * - It fetches a few ahead: as many as the consumer uses in about 2 milliseconds, and never more than 4096; but no more than
 *   its share while others wait. What it has not used returns to its place when it ends early or is interrupted, when its
 *   consumer takes longer than usual with one value, and when this process dies.
 * - Many consumers may read as streams: each value goes to one of them.
 *
 * **Gotchas**
 *
 * - A consumer that computes, so that its event loop stands still, keeps what it has fetched until it is through with that
 *   value. {@link take} fetches nothing ahead.
 * - With a `chunkSize` whole chunks are taken: what a stream that ends early, or is interrupted, or whose process dies, has not
 *   used of its last one does not return.
 * - Others read ahead of their consumer: what `Stream.merge` and `Stream.buffer` have in hand when they end early does not
 *   return either. `Effect.race` of {@link take} loses none.
 * - A `chunkSize` that is no whole number of 1 or more is a `RangeError` defect.
 *
 * @category taking
 * @since 0.1.0
 */
export const toStream = <A>(self: SharedQueue<A>, options?: {
  readonly chunkSize?: number | undefined
}): Stream.Stream<A, ProcessError> =>
  Stream.unwrap(Effect.suspend(() => {
    const size = checkedCount(options?.chunkSize ?? 1, 1, "SharedQueue.toStream: the chunkSize")
    const handle = handleOf(self)
    return Effect.map(
      Effect.acquireRelease(Effect.sync(newReader), (reader) => Effect.sync(() => letGo(handle, reader))),
      // what was offered, and one at least
      (reader) => Stream.fromPull(Effect.succeed(readNext(handle, reader, size) as Taken<readonly [A]>))
    )
  }))

// ---------------------------------------------------------------------------------------------------- joining

const doneTooOften = (): RangeError =>
  new RangeError(
    "SharedQueue.taskDone: it was called more often than values were taken. Call it once for each value, after its work."
  )

const lostError = (count: number): ProcessError =>
  new ProcessError({
    reason: new Closed({
      what,
      message: `SharedQueue.join: ${count} of the values were taken by processes that have ended before they said ` +
        "taskDone for them, and all others are done. Whoever does their work instead calls taskDone for each."
    })
  })

/**
 * Says that the work on one taken value is done, so that {@link join} knows.
 *
 * **Gotchas**
 *
 * Call it once for each value that was taken; once too often is a `RangeError` defect. Programs that do not join need not
 * call it.
 *
 * @category joining
 * @since 0.1.0
 */
export const taskDone = <A>(self: SharedQueue<A>): Effect.Effect<void, ProcessError> =>
  Effect.flatMap(
    ask<boolean>(askedOf(handleOf(self)), "done"),
    (wasOpen) => wasOpen ? Effect.void : Effect.die(doneTooOften())
  )

/**
 * Waits, interruptibly, until {@link taskDone} was called for all that was offered. Where nothing was offered, that is now.
 *
 * **Details**
 *
 * What a process had taken when it died is not done by anybody. When nothing else is left, `join` fails with `Closed`,
 * until somebody has called {@link taskDone} for those, too.
 *
 * **Gotchas**
 *
 * Whoever takes a value and leaves it to another process to call {@link taskDone} for it lives until that has happened.
 *
 * @category joining
 * @since 0.1.0
 */
export const join = <A>(self: SharedQueue<A>): Effect.Effect<void, ProcessError> =>
  Effect.flatMap(
    ask<number>(askedOf(handleOf(self)), "join"),
    (lost) => lost === 0 ? Effect.void : Effect.fail(lostError(lost))
  )
