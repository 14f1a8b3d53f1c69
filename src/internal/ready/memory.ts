/**
 * Shared memory that outlives whoever asked for it.
 */
import * as Effect from "effect/Effect"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { ProcessError } from "../../ProcessError.ts"
import * as SharedMemory from "../../SharedMemory.ts"
import { ask } from "./service.ts"
import type { Made, ObjectOptions } from "./service.ts"

// ---------------------------------------------------------------------------------------------------- in the server

export const memoryGroup = RpcGroup.make(
  Rpc.make("create", {
    payload: Schema.Struct({ size: Schema.Any, name: Schema.optional(Schema.Any) }), // checked where it is made
    success: SharedMemory.schema,
    error: ProcessError
  })
)

type CreateOptions = Parameters<typeof SharedMemory.create>[0]

/** Blocks belong to the object, and not to the call. */
export const makeMemory = Effect.map(Effect.scope, (scope) => ({
  create: (options: CreateOptions) => Scope.provide(SharedMemory.create(options), scope)
}))

// ---------------------------------------------------------------------------------------------------- here

/**
 * Makes blocks of shared memory, which stay as long as somebody holds it. Options, and what they fail with, are those of
 * `SharedMemory.create`.
 *
 * @category models
 * @since 0.1.0
 */
export interface HostedMemory {
  readonly create: (options: {
    readonly size: number
    readonly name?: string | undefined
  }) => Effect.Effect<SharedMemory.SharedMemory, ProcessError>
}

/**
 * An owner of blocks of shared memory in the server of the objects, until the scope ends: Python's `SharedMemoryManager`.
 *
 * **When to use**
 *
 * Where a child makes a block that others still need when the child has ended: `SharedMemory.create` releases it then.
 *
 * **Details**
 *
 * - All its blocks are released together, when the last process that holds it has let it go, or the server ends.
 * - A block is a `SharedMemory` like any other: it may be sent, and found by `SharedMemory.attach`.
 *
 * **Gotchas**
 *
 * - The bytes are shared, and not copied, where `SharedMemory.reach` is `"processes"`. Elsewhere `create` fails with
 *   `NotShareable`, as it does over TCP.
 * - Whoever still has a block when it is released keeps its bytes; nobody finds it by its name any more.
 *
 * **Example** (A block that outlives the child that made it)
 *
 * ```ts run
 * import { Console, Effect } from "effect"
 * import { Manager, Process, SharedMemory, StartMethod, Task } from "effect-multiprocessing"
 *
 * const makesBlock = Task.make("makesBlock", {
 *   module: import.meta.url,
 *   handler: (memory: Manager.HostedMemory) =>
 *     Effect.gen(function*() {
 *       const block = yield* memory.create({ size: 8 })
 *       block.bytes[0] = 42
 *       return block.name
 *     })
 * })
 *
 * const program = Effect.gen(function*() {
 *   const memory = yield* Manager.memory()
 *   const child = yield* Process.start(makesBlock, memory)
 *   const block = yield* SharedMemory.attach(yield* Process.join(child))
 *   yield* Console.log(block.bytes[0])
 * }).pipe(Effect.scoped, Effect.provide(Manager.layerObjects()), Effect.provide(StartMethod.layerThreads))
 *
 * Process.runMain(program)
 * // => 42
 * ```
 *
 * @category ready-made
 * @since 0.1.0
 */
export const memory = (options?: ObjectOptions): Made<HostedMemory> => ask("memory", undefined, options)
