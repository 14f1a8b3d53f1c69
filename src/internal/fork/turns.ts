/**
 * Turns of fibers where no event loop turns: they are taken when somebody says so.
 */
import type { Scheduler, SchedulerDispatcher } from "effect/Scheduler"

export interface Turns {
  readonly scheduler: Scheduler
  /** Until nobody wants one any more. */
  readonly takeAll: () => void
}

export const makeTurns = (): Turns => {
  const waiting: Array<() => void> = []
  const takeAll = (): void => {
    for (let turn = waiting.shift(); turn !== undefined; turn = waiting.shift()) turn()
  }
  const dispatcher: SchedulerDispatcher = { scheduleTask: (turn) => void waiting.push(turn), flush: takeAll }
  return {
    takeAll,
    scheduler: { executionMode: "sync", shouldYield: () => false, makeDispatcher: () => dispatcher }
  }
}
