import type { Cause, Effect, Option, Scope, Sink, Stream } from "effect"
import { Schema } from "effect"
import { describe, expect, it } from "tstyche"
import { SharedQueue } from "../src/index.ts"
import type { ProcessError, SharedSemaphore } from "../src/index.ts"

type Failed = ProcessError.ProcessError

declare const queue: SharedQueue.SharedQueue<string>

class Order extends Schema.Class<Order>("Order")({ id: Schema.Number }) {}

describe("SharedQueue", () => {
  it("is made in a scope, bounded or not, for values of one type", () => {
    type Made<A> = Effect.Effect<SharedQueue.SharedQueue<A>, Failed, Scope.Scope>
    expect(SharedQueue.bounded<string>(2)).type.toBe<Made<string>>()
    expect(SharedQueue.unbounded<string>()).type.toBe<Made<string>>()
    expect(SharedQueue.bounded(2, { schema: Order })).type.toBe<Made<Order>>()
    expect(SharedQueue.unbounded({ schema: Order })).type.toBe<Made<Order>>()
    expect(SharedQueue.bounded).type.not.toBeCallableWith()
    expect(SharedQueue.unbounded).type.not.toBeCallableWith(2)
    expect(queue.capacity).type.toBe<number>()
  })

  it("offers what it is for, in both call shapes", () => {
    expect(SharedQueue.offer(queue, "a")).type.toBe<Effect.Effect<void, Failed>>()
    expect(queue.pipe(SharedQueue.offer("a"))).type.toBe<Effect.Effect<void, Failed>>()
    expect(SharedQueue.offerAll(queue, new Set(["a"]))).type.toBe<Effect.Effect<void, Failed>>()
    expect(SharedQueue.offer).type.not.toBeCallableWith(queue, 1)
    expect(SharedQueue.offerAll).type.not.toBeCallableWith(queue, [1])
    expect(SharedQueue.toSink(queue)).type.toBe<Sink.Sink<void, string, never, Failed>>()
  })

  it("takes it, and says when there will be no more", () => {
    expect(SharedQueue.take(queue)).type.toBe<Effect.Effect<string, Failed | Cause.Done>>()
    expect(SharedQueue.poll(queue)).type.toBe<Effect.Effect<Option.Option<string>, Failed | Cause.Done>>()
    expect(SharedQueue.toStream(queue)).type.toBe<Stream.Stream<string, Failed>>()
  })

  it("has verbs that ask", () => {
    expect(SharedQueue.size(queue)).type.toBe<Effect.Effect<number, Failed>>()
    expect(SharedQueue.end(queue)).type.toBe<Effect.Effect<void, Failed>>()
    expect(SharedQueue.taskDone(queue)).type.toBe<Effect.Effect<void, Failed>>()
    expect(SharedQueue.join(queue)).type.toBe<Effect.Effect<void, Failed>>()
  })

  it("is invariant: who has it may offer as well as take", () => {
    expect<SharedQueue.SharedQueue<"a">>().type.not.toBeAssignableTo<SharedQueue.SharedQueue<string>>()
    expect<SharedQueue.SharedQueue<string>>().type.not.toBeAssignableTo<SharedQueue.SharedQueue<"a">>()
    expect<SharedSemaphore.SharedSemaphore>().type.not.toBeAssignableTo<SharedQueue.SharedQueue<unknown>>()
  })

  it("has a guard, and a schema for payloads", () => {
    expect(SharedQueue.schema(Order)).type.toBe<
      Schema.Codec<SharedQueue.SharedQueue<Order>, SharedQueue.SharedQueue<Order>>
    >()
    expect(SharedQueue.schema<string>()).type.toBe<
      Schema.Codec<SharedQueue.SharedQueue<string>, SharedQueue.SharedQueue<string>>
    >()
    const value = {} as unknown
    if (SharedQueue.isSharedQueue(value)) expect(value).type.toBe<SharedQueue.SharedQueue<unknown>>()
  })
})
