/**
 * Changes of one object, one after the other: a task may take its time.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"

/** What changes the object waits for each other. */
export const exclusively = Effect.map(
  Semaphore.make(1),
  (one) => <A, E>(body: () => Effect.Effect<A, E> | A) =>
    one.withPermits(1)(Effect.suspend((): Effect.Effect<A, E> => {
      const result = body()
      return Effect.isEffect(result) ? result as Effect.Effect<A, E> : Effect.succeed(result as A) // it is what it is
    }))
)
