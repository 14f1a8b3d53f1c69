/** A file of its own: the other tasks need no shared memory. */
import * as Effect from "effect/Effect"
import type * as Shared from "../../src/index.ts"
import { load, Task } from "../ours.ts"
import type { CellOrder } from "../orders.ts"
import * as functions from "./functions.ts"

const { SharedArray, SharedLock, SharedValue } = await load()

export interface Range {
  readonly items: Shared.SharedArray.SharedArray<"float64">
  readonly from: number
  readonly to: number
}

export const squareShared = Task.sync("squareShared", {
  module: import.meta.url,
  handler: ({ from, items, to }: Range): void => functions.squareRange(SharedArray.view(items), from, to)
})

export const echoShared = Task.sync("echoShared", {
  module: import.meta.url,
  handler: (bytes: Shared.SharedArray.SharedArray<"uint8">) => bytes
})

export interface Cells {
  readonly value: Shared.SharedValue.SharedValue<"int32">
  readonly lock: Shared.SharedLock.SharedLock
}

/** One step, as users write it. */
export const stepOn = ({ lock, value }: Cells, step: CellOrder["step"]): Effect.Effect<unknown, unknown> =>
  step === "update" ? SharedValue.update(value, (n: number) => n + 1) : SharedLock.withLock(lock, Effect.void)

export const repeated = (step: Effect.Effect<unknown, unknown>, steps: number): Effect.Effect<void, unknown> =>
  Effect.gen(function*() {
    for (let i = 0; i < steps; i++) yield* step
  })

export const doSteps = Task.make("doSteps", {
  module: import.meta.url,
  handler: ({ cells, step, steps }: { readonly cells: Cells } & Pick<CellOrder, "step" | "steps">) =>
    repeated(stepOn(cells, step), steps)
})
