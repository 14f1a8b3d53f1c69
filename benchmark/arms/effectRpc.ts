/** Effect's own way to workers: RPC over a pool of them, as `RpcClient.layerProtocolWorker` makes it. */
import * as NodeWorker from "@effect/platform-node/NodeWorker"
import { Effect, Layer } from "effect"
import { RpcClient } from "effect/rpc"
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Worker } from "node:worker_threads"
import type { ApplyOrder, SkewOrder, StartOrder } from "../orders.ts"
import { Functions } from "../tasks/effectRpc.ts"
import { check, order, report } from "./order.ts"
import { inLanes, timed } from "./programs.ts"

const begin = performance.now()
const module = order.work === "start" ? "start/effectRpc.mjs" : "effectRpc.ts"
const file = fileURLToPath(new URL(`../tasks/${module}`, import.meta.url))

/** By itself a worker has one call at a time, and waits for the next while its answer is on the way. */
const concurrency = order.variant === "tuned" ? { concurrency: 32 } : {}

const protocol = RpcClient.layerProtocolWorker({ size: order.processes, ...concurrency }).pipe(
  Layer.provide(NodeWorker.layer(() => order.method === "threads" ? new Worker(file) : fork(file)))
)

const makeClient = RpcClient.make(Functions)

type Client = Effect.Success<typeof makeClient>

const apply = (client: Client, { inFlight, tasks, warmUp }: ApplyOrder) =>
  Effect.andThen(
    inLanes(inFlight, warmUp, client.square, (x, result) => check("square", result, x * x)),
    timed(inLanes(inFlight, tasks, client.square, () => {}))
  )

const skew = (client: Client, { costs }: SkewOrder) => {
  const once = Effect.forEach(costs, (units) => client.burn(units), { concurrency: "unbounded" })
  return Effect.andThen(once, timed(once))
}

/** As the others that cannot ask each worker: `untilAllAnswered` in `drive.ts`. */
const start = (client: Client, { processes }: StartOrder) => {
  const seen = new Set<string>()
  const ask = Effect.all(Array.from({ length: processes }, () => client.whoami()), { concurrency: "unbounded" }).pipe(
    Effect.tap((answers) => Effect.sync(() => answers.forEach((who) => seen.add(who)))),
    Effect.tap(() => seen.size < processes ? Effect.sleep(1) : Effect.void)
  )
  return Effect.map(Effect.repeat(ask, { while: () => seen.size < processes }), () => performance.now() - begin)
}

const run = (client: Client): Effect.Effect<number, unknown> => {
  switch (order.work) {
    case "apply":
      return Effect.map(apply(client, order), ([ms]) => ms)
    case "skew":
      return Effect.map(skew(client, order), ([ms]) => ms)
    case "start":
      return start(client, order)
    default:
      throw new Error(`effect/rpc has no workers for ${order.work}`)
  }
}

report(await Effect.runPromise(Effect.flatMap(makeClient, run).pipe(Effect.scoped, Effect.provide(protocol))))
process.exit()
