/**
 * Something that has happened, or not yet, for fibers of all processes to wait for.
 *
 * ```ts run
 * import { Effect } from "effect"
 * import { SharedEvent } from "effect-multiprocessing"
 *
 * const program = Effect.scoped(Effect.gen(function*() {
 *   const ready = yield* SharedEvent.make()
 *   // it may be sent to other threads and processes, which then wait for it, or set it
 *   yield* SharedEvent.set(ready)
 *   yield* SharedEvent.wait(ready)
 *   return yield* SharedEvent.isSet(ready)
 * }))
 *
 * console.log(await Effect.runPromise(program))
 * // => true
 * ```
 *
 * **Laws**
 *
 * - When {@link set} is done, everybody who waited is let go, also when it is cleared in the same moment.
 * - When {@link set} or {@link clear} is done, {@link isSet} says so in every process.
 * - Waiting for an event that is set does not wait.
 *
 * **What it costs**
 *
 * {@link isSet}, and waiting for what is set already, reads one shared word; setting and clearing while nobody waits changes
 * it. Waiting, and setting when somebody waits, asks the hub of the process that made it: a process whose event loop is
 * blocked lets nobody go. Where shared memory does not reach (`SharedMemory.reach`) it crosses all the same, and asks the hub
 * each time.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Pipeable } from "effect/Pipeable"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { clearHere, EventTypeId, isSurelySet, makeEvent, readEvent, setHere } from "./internal/handles/event.ts"
import type { EventHandle } from "./internal/handles/event.ts"
import { ask } from "./internal/sync/asking.ts"
import type { Asked } from "./internal/sync/asking.ts"
import { owned } from "./internal/sync/owned.ts"
import type { ProcessError } from "./ProcessError.ts"

/**
 * An event. It may sit anywhere inside a payload, a result or a message, and is the same event there.
 *
 * @category models
 * @since 0.1.0
 */
export interface SharedEvent extends Pipeable {
  readonly [EventTypeId]: typeof EventTypeId
}

/**
 * Is this value a {@link SharedEvent}?
 *
 * @category guards
 * @since 0.1.0
 */
export const isSharedEvent = (u: unknown): u is SharedEvent => hasProperty(u, EventTypeId)

/**
 * For payload schemas: `Schema.Struct({ ready: SharedEvent.schema, ... })`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const schema: Schema.Codec<SharedEvent, SharedEvent> = Schema.declare(isSharedEvent, {
  identifier: "SharedEvent",
  expected: "a SharedEvent"
})

const handleOf = (self: SharedEvent): EventHandle => self as SharedEvent & EventHandle // made here, or by the codec

const askedOf = (self: SharedEvent): Asked => ({ name: "SharedEvent", home: handleOf(self).home })

/**
 * A new event, which belongs to this scope: when it ends, everybody who waits, and will, fails with `Closed`. It is not set,
 * unless told so.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (set = false): Effect.Effect<SharedEvent, ProcessError, Scope.Scope> =>
  owned("SharedEvent.make", () => {
    const { handle, release } = makeEvent(set)
    return { handle: handle as EventHandle & SharedEvent, release } // every handle is Pipeable
  })

/**
 * It has happened: lets everybody go who waits, and will. Setting what is set does nothing.
 *
 * @category combinators
 * @since 0.1.0
 */
export const set = (self: SharedEvent): Effect.Effect<void, ProcessError> =>
  Effect.suspend(() => setHere(handleOf(self)) ? Effect.void : Effect.asVoid(ask(askedOf(self), "set")))

/**
 * It has not happened yet, again: whoever waits from now on, waits.
 *
 * @category combinators
 * @since 0.1.0
 */
export const clear = (self: SharedEvent): Effect.Effect<void, ProcessError> =>
  Effect.suspend(() => clearHere(handleOf(self)) ? Effect.void : Effect.asVoid(ask(askedOf(self), "clear")))

/**
 * Is it set, at this moment?
 *
 * **Gotchas**
 *
 * Of an event whose scope has ended: no. When its process was killed, the word says what it said last.
 *
 * @category getters
 * @since 0.1.0
 */
export const isSet = (self: SharedEvent): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    const known = readEvent(handleOf(self))
    if (known !== undefined) return Effect.succeed(known)
    return Effect.orElseSucceed(ask<boolean>(askedOf(self), "isSet"), () => false)
  })

/**
 * Waits until it is set, interruptibly.
 *
 * **Details**
 *
 * Fails with `ProcessError` (`Closed`) when its scope has ended, or its process.
 *
 * **Example** (Workers that wait for a signal)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Pool, SharedEvent, Task } from "effect-multiprocessing"
 *
 * export const starts = Task.make("starts", {
 *   module: import.meta.url,
 *   handler: ({ go, name }: { readonly go: SharedEvent.SharedEvent; readonly name: string }) =>
 *     Effect.as(SharedEvent.wait(go), `${name} is off`)
 * })
 *
 * const program = Effect.gen(function*() {
 *   const go = yield* SharedEvent.make()
 *   const pool = yield* Pool.make({ processes: 2 })
 *   const runners = yield* Effect.forkChild(Pool.map(pool, starts, ["a", "b"].map((name) => ({ go, name }))))
 *   yield* SharedEvent.set(go)
 *   return runners
 * })
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const wait = (self: SharedEvent): Effect.Effect<void, ProcessError> =>
  Effect.suspend(() => isSurelySet(handleOf(self)) ? Effect.void : ask(askedOf(self), "wait"))
