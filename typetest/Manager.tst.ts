import { Context, Schema } from "effect"
import type { Effect, Layer, Scope, Stream } from "effect"
import { Rpc, RpcGroup } from "effect/rpc"
import { describe, expect, it } from "tstyche"
import { Manager } from "../src/index.ts"
import type { ProcessError, StartMethod } from "../src/index.ts"

type Failed = ProcessError.ProcessError

class Counter extends Context.Service<Counter, {
  readonly add: (amount: number) => Effect.Effect<number>
  readonly watch: () => Stream.Stream<number>
}>()("Counter") {}

declare const layer: Layer.Layer<Counter, "refused">

const add = Rpc.make("add", { payload: Schema.Number, success: Schema.Number })
const watch = Rpc.make("watch", { success: Schema.Number, stream: true })
const module = import.meta.url

describe("Manager", () => {
  it("is made of a service and the group of its methods", () => {
    const made = Manager.make("Counters", { module, service: Counter, methods: RpcGroup.make(add, watch), layer })
    expect(made).type.toBe<Manager.Manager<Counter, Counter["Service"], "refused">>()
    expect(Manager.layer(made)).type.toBe<Layer.Layer<Counter, Failed, StartMethod.StartMethod>>()
    expect(Manager.connect(made, { address: { path: "/tmp/a" }, authKey: "key" })).type.toBe<
      Layer.Layer<Counter, Failed>
    >()
    expect(Manager.serve(made, { authKey: "key" })).type.toBeAssignableTo<
      Effect.Effect<unknown, Failed | "refused", Scope.Scope>
    >()
  })

  it("refuses a group that is not the service's", () => {
    const options = { module, service: Counter, layer }
    expect(Manager.make).type.not.toBeCallableWith("Counters", { ...options, methods: RpcGroup.make(add) })
    expect(Manager.make).type.not.toBeCallableWith("Counters", {
      ...options,
      methods: RpcGroup.make(Rpc.make("add", { payload: Schema.String, success: Schema.Number }), watch)
    })
    expect(Manager.make).type.not.toBeCallableWith("Counters", {
      ...options,
      methods: RpcGroup.make(Rpc.make("add", { payload: Schema.Number, success: Schema.String }), watch)
    })
    expect(Manager.make).type.not.toBeCallableWith("Counters", {
      ...options,
      methods: RpcGroup.make(add, Rpc.make("watch", { success: Schema.Number }))
    })
  })

  it("calls a method with a tuple's elements, and gives an object for as long as a scope", () => {
    const Cursor = Manager.hosted("Cursor", {
      module,
      methods: RpcGroup.make(Rpc.make("move", { payload: Schema.Tuple([Schema.Number, Schema.String]) }))
    })
    expect(Cursor.Type.move).type.toBe<(...payload: readonly [number, string]) => Effect.Effect<void>>()
    const open = Rpc.make("open", { payload: Schema.String, success: Cursor })
    expect<Manager.Service<typeof open>["open"]>().type.toBe<
      (payload: string) => Effect.Effect<typeof Cursor.Type, never, Scope.Scope>
    >()
  })

  it("has ready-made objects", () => {
    expect(Manager.ref(1)).type.toBe<Effect.Effect<Manager.HostedRef<number>, Failed, Manager.Objects | Scope.Scope>>()
    expect(Manager.map([["a", 1]])).type.toBe<
      Effect.Effect<Manager.HostedMap<string, number>, Failed, Manager.Objects | Scope.Scope>
    >()
    expect(Manager.set).type.not.toBeCallableWith([{ a: 1 }])
    expect(Manager.map).type.not.toBeCallableWith([[{ a: 1 }, 1]])
  })
})
