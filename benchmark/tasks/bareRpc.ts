/** The methods of a ref and of a map, and effect/rpc as it comes with them, over a unix socket. */
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Schema from "effect/Schema"

export const Methods = RpcGroup.make(
  Rpc.make("get", { success: Schema.Number }),
  Rpc.make("set", { payload: { key: Schema.Number, value: Schema.Number } })
)

export interface Numbers {
  readonly get: () => Effect.Effect<number>
  readonly set: (entry: { readonly key: number; readonly value: number }) => Effect.Effect<void>
}

export const makeNumbers = (): Numbers => {
  const all = new Map<number, number>()
  return {
    get: () => Effect.succeed(0),
    set: ({ key, value }) => Effect.sync(() => void all.set(key, value))
  }
}

const serve = (path: string) => {
  const handlers = Methods.toLayer({ ...makeNumbers() })
  const ready = Layer.effectDiscard(Effect.sync(() => process.send!("ready")))
  return RpcServer.layer(Methods).pipe(
    Layer.provide(handlers),
    Layer.provideMerge(ready),
    Layer.provide(RpcServer.layerProtocolSocketServer),
    Layer.provide(NodeSocketServer.layer({ path })),
    Layer.provide(RpcSerialization.layerSchemaBinary())
  )
}

const [path] = process.argv.slice(2)
if (path !== undefined && import.meta.filename === process.argv[1]) {
  process.once("disconnect", () => process.exit())
  await Effect.runPromise(Layer.launch(serve(path)))
}
