/**
 * Connections between programs: by address, with mutual proof of a shared key.
 *
 * A `Pipe` connects processes of one tree. A listener is for programs that were started apart: one makes it, others connect.
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Connection, Listener } from "effect-multiprocessing"
 *
 * const address = { path: "/tmp/greetings.sock" }
 *
 * // in one program
 * const greet = Effect.scoped(Effect.gen(function*() {
 *   const listener = yield* Listener.make({ address, authKey: "both know it" })
 *   const end = yield* Listener.accept<string>(listener)
 *   yield* Connection.send(end, `hello, ${yield* Connection.receive(end)}`)
 * }))
 *
 * // in another
 * const visit = Effect.scoped(Effect.gen(function*() {
 *   const end = yield* Listener.connect<string>(address, { authKey: "both know it" })
 *   yield* Connection.send(end, "world")
 *   return yield* Connection.receive(end)
 * }))
 * ```
 *
 * **Laws**
 *
 * - Nothing that a peer says is decoded before it has proven the key, and nothing is sent to it: both sides prove it to each
 *   other, with fresh numbers, and without saying it.
 * - A client that is slow, that says nothing, that says nonsense or has another key delays nobody. It is turned away; `accept`
 *   goes on waiting, and the *client* learns why.
 * - What comes out is an ordinary `Connection`, with the same laws, but for one: it stays where it was made.
 * - It ends with the scope that accepted it, or connected: the other side sees `Cause.Done`, after all that was sent before;
 *   here whoever waits fails with `Closed`.
 * - A process that dies is the end of its connections, as if it had closed them.
 *
 * **What it costs**
 *
 * A connection takes three messages before its first one. After that it is as fast as a pipe between two processes.
 *
 * **Choosing**
 *
 * | the other side                              | use                                                                   |
 * | ------------------------------------------- | --------------------------------------------------------------------- |
 * | a child, a grandchild, a sibling            | `Pipe`: no address, no key                                            |
 * | another program on this machine             | a listener with a path: handles (shared values, ends of pipes) cross too |
 * | another machine, over a network you trust   | a listener with host and port. **Nothing is encrypted**               |
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { hasProperty } from "effect/Predicate"
import type * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type { Connection } from "./Connection.ts"
import { notShareable } from "./internal/codec/values.ts"
import { connectionOf } from "./internal/handles/connection.ts"
import { lineOn } from "./internal/line/direct.ts"
import type { Side } from "./internal/line/end.ts"
import { isFar, show } from "./internal/listener/address.ts"
import type { Reached } from "./internal/listener/dial.ts"
import type { Guest, Hall } from "./internal/listener/hall.ts"
import { checkedAddress, checkedDeadline, checkedTerms } from "./internal/listener/options.ts"
import { listen } from "./internal/listener/listen.ts"
import { reach } from "./internal/listener/reach.ts"
import type { Wish } from "./internal/listener/reach.ts"
import { inOneGo } from "./internal/sync/asking.ts"
import { Closed, ProcessError } from "./ProcessError.ts"

const TypeId = "~effect-multiprocessing/Listener" as const

/**
 * Where a listener is found: at a port, or at a path on this machine. A path that begins with a NUL character is a name in
 * Linux's abstract namespace, of which no file is left.
 *
 * @category models
 * @since 0.1.0
 */
export type Address = { readonly host: string; readonly port: number } | { readonly path: string }

/**
 * A place where other programs connect.
 *
 * @category models
 * @since 0.1.0
 */
export interface Listener {
  /** The real one: with the port that the system has chosen, or the path of the private socket. */
  readonly address: Address
  readonly [TypeId]: typeof TypeId
}

/**
 * Is this value a {@link Listener}?
 *
 * @category guards
 * @since 0.1.0
 */
export const isListener = (u: unknown): u is Listener => hasProperty(u, TypeId)

const internals = Symbol.for("effect-multiprocessing/Listener/internals")

interface Internals {
  readonly hall: Hall
  readonly limit: number
}

/** Every Listener is made by {@link make}. */
const internalsOf = (self: Listener): Internals => (self as unknown as { readonly [internals]: Internals })[internals]

const refusal = {
  handle: "Listener",
  advice: "It stays in the process that made it: send its address, and connect from there."
}

const listenerOf = (own: Internals): Listener =>
  // what is not enumerable is not printed, and not sent
  Object.defineProperties({ address: own.hall.address, [TypeId]: TypeId }, {
    [internals]: { value: own },
    [notShareable]: { value: refusal }
  }) as Listener

// ---------------------------------------------------------------------------------------------------- making

interface MakeOptions {
  readonly address?: Address | undefined
  readonly authKey: Uint8Array | string
  readonly handshakeTimeout?: Duration.Input | undefined
  readonly maxMessageBytes?: number | undefined
}

/**
 * Listens, until its scope ends.
 *
 * **Options**
 *
 * - `authKey`: what clients have to know. It is never sent. A key that people can remember can be guessed by whoever has
 *   watched, or talked to, one of the two: 32 random bytes are good.
 * - `address`: `{ path }` or `{ host, port }`; port 0 lets the system choose. Without it a private socket is made, in a
 *   folder that only this user can enter and that is removed with the scope. `listener.address` tells the real one.
 * - `handshakeTimeout`: how long a client may take to prove the key (default 10 seconds).
 * - `maxMessageBytes`: the largest message that is received or sent (default 2 GiB - 1). The other side is told, so that
 *   its `send` fails with `MessageTooLarge` and nothing is sent; one that sends it nevertheless is not read any further.
 *
 * **Details**
 *
 * - Handshakes begin when clients come, not when somebody accepts. 256 may be under way: one more turns away the one that
 *   has taken longest. 128 clients that have proven the key may wait to be accepted: one more is told to come again.
 *   {@link connect} tries again by itself in both cases. Who is turned away is logged at debug level.
 * - A socket file that a dead process has left at `path` is taken over. A file that is no socket is never touched.
 * - It fails with `StartFailed` where it cannot listen: the address is in use, the folder is not there.
 * - When its scope ends, whoever waits in {@link accept} fails with `Closed`, who was not accepted yet sees the end, and the
 *   socket file is gone. Connections that were accepted go on: they have scopes of their own.
 *
 * **Gotchas**
 *
 * - An empty `authKey` is a defect, as is every other option that cannot be.
 * - With a `path`, the rights of its folder decide which users may try to connect.
 * - A process that is killed leaves its socket file. The next that listens at that `path` takes it over; the folder of a
 *   private socket is removed by the next process of the same user that makes one.
 *
 * **Example** (A port that the system chooses)
 *
 * ```ts run
 * import { Console, Effect } from "effect"
 * import { Connection, Listener } from "effect-multiprocessing"
 *
 * const program = Effect.scoped(Effect.gen(function*() {
 *   const authKey = crypto.getRandomValues(new Uint8Array(32))
 *   const listener = yield* Listener.make({ address: { host: "127.0.0.1", port: 0 }, authKey })
 *   const client = yield* Listener.connect<string>(listener.address, { authKey })
 *   const server = yield* Listener.accept<string>(listener)
 *   yield* Connection.send(client, "hello")
 *   yield* Console.log(yield* Connection.receive(server))
 * }))
 *
 * await Effect.runPromise(program)
 * // => hello
 * ```
 *
 * @see {@link accept} for whoever comes
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: MakeOptions): Effect.Effect<Listener, ProcessError, Scope.Scope> =>
  Effect.suspend(() => {
    const terms = checkedTerms(options, "Listener.make")
    const address = options.address === undefined
      ? undefined
      : checkedAddress(options.address, 0, "Listener.make")
    return Effect.map(listen(address, terms, "Listener.make"), (hall) => listenerOf({ hall, limit: terms.limit }))
  })

// ---------------------------------------------------------------------------------------------------- connections

interface Meeting {
  readonly side: Side
  readonly address: Address
  /** The largest message that either side takes. */
  readonly limit: number
}

/** From here on it is closed with the scope. */
const join = <A, B>(
  { peerLimit, socket }: Guest | Reached,
  { address, limit, side }: Meeting,
  schema: unknown,
  scope: Scope.Scope
): Effect.Effect<Connection<A, B>> =>
  Effect.uninterruptible(Effect.suspend(() => {
    const terms = { side, sends: Math.min(limit, peerLimit), receives: limit, isFar: isFar(address) }
    const { line, release } = lineOn(socket, terms)
    const connection = connectionOf(line, { send: schema, receive: schema })
    // its types are what the schema says, or what the caller knows
    return Effect.as(Scope.addFinalizer(scope, Effect.sync(release)), connection as unknown as Connection<A, B>)
  }))

const closed = (address: Address): ProcessError =>
  new ProcessError({
    reason: new Closed({
      what: "Listener",
      message: `Listener: the scope that listened at ${show(address)} has ended. Accept while it is open.`
    })
  })

/** The next one is taken by the fiber itself, in the step that it goes on with: an interruption comes before or after. */
const acceptNext = <A, B>(self: Listener, schema: unknown, scope: Scope.Scope) => {
  const { hall, limit } = internalsOf(self)
  const meeting: Meeting = { side: 1, address: self.address, limit }
  const take = Effect.suspend((): Effect.Effect<Connection<A, B>, ProcessError> => {
    const guest = hall.take()
    if (guest !== undefined) return join(guest, meeting, schema, scope)
    return hall.isClosed() ? Effect.fail(closed(self.address)) : wait
  })
  const wait: Effect.Effect<Connection<A, B>, ProcessError> = Effect.callback((resume) => {
    const stop = hall.whenReady(() => resume(take))
    return Effect.sync(stop)
  })
  return inOneGo(take)
}

/**
 * The next client that has proven the key, as a {@link Connection}, until the scope ends. Waits for it, interruptibly.
 *
 * **Options**
 *
 * - `schema`: of what is sent and received. Without it messages arrive as structured clone leaves them, and what they are is
 *   the caller's word.
 *
 * **Details**
 *
 * - First come, first served. Several fibers may accept.
 * - A client that fails in its handshake is not seen here: Python's `accept` raises its `AuthenticationError`, so that one
 *   client with a wrong key ends a server that does not expect it.
 * - Interrupted, it leaves whoever has come to the next.
 * - It fails with `Closed` when the scope of the listener has ended.
 *
 * **Gotchas**
 *
 * A client that has left again may still be accepted: what it has sent before can be read, and then comes `Cause.Done`.
 *
 * **Example** (Eight clients at a time)
 *
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Connection, Listener } from "effect-multiprocessing"
 *
 * const serve = (listener: Listener.Listener) => {
 *   const one = Effect.scoped(Effect.gen(function*() {
 *     const end = yield* Listener.accept<string>(listener)
 *     const answers = Stream.map(Connection.toStream(end), (text) => text.toUpperCase())
 *     yield* Effect.ignore(Stream.run(answers, Connection.toSink(end)))
 *   }))
 *   return Effect.all(Array.from({ length: 8 }, () => Effect.forever(one)), { concurrency: "unbounded", discard: true })
 * }
 * ```
 *
 * @category connecting
 * @since 0.1.0
 */
export const accept = <A = unknown, B = A>(
  self: Listener,
  options?: { readonly schema?: Schema.Codec<A | B, any> | undefined }
): Effect.Effect<Connection<A, B>, ProcessError, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (scope) => acceptNext<A, B>(self, options?.schema, scope))

// ---------------------------------------------------------------------------------------------------- connecting

const task = "Listener.connect"

interface ConnectOptions<A, B> extends Omit<MakeOptions, "address"> {
  readonly schema?: Schema.Codec<A | B, any> | undefined
  readonly deadline?: Duration.Input | undefined
}

/**
 * Connects to a listener, until the scope ends.
 *
 * **Options**
 *
 * - `authKey`: the same as that of the listener.
 * - `schema`: of what is sent and received.
 * - `deadline`: how long it tries again while nobody listens there (default 10 seconds; 0 is one try). So a client may be
 *   started before its server.
 * - `handshakeTimeout`, `maxMessageBytes`: as for {@link make}.
 *
 * **Details**
 *
 * It fails with
 *
 * - `AuthenticationFailed` when the keys differ, or when no listener of this library is there: at once;
 * - `TimedOut` when nobody let it in until the deadline, or when a handshake took too long;
 * - `Closed` when the address cannot be reached at all: there is no such host, or this user may not.
 *
 * **Gotchas**
 *
 * That it is connected does not mean that somebody has called {@link accept}: what is sent waits for that.
 *
 * @see {@link make} for an example
 * @category connecting
 * @since 0.1.0
 */
export const connect = <A = unknown, B = A>(
  address: Address,
  options: ConnectOptions<A, B>
): Effect.Effect<Connection<A, B>, ProcessError, Scope.Scope> =>
  Effect.suspend(() => {
    const at = checkedAddress(address, 1, task)
    const terms = checkedTerms(options, task)
    const wish: Wish = { address: at, terms, deadlineMillis: checkedDeadline(options.deadline, task), what: task }
    const meeting: Meeting = { side: 0, address: at, limit: terms.limit }
    return reach(wish, (result) =>
      Effect.flatMap(Effect.scope, (scope) => join<A, B>(result, meeting, options.schema, scope)))
  })
