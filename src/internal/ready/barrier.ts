/**
 * A place in a server where so many parties wait for each other.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { ProcessError } from "../../ProcessError.ts"
import type { Task } from "../../Task.ts"
import { makeBarrierObject } from "../hub/barrier.ts"
import type { Act, Arrival } from "../hub/barrier.ts"
import { BarrierBroken, brokenBecause } from "../sync/broken.ts"
import { checkedCount } from "../sync/checks.ts"
import { ask } from "./service.ts"
import type { Made, ObjectOptions } from "./service.ts"
import { nameOf, runAction } from "./task.ts"
import type { TaskName } from "./task.ts"

// ---------------------------------------------------------------------------------------------------- in the server

const error = ProcessError

export const barrierGroup = RpcGroup.make(
  Rpc.make("wait", { success: Schema.Number, error: Schema.Union([BarrierBroken, ProcessError]) }),
  Rpc.make("reset", { error }),
  Rpc.make("abort", { error }),
  Rpc.make("isBroken", { success: Schema.Boolean, error }),
  Rpc.make("parties", { success: Schema.Number, error }),
  Rpc.make("waiting", { success: Schema.Number, error })
)

interface Initial {
  readonly parties: number
  readonly action: TaskName | undefined
}

/** Whoever dies withdraws its question: nobody has to be told apart. */
const anybody = { slot: 0, pid: 0 }

const failureOf = (exit: Exit.Exit<unknown, unknown>): string | undefined => {
  if (Exit.isSuccess(exit)) return undefined
  const error = Cause.squash(exit.cause)
  return `its action failed: ${error instanceof Error ? error.message : String(error)}`
}

/** Its fibers belong to the scope of the barrier. */
const actor = (action: TaskName): Effect.Effect<Act, never, Scope.Scope> =>
  Effect.gen(function*() {
    const run = yield* FiberSet.runtime(yield* FiberSet.make<unknown, unknown>())()
    return (done) => void run(runAction(action)).addObserver((exit) => done(failureOf(exit)))
  })

export const makeHostedBarrier = ({ action, parties }: Initial) =>
  Effect.gen(function*() {
    const object = makeBarrierObject(parties, action === undefined ? undefined : yield* actor(action))()
    const asked = <A>(operation: string): Effect.Effect<A> =>
      Effect.callback<A>((resume) => {
        // what the object answers to this
        const withdraw = object.call(anybody, operation, undefined, (value) => resume(Effect.succeed(value as A)))
        return Effect.sync(() => withdraw?.())
      })
    return {
      wait: () =>
        Effect.flatMap(asked<Arrival>("wait"), (arrival) =>
          typeof arrival === "number"
            ? Effect.succeed(arrival)
            : Effect.fail(brokenBecause("hosted barrier", "its reset()", arrival))),
      reset: () => Effect.asVoid(asked("reset")),
      abort: () => Effect.asVoid(asked("abort")),
      isBroken: () => asked<boolean>("isBroken"),
      parties: () => Effect.succeed(parties),
      waiting: () => asked<number>("waiting")
    }
  })

// ---------------------------------------------------------------------------------------------------- here

/**
 * A barrier in a server.
 *
 * - `wait` waits until all parties have come, and gives the place of this one in the order of their coming, from 0. It fails
 *   with `BarrierBroken` when the barrier is broken or reset meanwhile, or is broken already.
 * - `reset` makes it as new: whoever waits fails with `BarrierBroken`, whoever comes later does not.
 * - `abort` breaks it: whoever waits, and whoever comes, fails with `BarrierBroken` until it is reset.
 * - `isBroken`, `parties` (how many wait for each other) and `waiting` (how many do now) tell how it is at this moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface HostedBarrier {
  readonly wait: () => Effect.Effect<number, BarrierBroken | ProcessError>
  readonly reset: () => Effect.Effect<void, ProcessError>
  readonly abort: () => Effect.Effect<void, ProcessError>
  readonly isBroken: () => Effect.Effect<boolean, ProcessError>
  readonly parties: () => Effect.Effect<number, ProcessError>
  readonly waiting: () => Effect.Effect<number, ProcessError>
}

/**
 * A barrier for so many parties in the server of the objects, until the scope ends: Python's `manager.Barrier`.
 *
 * **Options**
 *
 * - `action`: a task that runs in the server when all have come, before anybody goes on, once a round. When it fails, the
 *   barrier is broken.
 *
 * **Laws**
 *
 * - Nobody goes on before all have come. Then all of them do, each with its own place.
 * - A party that is interrupted while it waits, or whose process dies, breaks the barrier: the others would wait for ever.
 *
 * **Gotchas**
 *
 * - `Effect.timeout` around `wait` interrupts it, and so breaks the barrier.
 * - `parties` that are no whole number of 1 or more are a `RangeError` defect.
 *
 * **Example** (Two that begin together)
 *
 * ```ts run
 * import { Console, Effect } from "effect"
 * import { Manager, Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const meets = Task.make("meets", {
 *   module: import.meta.url,
 *   handler: (start: Manager.HostedBarrier) => start.wait()
 * })
 *
 * const program = Effect.gen(function*() {
 *   const start = yield* Manager.barrier(2)
 *   const child = yield* Process.start(meets, start)
 *   const places = yield* Effect.all([start.wait(), Process.join(child)], { concurrency: 2 })
 *   yield* Console.log(places.toSorted())
 * }).pipe(Effect.scoped, Effect.provide(Manager.layerObjects()), Effect.provide(StartMethod.layerThreads))
 *
 * Process.runMain(program)
 * // => [ 0, 1 ]
 * ```
 *
 * @category ready-made
 * @since 0.1.0
 */
export const barrier = <E = never>(
  parties: number,
  options?: ObjectOptions & { readonly action?: Task<void, unknown, E> | undefined }
): Made<HostedBarrier> =>
  Effect.suspend(() => {
    checkedCount(parties, 1, "Manager.barrier: parties")
    const action = options?.action === undefined ? undefined : nameOf(options.action)
    return ask("barrier", { parties, action } satisfies Initial, options)
  })
