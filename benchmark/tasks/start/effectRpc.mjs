import * as NodeWorkerRunner from "@effect/platform-node/NodeWorkerRunner"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Schema from "effect/Schema"
import { whoami } from "./whoami.mjs"

const Functions = RpcGroup.make(Rpc.make("whoami", { success: Schema.String }))

const server = RpcServer.layer(Functions).pipe(
  Layer.provide(Functions.toLayer({ whoami: () => Effect.sync(whoami) })),
  Layer.provide(RpcServer.layerProtocolWorkerRunner),
  Layer.provide(NodeWorkerRunner.layer)
)
Effect.runFork(Layer.launch(server))
