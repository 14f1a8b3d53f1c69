/** The workloads for a pool that answers with promises: the same code for every such rival. */
import { setTimeout } from "node:timers/promises"
import type { ApplyOrder, InPlaceOrder, MapOrder, Order, PayloadOrder, SkewOrder, TypedOrder } from "../orders.ts"
import { check, order, report } from "./order.ts"
import {
  checkBytes,
  checkShared,
  checkSquares,
  fillShared,
  makeBytes,
  makeParts,
  rangesOf,
  takeTrips
} from "./trips.ts"

/** What ends in "Moved" gives its result away, and its payload has been given to it. */
export type FunctionName =
  | "square"
  | "squareAll"
  | "squareMoved"
  | "squareShared"
  | "burn"
  | "whoami"
  | "echo"
  | "echoMoved"

export interface Rival {
  /** Calls the function that this pool was opened for. What is in `transfer` may be moved instead of copied. */
  readonly run: (payload: unknown, transfer?: ReadonlyArray<ArrayBuffer>) => PromiseLike<unknown>
  readonly close: () => PromiseLike<unknown>
}

const functionOf = (order: Order): FunctionName => {
  switch (order.work) {
    case "apply":
      return "square"
    case "map":
      return "squareAll"
    case "typed":
      return "squareMoved"
    case "payload":
      return order.moves ? "echoMoved" : "echo"
    case "skew":
      return "burn"
    case "start":
      return "whoami"
    case "inPlace":
      return "squareShared"
    case "child":
      throw new Error("a pool has no single children")
    case "cell":
      throw new Error("a pool has no cells")
    case "pipe":
    case "queue":
    case "manager":
      throw new Error("nobody talks in a pool")
  }
}

const apply = async (rival: Rival, { inFlight, tasks, warmUp }: ApplyOrder): Promise<number> => {
  const calls = async (count: number, onResult: (x: number, result: unknown) => void): Promise<void> => {
    let next = 0
    const lane = async (): Promise<void> => {
      while (next < count) {
        const x = next++
        onResult(x, await rival.run(x))
      }
    }
    await Promise.all(Array.from({ length: inFlight }, lane))
  }
  await calls(warmUp, (x, result) => check("square", result, x * x))
  const begin = performance.now()
  await calls(tasks, () => {})
  return performance.now() - begin
}

const mapArrays = async (rival: Rival, items: ReadonlyArray<number>, chunk: number): Promise<ArrayLike<number>> => {
  const chunks: Array<PromiseLike<unknown>> = []
  for (let at = 0; at < items.length; at += chunk) chunks.push(rival.run(items.slice(at, at + chunk)))
  const results: Array<number> = []
  for (const part of await Promise.all(chunks) as ReadonlyArray<ReadonlyArray<number>>) {
    for (const value of part) results.push(value)
  }
  return results
}

const map = async (rival: Rival, { chunk, items: count }: MapOrder): Promise<number> => {
  const items = Array.from({ length: count }, (_, index) => index)
  await mapArrays(rival, items, chunk)
  const begin = performance.now()
  const results = await mapArrays(rival, items, chunk)
  const ms = performance.now() - begin
  check("the length", results.length, count)
  check("the last square", results[count - 1], (count - 1) ** 2)
  return ms
}

const typed = (rival: Rival, order: TypedOrder): Promise<number> => {
  let parts = makeParts(order)
  return takeTrips(order, async () => {
    const begin = performance.now()
    const results = await Promise.all(parts.map((part) => rival.run(part, [part.buffer])))
    const ms = performance.now() - begin
    parts = checkSquares(order, results)
    return ms
  })
}

const inPlace = (rival: Rival, order: InPlaceOrder): Promise<number> => {
  const items = new Float64Array(new SharedArrayBuffer(order.numbers * Float64Array.BYTES_PER_ELEMENT))
  return takeTrips(order, async () => {
    fillShared(items)
    const begin = performance.now()
    await Promise.all(rangesOf(order).map(([from, to]) => rival.run({ items, from, to })))
    const ms = performance.now() - begin
    checkShared(items)
    return ms
  })
}

const payload = (rival: Rival, order: PayloadOrder): Promise<number> => {
  let bytes = makeBytes(order)
  return takeTrips(order, async () => {
    const begin = performance.now()
    const result = await rival.run(bytes, order.moves ? [bytes.buffer] : undefined)
    const ms = performance.now() - begin
    bytes = checkBytes(order, result)
    return ms
  })
}

const skew = async (rival: Rival, { costs }: SkewOrder): Promise<number> => {
  const once = () => Promise.all(costs.map((units) => rival.run(units)))
  await once()
  const begin = performance.now()
  await once()
  return performance.now() - begin
}

const untilAllAnswered = async (rival: Rival, workers: number): Promise<void> => {
  const seen = new Set<unknown>()
  const ask = () => rival.run(undefined)
  while (true) {
    for (const who of await Promise.all(Array.from({ length: workers }, ask))) seen.add(who)
    if (seen.size >= workers) return
    // asking without a pause would take the core from the worker that still starts
    await setTimeout(1)
  }
}

export const drive = async (open: (name: FunctionName, order: Order) => Rival): Promise<void> => {
  const begin = performance.now()
  const rival = open(functionOf(order), order)
  switch (order.work) {
    case "apply":
      report(await apply(rival, order))
      break
    case "map":
      report(await map(rival, order))
      break
    case "typed":
      report(await typed(rival, order))
      break
    case "inPlace":
      report(await inPlace(rival, order))
      break
    case "skew":
      report(await skew(rival, order))
      break
    case "payload":
      report(await payload(rival, order))
      break
    case "start":
      await untilAllAnswered(rival, order.processes)
      report(performance.now() - begin)
  }
  await rival.close()
}
