import { Context, Effect, Layer } from "effect"
import type { Task } from "../../src/Task.ts"
import type {
  ApplyOrder,
  CellOrder,
  ChildOrder,
  InPlaceOrder,
  ManagerOrder,
  MapOrder,
  PayloadOrder,
  PipeOrder,
  QueueOrder,
  SkewOrder,
  StartOrder,
  TypedOrder
} from "../orders.ts"
import { warmUpOf } from "../orders.ts"
import { load } from "../ours.ts"
import { check, order, report } from "./order.ts"
import { inLanes, timed } from "./programs.ts"
import { checkBytes, checkShared, checkSquares, fillShared, makeBytes, makeParts, medianOf, rangesOf } from "./trips.ts"

const { Manager, Pipe, Pool, Process, SharedArray, SharedBarrier, SharedLock, SharedQueue, SharedValue, StartMethod } =
  await load()

const childModule = new URL("../tasks/start/oursWithEffect.mjs", import.meta.url)

const layer = order.variant === "forkserver"
  ? StartMethod.layerForkServer({ preload: [childModule] })
  : order.method === "threads"
  ? StartMethod.layerThreads
  : StartMethod.layerSpawn

const numbers = (length: number): Array<number> => Array.from({ length }, (_, index) => index)

const apply = Effect.fnUntraced(function*({ inFlight, processes, tasks, warmUp }: ApplyOrder) {
  const { square } = yield* Effect.promise(() => import("../tasks/ours.ts"))
  const pool = yield* Pool.make({ processes })
  const call = (x: number) => Pool.apply(pool, square, x)
  yield* inLanes(inFlight, warmUp, call, (x, result) => check("square", result, x * x))
  const [ms] = yield* timed(inLanes(inFlight, tasks, call, () => {}))
  report(ms)
})

const map = Effect.fnUntraced(function*({ items: count, processes, variant }: MapOrder) {
  const { square } = yield* Effect.promise(() => import("../tasks/ours.ts"))
  const pool = yield* Pool.make({ processes })
  const items = variant === "typed" ? Float64Array.from(numbers(count)) : numbers(count)
  yield* Pool.map(pool, square, items)
  const [ms, results] = yield* timed(Pool.map(pool, square, items))
  check("the length", results.length, count)
  check("the last square", results[count - 1], (count - 1) ** 2)
  report(ms)
})

const typed = Effect.fnUntraced(function*(order: TypedOrder) {
  const { squareMoved } = yield* Effect.promise(() => import("../tasks/oursMoved.ts"))
  const pool = yield* Pool.make({ processes: order.processes })
  let parts = makeParts(order)
  const times: Array<number> = []
  while (times.length < order.warmUp + order.trips) {
    const [ms, results] = yield* timed(Pool.map(pool, squareMoved, parts))
    parts = checkSquares(order, results)
    times.push(ms)
  }
  report(medianOf(order, times))
})

const skew = Effect.fnUntraced(function*({ costs, processes, variant }: SkewOrder) {
  const { burn } = yield* Effect.promise(() => import("../tasks/ours.ts"))
  const pool = yield* Pool.make({ processes })
  const once = variant === "apply"
    ? Effect.forEach(costs, (units) => Pool.apply(pool, burn, units), { concurrency: "unbounded" })
    : Pool.map(pool, burn, costs)
  yield* once
  const [ms, results] = yield* timed(once)
  check("the length", results.length, costs.length)
  report(ms)
})

const start = Effect.fnUntraced(function*({ processes }: StartOrder) {
  const module = new URL("../tasks/start/ours.mjs", import.meta.url).href
  const { whoami }: { readonly whoami: Task<void, string> } = yield* Effect.promise(() => import(module))
  const first = Effect.gen(function*() {
    const pool = yield* Pool.make({ processes })
    return yield* Pool.broadcast(pool, whoami)
  })
  // the layer too is built within the time
  yield* Effect.scoped(Effect.gen(function*() {
    const [ms, answers] = yield* timed(Effect.provide(first, layer))
    check("the number of workers", new Set(answers).size, processes)
    report(ms)
  }))
})

const child = Effect.fnUntraced(function*(order: ChildOrder) {
  const { whoami }: { readonly whoami: Task<void, string> } = yield* Effect.promise(() => import(childModule.href))
  const once = Effect.scoped(Effect.flatMap(Process.start(whoami), Process.join))
  const times: Array<number> = []
  const seen = new Set<string>()
  while (times.length < order.warmUp + order.trips) {
    const [ms, answer] = yield* timed(once)
    seen.add(answer)
    times.push(ms)
  }
  check("the number of children", seen.size, times.length)
  report(medianOf(order, times))
})

/** Nothing is copied, and nothing moves: both sides see the same bytes. */
const sharedPayload = Effect.fnUntraced(function*(order: PayloadOrder) {
  const { echoShared } = yield* Effect.promise(() => import("../tasks/oursShared.ts"))
  const pool = yield* Pool.make({ processes: order.processes })
  const bytes = yield* SharedArray.make("uint8", order.bytes)
  SharedArray.view(bytes).set(makeBytes(order))
  const times: Array<number> = []
  while (times.length < order.warmUp + order.trips) {
    const [ms, result] = yield* timed(Pool.apply(pool, echoShared, bytes))
    checkBytes(order, SharedArray.view(result))
    times.push(ms)
  }
  report(medianOf(order, times))
})

const payload = Effect.fnUntraced(function*(order: PayloadOrder) {
  const task = yield* Effect.promise(async () =>
    order.moves ? (await import("../tasks/oursMoved.ts")).echoMoved : (await import("../tasks/ours.ts")).echo
  )
  const pool = yield* Pool.make({ processes: order.processes })
  let bytes = makeBytes(order)
  const times: Array<number> = []
  while (times.length < order.warmUp + order.trips) {
    const [ms, result] = yield* timed(Pool.apply(pool, task, bytes))
    bytes = checkBytes(order, result)
    times.push(ms)
  }
  report(medianOf(order, times))
})

const inPlace = Effect.fnUntraced(function*(order: InPlaceOrder) {
  const { squareShared } = yield* Effect.promise(() => import("../tasks/oursShared.ts"))
  const pool = yield* Pool.make({ processes: order.processes })
  const items = yield* SharedArray.make("float64", order.numbers)
  const ranges = rangesOf(order).map(([from, to]) => ({ items, from, to }))
  const times: Array<number> = []
  while (times.length < order.warmUp + order.trips) {
    fillShared(SharedArray.view(items))
    const [ms] = yield* timed(Pool.map(pool, squareShared, ranges))
    checkShared(SharedArray.view(items))
    times.push(ms)
  }
  report(medianOf(order, times))
})

const cell = Effect.fnUntraced(function*({ processes, step, steps }: CellOrder) {
  const { doSteps, repeated, stepOn } = yield* Effect.promise(() => import("../tasks/oursShared.ts"))
  const cells = { value: yield* SharedValue.make("int32"), lock: yield* SharedLock.make() }
  if (processes === 1) {
    const one = stepOn(cells, step)
    yield* repeated(one, steps / 10)
    const [ms] = yield* timed(repeated(one, steps))
    return report(ms)
  }
  const pool = yield* Pool.make({ processes })
  const all = (count: number) =>
    Pool.map(pool, doSteps, Array.from({ length: processes }, () => ({ cells, step, steps: count })), { chunkSize: 1 })
  yield* all(steps / 10)
  const [ms] = yield* timed(all(steps))
  report(ms)
})

const pipe = Effect.fnUntraced(function*(order: PipeOrder) {
  const { listen, talk } = yield* Effect.promise(() => import("../tasks/oursTalking.ts"))
  const [here, there] = yield* Pipe.make<Uint8Array>()
  const child = yield* Process.start(listen, { end: there, order })
  yield* talk(order, here, warmUpOf(order.messages))
  const [ms] = yield* timed(talk(order, here, order.messages))
  report(ms)
  yield* Process.join(child)
})

const queue = Effect.fnUntraced(function*(order: QueueOrder) {
  const { consume, produce } = yield* Effect.promise(() => import("../tasks/oursTalking.ts"))
  const gate = yield* SharedBarrier.make(order.producers + order.consumers + 1)
  const queues = yield* Effect.all([SharedQueue.unbounded<number>(), SharedQueue.unbounded<number>()])
  const work = { gate, offered: yield* SharedBarrier.make(order.producers), order, queues }
  const tasks = [
    ...Array.from({ length: order.producers }, () => produce),
    ...Array.from({ length: order.consumers }, () => consume)
  ]
  const children = yield* Effect.forEach(tasks, (task) => Process.start(task, work))
  const wait = SharedBarrier.wait(gate)
  yield* Effect.repeat(wait, { times: 2 })
  const [ms] = yield* timed(wait)
  report(ms)
  yield* Effect.forEach(children, Process.join)
})

const hostedOf = Effect.fnUntraced(function*({ object }: ManagerOrder) {
  switch (object) {
    case "ref":
      return { ref: yield* Manager.ref(0) }
    case "map":
      return { map: yield* Manager.map<number, number>() }
    case "service": {
      const { Service, numbers } = yield* Effect.promise(() => import("../tasks/oursService.ts"))
      return { ref: Context.get(yield* Layer.build(Manager.layer(numbers)), Service) }
    }
  }
})

const manager = Effect.fnUntraced(function*(order: ManagerOrder) {
  const { callMany } = yield* Effect.promise(() => import("../tasks/oursManaged.ts"))
  const gate = yield* SharedBarrier.make(order.clients + 1)
  const hosted = yield* hostedOf(order)
  const clients = Array.from({ length: order.clients }, () => ({ ...hosted, gate, order }))
  const children = yield* Effect.forEach(clients, (work) => Process.start(callMany, work))
  const wait = SharedBarrier.wait(gate)
  yield* wait
  const [ms] = yield* timed(wait)
  report(ms)
  yield* Effect.forEach(children, Process.join)
})

const program = Effect.suspend(() => {
  switch (order.work) {
    case "apply":
      return apply(order)
    case "map":
      return map(order)
    case "typed":
      return typed(order)
    case "skew":
      return skew(order)
    case "start":
      return start(order)
    case "child":
      return child(order)
    case "payload":
      return order.variant === "shared" ? sharedPayload(order) : payload(order)
    case "inPlace":
      return inPlace(order)
    case "cell":
      return cell(order)
    case "pipe":
      return pipe(order)
    case "queue":
      return queue(order)
    case "manager":
      return Effect.provide(manager(order), Manager.layerObjects())
  }
})

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(layer)))
