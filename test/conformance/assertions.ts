/** What several suites ask of an outcome, and waits that end. */
import { assert } from "@effect/vitest"
import { Cause, Effect, Exit, Option } from "effect"
import { ProcessError } from "../../src/index.ts"

export const reasonOf = (exit: Exit.Exit<unknown, unknown>): ProcessError.Reason => {
  const error = Option.getOrThrow(Exit.findErrorOption(exit))
  assert.isTrue(ProcessError.isProcessError(error), String(error))
  return (error as ProcessError.ProcessError).reason
}

export const defectOf = (exit: Exit.Exit<unknown, unknown>): unknown => {
  assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause), "there is a defect")
  return Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
}

export const numbers = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => i)

export const squares = (count: number): ReadonlyArray<number> => numbers(count).map((i) => i * i)

/** Something that has to happen: when it does not, the test says what. */
export const bounded = (what: string, seconds = 15) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.timeoutOrElse(effect, {
    duration: `${seconds} seconds`,
    orElse: () => Effect.die(new Error(`It did not happen in ${seconds} seconds: ${what}.`))
  })

export const nextTurn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))

/** So many steps, of which some are turns of the event loop: for what has to hold at whatever moment. */
export const moment = (steps: number): Effect.Effect<void> =>
  Effect.forEach(numbers(steps), (i) => i % 3 === 0 ? nextTurn : Effect.yieldNow, { discard: true })
