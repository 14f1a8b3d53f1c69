/** A worker of Effect's own RPC, a thread or a process: the functions, as its methods. */
import * as NodeWorkerRunner from "@effect/platform-node/NodeWorkerRunner"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Schema from "effect/Schema"
import { threadId } from "node:worker_threads"
import { burn, square } from "./functions.ts"

export const Functions = RpcGroup.make(
  Rpc.make("square", { payload: Schema.Number, success: Schema.Number }),
  Rpc.make("burn", { payload: Schema.Number, success: Schema.Number }),
  Rpc.make("whoami", { success: Schema.String })
)

const handlers = Functions.toLayer({
  square: (x) => Effect.succeed(square(x)),
  burn: (units) => Effect.sync(() => burn(units)),
  whoami: () => Effect.sync(() => `${process.pid}.${threadId}`)
})

/** The program imports the methods too. */
if (import.meta.filename === process.argv[1]) {
  const server = RpcServer.layer(Functions).pipe(
    Layer.provide(handlers),
    Layer.provide(RpcServer.layerProtocolWorkerRunner),
    Layer.provide(NodeWorkerRunner.layer)
  )
  Effect.runFork(Layer.launch(server))
}
