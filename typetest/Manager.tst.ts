import { Context, Effect, Schema } from "effect"
import type { Layer, Option, Scope, Stream } from "effect"
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

  it("holds a proxy for a scope, as what it is", () => {
    const Cursor = Manager.hosted("Cursor", { module, methods: RpcGroup.make(add) })
    expect(Manager.hold(Cursor.Type)).type.toBe<Effect.Effect<typeof Cursor.Type, Failed, Scope.Scope>>()
    expect(Manager.hold).type.not.toBeCallableWith(1)
  })

  it("gives an Option where it does not wait", () => {
    const use: Effect.Effect<number, "failed"> = Effect.succeed(1)
    const lock = null as unknown as Manager.HostedSemaphore
    type Perhaps = Effect.Effect<Option.Option<number>, Failed | "failed">
    expect(Manager.withLockIfAvailable(lock, use)).type.toBe<Perhaps>()
    expect(Manager.withLockIfAvailable(lock)(use)).type.toBe<Perhaps>()
    expect(Manager.withPermitsIfAvailable(lock, 2, use)).type.toBe<Perhaps>()
    expect(Manager.withPermitsIfAvailable(lock, 2)(use)).type.toBe<Perhaps>()
    expect(Manager.withLock(lock, use)).type.toBe<Effect.Effect<number, Failed | "failed">>()
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
