/**
 * A number in shared memory, with the verbs of `Ref`. Every verb is atomic across threads and processes.
 *
 * ```ts
 * import { Effect } from "effect"
 * import { SharedValue } from "effect-multiprocessing"
 *
 * const program = Effect.scoped(Effect.gen(function*() {
 *   const hits = yield* SharedValue.make("int32")
 *   // it may be sent to other threads and processes, which then change the same bytes
 *   yield* SharedValue.update(hits, (n) => n + 1)
 *   return yield* SharedValue.get(hits)
 * }))
 * ```
 *
 * **Laws**
 *
 * - A verb is one step: nobody sees half of it, and no change is lost, whoever else changes the value.
 * - A value wraps around and loses digits as an element of the typed array of its kind does.
 * - The scope that made it owns it. When that has ended, reads and writes stay safe for whoever still has it; it can no
 *   longer be sent, and its lock is closed.
 *
 * **What is shared**: the bytes. Nothing is copied but the number that is read or written. On machines without the native
 * part a value reaches threads only (`SharedMemory.reach`), and is refused at the border to a process with `NotShareable`.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as Layer from "effect/Layer"
import type { Pipeable } from "effect/Pipeable"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { makeValue, ValueTypeId } from "./internal/handles/value.ts"
import type { ValueHandle } from "./internal/handles/value.ts"
import { modified } from "./internal/memory/kinds.ts"
import type { Kind as KindOfNumber, Of as NumberOf } from "./internal/memory/kinds.ts"
import { checkedKind, checkedNumber } from "./internal/sync/checks.ts"
import { effectLast, hold, recovering } from "./internal/sync/locking.ts"
import type { Locked } from "./internal/sync/locking.ts"
import { owned } from "./internal/sync/owned.ts"
import { layered } from "./internal/sync/service.ts"
import type { ProcessError } from "./ProcessError.ts"
import type { LockAbandoned } from "./SharedLock.ts"

/**
 * What a value may be: the element types of the typed arrays.
 *
 * @category models
 * @since 0.1.0
 */
export type Kind = KindOfNumber

/**
 * The JavaScript type of a kind: `bigint` for the two of 64 bits, `number` for the others.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Of<K extends Kind> = NumberOf<K>

/**
 * A number of this kind, in shared memory.
 *
 * @category models
 * @since 0.1.0
 */
export interface SharedValue<in out K extends Kind> extends Pipeable {
  readonly [ValueTypeId]: (_: K) => K
  readonly kind: K
}

/**
 * Is this value a {@link SharedValue}?
 *
 * @category guards
 * @since 0.1.0
 */
export const isSharedValue = (u: unknown): u is SharedValue<Kind> => hasProperty(u, ValueTypeId)

const of = <K extends Kind>(self: SharedValue<K>): ValueHandle<K> => self as unknown as ValueHandle<K> // made here, or by the codec

/**
 * For payload schemas: `Schema.Struct({ hits: SharedValue.schema("int32"), ... })`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const schema = <K extends Kind>(kind: K): Schema.Codec<SharedValue<K>, SharedValue<K>> =>
  Schema.declare((u): u is SharedValue<K> => isSharedValue(u) && u.kind === kind, {
    identifier: `SharedValue(${checkedKind(kind, "SharedValue.schema")})`,
    expected: `a SharedValue of ${kind}`
  })

/**
 * A new value, which belongs to this scope. Without `initial` it is zero.
 *
 * **Gotchas**
 *
 * A kind that does not exist is a `RangeError` defect, and an `initial` of the other JavaScript type (a number for
 * `"int64"`) a `TypeError` defect. Numbers out of range wrap, as in a typed array.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <K extends Kind>(
  kind: K,
  initial?: Of<K>
): Effect.Effect<SharedValue<K>, ProcessError, Scope.Scope> =>
  Effect.suspend(() => {
    checkedKind(kind, "SharedValue.make")
    if (initial !== undefined) checkedNumber(kind, initial, "SharedValue.make")
    return owned("SharedValue.make", () => {
      const { handle, release } = makeValue(kind, initial)
      return { handle: handle as unknown as SharedValue<K>, release }
    })
  })

/**
 * The value, at this moment.
 *
 * @category getters
 * @since 0.1.0
 */
export const get = <K extends Kind>(self: SharedValue<K>): Effect.Effect<Of<K>> =>
  Effect.sync(() => of(self).numbers.load(0))

type KindOf<V extends number | bigint> = V extends bigint ? "int64" | "uint64" : Exclude<Kind, "int64" | "uint64">

/**
 * Puts another number in its place.
 *
 * @category combinators
 * @since 0.1.0
 */
export const set: {
  <V extends number | bigint>(value: V): <K extends KindOf<V>>(self: SharedValue<K>) => Effect.Effect<void>
  <K extends Kind>(self: SharedValue<K>, value: Of<K>): Effect.Effect<void>
} = dual(
  2,
  <K extends Kind>(self: SharedValue<K>, value: Of<K>): Effect.Effect<void> =>
    Effect.sync(() => {
      checkedNumber(self.kind, value, "SharedValue.set")
      of(self).numbers.store(0, value)
    })
)

/**
 * Changes it by a function, atomically.
 *
 * **Gotchas**
 *
 * The function runs again when another process was faster, so it must not do anything but compute.
 *
 * @category combinators
 * @since 0.1.0
 */
export const update: {
  <V extends number | bigint>(f: (value: V) => V): <K extends KindOf<V>>(self: SharedValue<K>) => Effect.Effect<void>
  <K extends Kind>(self: SharedValue<K>, f: (value: Of<K>) => Of<K>): Effect.Effect<void>
} = dual(
  2,
  <K extends Kind>(self: SharedValue<K>, f: (value: Of<K>) => Of<K>): Effect.Effect<void> =>
    Effect.sync(() => void of(self).numbers.change(0, f))
)

/**
 * Like {@link update}; gives what is stored then, which may have wrapped.
 *
 * @category combinators
 * @since 0.1.0
 */
export const updateAndGet: {
  <V extends number | bigint>(f: (value: V) => V): <K extends KindOf<V>>(self: SharedValue<K>) => Effect.Effect<Of<K>>
  <K extends Kind>(self: SharedValue<K>, f: (value: Of<K>) => Of<K>): Effect.Effect<Of<K>>
} = dual(
  2,
  <K extends Kind>(self: SharedValue<K>, f: (value: Of<K>) => Of<K>): Effect.Effect<Of<K>> =>
    Effect.sync(() => {
      const { numbers } = of(self)
      let after!: Of<K>
      numbers.change(0, (value) => after = f(value))
      return numbers.stored(after)
    })
)

/**
 * Like {@link update}; gives what was there before.
 *
 * @category combinators
 * @since 0.1.0
 */
export const getAndUpdate: {
  <V extends number | bigint>(f: (value: V) => V): <K extends KindOf<V>>(self: SharedValue<K>) => Effect.Effect<Of<K>>
  <K extends Kind>(self: SharedValue<K>, f: (value: Of<K>) => Of<K>): Effect.Effect<Of<K>>
} = dual(
  2,
  <K extends Kind>(self: SharedValue<K>, f: (value: Of<K>) => Of<K>): Effect.Effect<Of<K>> =>
    Effect.sync(() => of(self).numbers.change(0, f))
)

/**
 * Puts another number in its place, and gives the one that was there.
 *
 * @category combinators
 * @since 0.1.0
 */
export const getAndSet: {
  <V extends number | bigint>(value: V): <K extends KindOf<V>>(self: SharedValue<K>) => Effect.Effect<Of<K>>
  <K extends Kind>(self: SharedValue<K>, value: Of<K>): Effect.Effect<Of<K>>
} = dual(
  2,
  <K extends Kind>(self: SharedValue<K>, value: Of<K>): Effect.Effect<Of<K>> =>
    Effect.sync(() => {
      checkedNumber(self.kind, value, "SharedValue.getAndSet")
      return of(self).numbers.exchange(0, value)
    })
)

/**
 * Changes it by a function that also says what the effect gives.
 *
 * **Gotchas**
 *
 * The function runs again when another process was faster, so it must not do anything but compute.
 *
 * @category combinators
 * @since 0.1.0
 */
export const modify: {
  <V extends number | bigint, B>(
    f: (value: V) => readonly [B, V]
  ): <K extends KindOf<V>>(self: SharedValue<K>) => Effect.Effect<B>
  <K extends Kind, B>(self: SharedValue<K>, f: (value: Of<K>) => readonly [B, Of<K>]): Effect.Effect<B>
} = dual(
  2,
  <K extends Kind, B>(self: SharedValue<K>, f: (value: Of<K>) => readonly [B, Of<K>]): Effect.Effect<B> =>
    Effect.sync(() => modified(of(self).numbers, 0, f))
)

const lockedOf = (self: SharedValue<Kind>): Locked => ({ name: "SharedValue", lock: of(self).lock, reentrant: true })

/**
 * Runs an effect under the value's own lock (Python's `get_lock`; reentrant), for more than one step on it.
 *
 * **Gotchas**
 *
 * It excludes other `withLock` calls; the single verbs stay atomic, and are not held up by it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withLock: {
  <K extends Kind>(
    self: SharedValue<K>
  ): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | LockAbandoned | ProcessError, R>
  <K extends Kind, A, E, R>(
    self: SharedValue<K>,
    effect: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | LockAbandoned | ProcessError, R>
} = effectLast((self: SharedValue<Kind>, effect: Effect.Effect<never>) => hold(lockedOf(self), effect))

/**
 * Takes the value's own lock, abandoned or not, and runs the repair under it: see `SharedLock.recover`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const recover: {
  <K extends Kind>(
    self: SharedValue<K>
  ): <A, E, R>(repair: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ProcessError, R>
  <K extends Kind, A, E, R>(
    self: SharedValue<K>,
    repair: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | ProcessError, R>
} = effectLast((self: SharedValue<Kind>, repair: Effect.Effect<never>) => recovering(lockedOf(self), repair))

/**
 * A value as a service, for tasks and for the program that starts them.
 *
 * **Example** (A counter that a pool's tasks share)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Initializer, SharedValue, Task } from "effect-multiprocessing"
 *
 * class Hits extends SharedValue.Service<Hits>()("app/Hits", { kind: "int32" }) {}
 *
 * // in the workers: the cell that was sent to them
 * export const hitsLive = Initializer.make("hitsLive", {
 *   module: import.meta.url,
 *   layer: (cell: SharedValue.SharedValue<"int32">) => Layer.succeed(Hits, cell)
 * })
 * export const hit = Task.make("hit", {
 *   module: import.meta.url,
 *   handler: (by: number) => Effect.flatMap(Hits, (hits) => SharedValue.update(hits, (n) => n + by))
 * })
 *
 * // in the program: Effect.provide(Hits.layer(0)), and
 * // Pool.make({ initializer: hitsLive(yield* Hits) })
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Service = <Self>() =>
<const K extends Kind>(
  id: string,
  { kind }: { readonly kind: K }
): Context.ServiceClass<Self, string, SharedValue<K>> & {
  readonly layer: (initial?: Of<K>) => Layer.Layer<Self, ProcessError>
} => layered<Self, SharedValue<K>, [initial?: Of<K>]>(id, (initial) => make(kind, initial))
