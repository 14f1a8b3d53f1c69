/**
 * Faults on purpose, for the tests of programs that use this library: a layer between a program and its start method.
 *
 * **When to use**
 *
 * To see what your program does when a worker dies in the middle of its work, when a result is late, or when a child does
 * not come up. It works with every start method: `inline` for quick tests under a `TestClock`, `threads`, `spawn` and `forkserver` for
 * children that really die.
 *
 * | fault | option | what the program sees |
 * |---|---|---|
 * | a worker dies while it runs an item | `crash` | `WorkerExited`, or a retry with `retryOnCrash` |
 * | a result comes late | `delay` | that, and what a `timeout` does then |
 * | a child does not come up | `refuseStart` | `StartFailed`, or another try of the pool |
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { makeFaults, withFaults } from "./internal/start/faults.ts"
import { launcherOf, makeService, StartMethod } from "./internal/start/service.ts"
import { timeMillis, wholeNumber } from "./internal/start/checks.ts"

/**
 * Which faults happen. Items and children are counted from 1, in the order in which they are handed out and started, over
 * all pools and processes that are made with the layer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The child that is handed these items dies when it begins them, by SIGKILL. */
  readonly crash?: ReadonlyArray<number> | undefined
  /** The reports of these items come so much later, and what their child says after them. In the time of the Clock. */
  readonly delay?: Readonly<Record<number, Duration.Input>> | undefined
  /** These children do not come up: `StartFailed`. */
  readonly refuseStart?: ReadonlyArray<number> | undefined
}

/**
 * The start method below, with faults.
 *
 * **Details**
 *
 * - A crash is real: a process is killed, a thread is terminated, and so the pool sees what it would see of any other.
 * - An item that runs again counts again: its second run has a number of its own.
 * - Each build of the layer counts from 1.
 *
 * **Example** (The third item kills its worker, and is tried again)
 *
 * ```ts run
 * import { Console, Effect, Layer } from "effect"
 * import { Faults, Pool, Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const square = Task.sync("square", { module: import.meta.url, handler: (x: number) => x * x })
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* Pool.make({ processes: 2 })
 *   const results = yield* Pool.map(pool, square, [1, 2, 3, 4], { retryOnCrash: 1 })
 *   const { restarts } = yield* Pool.stats(pool)
 *   yield* Console.log(`${results.join(" ")}, after ${restarts} crash`)
 * }).pipe(
 *   Effect.scoped,
 *   Effect.provide(Faults.layer({ crash: [3] }).pipe(Layer.provide(StartMethod.layerThreads)))
 * )
 *
 * Process.runMain(program)
 * // => 1 4 9 16, after 1 crash
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<StartMethod, never, StartMethod> =>
  Layer.effect(
    StartMethod,
    Effect.map(StartMethod, (below) => {
      const delays = Object.entries(options.delay ?? {}).map(([item, time]): [number, number] => [
        wholeNumber("Faults.layer: delay", Number(item), 1),
        timeMillis(`Faults.layer: delay of item ${item}`, time)
      ])
      const faults = makeFaults({
        crash: new Set(options.crash?.map((item) => wholeNumber("Faults.layer: crash", item, 1))),
        delay: new Map(delays),
        refuseStart: new Set(options.refuseStart?.map((child) => wholeNumber("Faults.layer: refuseStart", child, 1)))
      })
      return makeService(withFaults(launcherOf(below), faults))
    })
  )
