/**
 * Named blocks of shared bytes.
 *
 * ```ts
 * import { Effect } from "effect"
 * import { SharedMemory } from "effect-multiprocessing"
 *
 * const program = Effect.scoped(Effect.gen(function*() {
 *   const block = yield* SharedMemory.create({ size: 1024 })
 *   block.bytes[0] = 42
 *   // another process of this user: yield* SharedMemory.attach(name)
 *   const same = yield* SharedMemory.attach(block.name)
 *   return same.bytes[0]
 * }))
 * ```
 *
 * **Laws**
 *
 * - The scope that created a block owns it and its name. When it ends the name is gone; bytes that are mapped stay readable
 *   and writable for whoever has them, and the memory goes with the last of them.
 * - Attaching owns nothing.
 * - No name is left behind, also when every process is killed: a name lives as long as its owner.
 * - Processes of other users are refused.
 *
 * **What is shared**: the bytes themselves; nothing is copied. Plain reads and writes are not synchronised: use `Atomics` on
 * a view, a `SharedLock`, or `SharedArray`, whose verbs are atomic.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Pipeable } from "effect/Pipeable"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { createMemory, memoryOf, MemoryTypeId } from "./internal/handles/sharedMemory.ts"
import type { MemoryHandle } from "./internal/handles/sharedMemory.ts"
import { findName, freshName, giveName } from "./internal/memory/names.ts"
import type { NameFailure } from "./internal/memory/names.ts"
import { native } from "./internal/memory/native.ts"
import { isGone } from "./internal/memory/gone.ts"
import { isUnreachable } from "./internal/memory/unreachable.ts"
import { closeSegment, openSegment } from "./internal/memory/segments.ts"
import { owned } from "./internal/sync/owned.ts"
import { ProcessError, SharedMemoryFailed } from "./ProcessError.ts"

/**
 * A block of shared bytes. It may be sent inside a payload, a result or a message.
 *
 * @category models
 * @since 0.1.0
 */
export interface SharedMemory extends Pipeable {
  readonly [MemoryTypeId]: typeof MemoryTypeId
  readonly name: string
  /** In bytes, as asked for. */
  readonly size: number
  /** The shared bytes themselves: every write is seen by all who have the block. */
  readonly bytes: Uint8Array<SharedArrayBuffer>
}

/**
 * How far shared memory goes on this machine: `"processes"`, or `"threads"` where the native part or what it needs of Node is
 * missing. Everything in shared memory (values, arrays, locks) is then refused at the border to a process.
 *
 * @category capabilities
 * @since 0.1.0
 */
export const reach: "processes" | "threads" = native()?.canShare === true ? "processes" : "threads"

/**
 * Is this value a {@link SharedMemory}?
 *
 * @category guards
 * @since 0.1.0
 */
export const isSharedMemory = (u: unknown): u is SharedMemory => hasProperty(u, MemoryTypeId)

/**
 * For payload schemas.
 *
 * @category schemas
 * @since 0.1.0
 */
export const schema: Schema.Codec<SharedMemory, SharedMemory> = Schema.declare(isSharedMemory, {
  identifier: "SharedMemory",
  expected: "a SharedMemory"
})

type Kind = SharedMemoryFailed["kind"]

const failed = (kind: Kind, message: string, cause?: unknown): ProcessError =>
  new ProcessError({
    reason: new SharedMemoryFailed({ kind, message, ...(cause === undefined ? {} : { cause }) })
  })

const explained = (failure: NameFailure, what: string, name: string): ProcessError => {
  const named = `${what}: the block ${JSON.stringify(name)}`
  switch (failure._tag) {
    case "AlreadyExists":
      return failed("AlreadyExists", `${named} exists already. Choose another name, or attach to it.`)
    case "NotFound":
      return failed(
        "NotFound",
        `${named} does not exist: nobody has created it, or its owner has ended.` +
          (reach === "threads" ? " Here names reach no further than the thread that gives them." : "")
      )
    case "SystemError":
      return failed("SystemError", `${named} is not available: ${String(failure.cause)}`, failure.cause)
  }
}

/** One TiB, with what a segment needs beside it. */
const largest = 2 ** 40 - 64

const checkedSize = (size: unknown): Effect.Effect<number, ProcessError> =>
  typeof size === "number" && Number.isSafeInteger(size) && size > 0 && size <= largest
    ? Effect.succeed(size)
    : Effect.fail(
      failed(
        "InvalidSize",
        `SharedMemory.create: the size must be a whole number of bytes from 1 to ${largest}, but it is ${String(size)}.`
      )
    )

const checkedName = (name: unknown, what: string): string => {
  if (typeof name === "string" && name.length > 0) return name
  throw new RangeError(
    `${what}: the name must be a non-empty string, but it is ${JSON.stringify(name) ?? String(name)}.`
  )
}

const allocated = (
  name: string,
  size: number
): Effect.Effect<ReturnType<typeof createMemory>, ProcessError, Scope.Scope> =>
  owned(`SharedMemory.create of ${size} bytes`, () => {
    const made = createMemory(name, size)
    return { handle: made, release: () => closeSegment(made.segment) }
  })

/**
 * A new block of zeros, which belongs to this scope, with its name.
 *
 * **Options**
 *
 * - `size`: in bytes; `bytes` has exactly so many. A size that is no whole number above 0 is `SharedMemoryFailed`
 *   (`InvalidSize`); more than the system gives is one too (`SystemError`).
 * - `name`: any non-empty string; without one it gets a name that nobody can guess. A name that is taken, by any process of
 *   this user, is `SharedMemoryFailed` (`AlreadyExists`).
 *
 * @category constructors
 * @since 0.1.0
 */
export const create = (options: {
  readonly size: number
  readonly name?: string | undefined
}): Effect.Effect<SharedMemory, ProcessError, Scope.Scope> =>
  Effect.gen(function*() {
    const name = options.name === undefined
      ? freshName()
      : checkedName(options.name, "SharedMemory.create")
    const size = yield* checkedSize(options.size)
    const { handle, segment } = yield* allocated(name, size)
    const given = Effect.callback<() => void, ProcessError>((resume) => {
      giveName(name, segment, (outcome) =>
        resume(
          outcome._tag === "Given"
            ? Effect.succeed(outcome.release)
            : Effect.fail(explained(outcome, "SharedMemory.create", name))
        ))
    })
    yield* Effect.acquireRelease(given, (release) => Effect.sync(release))
    return handle as MemoryHandle & SharedMemory // every handle is Pipeable
  })

/**
 * The block of this name, made by any process of this user.
 *
 * **Details**
 *
 * Fails with `SharedMemoryFailed`: `NotFound` when nobody owns a block of this name, `SystemError` when its owner does not
 * answer within 10 seconds.
 *
 * **Gotchas**
 *
 * The owner answers from its event loop: while it computes, it does not.
 *
 * @category constructors
 * @since 0.1.0
 */
export const attach = (name: string): Effect.Effect<SharedMemory, ProcessError, Scope.Scope> =>
  Effect.suspend(() => {
    checkedName(name, "SharedMemory.attach")
    return Effect.callback<SharedMemory, ProcessError>((resume) => {
      const stop = findName(name, (outcome) => {
        if (outcome._tag !== "Found") return resume(Effect.fail(explained(outcome, "SharedMemory.attach", name)))
        resume(Effect.try({
          try: () => memoryOf(name, openSegment(outcome.reference)) as MemoryHandle & SharedMemory,
          catch: (cause) =>
            explained(
              isGone(cause)
                ? { _tag: "NotFound" }
                : { _tag: "SystemError", cause: isUnreachable(cause) ? new Error(cause.message) : cause },
              "SharedMemory.attach",
              name
            )
        }))
      })
      return Effect.sync(stop)
    })
  })
