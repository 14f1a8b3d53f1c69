import type { Effect, Scope } from "effect"
import { Schema } from "effect"
import { describe, expect, it } from "tstyche"
import { Connection, Listener } from "../src/index.ts"
import type { ProcessError } from "../src/index.ts"

type PError = ProcessError.ProcessError

declare const listener: Listener.Listener
declare const address: Listener.Address

class Order extends Schema.Class<Order>("Order")({ id: Schema.Number }) {}

describe("Listener", () => {
  it("needs a scope, and a key", () => {
    expect(Listener.make({ authKey: "k" })).type.toBe<Effect.Effect<Listener.Listener, PError, Scope.Scope>>()
    expect(Listener.make).type.toBeCallableWith({ authKey: new Uint8Array(32), address: { path: "/tmp/x" } })
    expect(Listener.make).type.toBeCallableWith({ authKey: "k", address: { host: "localhost", port: 0 } })
    expect(Listener.make).type.not.toBeCallableWith({})
    expect(Listener.make).type.not.toBeCallableWith({ authKey: "k", address: { host: "localhost" } })
    expect(Listener.make).type.not.toBeCallableWith({ authKey: "k", address: "/tmp/x" })
  })

  it("tells its address, and nothing of its key", () => {
    expect(listener.address).type.toBe<Listener.Address>()
    expect(listener).type.not.toHaveProperty("authKey")
  })

  it("gives what is unknown until somebody says what it is", () => {
    expect(Listener.accept(listener)).type.toBe<
      Effect.Effect<Connection.Connection<unknown, unknown>, PError, Scope.Scope>
    >()
    expect(Listener.accept<string, number>(listener)).type.toBe<
      Effect.Effect<Connection.Connection<string, number>, PError, Scope.Scope>
    >()
    expect(Listener.connect(address, { authKey: "k" })).type.toBe<
      Effect.Effect<Connection.Connection<unknown, unknown>, PError, Scope.Scope>
    >()
    expect(Listener.connect<string>(address, { authKey: "k" })).type.toBe<
      Effect.Effect<Connection.Connection<string, string>, PError, Scope.Scope>
    >()
  })

  it("takes its types from a schema", () => {
    expect(Listener.accept(listener, { schema: Order })).type.toBe<
      Effect.Effect<Connection.Connection<Order, Order>, PError, Scope.Scope>
    >()
    expect(Listener.connect(address, { authKey: "k", schema: Order })).type.toBe<
      Effect.Effect<Connection.Connection<Order, Order>, PError, Scope.Scope>
    >()
  })

  it("is not a connection", () => {
    expect(Connection.receive).type.not.toBeCallableWith(listener)
  })

  it("wants a key from a client too", () => {
    expect(Listener.connect).type.not.toBeCallableWith(address, {})
    expect(Listener.connect).type.not.toBeCallableWith(address)
  })
})
