/** What the arms share that are programs of Effect. */
import * as Effect from "effect/Effect"

/** The effect's duration in milliseconds, and its value. */
export const timed = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<readonly [ms: number, value: A], E, R> =>
  Effect.suspend(() => {
    const begin = performance.now()
    return Effect.map(effect, (value) => [performance.now() - begin, value] as const)
  })

/** So many calls, in lanes of one after the other, as the rivals that answer with promises have it. */
export const inLanes = <A, E>(
  lanes: number,
  count: number,
  call: (x: number) => Effect.Effect<A, E>,
  onResult: (x: number, result: A) => void
): Effect.Effect<void, E> => {
  let next = 0
  const lane = Effect.whileLoop({
    while: () => next < count,
    body: () => {
      const x = next++
      return Effect.map(call(x), (result) => onResult(x, result))
    },
    step: () => {}
  })
  return Effect.all(Array.from({ length: lanes }, () => lane), { concurrency: "unbounded", discard: true })
}
