/** Carries out one planned call, and says what became of it. */
import { Effect, Exit, Fiber, Option, Stream } from "effect"
import { join } from "node:path"
import { Pool } from "../../src/index.ts"
import type { Task } from "../../src/index.ts"
import { tiny, who, work } from "../fixtures/chaos.ts"
import type { Work } from "../fixtures/chaos.ts"
import { nests } from "../fixtures/chaosNested.ts"
import { moves, reads } from "../fixtures/chaosSchemas.ts"
import { bytesOf, textOf, wordOf } from "./laws.ts"
import type { Report } from "./laws.ts"
import type { CallPlan, ItemPlan, TaskName } from "./plan.ts"

type AnyTask = Task.Task<unknown, unknown, unknown>

/** By their names: what they take and give is the plan's business. */
const tasks = { moves, nests, reads, tiny, who, work } as unknown as Record<TaskName, AnyTask>

/** Their results are unknown here: the exits of the third too. */
const streams: Record<"imap" | "imapUnordered" | "imapExit", typeof Pool.imap> = {
  imap: Pool.imap,
  imapUnordered: Pool.imapUnordered,
  imapExit: Pool.imapExit as unknown as typeof Pool.imap
}

const workOf = (item: ItemPlan, folder: string): Work => {
  const { id, kind, size } = item
  const plain = { id, kind, size } as Work // an item of this task has no other kind
  switch (kind) {
    case "text":
      return { ...plain, text: textOf(item) }
    case "bytes":
      return { ...plain, bytes: bytesOf(item) }
    case "exitsOnce":
      return { ...plain, file: join(folder, String(id)) }
    case "unpostable":
      return { ...plain, refused: () => {} }
    default:
      return plain
  }
}

const payloadOf = (task: TaskName, item: ItemPlan, folder: string): unknown => {
  switch (task) {
    case "work":
      return workOf(item, folder)
    case "moves":
      return bytesOf(item)
    case "reads":
      return wordOf(item)
    case "nests":
      return { id: item.id, count: item.size }
    default:
      return item.id
  }
}

const sourceOf = ({ source }: CallPlan, payloads: ReadonlyArray<unknown>) => {
  switch (source) {
    case "array":
      return payloads
    case "stream":
      return Stream.fromIterable(payloads)
    case "dry":
      return Stream.concat(Stream.fromIterable(payloads), Stream.fail("dry"))
  }
}

/** A consumer that thinks about every 16th result. */
const consume = (
  results: Stream.Stream<unknown, unknown>,
  { consumerMillis, take }: CallPlan,
  delivered: Array<unknown>
): Effect.Effect<void, unknown> => {
  const note = (result: unknown): Effect.Effect<void> =>
    delivered.push(result) % 16 === 1 && consumerMillis > 0 ? Effect.sleep(consumerMillis) : Effect.void
  const taken = take === undefined ? results : Stream.take(results, take)
  return Stream.runForEach(taken, note)
}

const callOf = (
  pool: Pool.Pool,
  plan: CallPlan,
  folder: string,
  delivered: Array<unknown>
): Effect.Effect<unknown, unknown> => {
  const { buffer, call, chunkSize, retries, timeoutMillis } = plan
  const task = tasks[plan.task]
  const payloads = plan.items.map((item) => payloadOf(plan.task, item, folder))
  const options = { buffer, chunkSize, retryOnCrash: retries, timeout: timeoutMillis }
  switch (call) {
    case "apply":
      return Pool.apply(pool, task, payloads[0], options)
    case "applyAsync":
      return Effect.flatMap(
        Pool.applyAsync(pool, task, payloads[0], options),
        (fiber) => Effect.onInterrupt(Fiber.join(fiber), () => Fiber.interrupt(fiber))
      )
    case "broadcast":
      return Pool.broadcast(pool, task, payloads[0])
    case "map":
      return Pool.map(pool, task, sourceOf(plan, payloads), options)
    default:
      return consume(streams[call](pool, task, sourceOf(plan, payloads), options), plan, delivered)
  }
}

/** Ends when the call has ended, however that was. */
export const carryOut = Effect.fnUntraced(function*(pool: Pool.Pool, plan: CallPlan, folder: string) {
  const delivered: Array<unknown> = []
  const call = Effect.suspend(() => callOf(pool, plan, folder, delivered))
  const report = (exit: Exit.Exit<unknown, unknown>, stopped: boolean): Report => ({ exit, delivered, stopped })
  const { stop } = plan
  if (stop === undefined) return report(yield* Effect.exit(call), false)
  if (stop.by === "limit") {
    const exit = yield* Effect.exit(Effect.timeoutOption(call, stop.afterMillis))
    const stopped = Exit.isSuccess(exit) && Option.isNone(exit.value)
    return report(stopped ? Exit.interrupt() : Exit.map(exit, Option.getOrUndefined), stopped)
  }
  const fiber = yield* Effect.forkChild(call, { startImmediately: true })
  yield* Effect.timeoutOption(Fiber.await(fiber), stop.afterMillis)
  const stopped = fiber.pollUnsafe() === undefined
  yield* Fiber.interrupt(fiber)
  return report(yield* Fiber.await(fiber), stopped)
})
