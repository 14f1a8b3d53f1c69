import type { Cause, Effect, Scope, Sink, Stream } from "effect"
import { Schema } from "effect"
import { describe, expect, it } from "tstyche"
import { Connection, Pipe, Process, Task } from "../src/index.ts"
import type { ProcessError } from "../src/index.ts"

type PError = ProcessError.ProcessError

declare const duplex: Connection.Connection<string, number>
declare const sender: Connection.Connection<string, never>
declare const receiver: Connection.Connection<never, string>

class Order extends Schema.Class<Order>("Order")({ id: Schema.Number }) {}

describe("Pipe", () => {
  it("gives two ends that fit each other", () => {
    expect(Pipe.make<string, number>()).type.toBe<
      Effect.Effect<
        readonly [Connection.Connection<string, number>, Connection.Connection<number, string>],
        PError,
        Scope.Scope
      >
    >()
    expect(Pipe.make<string>()).type.toBe<
      Effect.Effect<
        readonly [Connection.Connection<string, string>, Connection.Connection<string, string>],
        PError,
        Scope.Scope
      >
    >()
  })

  it("gives the receiving end first where it has one direction", () => {
    expect(Pipe.simplex<string>()).type.toBe<
      Effect.Effect<
        readonly [Connection.Connection<never, string>, Connection.Connection<string, never>],
        PError,
        Scope.Scope
      >
    >()
  })

  it("takes its types from its schemas", () => {
    expect(Pipe.make({ schema: Order, replySchema: Schema.String })).type.toBe<
      Effect.Effect<
        readonly [Connection.Connection<Order, string>, Connection.Connection<string, Order>],
        PError,
        Scope.Scope
      >
    >()
  })
})

describe("Connection", () => {
  it("sends what it is for, in both forms", () => {
    expect(Connection.send(duplex, "x")).type.toBe<Effect.Effect<void, PError>>()
    expect(Connection.send("x")(duplex)).type.toBe<Effect.Effect<void, PError>>()
    expect(Connection.send).type.not.toBeCallableWith(duplex, 1)
    expect(Connection.send).type.not.toBeCallableWith(receiver, "x")
  })

  it("receives what the other side sends, or the end", () => {
    expect(Connection.receive(duplex)).type.toBe<Effect.Effect<number, PError | Cause.Done>>()
    expect(Connection.receive(sender)).type.toBe<Effect.Effect<never, PError | Cause.Done>>()
    expect(Connection.poll(duplex, "1 second")).type.toBe<Effect.Effect<boolean, PError>>()
  })

  it("is a stream and a sink", () => {
    expect(Connection.toStream(duplex)).type.toBe<Stream.Stream<number, PError>>()
    expect(Connection.toSink(duplex)).type.toBe<Sink.Sink<void, string, never, PError>>()
  })

  it("sends less and receives more than it could", () => {
    expect<Connection.Connection<string, number>>().type.toBeAssignableTo<Connection.Connection<"a", number | string>>()
    expect<Connection.Connection<"a", number>>().type.not.toBeAssignableTo<Connection.Connection<string, number>>()
  })

  it("fits a task that wants one of that type", () => {
    const greeter = Task.make("greeter", {
      module: import.meta.url,
      handler: (end: Connection.Connection<string, never>) => Connection.send(end, "hello")
    })
    expect(Process.start).type.toBeCallableWith(greeter, sender)
    expect(Process.start).type.toBeCallableWith(greeter, duplex as unknown as Connection.Connection<string, never>)
    expect(Process.start).type.not.toBeCallableWith(greeter, receiver)
  })

  it("has a schema for payloads", () => {
    expect(Connection.schema(Order, Schema.String)).type.toBe<
      Schema.Codec<Connection.Connection<Order, string>, Connection.Connection<Order, string>>
    >()
    expect(Connection.schema()).type.toBe<
      Schema.Codec<Connection.Connection<unknown, unknown>, Connection.Connection<unknown, unknown>>
    >()
  })
})
