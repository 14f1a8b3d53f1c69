/**
 * The calls of a pool that answer as a stream: lazy on both sides. Items are pulled from the source when the dispatcher
 * has room for them; it has room when the consumer has taken results.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ProcessError } from "../../ProcessError.ts"
import { decodeSuccess } from "../codec/causes.ts"
import type { Place } from "../codec/causes.ts"
import type { TaskDefinition } from "../codec/registry.ts"
import { forsakeAll } from "../handles/handle.ts"
import type { Given } from "../handles/handle.ts"
import { ambientOf } from "../start/observed.ts"
import { encodeBlocks, failureCause } from "./calls.ts"
import type { Block, JobOptions } from "./model.ts"
import { dispatch, interruptJob, placeOf, submit, taskNumber } from "./engine.ts"
import type { Engine, Sink } from "./engine.ts"

export interface StreamMode {
  /** Results in the order of the items. */
  readonly ordered: boolean
  /** The first failure ends the stream, wherever it is. */
  readonly failFast: boolean
  /** Each item's Exit is an element; a failure does not end the stream. */
  readonly exits: boolean
}

type Outcome = Exit.Exit<unknown, unknown>

/** Results between the pool and the consumer. */
interface Outlet {
  readonly put: (index: number, outcome: Outcome) => void
  /** An outcome that is not the pool's: the payload could not be encoded. */
  readonly putOwn: (index: number, outcome: Outcome) => void
  /** The same outcome for every item before this one that has none. */
  readonly fill: (before: number, outcome: Outcome) => void
  /** What may be taken now, and how much of it is the pool's; or the failure that comes next. */
  readonly take: () => {
    readonly values: Array<unknown>
    readonly ofPool: number
    readonly failure: Cause.Cause<unknown> | undefined
  }
}

const makeOutlet = (mode: StreamMode): Outlet => {
  const byIndex = new Map<number, Outcome>()
  const own = new Set<number>()
  let arrived: Array<Outcome> = []
  let next = 0

  const nextOutcome = (): Outcome | undefined => {
    if (!mode.ordered) return arrived[next]
    return byIndex.get(next)
  }
  const dropNext = (): void => {
    if (mode.ordered) byIndex.delete(next)
    next++
  }
  const compact = (): void => {
    if (mode.ordered || next === 0) return
    arrived = arrived.slice(next)
    next = 0
  }

  const put = (index: number, outcome: Outcome): void => {
    if (mode.ordered) byIndex.set(index, outcome)
    else arrived.push(outcome)
  }

  return {
    put,
    putOwn: (index, outcome) => {
      own.add(index)
      put(index, outcome)
    },
    fill: (before, outcome) => {
      for (let index = next; index < before; index++) {
        if (byIndex.has(index)) continue
        own.add(index)
        byIndex.set(index, outcome)
      }
    },
    take: () => {
      const values: Array<unknown> = []
      let ofPool = 0
      let failure: Cause.Cause<unknown> | undefined
      while (true) {
        const outcome = nextOutcome()
        if (outcome === undefined) break
        if (mode.exits) values.push(outcome)
        else if (Exit.isSuccess(outcome)) values.push(outcome.value)
        else {
          // the results before it come first
          if (values.length === 0) failure = outcome.cause
          break
        }
        if (!own.delete(next)) ofPool++
        dropNext()
      }
      compact()
      return { values, ofPool, failure }
    }
  }
}

/** Where the items come from; each answer is a call of `supply`. */
interface Source {
  readonly ask: (count: number) => void
}

interface Supply {
  readonly items: (items: ReadonlyArray<unknown>) => void
  readonly end: (cause: Cause.Cause<unknown> | undefined) => void
}

const iterableSource = (iterator: Iterator<unknown>, supply: Supply): Source => ({
  ask: (count) => {
    const items: Array<unknown> = []
    try {
      while (items.length < count) {
        const step = iterator.next()
        if (step.done === true) {
          supply.items(items)
          return supply.end(undefined)
        }
        items.push(step.value)
      }
    } catch (defect) {
      supply.items(items)
      return supply.end(Cause.die(defect))
    }
    supply.items(items)
  }
})

const openIterable = (items: Iterable<unknown>, supply: Supply): Effect.Effect<Source, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => items[Symbol.iterator]()),
      (iterator) => Effect.sync(() => iterator.return?.())
    ),
    (iterator) => iterableSource(iterator, supply)
  )

const openStream = Effect.fnUntraced(function*(items: Stream.Stream<unknown, unknown, unknown>, supply: Supply) {
  const pull = yield* Stream.toPull(items)
  let wake: (() => void) | undefined
  let asked = false
  const demand = Effect.callback<void>((resume) => {
    if (asked) {
      asked = false
      return resume(Effect.void)
    }
    wake = () => resume(Effect.void)
  })
  const feed = Effect.forever(
    Effect.flatMap(demand, () => Effect.map(pull, (chunk) => supply.items(chunk)))
  )
  yield* Effect.forkScoped(Effect.matchCause(feed, {
    onSuccess: () => {},
    onFailure: (cause) => supply.end(Pull.isDoneCause(cause) ? undefined : cause)
  }))
  const source: Source = {
    ask: () => {
      if (wake === undefined) asked = true
      else {
        const go = wake
        wake = undefined
        go()
      }
    }
  }
  return source
})

const around = Effect.withFiber((fiber) => Effect.succeed({ context: fiber.context, ambient: ambientOf(fiber) }))

/** How many items are read at once that no pool runs. */
const itemsOfNobody = 16

export const streamAll = (
  engine: Engine,
  definition: TaskDefinition,
  items: Iterable<unknown> | Stream.Stream<unknown, unknown, unknown>,
  options: Omit<JobOptions, "task" | "failFast">,
  mode: StreamMode
): Stream.Stream<unknown, unknown, unknown> =>
  Stream.unwrap(Effect.gen(function*() {
    const { ambient, context } = yield* around
    const outlet = makeOutlet(mode)
    let waiting: (() => void) | undefined
    let over = false
    /** What the stream ends with after the results that are there. */
    let ending: Cause.Cause<unknown> | undefined
    let supplied = 0
    let sourceEnded = false
    /** The pool has ended: the outcome of every item that has none, also of those to come. */
    let gone: Exit.Exit<never, ProcessError> | undefined

    const notify = (): void => {
      const resume = waiting
      waiting = undefined
      resume?.()
    }
    /** What items use up that have no outcome yet, by index. */
    const given = new Map<number, ReadonlyArray<Given>>()
    const forsake = (index: number): void => {
      forsakeAll(given.get(index) ?? [])
      given.delete(index)
    }
    const sendBlocks = (blocks: ReadonlyArray<Block>, complete: boolean): void => {
      for (const block of blocks) if (block.given !== undefined) given.set(block.first, block.given)
      dispatch(engine, { _tag: "Supplied", job, blocks, complete })
    }

    const supply: Supply = {
      items: (values) => {
        if (sourceEnded) return
        const first = supplied
        supplied += values.length
        if (gone !== undefined) {
          outlet.fill(supplied, gone)
          return notify()
        }
        const { border } = engine.options.launcher
        try {
          return sendBlocks(encodeBlocks(definition, values, first, border), false)
        } catch {
          // some item cannot cross: find it
        }
        const blocks: Array<Block> = []
        for (let i = 0; i < values.length; i++) {
          // one bad item among many: those before it are sent, those after it only where failures are elements
          try {
            blocks.push(...encodeBlocks(definition, [values[i]], first + i, border))
          } catch (error) {
            if (!mode.exits) {
              sendBlocks(blocks, false)
              return supply.end(Cause.fail(error))
            }
            outlet.putOwn(first + i, Exit.fail(error))
            notify()
          }
        }
        sendBlocks(blocks, false)
      },
      end: (cause) => {
        if (sourceEnded) return
        sourceEnded = true
        ending ??= cause
        if (gone === undefined) return sendBlocks([], true)
        over = true
        notify()
      }
    }

    const put = (index: number, outcome: Outcome): void => {
      if (!mode.failFast || Exit.isSuccess(outcome)) return outlet.put(index, outcome)
      ending ??= outcome.cause
      dispatch(engine, { _tag: "Interrupted", job }) // also a result that does not fit its schema stops the others
    }
    const sink: Sink = {
      context,
      onValues: (first, values, marked, worker) => {
        const place = (): Place => placeOf(engine, definition, worker)
        for (let i = 0; i < values.length; i++) {
          given.delete(first + i)
          put(first + i, decodeSuccess(values[i], marked, place, definition.success))
        }
        notify()
      },
      onFailure: (index, failure, worker) => {
        forsake(index)
        put(index, Exit.failCause(failureCause(engine, definition, options.timeoutMillis, failure, worker)))
        notify()
      },
      onSettled: () => {
        over = true
        notify()
      },
      onAbandoned: (error) => {
        if (mode.exits && !sourceEnded) {
          gone = Exit.fail(error)
          outlet.fill(supplied, gone)
        } else {
          over = true
          if (mode.exits) outlet.fill(supplied, Exit.fail(error))
          // a failure of the source comes after the results before it, and some of these do not come any more
          else if (!mode.failFast) ending = Cause.fail(error)
          else ending ??= Cause.fail(error)
        }
        notify()
      },
      onPull: (count) => source.ask(count)
    }

    const source = yield* Stream.isStream(items) ? openStream(items, supply) : openIterable(items, supply)
    // the source is asked when it can answer: `job` is known then
    let job = 0
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        job = submit(
          engine,
          { ...sink, onPull: (count) => queueMicrotask(() => source.ask(count)) },
          { ...options, task: taskNumber(engine, definition), failFast: mode.failFast, ambient },
          [],
          false
        )
      }),
      () =>
        Effect.ensuring(
          Effect.suspend(() => interruptJob(engine, job)),
          Effect.sync(() => given.forEach((_, index) => forsake(index)))
        )
    )

    const ready = Effect.callback<void>((resume) => {
      waiting = () => resume(Effect.void)
      return Effect.sync(() => {
        waiting = undefined
      })
    })
    const pull: Pull.Pull<readonly [unknown, ...Array<unknown>], unknown> = Effect.suspend(() => {
      const { failure, ofPool, values } = outlet.take()
      const [head, ...tail] = values
      if (values.length > 0) {
        dispatch(engine, { _tag: "Consumed", job, count: ofPool })
        return Effect.succeed([head, ...tail] as const)
      }
      if (failure !== undefined) return Effect.failCause(failure)
      if (over) return ending === undefined ? Cause.done() : Effect.failCause(ending)
      // nobody else asks the source any more
      if (gone !== undefined) queueMicrotask(() => source.ask(itemsOfNobody))
      return Effect.flatMap(ready, () => pull)
    })
    return Stream.fromPull(Effect.succeed(pull))
  }))
