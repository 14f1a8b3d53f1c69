/** A file of its own, as in `oursShared.ts`: clients of an object in a server process. */
import * as Effect from "effect/Effect"
import { inLanes } from "../arms/programs.ts"
import type * as Shared from "../../src/index.ts"
import { warmUpOf } from "../orders.ts"
import type { ManagerOrder } from "../orders.ts"
import { load, Task } from "../ours.ts"
import type { Numbers } from "./bareRpc.ts"

const { SharedBarrier } = await load()

const module = import.meta.url

interface Work {
  readonly gate: Shared.SharedBarrier.SharedBarrier
  readonly order: ManagerOrder
  /** Or a service. */
  readonly ref?: Pick<Shared.Manager.HostedRef<number> | Numbers, "get">
  readonly map?: Shared.Manager.HostedMap<number, number>
}

const keys = 100

export const callMany = Task.make("callMany", {
  module,
  handler: ({ gate, map, order: { calls, lanes }, ref }: Work) =>
    Effect.gen(function*() {
      const call = (n: number): Effect.Effect<unknown, unknown> => ref === undefined ? map!.set(n % keys, n) : ref.get()
      yield* inLanes(lanes, warmUpOf(calls), call, () => {})
      yield* SharedBarrier.wait(gate)
      yield* inLanes(lanes, calls, call, () => {})
      yield* SharedBarrier.wait(gate)
    })
})
