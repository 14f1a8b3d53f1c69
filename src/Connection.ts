/**
 * One end of a pipe, or of a connection that a `Listener` has accepted: sends messages to the other end and receives from it,
 * wherever that is.
 *
 * ```ts
 * import { Console, Effect } from "effect"
 * import { Connection, Pipe, Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const greeter = Task.make("greeter", {
 *   module: import.meta.url,
 *   handler: (end: Connection.Connection<string, never>) => Connection.send(end, "hello")
 * })
 *
 * const program = Effect.gen(function*() {
 *   const [receiver, sender] = yield* Pipe.simplex<string>()
 *   yield* Process.start(greeter, sender)
 *   yield* Console.log(yield* Connection.receive(receiver))
 * }).pipe(Effect.scoped, Effect.provide(StartMethod.layerSpawn))
 *
 * Process.runMain(program)
 * ```
 *
 * **Laws**
 *
 * - Messages arrive once, whole, and in the order in which they were sent. An empty message is a message.
 * - An end lives in one process. It may be sent to another, in a payload, a result or a message, at any depth: from then
 *   on it lives there, and the copy that stays behind fails with `Closed`. What was on its way goes with it. (A connection of
 *   a `Listener` stays where it was made.)
 * - The end of the other side is the end of the messages: after all that was sent before, {@link receive} fails with
 *   `Cause.Done`. That the other process has died counts as its end.
 * - Nobody waits for ever: when the scope that made the pipe has ended, every wait fails with `Closed`.
 * - A receive that is interrupted takes no message with it.
 *
 * **What it costs**
 *
 * Messages are *copied*. Bytes (`Uint8Array`) and strings are the fastest; everything else goes by structured clone. Two
 * processes talk over a socket of their own, also where neither has made the pipe; two ends in one process need none.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import type { Pipeable } from "effect/Pipeable"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { codecFailed, crossingError, encodingFailed } from "./internal/codec/payload.ts"
import { valueCodec } from "./internal/codec/schema.ts"
import { connectionOf, ConnectionTypeId, watched } from "./internal/handles/connection.ts"
import type { ConnectionHandle, Variance } from "./internal/handles/connection.ts"
import { inHousehold, installOpeners, restoreAll } from "./internal/handles/handle.ts"
import type { Border } from "./internal/handles/handle.ts"
import { openHandle } from "./internal/handles/openers.ts"
import * as Line from "./internal/line/line.ts"
import { decodeMessage, encodeMessage, isPlain } from "./internal/line/message.ts"
import type { Message } from "./internal/line/message.ts"
import { isAboutToYield } from "./internal/sync/asking.ts"
import { checkedCount } from "./internal/sync/checks.ts"
import { closedError } from "./internal/sync/owned.ts"
import type { FrameTooLarge } from "./internal/protocol/frames.ts"
import { Closed, MessageTooLarge, ProcessError } from "./ProcessError.ts"

// messages may hold handles
installOpeners(openHandle)

/**
 * An end that sends `Send` and receives `Receive`. It may sit anywhere inside a payload, a result or a message, and moves
 * with it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Connection<in Send, out Receive = Send> extends Pipeable {
  readonly [ConnectionTypeId]: Variance<Send, Receive>
}

type AnyConnection = Connection<never, unknown>
type AnySchema = Schema.Codec<unknown, unknown>

/**
 * Is this value a {@link Connection}?
 *
 * @category guards
 * @since 0.1.0
 */
export const isConnection = (u: unknown): u is Connection<unknown, unknown> => hasProperty(u, ConnectionTypeId)

/** Every Connection is made by `Pipe.make` or by the codec. */
const handleOf = (self: AnyConnection): ConnectionHandle => self as unknown as ConnectionHandle

/** It is what `Pipe.make` and {@link schema} were given. */
const schemaOf = (given: unknown): AnySchema | undefined => given as AnySchema | undefined

/** The same end, with schemas. */
const withSchemas = <S, R>(self: AnyConnection, send: unknown, receive: unknown): Connection<S, R> => {
  const { line } = handleOf(self)
  const handle = connectionOf(line, { send, receive })
  return (line.faces > 0 ? watched(handle) : handle) as unknown as Connection<S, R> // as the schemas say
}

const anyConnection = Schema.declare(isConnection, { identifier: "Connection", expected: "a Connection" })

/**
 * For payload schemas: `Schema.Struct({ end: Connection.schema(Order), ... })`.
 *
 * **Details**
 *
 * The schemas of a pipe do not cross with its ends. What is given here is what the end uses where it arrives: `item` for
 * what it sends, `reply` for what it receives (the same, unless given). Without them messages arrive as structured clone
 * leaves them.
 *
 * @category schemas
 * @since 0.1.0
 */
export const schema = <A = unknown, B = A>(
  item?: Schema.Codec<A, any>,
  reply?: Schema.Codec<B, any>
): Schema.Codec<Connection<A, B>, Connection<A, B>> => {
  const connection = anyConnection as unknown as Schema.Codec<Connection<A, B>, Connection<A, B>> // as the schemas say
  if (item === undefined && reply === undefined) return connection
  return connection.pipe(Schema.decodeTo(
    connection,
    SchemaTransformation.transform({
      decode: (end: Connection<A, B>) => withSchemas<A, B>(end as unknown as AnyConnection, item, reply ?? item),
      encode: (end: Connection<A, B>) => end
    })
  ))
}

// ---------------------------------------------------------------------------------------------------- failures

const what = "Connection"

const messages: Readonly<Record<Exclude<Line.Why, "scope">, string>> = {
  closed: "This end was closed here: by Connection.close, or because the scope that it belongs to has ended.",
  moved: "This end of the pipe was sent away: it lives where it was sent to. Use it there, or send the other end.",
  ended: "The other end is closed, or its process has ended.",
  tooLarge:
    "It has ended: the other side announced a message that is too large. Raise maxMessageBytes, or send in parts.",
  direction: "This pipe has one direction, and this end is for the other. Pipe.make gives ends that send and receive."
}

const failure = (why: Line.Why): ProcessError =>
  why === "scope"
    ? closedError(what)
    : new ProcessError({ reason: new Closed({ what, message: `${what}: ${messages[why]}` }) })

/** Its reader learns how large it was. */
const refused = ({ limit, size }: FrameTooLarge): ProcessError =>
  new ProcessError({
    reason: new MessageTooLarge({
      size,
      limit,
      message: `${what}: a message of ${size} bytes was refused, which is more than the limit of ${limit} bytes, ` +
        "and the connection has ended. Send it in parts, or raise maxMessageBytes on this side."
    })
  })

// ---------------------------------------------------------------------------------------------------- sending

/** Throws a ProcessError. */
const encode = (
  { codecs, line }: ConnectionHandle,
  value: unknown,
  border: Border = Line.borderThrough(line)
): Message => {
  let encoded = value
  const sendSchema = schemaOf(codecs.send)
  if (sendSchema !== undefined) {
    const exit = valueCodec(sendSchema).encode(value, [])
    if (Exit.isFailure(exit)) throw codecFailed(what, "message", Cause.squash(exit.cause))
    encoded = exit.value
  }
  try {
    return encodeMessage(encoded, border, line.behind.limit)
  } catch (cause) {
    throw crossingError(what, "message", cause)
  }
}

type Sent = Effect.Effect<void, ProcessError>

const outcome = (why: Line.Why | undefined): Sent => why === undefined ? Effect.void : Effect.fail(failure(why))

const restore = ({ given }: Message): void => restoreAll(given ?? [])

/** Waits for room, and until the message is safe. */
const sendWaiting = (handle: ConnectionHandle, message: Message): Sent =>
  Effect.callback((resume) => {
    const stop = Line.sendLater(handle.line, handle, message, (why) => {
      if (why !== undefined) restore(message)
      resume(outcome(why))
    })
    return Effect.sync(() => {
      if (stop()) restore(message) // what did not leave is still here
    })
  })

const sendOne = (handle: ConnectionHandle, value: unknown): Sent =>
  Effect.suspend(() => {
    const why = Line.whyNotSend(handle.line)
    if (why !== undefined) return Effect.fail(failure(why))
    let message: Message
    try {
      message = encode(handle, value)
    } catch (error) {
      return encodingFailed(error)
    }
    const sent = Line.sendNow(handle.line, message)
    return sent === "safe" ? Effect.void : sent === "full" ? sendWaiting(handle, message) : handedOver(handle)
  })

const handedOver = ({ line }: ConnectionHandle): Sent =>
  Effect.callback((resume) => {
    const stop = Line.whenHanded(line, (why) => resume(outcome(why)))
    return Effect.sync(stop)
  })

/** Many at once: what there is room for is on its way together. */
const sendAll = (handle: ConnectionHandle, values: ReadonlyArray<unknown>, from = 0): Sent =>
  Effect.suspend(() => {
    const { line } = handle
    const why = Line.whyNotSend(line)
    if (why !== undefined) return Effect.fail(failure(why))
    const border = Line.borderThrough(line)
    for (let i = from; i < values.length; i++) {
      if (!Line.hasRoom(line)) {
        const rest = Effect.flatMap(sendOne(handle, values[i]), () => sendAll(handle, values, i + 1))
        return i === from ? rest : Effect.flatMap(handedOver(handle), () => rest)
      }
      try {
        Line.offerTo(line, encode(handle, values[i], border))
      } catch (error) {
        return Effect.flatMap(handedOver(handle), () => encodingFailed(error))
      }
    }
    return handedOver(handle)
  })

/**
 * Sends a message. Completes when the other side has room for it.
 *
 * **Details**
 *
 * - It does not wait until the message is read: so many may be unread as the pipe's `capacity` says, and about 1 MiB of
 *   them. Then `send` waits, interruptibly.
 * - What has been sent arrives, also when this process ends right after; but not when the process that made the pipe ends,
 *   for that is the end of the pipe.
 * - An end of another pipe in the message moves with it, and so does every other handle arrive working.
 * - Several fibers may send through one end: first come, first served.
 *
 * **Gotchas**
 *
 * - The value is *copied*, when `send` is called.
 * - It fails with `Closed` when the end was closed or sent away, when it is not for sending, when the other end is closed
 *   or its process has died, and when the scope of the pipe has ended; with `CodecFailed` for what cannot cross; with
 *   `MessageTooLarge` above 2 GiB, or above the smaller `maxMessageBytes` of the two sides of a `Listener`. Nothing was sent
 *   then.
 * - Interrupted while it waits for room, it has not sent the message. Interrupted after that, it has, and does not say so.
 *
 * @category sending
 * @since 0.1.0
 */
export const send: {
  <S>(value: S): <R>(self: Connection<S, R>) => Effect.Effect<void, ProcessError>
  <S, R>(self: Connection<S, R>, value: S): Effect.Effect<void, ProcessError>
} = dual(2, (self: AnyConnection, value: unknown) => sendOne(handleOf(self), value))

// ---------------------------------------------------------------------------------------------------- receiving

type Received = Exit.Exit<unknown, ProcessError | Cause.Done>

/** Throws a ProcessError. */
const decode = ({ codecs, line }: ConnectionHandle, message: Message): unknown => {
  let value: unknown
  try {
    value = isPlain(message) ? decodeMessage(message) : inHousehold(line.home, () => decodeMessage(message))
  } catch (cause) {
    throw crossingError(what, "message", cause)
  }
  const receiveSchema = schemaOf(codecs.receive)
  if (receiveSchema === undefined) return value
  const decoded = valueCodec(receiveSchema).decode(value)
  if (Exit.isSuccess(decoded)) return decoded.value
  throw codecFailed(what, "message", Cause.squash(decoded.cause))
}

const done: Received = Exit.fail(Cause.Done())

/** What there is to be received now: one message or more, or the reason why none will come. */
type Attempt = (handle: ConnectionHandle) => Received | undefined

const nothing = ({ line }: ConnectionHandle): Received | undefined => {
  const why = Line.whyNotReceive(line)
  if (why === undefined || why === "ended") return why && done
  return Exit.fail(line.tooLarge !== undefined && why === "tooLarge" ? refused(line.tooLarge) : failure(why))
}

const decodingFailed = (error: unknown): Received => error instanceof ProcessError ? Exit.fail(error) : Exit.die(error)

const attempt: Attempt = (handle) => {
  const message = Line.receive(handle.line)
  if (message === undefined) return nothing(handle)
  try {
    return Exit.succeed(decode(handle, message))
  } catch (error) {
    return decodingFailed(error)
  }
}

/**
 * The same, with those behind it that are there, as a chunk. What cannot be decoded ends the chunk before it, and so does a
 * message with handles, which can be decoded but once.
 */
const attemptMany = (most: number): Attempt => (handle) => {
  const { line } = handle
  let message = Line.receive(line)
  if (message === undefined) return nothing(handle)
  const values: Array<unknown> = []
  try {
    values.push(decode(handle, message))
    while (values.length < most) {
      message = Line.nextMessage(line)
      if (message === undefined || !isPlain(message)) break
      values.push(decode(handle, message))
      Line.receive(line)
    }
  } catch (error) {
    if (values.length === 0) return decodingFailed(error)
  }
  return Exit.succeed(values)
}

type Receiving = Effect.Effect<unknown, ProcessError | Cause.Done>

/** The message is taken by the fiber itself, in the step that it goes on with: an interruption comes before or after. */
const receiveWaiting = (handle: ConnectionHandle, take: Attempt): Receiving =>
  Effect.callback((resume) => {
    const stop = Line.whenReady(handle.line, "receivers", () =>
      resume(Effect.suspend(() =>
        take(handle) ?? receiveWaiting(handle, take)
      )))
    return Effect.sync(stop)
  })

const receiving = (handle: ConnectionHandle, take: Attempt): Receiving =>
  Effect.withFiber((fiber): Receiving => {
    if (Line.isAwaited(handle.line)) return receiveWaiting(handle, take)
    // it could be interrupted there with the message in its hands
    if (isAboutToYield(fiber)) return Effect.flatMap(Effect.yieldNow, () => receiving(handle, take))
    return take(handle) ?? receiveWaiting(handle, take)
  })

/**
 * The next message. Waits for it, interruptibly.
 *
 * **Details**
 *
 * - It fails with `Cause.Done` (Python's `EOFError`) when the other end is closed or its process has died, after all that
 *   was sent before.
 * - It fails with `Closed` when this end was closed or sent away, or is not for receiving, and when the scope of the pipe
 *   has ended and nothing is left to read; with `MessageTooLarge` when the other side announced more than the
 *   `maxMessageBytes` of this side, after all that came before: the connection has ended then.
 * - Interrupted, alone or as the loser of a race, it leaves the message where it is.
 * - Several fibers may receive from one end: each message goes to one of them, first come, first served.
 *
 * **Example** (Until the end)
 *
 * ```ts
 * import { Console, Effect, Pull } from "effect"
 * import { Connection } from "effect-multiprocessing"
 *
 * const readAll = (end: Connection.Connection<never, string>) =>
 *   Connection.receive(end).pipe(
 *     Effect.flatMap(Console.log),
 *     Effect.forever,
 *     Pull.catchDone(() => Console.log("that was all"))
 *   )
 * ```
 *
 * @see {@link toStream} for all of them
 * @category receiving
 * @since 0.1.0
 */
export const receive = <S, R>(self: Connection<S, R>): Effect.Effect<R, ProcessError | Cause.Done> =>
  // as the other side sends
  receiving(handleOf(self as unknown as AnyConnection), attempt) as Effect.Effect<R, ProcessError | Cause.Done>

const looked = Effect.callback<void>((resume) => {
  const stop = Line.whenLooked(() => resume(Effect.void))
  return Effect.sync(stop)
})

const ready = (handle: ConnectionHandle): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const stop = Line.whenReady(handle.line, "watchers", () => resume(Effect.void))
    return Effect.sync(stop)
  })

/** Undefined where it is not known yet. */
const glance = ({ line }: ConnectionHandle): Exit.Exit<boolean, ProcessError> | undefined => {
  const why = Line.whyNotReceive(line)
  if (why === "ended" || why === "tooLarge") return Exit.succeed(false)
  if (why !== undefined) return Exit.fail(failure(why))
  return Line.hasMessage(line) ? Exit.succeed(true) : undefined
}

/**
 * Is a message there now, or within that time? It takes nothing.
 *
 * **Details**
 *
 * `false` also when no message will come because the other end is closed: {@link receive} says so.
 *
 * @category receiving
 * @since 0.1.0
 */
export const poll = <S, R>(self: Connection<S, R>, within?: Duration.Input): Effect.Effect<boolean, ProcessError> => {
  const handle = handleOf(self as unknown as AnyConnection)
  const now = Effect.suspend(() => glance(handle) ?? Effect.succeed(false))
  const wait = within === undefined
    ? looked
    : Effect.timeoutOrElse(ready(handle), { duration: within, orElse: () => Effect.void })
  return Effect.suspend(() => glance(handle) ?? Effect.flatMap(wait, () => now))
}

/**
 * All messages, until the other end is closed.
 *
 * **Options**
 *
 * - `chunkSize`: so many messages, of those that are there, are received together (default 1). They are one chunk of the
 *   stream, and with many small messages that is several times as fast.
 *
 * **Details**
 *
 * Without a `chunkSize` messages are received one by one, as the consumer asks for them: a stream that ends early
 * (`Stream.take`) leaves the rest to whoever receives next.
 *
 * **Gotchas**
 *
 * - With a `chunkSize` whole chunks are received: what a stream that ends early, or is interrupted, has not used of its last
 *   one is lost.
 * - Others read ahead of their consumer: `Stream.merge` and `Stream.buffer` have messages in hand that are lost when they end
 *   early. `Effect.race` of {@link receive} loses none.
 * - A `chunkSize` that is no whole number of 1 or more is a `RangeError` defect.
 *
 * @category receiving
 * @since 0.1.0
 */
export const toStream = <S, R>(self: Connection<S, R>, options?: {
  readonly chunkSize?: number | undefined
}): Stream.Stream<R, ProcessError> =>
  Stream.suspend(() => {
    const handle = handleOf(self as unknown as AnyConnection)
    const size = checkedCount(options?.chunkSize ?? 1, 1, "Connection.toStream: the chunkSize")
    // as the other side sends, and one at least
    const pull = receiving(handle, attemptMany(size)) as Effect.Effect<readonly [R], ProcessError | Cause.Done>
    return Stream.fromPull(Effect.succeed(pull))
  })

/**
 * Sends all elements of a stream, those of one chunk together. It does not close the end.
 *
 * @category sending
 * @since 0.1.0
 */
export const toSink = <S, R>(self: Connection<S, R>): Sink.Sink<void, S, never, ProcessError> =>
  Sink.forEachArray((values: ReadonlyArray<S>) => sendAll(handleOf(self as unknown as AnyConnection), values))

/**
 * Closes this end. What was sent before arrives, and then the other side sees the end.
 *
 * **Details**
 *
 * It does not have to be called: the scope of the pipe closes both ends, a process that ends closes those it has, and an
 * end that was sent to a process which has lost sight of it is closed when its garbage is collected. Whoever waits here to
 * receive or to send fails with `Closed`; what has come and was not received is lost.
 *
 * @category closing
 * @since 0.1.0
 */
export const close = <S, R>(self: Connection<S, R>): Effect.Effect<void> =>
  Effect.sync(() => Line.closeLine(handleOf(self as unknown as AnyConnection).line))
