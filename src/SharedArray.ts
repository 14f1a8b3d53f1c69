/**
 * Numbers of one kind, side by side in shared memory. Every verb is atomic across threads and processes, and
 * {@link view} gives the shared bytes themselves as a typed array.
 *
 * ```ts
 * import { Effect } from "effect"
 * import { SharedArray } from "effect-multiprocessing"
 *
 * const program = Effect.scoped(Effect.gen(function*() {
 *   const squares = yield* SharedArray.make("int32", [0, 1, 2, 3])
 *   // it may be sent to other threads and processes, which then change the same bytes
 *   yield* SharedArray.update(squares, 3, (n) => n * n)
 *   return yield* SharedArray.toArray(squares)
 * }))
 * ```
 *
 * **Laws**
 *
 * - A verb on one element is one step; the array as a whole is not: {@link toArray} reads one element after the other.
 * - Elements wrap around and lose digits as those of the typed array of their kind do.
 * - The scope that made it owns it. When that has ended, reads and writes stay safe for whoever still has it; it can no
 *   longer be sent, and its lock is closed.
 *
 * **What is shared**: the bytes. A `SharedArray` that is sent is never copied, however long it is. On machines without the
 * native part it reaches threads only (`SharedMemory.reach`), and is refused at the border to a process with `NotShareable`.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { Pipeable } from "effect/Pipeable"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { ArrayTypeId, makeArray } from "./internal/handles/array.ts"
import type { ArrayHandle } from "./internal/handles/array.ts"
import { modified } from "./internal/memory/kinds.ts"
import type { Views } from "./internal/memory/kinds.ts"
import { checkedCount, checkedIndex, checkedKind, checkedNumber } from "./internal/sync/checks.ts"
import { effectLast, hold, recovering } from "./internal/sync/locking.ts"
import type { Locked } from "./internal/sync/locking.ts"
import { owned } from "./internal/sync/owned.ts"
import { layered } from "./internal/sync/service.ts"
import type { ProcessError } from "./ProcessError.ts"
import type { LockAbandoned } from "./SharedLock.ts"
import type { Kind, Of } from "./SharedValue.ts"

/**
 * Numbers of this kind, in shared memory.
 *
 * @category models
 * @since 0.1.0
 */
export interface SharedArray<in out K extends Kind> extends Pipeable {
  readonly [ArrayTypeId]: (_: K) => K
  readonly kind: K
  readonly length: number
}

/**
 * The typed array of each kind, over shared bytes.
 *
 * @category type-level
 * @since 0.1.0
 */
export type View<K extends Kind> = Views[K]

/**
 * Is this value a {@link SharedArray}?
 *
 * @category guards
 * @since 0.1.0
 */
export const isSharedArray = (u: unknown): u is SharedArray<Kind> => hasProperty(u, ArrayTypeId)

const of = <K extends Kind>(self: SharedArray<K>): ArrayHandle<K> => self as unknown as ArrayHandle<K> // made here, or by the codec

/**
 * For payload schemas: `Schema.Struct({ pixels: SharedArray.schema("uint8"), ... })`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const schema = <K extends Kind>(kind: K): Schema.Codec<SharedArray<K>, SharedArray<K>> =>
  Schema.declare((u): u is SharedArray<K> => isSharedArray(u) && u.kind === kind, {
    identifier: `SharedArray(${checkedKind(kind, "SharedArray.schema")})`,
    expected: `a SharedArray of ${kind}`
  })

/**
 * A new array, which belongs to this scope: of so many zeros, or of these elements.
 *
 * **Gotchas**
 *
 * A kind that does not exist, and a length that is no whole number of 0 or more, are `RangeError` defects; elements of the
 * other JavaScript type (numbers for `"int64"`) are `TypeError` defects. More than the system gives is `SharedMemoryFailed`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <K extends Kind>(
  kind: K,
  lengthOrInitial: number | Iterable<Of<K>>
): Effect.Effect<SharedArray<K>, ProcessError, Scope.Scope> =>
  Effect.suspend(() => {
    checkedKind(kind, "SharedArray.make")
    const elements = typeof lengthOrInitial === "object" ? Array.from(lengthOrInitial) : undefined
    elements?.forEach((element) => checkedNumber(kind, element, "SharedArray.make"))
    const length = elements?.length ?? checkedCount(lengthOrInitial, 0, "SharedArray.make: the length")
    return owned("SharedArray.make", () => {
      const { handle, release } = makeArray(kind, length)
      elements?.forEach((element, index) => handle.numbers.store(index, element))
      return { handle: handle as unknown as SharedArray<K>, release }
    })
  })

const at = <K extends Kind>({ length }: SharedArray<K>, index: number, verb: string): number =>
  checkedIndex(index, length, `SharedArray.${verb}`)

/**
 * One element, at this moment. An index out of bounds is a `RangeError` defect, here as in the other verbs.
 *
 * @category getters
 * @since 0.1.0
 */
export const get = <K extends Kind>(self: SharedArray<K>, index: number): Effect.Effect<Of<K>> =>
  Effect.sync(() => of(self).numbers.load(at(self, index, "get")))

/**
 * Puts another number in the place of one element.
 *
 * @category combinators
 * @since 0.1.0
 */
export const set = <K extends Kind>(self: SharedArray<K>, index: number, value: Of<K>): Effect.Effect<void> =>
  Effect.sync(() => {
    checkedNumber(self.kind, value, "SharedArray.set")
    of(self).numbers.store(at(self, index, "set"), value)
  })

/**
 * Changes one element by a function, atomically.
 *
 * **Gotchas**
 *
 * The function runs again when another process was faster, so it must not do anything but compute.
 *
 * @category combinators
 * @since 0.1.0
 */
export const update = <K extends Kind>(
  self: SharedArray<K>,
  index: number,
  f: (value: Of<K>) => Of<K>
): Effect.Effect<void> => Effect.sync(() => void of(self).numbers.change(at(self, index, "update"), f))

/**
 * Changes one element by a function that also says what the effect gives.
 *
 * **Gotchas**
 *
 * The function runs again when another process was faster, so it must not do anything but compute.
 *
 * @category combinators
 * @since 0.1.0
 */
export const modify = <K extends Kind, B>(
  self: SharedArray<K>,
  index: number,
  f: (value: Of<K>) => readonly [B, Of<K>]
): Effect.Effect<B> => Effect.sync(() => modified(of(self).numbers, at(self, index, "modify"), f))

/**
 * All elements, each read atomically, one after the other: a copy.
 *
 * @category getters
 * @since 0.1.0
 */
export const toArray = <K extends Kind>(self: SharedArray<K>): Effect.Effect<Array<Of<K>>> =>
  Effect.sync(() => Array.from({ length: self.length }, (_, index) => of(self).numbers.load(index)))

/**
 * The shared bytes themselves, as a typed array: nothing is copied.
 *
 * **Gotchas**
 *
 * Plain reads and writes on it are not synchronised: of two processes that count with `view[0]++` one may be lost. Let each
 * write its own part, or use `Atomics`, the verbs, or {@link withLock}.
 *
 * @category getters
 * @since 0.1.0
 */
export const view = <K extends Kind>(self: SharedArray<K>): View<K> => of(self).numbers.view

const lockedOf = (self: SharedArray<Kind>): Locked => ({ name: "SharedArray", lock: of(self).lock, reentrant: true })

/**
 * Runs an effect under the array's own lock (Python's `get_lock`; reentrant), for more than one step on it.
 *
 * **Gotchas**
 *
 * It excludes other `withLock` calls; the single verbs and writes through {@link view} are not held up by it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withLock: {
  <K extends Kind>(
    self: SharedArray<K>
  ): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | LockAbandoned | ProcessError, R>
  <K extends Kind, A, E, R>(
    self: SharedArray<K>,
    effect: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | LockAbandoned | ProcessError, R>
} = effectLast((self: SharedArray<Kind>, effect: Effect.Effect<never>) => hold(lockedOf(self), effect))

/**
 * Takes the array's own lock, abandoned or not, and runs the repair under it: see `SharedLock.recover`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const recover: {
  <K extends Kind>(
    self: SharedArray<K>
  ): <A, E, R>(repair: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ProcessError, R>
  <K extends Kind, A, E, R>(
    self: SharedArray<K>,
    repair: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | ProcessError, R>
} = effectLast((self: SharedArray<Kind>, repair: Effect.Effect<never>) => recovering(lockedOf(self), repair))

/**
 * An array as a service, for tasks and for the program that starts them: see `SharedValue.Service`.
 *
 * ```ts
 * import { SharedArray } from "effect-multiprocessing"
 *
 * class Histogram extends SharedArray.Service<Histogram>()("app/Histogram", { kind: "uint32" }) {}
 *
 * const live = Histogram.layer(256) // of 256 zeros
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Service = <Self>() =>
<const K extends Kind>(
  id: string,
  { kind }: { readonly kind: K }
): Context.ServiceClass<Self, string, SharedArray<K>> & {
  readonly layer: (lengthOrInitial: number | Iterable<Of<K>>) => Layer.Layer<Self, ProcessError>
} => layered<Self, SharedArray<K>, [number | Iterable<Of<K>>]>(id, (lengthOrInitial) => make(kind, lengthOrInitial))
