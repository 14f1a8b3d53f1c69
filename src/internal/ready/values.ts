/**
 * Objects that hold values, as they are asked for and used: what they do in the server stands in `objects.ts`.
 */
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type { ProcessError } from "../../ProcessError.ts"
import type * as Task from "../../Task.ts"
import { checkedCount } from "../sync/checks.ts"
import { coded, codedSchema, encodeFirst } from "./coded.ts"
import type { CodedKind } from "./coded.ts"
import type { AnySchema } from "./coder.ts"
import { ask } from "./service.ts"
import type { Made, ObjectOptions } from "./service.ts"

/**
 * A value in a server. `update` runs a task there, and nobody else changes the value meanwhile.
 *
 * **Details**
 *
 * What a task takes, gives and fails with is what its schemas say. Where it has none it crosses by structured clone, in which the
 * classes of values and errors are lost.
 *
 * @category models
 * @since 0.1.0
 */
export interface HostedRef<A> {
  readonly get: () => Effect.Effect<A, ProcessError>
  readonly set: (value: A) => Effect.Effect<void, ProcessError>
  readonly getAndSet: (value: A) => Effect.Effect<A, ProcessError>
  /** Gives the value as it stands in the server now: what a schema has made of it. */
  readonly setAndGet: (value: A) => Effect.Effect<A, ProcessError>
  /** Gives what the task has made of the value. */
  readonly update: <E>(task: Task.Task<A, A, E>) => Effect.Effect<A, E | ProcessError>
  readonly updateWith: <P, E>(
    task: Task.Task<{ readonly value: A; readonly argument: P }, A, E>,
    argument: P
  ) => Effect.Effect<A, E | ProcessError>
  /** Gives what the value was before. Without a schema, a task that changes a value in place has changed that too. */
  readonly getAndUpdate: <E>(task: Task.Task<A, A, E>) => Effect.Effect<A, E | ProcessError>
}

/**
 * What can be a key of a {@link HostedMap} or a value of a {@link HostedSet}: an object is another one when it has crossed.
 *
 * @category models
 * @since 0.1.0
 */
export type Key = string | number | bigint | boolean | null | undefined

/** What is compared by identity is another one when it has crossed. */
type Comparable<K> = [K] extends [Key] ? unknown : { readonly "a key is a value that is compared by what it is": Key }

/**
 * A `Map` in a server. `get` gives a copy: to change a part of a value, `update` it with a task.
 *
 * @category models
 * @since 0.1.0
 */
export interface HostedMap<K, V> {
  readonly get: (key: K) => Effect.Effect<V | undefined, ProcessError>
  readonly has: (key: K) => Effect.Effect<boolean, ProcessError>
  readonly set: (key: K, value: V) => Effect.Effect<void, ProcessError>
  readonly setAll: (entries: ReadonlyArray<readonly [K, V]>) => Effect.Effect<void, ProcessError>
  readonly getOrSet: (key: K, value: V) => Effect.Effect<V, ProcessError>
  readonly remove: (key: K) => Effect.Effect<boolean, ProcessError>
  readonly size: () => Effect.Effect<number, ProcessError>
  readonly entries: () => Effect.Effect<ReadonlyArray<readonly [K, V]>, ProcessError>
  readonly clear: () => Effect.Effect<void, ProcessError>
  readonly update: <E>(key: K, task: Task.Task<V | undefined, V, E>) => Effect.Effect<V, E | ProcessError>
}

/**
 * An `Array` in a server. Negative places count from the end; where there is none, `undefined` is given.
 *
 * @category models
 * @since 0.1.0
 */
export interface HostedList<A> {
  readonly get: (index: number) => Effect.Effect<A | undefined, ProcessError>
  readonly set: (index: number, value: A) => Effect.Effect<boolean, ProcessError>
  readonly push: (value: A) => Effect.Effect<number, ProcessError>
  readonly pushAll: (values: ReadonlyArray<A>) => Effect.Effect<number, ProcessError>
  readonly pop: () => Effect.Effect<A | undefined, ProcessError>
  readonly shift: () => Effect.Effect<A | undefined, ProcessError>
  readonly insert: (index: number, value: A) => Effect.Effect<void, ProcessError>
  readonly remove: (index: number) => Effect.Effect<A | undefined, ProcessError>
  readonly length: () => Effect.Effect<number, ProcessError>
  readonly slice: (from: number, to: number) => Effect.Effect<ReadonlyArray<A>, ProcessError>
  readonly values: () => Effect.Effect<ReadonlyArray<A>, ProcessError>
  readonly clear: () => Effect.Effect<void, ProcessError>
  readonly update: <E>(index: number, task: Task.Task<A, A, E>) => Effect.Effect<A | undefined, E | ProcessError>
}

/**
 * A `Set` in a server. `add` and `remove` tell whether something has changed.
 *
 * @category models
 * @since 0.1.0
 */
export interface HostedSet<A> {
  readonly add: (value: A) => Effect.Effect<boolean, ProcessError>
  readonly has: (value: A) => Effect.Effect<boolean, ProcessError>
  readonly remove: (value: A) => Effect.Effect<boolean, ProcessError>
  readonly size: () => Effect.Effect<number, ProcessError>
  readonly values: () => Effect.Effect<ReadonlyArray<A>, ProcessError>
  readonly clear: () => Effect.Effect<void, ProcessError>
}

/**
 * A queue in a server. Each value goes to one taker, first come, first served.
 *
 * **Details**
 *
 * - A taker says that it has a value in the step in which it goes on with it. What was on its way to one that is interrupted
 *   (`Effect.timeout` around `take`) or dies returns to its place, and goes to the next. A process that is killed, or loses its
 *   connection, when it has the value and that is not known yet leaves it to the next as well, who may be the second to see it.
 * - `poll` gives the next value, if there is one, without waiting: an array of one, or an empty one.
 * - An `offer` that is interrupted while it waits for room adds nothing. One that is interrupted while its answer is on its way
 *   has added its value, once.
 * - `size` is how many are there. Those that are on their way are not among them, and need no room: with one that comes back
 *   there may be more than the `capacity`.
 *
 * @category models
 * @since 0.1.0
 */
export interface HostedQueue<A> {
  readonly offer: (value: A) => Effect.Effect<void, ProcessError>
  readonly take: () => Effect.Effect<A, ProcessError>
  readonly poll: () => Effect.Effect<ReadonlyArray<A>, ProcessError>
  readonly size: () => Effect.Effect<number, ProcessError>
}

/** The types of the values are erased: their schemas say what they are. */
const erased = (schema: Schema.Top | undefined) => schema as AnySchema | undefined

const askCoded = <A>(
  kind: CodedKind,
  initial: unknown,
  options: ObjectOptions | undefined,
  schemas: { readonly key?: Schema.Top | undefined; readonly value?: Schema.Top | undefined }
): Made<A> => {
  const erasedSchemas = { key: erased(schemas.key), value: erased(schemas.value) }
  return Effect.flatMap(
    encodeFirst(kind, initial, erasedSchemas),
    (encoded) => Effect.map(ask<object>(kind, encoded, options), (proxy) => coded(kind, proxy, erasedSchemas) as A) // as above
  )
}

/**
 * Options of ready-made objects that hold values.
 *
 * **Details**
 *
 * With a `schema`, values are encoded when they are sent and decoded when they arrive, so that classes arrive as classes. The
 * server keeps what is encoded; a task of an `update` needs schemas of its own, for its payload and its success. Without
 * one, values are what structured clone leaves of them.
 *
 * **Gotchas**
 *
 * - A schema does not cross with a proxy: the payload schema of the other side says it again, see {@link refSchema}.
 * - In a map or a list `undefined` says that nothing is there: a value that its schema encodes to `undefined` is refused
 *   (`CodecFailed`).
 *
 * @category models
 * @since 0.1.0
 */
export interface ValueOptions<A> extends ObjectOptions {
  readonly schema?: Schema.Codec<A, unknown> | undefined
}

/**
 * A value in the server of the objects, until the scope ends.
 *
 * **Example** (Of a class)
 *
 * ```ts run
 * import { Console, Effect, Schema } from "effect"
 * import { Manager, Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * class Money extends Schema.Class<Money>("Money")({ cents: Schema.Int }) {
 *   override toString() {
 *     return `${(this.cents / 100).toFixed(2)} EUR`
 *   }
 * }
 *
 * const double = Task.sync("double", {
 *   module: import.meta.url,
 *   payload: Money,
 *   success: Money,
 *   handler: ({ cents }: Money) => new Money({ cents: cents * 2 })
 * })
 *
 * const program = Effect.gen(function*() {
 *   const price = yield* Manager.ref(new Money({ cents: 250 }), { schema: Money })
 *   yield* Console.log(String(yield* price.update(double)))
 * }).pipe(Effect.scoped, Effect.provide(Manager.layerObjects()), Effect.provide(StartMethod.layerThreads))
 *
 * Process.runMain(program)
 * // => 5.00 EUR
 * ```
 *
 * @category ready-made
 * @since 0.1.0
 */
export const ref = <A>(initial: A, options?: ValueOptions<A>): Made<HostedRef<A>> =>
  askCoded("ref", initial, options, { value: options?.schema })

/**
 * Options of a {@link map} whose keys have a schema: they may be whatever it encodes to a {@link Key}.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeyedOptions<K, V> extends ObjectOptions {
  readonly key: Schema.Codec<K, Key>
  readonly value?: Schema.Codec<V, unknown> | undefined
}

/**
 * A map in the server of the objects, until the scope ends.
 *
 * **Options**
 *
 * `key` and `value`: schemas, as for {@link ValueOptions}. Keys are found by what they are encoded to.
 *
 * **Gotchas**
 *
 * A key that is compared by identity (a `Date`, an object) would never be found again: the types refuse it, unless it has a
 * schema that encodes it to a {@link Key}.
 *
 * @category ready-made
 * @since 0.1.0
 */
export const map: {
  <K, V>(initial: Iterable<readonly [K, V]> | undefined, options: KeyedOptions<K, V>): Made<HostedMap<K, V>>
  <K extends Key, V>(
    initial?: undefined,
    options?: ObjectOptions & { readonly value?: Schema.Codec<V, unknown> | undefined }
  ): Made<HostedMap<K, V>>
  <K, V>(
    initial: Iterable<readonly [K, V]> & Comparable<K>,
    options?: ObjectOptions & { readonly value?: Schema.Codec<V, unknown> | undefined }
  ): Made<HostedMap<K, V>>
} = <K, V>(
  initial?: Iterable<readonly [K, V]>,
  options?: Partial<KeyedOptions<K, V>>
): Made<HostedMap<K, V>> => askCoded("map", Array.from(initial ?? []), options, options ?? {})

/**
 * A list in the server of the objects, until the scope ends.
 *
 * @category ready-made
 * @since 0.1.0
 */
export const list = <A>(initial?: Iterable<A>, options?: ValueOptions<A>): Made<HostedList<A>> =>
  askCoded("list", Array.from(initial ?? []), options, { value: options?.schema })

/**
 * A set in the server of the objects, until the scope ends.
 *
 * **Gotchas**
 *
 * As for the keys of a {@link map}: what is compared by identity needs a schema that encodes it to a {@link Key}.
 *
 * @category ready-made
 * @since 0.1.0
 */
export const set: {
  <A>(
    initial: Iterable<A> | undefined,
    options: ObjectOptions & { readonly schema: Schema.Codec<A, Key> }
  ): Made<HostedSet<A>>
  <A extends Key>(initial?: undefined, options?: ObjectOptions): Made<HostedSet<A>>
  <A>(initial: Iterable<A> & Comparable<A>, options?: ObjectOptions): Made<HostedSet<A>>
} = <A>(initial?: Iterable<A>, options?: ValueOptions<A>): Made<HostedSet<A>> =>
  askCoded("set", Array.from(initial ?? []), options, { value: options?.schema })

const checkedCapacity = (capacity = Infinity): number =>
  capacity === Infinity ? capacity : checkedCount(capacity, 1, "Manager.queue: the capacity")

/**
 * A queue in the server of the objects, until the scope ends. With a `capacity`, who offers waits for room.
 *
 * @category ready-made
 * @since 0.1.0
 */
export const queue = <A>(
  options?: ValueOptions<A> & { readonly capacity?: number | undefined }
): Made<HostedQueue<A>> =>
  Effect.suspend(() => askCoded("queue", checkedCapacity(options?.capacity), options, { value: options?.schema }))

/**
 * For payload schemas: a {@link HostedRef} whose values have this schema. {@link mapSchema}, {@link listSchema},
 * {@link setSchema} and {@link queueSchema} are the same for the others.
 *
 * **Details**
 *
 * The schema of a proxy does not cross with it. What is given here is what the proxy uses where it arrives.
 *
 * @category schemas
 * @since 0.1.0
 */
export const refSchema = <A>(value: Schema.Codec<A, unknown>): Schema.Codec<HostedRef<A>> =>
  codedSchema("ref", { value }) as unknown as Schema.Codec<HostedRef<A>> // as the schemas say, here and below

/**
 * As {@link refSchema}, for a map.
 *
 * @category schemas
 * @since 0.1.0
 */
export const mapSchema = <K, V = unknown>(
  key: Schema.Codec<K, Key>,
  value?: Schema.Codec<V, unknown>
): Schema.Codec<HostedMap<K, V>> =>
  codedSchema("map", { key: erased(key), value }) as unknown as Schema.Codec<HostedMap<K, V>>

/**
 * As {@link refSchema}, for a list.
 *
 * @category schemas
 * @since 0.1.0
 */
export const listSchema = <A>(value: Schema.Codec<A, unknown>): Schema.Codec<HostedList<A>> =>
  codedSchema("list", { value }) as unknown as Schema.Codec<HostedList<A>>

/**
 * As {@link refSchema}, for a set.
 *
 * @category schemas
 * @since 0.1.0
 */
export const setSchema = <A>(value: Schema.Codec<A, Key>): Schema.Codec<HostedSet<A>> =>
  codedSchema("set", { value: erased(value) }) as unknown as Schema.Codec<HostedSet<A>>

/**
 * As {@link refSchema}, for a queue.
 *
 * @category schemas
 * @since 0.1.0
 */
export const queueSchema = <A>(value: Schema.Codec<A, unknown>): Schema.Codec<HostedQueue<A>> =>
  codedSchema("queue", { value }) as unknown as Schema.Codec<HostedQueue<A>>
