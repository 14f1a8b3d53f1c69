/**
 * A worker as the runner's session is: it takes its runs in their order, announces items or not, reports successes
 * together, ends a run that fails fast with its first failure, and answers a Cancel. It may die at any moment.
 */
import type { LastItem } from "../../../src/internal/protocol/progress.ts"
import { begins } from "./laws.ts"
import type { ItemKind } from "./plans.ts"
import { tell } from "./tell.ts"
import { isMarkedValue, itemOf } from "./world.ts"
import type { Queued, SimWorker, Value, World } from "./world.ts"

export const kindOf = (world: World, { chunk, index }: Queued): ItemKind => itemOf(world, chunk.items[index]).kind

/** It runs an item that does not suspend, and so it reads nothing. */
export const computes = (world: World, { queue, running }: SimWorker): boolean =>
  running && !suspends(kindOf(world, queue[0]!))

const suspends = (kind: ItemKind): boolean => kind === "slow" || kind === "wait" || kind === "stubborn"

export const post = (world: World, worker: SimWorker): void => {
  const messages = worker.outbox
  worker.outbox = []
  if (worker.phase !== "up") return
  for (const message of messages) {
    if (message._tag === "Run" && message.chunk.items.some((item) => itemOf(world, item).kind === "unsendable")) {
      tell(world, { _tag: "Unsent", worker: worker.id, run: message.chunk.run, detail: "refused" })
    } else {
      worker.inbox.push(message)
    }
  }
}

export const read = (world: World, worker: SimWorker): void => {
  const message = worker.inbox.shift()!
  switch (message._tag) {
    case "Run":
      return void worker.queue.push({ chunk: message.chunk, index: 0, cancelled: false })
    case "Cancel": {
      const found = worker.queue.find(({ chunk }) => chunk.run === message.run)
      if (found === undefined) {
        worker.said.push({ _tag: "Cancelled", worker: worker.id, run: message.run })
        return flush(worker)
      }
      found.cancelled = true
      return dropDone(world, worker)
    }
    case "Close":
      worker.leaving = true
      if (!worker.running) leave(worker)
  }
}

export const start = (world: World, worker: SimWorker, announced: boolean): void => {
  const head = worker.queue[0]!
  begins(world, head.chunk.run)
  worker.running = true
  worker.announced = announced
  worker.loaded.add(head.chunk.job.options.task)
  worker.progress = head.chunk.run
  worker.noted = head.index
  if (announced) announce(worker, false)
  if (!suspends(kindOf(world, head))) return
  // it takes its time after all
  if (head.chunk.job.options.timeoutMillis === undefined) tellThat(worker, false)
  else announce(worker, false)
}

/** Some share a word with their parent, which reads there what they begin and what they died in. */
const isRead = ({ id }: SimWorker): boolean => id % 2 === 1

/** Where its parent cannot read it, it says what it begins or loads; what is before that is said in any case. */
const tellThat = (worker: SimWorker, loading: boolean): void => {
  if (isRead(worker)) flush(worker)
  else announce(worker, loading)
}

export const load = (worker: SimWorker): void => {
  const { chunk, index } = worker.queue[0]!
  worker.loading = true
  worker.progress = chunk.run
  worker.noted = index
  tellThat(worker, true)
}

const announce = (worker: SimWorker, loading: boolean): void => {
  const { chunk, index } = worker.queue[0]!
  worker.progress = chunk.run
  worker.noted = index
  worker.announced = true
  worker.said.push({ _tag: "Started", worker: worker.id, run: chunk.run, index, loading })
  flush(worker)
}

export const finish = (world: World, worker: SimWorker): void => {
  const head = worker.queue[0]!
  const kind = kindOf(world, head)
  if (kind === "crash") {
    // a crash that nobody was told of runs the item again: not for ever
    if (world.draining) lastReport(worker)
    return die(worker)
  }
  worker.running = false
  if (worker.leaving) return leave(worker)
  const interrupted = head.cancelled && (kind === "wait" || head.index % 2 === 0)
  if (kind === "fail" || interrupted) reportFailure(worker, head)
  else reportSuccess(world, worker, head)
  dropDone(world, worker)
}

/** The run takes longer than was thought: the rest of it is for whoever has time. */
export const giveBack = (world: World, worker: SimWorker): void => {
  const { chunk, index } = worker.queue.shift()!
  worker.said.push({ _tag: "Returned", worker: worker.id, run: chunk.run, index })
  dropDone(world, worker)
}

export const outgrow = (world: World, worker: SimWorker): void => {
  worker.complained = true
  worker.said.push({ _tag: "Outgrown", worker: worker.id })
  if (world.small !== undefined) flush(worker)
}

const reportSuccess = (world: World, worker: SimWorker, head: Queued): void => {
  const { chunk, index } = head
  const payload = chunk.items[index]
  const value: Value = { of: payload, by: worker.id }
  const marked = isMarkedValue(payload as number)
  const millis = world.plan.costs[chunk.job.options.task]!
  const last = worker.said.at(-1)
  if (last?._tag === "Succeeded" && last.run === chunk.run && last.marked === marked) {
    worker.said[worker.said.length - 1] = {
      ...last,
      values: [...Array.from(last.values), value],
      millis: last.millis + millis
    }
  } else {
    worker.said.push({ _tag: "Succeeded", worker: worker.id, run: chunk.run, index, values: [value], marked, millis })
  }
  head.index++
}

const reportFailure = (worker: SimWorker, head: Queued): void => {
  const { chunk, index } = head
  const detail: Value = { of: chunk.items[index], by: worker.id }
  worker.said.push({
    _tag: "Failed",
    worker: worker.id,
    run: chunk.run,
    index,
    failure: { _tag: "Reported", detail },
    millis: 0
  })
  head.index = chunk.job.options.failFast ? chunk.items.length : index + 1
}

/** Runs that are over leave the queue; the last report of a queue is flushed some time after. */
const dropDone = (world: World, worker: SimWorker): void => {
  while (!worker.running && worker.queue.length > 0) {
    const { cancelled, chunk, index } = worker.queue[0]!
    if (!cancelled && index < chunk.items.length) break
    worker.queue.shift()
    worker.loading = false
    if (cancelled) worker.said.push({ _tag: "Cancelled", worker: worker.id, run: chunk.run })
  }
  if (world.small !== undefined) flush(worker)
  if (worker.queue.length > 0) return
  worker.progress = -1
}

export const flush = (worker: SimWorker): void => {
  worker.sent.push(...worker.said)
  worker.said = []
}

/** A child that ends itself says what it has done and what it runs. */
export const lastReport = (worker: SimWorker): void => {
  const head = worker.queue[0]
  if (head !== undefined && worker.running && !worker.announced) announce(worker, false)
  flush(worker)
}

const leave = (worker: SimWorker): void => {
  flush(worker)
  die(worker)
}

const lastOf = (worker: SimWorker): LastItem => {
  if (!isRead(worker) || worker.condemned) return undefined
  return worker.progress < 0 ? "none" : { run: worker.progress, index: worker.noted }
}

export const die = (worker: SimWorker): void => {
  worker.last = lastOf(worker)
  worker.phase = "dead"
  worker.running = false
  worker.loading = false
  worker.queue.length = 0
  worker.inbox.length = 0
  worker.said = []
}
