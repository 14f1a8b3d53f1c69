/**
 * Waits of the machine's time: nobody hangs in the time of a test. They keep no process alive.
 */
import * as Effect from "effect/Effect"

export const pause = (millis: number): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const timer = setTimeout(() => resume(Effect.void), millis).unref()
    return Effect.sync(() => clearTimeout(timer))
  })
