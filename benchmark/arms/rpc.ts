/** effect/rpc without a manager: one client, one server, a unix socket. */
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import { Effect, Layer } from "effect"
import { RpcClient, RpcSerialization } from "effect/rpc"
import { fork } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { warmUpOf } from "../orders.ts"
import type { ManagerOrder } from "../orders.ts"
import { Methods } from "../tasks/bareRpc.ts"
import { order, report } from "./order.ts"
import { inLanes, timed } from "./programs.ts"

const keys = 100

const calls = Effect.fnUntraced(function*({ calls, lanes, object }: ManagerOrder) {
  const client = yield* RpcClient.make(Methods)
  const call = (n: number): Effect.Effect<unknown, unknown> =>
    object === "map" ? client.set({ key: n % keys, value: n }) : client.get()
  yield* inLanes(lanes, warmUpOf(calls), call, () => {})
  const [ms] = yield* timed(inLanes(lanes, calls, call, () => {}))
  report(ms)
})

if (order.work !== "manager") throw new Error(`nobody is called in ${order.work}`)
const path = join(tmpdir(), `benchmark-${randomBytes(8).toString("hex")}`)
const server = fork(fileURLToPath(new URL("../tasks/bareRpc.ts", import.meta.url)), [path])
await once(server, "message")
const protocol = RpcClient.layerProtocolSocket().pipe(
  Layer.provide(NodeSocket.layerNet({ path })),
  Layer.provide(RpcSerialization.layerSchemaBinary())
)
await Effect.runPromise(calls(order).pipe(Effect.scoped, Effect.provide(protocol)))
server.disconnect()
