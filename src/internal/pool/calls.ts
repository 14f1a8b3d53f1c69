/**
 * The calls of a pool that end with one answer: `apply` and `map` over a collection.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { ProcessError, TimedOut } from "../../ProcessError.ts"
import { decodeFailure, decodeSuccess } from "../codec/causes.ts"
import type { Place } from "../codec/causes.ts"
import { encodePayload, encodingFailed, nameOf, payloadError } from "../codec/payload.ts"
import type { TaskDefinition } from "../codec/registry.ts"
import type { Border } from "../codec/values.ts"
import { forsakeAll, restoreAll } from "../handles/handle.ts"
import type { Given } from "../handles/handle.ts"
import type { Ambient, EncodedFailure } from "../protocol/messages.ts"
import { workerExited } from "../start/handle.ts"
import { ambientOf } from "../start/observed.ts"
import type { Block, ItemFailure, JobOptions, State } from "./model.ts"
import { closedError, dispatch, interruptJob, placeOf, submit, taskNumber } from "./engine.ts"
import type { Death, Engine, Sink } from "./engine.ts"

/** The cause of an item's failure. */
export const failureCause = (
  engine: Engine,
  definition: TaskDefinition,
  limitMillis: number | undefined,
  failure: ItemFailure,
  worker: number
): Cause.Cause<unknown> => {
  const place = placeOf(engine, definition, worker)
  switch (failure._tag) {
    case "Reported":
      return decodeFailure(
        failure.detail as EncodedFailure, // what the worker's report carries
        place,
        definition.error,
        engine.options.launcher.name
      )
    case "Exited": {
      if (failure.detail instanceof ProcessError) return Cause.fail(failure.detail)
      const { child, status } = failure.detail as Death // what the engine gave the dispatcher
      return Cause.fail(workerExited(child, status, definition.name))
    }
    case "Unsendable":
      return Cause.fail(payloadError(nameOf(definition), failure.detail))
    case "TimedOut": {
      const limit = limitMillis ?? 0
      return Cause.fail(
        new ProcessError({
          reason: new TimedOut({
            task: definition.name,
            limitMillis: limit,
            message:
              `task "${definition.name}" ran longer than its timeout of ${limit} ms in ${place.worker} (pid ${place.pid}).`
          })
        })
      )
    }
  }
}

const noMoves: Array<ArrayBuffer> = []

/** Encodes one item. Throws a ProcessError. */
/** What an item uses up; emptied as soon as it is encoded. */
const collected: Array<Given> = []

const encodeOne = (definition: TaskDefinition, item: unknown, index: number, border: Border, at: number): Block => {
  // without a schema nothing is marked to move
  const transfers = definition.payload === undefined ? noMoves : []
  const { marked, value } = encodePayload(definition, item, border, transfers, collected)
  const given = collected.length > 0 ? collected.splice(0) : undefined
  // a process is sent copies
  const moves = transfers.length > 0 && border.sharesMemory ? transfers : given === undefined ? undefined : noMoves
  return {
    first: index,
    items: [value],
    marked,
    moves,
    given,
    limit: undefined,
    at
  }
}

/** What the only item of a block was to use up: it never left, or it was not opened, if it has not been. */
const settleGiven = ({ given }: Pick<Block, "given">, failure: ItemFailure | undefined): void => {
  if (given === undefined) return
  if (failure?._tag === "Unsendable") restoreAll(given)
  else forsakeAll(given)
}

/** Encodes items into blocks: one, unless something moves with some of them. Throws a ProcessError: nothing has moved. */
export const encodeBlocks = (
  definition: TaskDefinition,
  items: ReadonlyArray<unknown>,
  first: number,
  border: Border
): ReadonlyArray<Block> => {
  const blocks: Array<Block> = []
  try {
    addBlocks(blocks, definition, items, first, border)
    return blocks
  } catch (error) {
    for (const { given } of blocks) restoreAll(given ?? [])
    throw error
  }
}

const addBlocks = (
  blocks: Array<Block>,
  definition: TaskDefinition,
  items: ReadonlyArray<unknown>,
  first: number,
  border: Border
): void => {
  const at = performance.now()
  let values: Array<unknown> = []
  let marked = false
  const cut = (next: number): void => {
    if (values.length > 0) blocks.push({ first: next - values.length, items: values, marked, at })
    values = []
    marked = false
  }
  const plain = definition.payload === undefined
  for (let i = 0; i < items.length; i++) {
    const item = items[i]
    if (plain && (typeof item === "number" || typeof item === "string")) {
      values.push(item) // crosses as it is, by the million
      continue
    }
    const block = encodeOne(definition, item, first + i, border, at)
    if (block.moves !== undefined) {
      cut(first + i)
      blocks.push(block)
    } else {
      values.push(block.items[0])
      if (block.marked) marked = true
    }
  }
  cut(first + items.length)
}

/** Nobody waits for the outcome any more. */
const forsaking = (interrupt: Effect.Effect<void>, blocks: ReadonlyArray<Block>): Effect.Effect<void> =>
  blocks.some(({ given }) => given !== undefined)
    ? Effect.ensuring(interrupt, Effect.sync(() => blocks.forEach((block) => settleGiven(block, undefined))))
    : interrupt

const ignorePull = (): void => {}
const ignoreSettled = (): void => {}

/** How one item is to be run. */
export interface ItemOptions {
  readonly retries: number
  readonly timeoutMillis: number | undefined
  readonly worker?: number | undefined
}

/** What a call asks for that says nothing. */
export const noOptions: ItemOptions = { retries: 0, timeoutMillis: undefined }

const singleJob = (
  task: number,
  { retries, timeoutMillis, worker }: ItemOptions,
  ambient: Ambient | undefined
): JobOptions => ({
  task,
  chunkSize: 1,
  failFast: false,
  window: Infinity,
  retries,
  timeoutMillis,
  worker,
  ambient
})

/** The options of a call that asks for nothing are the same for every call of its task. */
const singleJobOf = (
  engine: Engine,
  definition: TaskDefinition,
  options: ItemOptions,
  ambient: Ambient | undefined
): JobOptions => {
  if (options !== noOptions || ambient !== undefined) {
    return singleJob(taskNumber(engine, definition), options, ambient)
  }
  const known = engine.singles.get(definition)
  if (known !== undefined) return known
  const made = singleJob(taskNumber(engine, definition), options, ambient)
  engine.singles.set(definition, made)
  return made
}

/** Hands one item to the pool, within a fiber that waits for `resume`; what is returned takes it back. */
export const startOne = (
  engine: Engine,
  definition: TaskDefinition,
  payload: unknown,
  options: ItemOptions,
  resume: (outcome: Effect.Effect<unknown, unknown>) => void
): Effect.Effect<void> | undefined => {
  const fiber = Fiber.getCurrent()! // that of the callback
  const { border } = engine.options.launcher
  let block: Block
  try {
    // for a certain worker: it is one of several that are given the same
    block = encodeOne(
      definition,
      payload,
      0,
      options.worker === undefined ? border : { ...border, many: true },
      performance.now()
    )
  } catch (error) {
    return void resume(encodingFailed(error))
  }
  const sink: Sink = {
    context: fiber.context,
    onValues: (_first, values, marked, worker) =>
      resume(decodeSuccess(values[0], marked, () => placeOf(engine, definition, worker), definition.success)),
    onFailure: (_index, failure, worker) => {
      settleGiven(block, failure)
      resume(Effect.failCause(failureCause(engine, definition, options.timeoutMillis, failure, worker)))
    },
    onSettled: ignoreSettled,
    onAbandoned: (error) => {
      settleGiven(block, undefined)
      resume(Effect.fail(error))
    },
    onPull: ignorePull
  }
  const job = submit(engine, sink, singleJobOf(engine, definition, options, ambientOf(fiber)), [block], true)
  return block.given === undefined ? interruptJob(engine, job) : forsaking(interruptJob(engine, job), [block])
}

/** One item. */
export const applyOne = (
  engine: Engine,
  definition: TaskDefinition,
  payload: unknown,
  options: ItemOptions
): Effect.Effect<unknown, unknown> =>
  Effect.callback((resume) => startOne(engine, definition, payload, options, resume))

/** All items of a collection: their results in order, or the first failure, when everything else has stopped. */
export const mapAll = (
  engine: Engine,
  definition: TaskDefinition,
  items: Iterable<unknown>,
  options: ItemOptions & Pick<JobOptions, "chunkSize">
): Effect.Effect<Array<unknown>, unknown> =>
  Effect.withFiber((fiber) =>
    Effect.callback<Array<unknown>, unknown>((resume) => {
      const all = Array.from(items)
      if (all.length === 0) return resume(Effect.succeed([]))
      let blocks: ReadonlyArray<Block>
      try {
        blocks = encodeBlocks(definition, all, 0, engine.options.launcher.border)
      } catch (error) {
        return resume(encodingFailed(error))
      }
      const results = new Array<unknown>(all.length)
      let failure: Cause.Cause<unknown> | undefined
      const plain = definition.success === undefined
      const job = submit(
        engine,
        {
          context: fiber.context,
          onValues: (first, values, marked, worker) => {
            if (plain && !marked) {
              for (let i = 0; i < values.length; i++) results[first + i] = values[i]
              return
            }
            for (let i = 0; i < values.length && failure === undefined; i++) {
              const place = (): Place => placeOf(engine, definition, worker)
              const decoded = decodeSuccess(values[i], marked, place, definition.success)
              if (Exit.isSuccess(decoded)) results[first + i] = decoded.value
              else {
                failure = decoded.cause
                dispatch(engine, { _tag: "Interrupted", job })
              }
            }
          },
          onFailure: (_index, itemFailure, worker) => {
            failure ??= failureCause(engine, definition, options.timeoutMillis, itemFailure, worker)
          },
          onSettled: () => {
            if (failure === undefined) return resume(Effect.succeed(results))
            blocks.forEach((block) => settleGiven(block, undefined))
            resume(Effect.failCause(failure))
          },
          onAbandoned: (error) => {
            blocks.forEach((block) => settleGiven(block, undefined))
            resume(Effect.fail(error))
          },
          onPull: ignorePull
        },
        {
          ...options,
          task: taskNumber(engine, definition),
          failFast: true,
          window: Infinity,
          ambient: ambientOf(fiber)
        },
        blocks,
        true
      )
      return forsaking(interruptJob(engine, job), blocks)
    })
  )

/** One for each place of the pool: of a worker that gets nothing more, its successor; one that is killed has an heir. */
const workersToAsk = (state: State): ReadonlyArray<number> =>
  Array.from(state.workers.values())
    .filter(({ predecessor, status }) => predecessor === undefined && status !== "closing")
    .map(({ id, spent, successor }) => spent ? successor ?? id : id)

/** Every place of the pool, with its worker; known when the event in progress, which may have resumed this call, is over. */
const gather = (engine: Engine): Effect.Effect<ReadonlyArray<number>> =>
  Effect.callback((resume) => {
    dispatch(engine, { _tag: "AllWanted" })
    queueMicrotask(() => resume(Effect.sync(() => workersToAsk(engine.state))))
  })

/** One item on every worker: the results in the order of the workers. */
export const applyEverywhere = (
  engine: Engine,
  definition: TaskDefinition,
  payload: unknown
): Effect.Effect<Array<unknown>, unknown> =>
  Effect.flatMap(gather(engine), (workers) => {
    if (engine.state.status !== "open") return Effect.fail(engine.closed ?? closedError(engine, "is closed:"))
    return Effect.forEach(
      workers,
      (worker) => applyOne(engine, definition, payload, { retries: 0, timeoutMillis: undefined, worker }),
      { concurrency: "unbounded" }
    )
  })
