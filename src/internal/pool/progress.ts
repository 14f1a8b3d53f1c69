/**
 * How far a pool has come, as a stream that its consumer paces.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { Engine } from "./engine.ts"
import { countsOf } from "./observe.ts"

export interface Progress {
  readonly submitted: number
  readonly done: number
  readonly failed: number
  readonly rate: number
  readonly remaining: Option.Option<Duration.Duration>
}

/** How often it is told, at most. */
export const defaultEveryMillis = 100

interface Mark {
  readonly done: number
  readonly failed: number
  readonly pending: number
}

const markOf = ({ state }: Engine): Mark => {
  const { completed, failed, queued, running } = countsOf(state)
  return { done: completed + failed, failed, pending: queued + running }
}

const between = (from: Mark, to: Mark, millis: number): Progress => {
  const done = to.done - from.done
  const rate = done === 0 || millis <= 0 ? 0 : done / millis * 1000
  return {
    submitted: done + to.pending,
    done,
    failed: to.failed - from.failed,
    rate,
    remaining: rate === 0 ? Option.none() : Option.some(Duration.millis(Math.round(to.pending / rate * 1000)))
  }
}

const isSame = (a: Mark, b: Mark): boolean => a.done === b.done && a.failed === b.failed && a.pending === b.pending

/** Completes when something has changed since `last`, or the pool has ended. */
const awaitChange = (engine: Engine, last: Mark): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const look = (): void => {
      if (!engine.ended && isSame(last, markOf(engine))) return
      engine.listeners.delete(look)
      resume(Effect.void)
    }
    engine.listeners.add(look)
    look()
    return Effect.sync(() => engine.listeners.delete(look))
  })

/** Counts from the moment when it is made. */
export const makeMeter = (engine: Engine, clock: Clock.Clock): () => Progress => {
  const began = clock.currentTimeMillisUnsafe()
  const from = markOf(engine)
  return () => between(from, markOf(engine), clock.currentTimeMillisUnsafe() - began)
}

/** The first element is what is now; then one whenever something has changed, no more often than `every`. */
export const readings = (engine: Engine, read: () => Progress, everyMillis: number): Stream.Stream<Progress> =>
  Stream.fromPull(Effect.sync(() => {
    let last: Mark | undefined
    let over = false
    const tell = Effect.sync((): readonly [Progress] => {
      over = engine.ended
      last = markOf(engine)
      return [read()]
    })
    const pull: Pull.Pull<readonly [Progress]> = Effect.suspend(() => {
      if (last === undefined) return tell
      if (over) return Cause.done()
      return Effect.andThen(Effect.andThen(awaitChange(engine, last), Effect.sleep(everyMillis)), tell)
    })
    return pull
  }))
