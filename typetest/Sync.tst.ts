import { Effect } from "effect"
import type { Schema, Scope } from "effect"
import { describe, expect, it } from "tstyche"
import type { ProcessError, SharedLock } from "../src/index.ts"
import { SharedBarrier, SharedCondition, SharedEvent, SharedSemaphore } from "../src/index.ts"

type Failed = ProcessError.ProcessError

const work = {} as Effect.Effect<number, "no", "service">

describe("SharedSemaphore", () => {
  const semaphore = {} as SharedSemaphore.SharedSemaphore

  it("is made in a scope, with a number and perhaps a bound", () => {
    expect(SharedSemaphore.make(2)).type.toBe<Effect.Effect<SharedSemaphore.SharedSemaphore, Failed, Scope.Scope>>()
    expect(SharedSemaphore.make).type.toBeCallableWith(2, { bounded: true })
    expect(SharedSemaphore.make).type.not.toBeCallableWith()
    expect(semaphore.permits).type.toBe<number>()
  })

  it("withPermits keeps what the effect has, in both call shapes", () => {
    type Used = Effect.Effect<number, "no" | Failed, "service">
    expect(SharedSemaphore.withPermits(semaphore, 1, work)).type.toBe<Used>()
    expect(SharedSemaphore.withPermits(semaphore, 1)(work)).type.toBe<Used>()
    expect(work.pipe(SharedSemaphore.withPermits(semaphore, 1))).type.toBe<Used>()
    expect(SharedSemaphore.withPermits).type.not.toBeCallableWith(1, work)
    expect(SharedSemaphore.withPermits).type.not.toBeCallableWith(semaphore, work)
  })

  it("take and release give numbers", () => {
    expect(SharedSemaphore.take(semaphore, 1)).type.toBe<Effect.Effect<number, Failed>>()
    expect(SharedSemaphore.release(semaphore, 1)).type.toBe<Effect.Effect<number, Failed>>()
  })
})

describe("SharedEvent", () => {
  const event = {} as SharedEvent.SharedEvent

  it("has verbs that ask, and a state that cannot fail", () => {
    expect(SharedEvent.make()).type.toBe<Effect.Effect<SharedEvent.SharedEvent, Failed, Scope.Scope>>()
    expect(SharedEvent.make).type.toBeCallableWith(true)
    expect(SharedEvent.set(event)).type.toBe<Effect.Effect<void, Failed>>()
    expect(SharedEvent.clear(event)).type.toBe<Effect.Effect<void, Failed>>()
    expect(SharedEvent.wait(event)).type.toBe<Effect.Effect<void, Failed>>()
    expect(SharedEvent.isSet(event)).type.toBe<Effect.Effect<boolean>>()
  })
})

describe("SharedCondition", () => {
  const condition = {} as SharedCondition.SharedCondition
  type Waited = Effect.Effect<void, Failed | SharedLock.LockAbandoned>

  it("has a lock, its own or a given one", () => {
    expect(SharedCondition.make()).type.toBe<Effect.Effect<SharedCondition.SharedCondition, Failed, Scope.Scope>>()
    expect(SharedCondition.make).type.toBeCallableWith({} as SharedLock.SharedLock)
    expect(SharedCondition.make).type.not.toBeCallableWith({} as SharedEvent.SharedEvent)
    expect(condition.lock).type.toBe<SharedLock.SharedLock>()
  })

  it("waits with what may become of its lock, and notifies without", () => {
    expect(SharedCondition.wait(condition)).type.toBe<Waited>()
    expect(SharedCondition.waitFor(condition, Effect.succeed(true))).type.toBe<Waited>()
    expect(SharedCondition.notify(condition)).type.toBe<Effect.Effect<void, Failed>>()
    expect(SharedCondition.notify).type.toBeCallableWith(condition, 2)
    expect(SharedCondition.notifyAll(condition)).type.toBe<Effect.Effect<void, Failed>>()
  })

  it("a predicate is an effect that gives a boolean, and cannot fail", () => {
    expect(SharedCondition.waitFor).type.not.toBeCallableWith(condition, Effect.succeed(1))
    expect(SharedCondition.waitFor).type.not.toBeCallableWith(condition, Effect.fail("no"))
    expect(SharedCondition.waitFor).type.not.toBeCallableWith(condition, () => true)
  })
})

describe("SharedBarrier", () => {
  const barrier = {} as SharedBarrier.SharedBarrier

  it("is made for parties, with an action that needs nothing and cannot fail", () => {
    expect(SharedBarrier.make(2)).type.toBe<Effect.Effect<SharedBarrier.SharedBarrier, Failed, Scope.Scope>>()
    expect(SharedBarrier.make).type.toBeCallableWith(2, { action: Effect.void })
    expect(SharedBarrier.make).type.not.toBeCallableWith(2, { action: work })
    expect(barrier.parties).type.toBe<number>()
  })

  it("waits for a place, or is broken", () => {
    expect(SharedBarrier.wait(barrier)).type.toBe<Effect.Effect<number, SharedBarrier.BarrierBroken | Failed>>()
    expect(SharedBarrier.reset(barrier)).type.toBe<Effect.Effect<void, Failed>>()
    expect(SharedBarrier.abort(barrier)).type.toBe<Effect.Effect<void, Failed>>()
    expect(SharedBarrier.isBroken(barrier)).type.toBe<Effect.Effect<boolean>>()
    Effect.catchTag(SharedBarrier.wait(barrier), "BarrierBroken", ({ message }) => {
      expect(message).type.toBe<string>()
      return Effect.succeed(0)
    })
  })
})

describe("all of them", () => {
  it("are told apart by their types, guards and schemas", () => {
    expect<SharedEvent.SharedEvent>().type.not.toBeAssignableTo<SharedSemaphore.SharedSemaphore>()
    expect(SharedSemaphore.schema).type.toBe<
      Schema.Codec<SharedSemaphore.SharedSemaphore, SharedSemaphore.SharedSemaphore>
    >()
    expect(SharedEvent.schema).type.toBe<Schema.Codec<SharedEvent.SharedEvent, SharedEvent.SharedEvent>>()
    expect(SharedCondition.schema).type.toBe<
      Schema.Codec<SharedCondition.SharedCondition, SharedCondition.SharedCondition>
    >()
    expect(SharedBarrier.schema).type.toBe<Schema.Codec<SharedBarrier.SharedBarrier, SharedBarrier.SharedBarrier>>()
    const value = {} as unknown
    if (SharedSemaphore.isSharedSemaphore(value)) expect(value).type.toBe<SharedSemaphore.SharedSemaphore>()
    if (SharedEvent.isSharedEvent(value)) expect(value).type.toBe<SharedEvent.SharedEvent>()
    if (SharedCondition.isSharedCondition(value)) expect(value).type.toBe<SharedCondition.SharedCondition>()
    if (SharedBarrier.isSharedBarrier(value)) expect(value).type.toBe<SharedBarrier.SharedBarrier>()
  })
})
