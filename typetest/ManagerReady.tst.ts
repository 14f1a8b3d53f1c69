import { Schema } from "effect"
import type { Effect, Scope, Stream } from "effect"
import { Rpc } from "effect/rpc"
import { describe, expect, it } from "tstyche"
import { Manager, Task } from "../src/index.ts"
import type { Initializer, ProcessError, SharedBarrier, SharedMemory } from "../src/index.ts"

type Failed = ProcessError.ProcessError
type Made<A> = Effect.Effect<A, Failed, Manager.Objects | Scope.Scope>

const module = import.meta.url

class Range extends Schema.Class<Range>("Range")({ from: Schema.Number, to: Schema.Number }) {}

declare const work: Effect.Effect<number, "no", "service">
declare const lock: Manager.HostedSemaphore

describe("a map and a set", () => {
  it("refuse keys that are compared by identity, also where there are none at first", () => {
    expect(Manager.map<string, number>()).type.toBe<Made<Manager.HostedMap<string, number>>>()
    expect(Manager.map<string, number>(undefined, { name: "a" })).type.toBe<Made<Manager.HostedMap<string, number>>>()
    expect(Manager.map<string, number>).type.toBeCallableWith()
    // @ts-expect-error Type 'Date' does not satisfy the constraint
    Manager.map<Date, string>()
    // @ts-expect-error No overload matches this call
    Manager.map<Date, string>(undefined, { name: "a" })
    // @ts-expect-error a key is a value that is compared by what it is
    Manager.map<Date, string>([])
    // @ts-expect-error Type '{ a: number; }' does not satisfy the constraint
    Manager.set<{ a: number }>()
    // @ts-expect-error a key is a value that is compared by what it is
    Manager.set<{ a: number }>([])
    expect(Manager.set<string>()).type.toBe<Made<Manager.HostedSet<string>>>()
    expect(Manager.set(["a"])).type.toBe<Made<Manager.HostedSet<string>>>()
    expect(Manager.map([["a", 1]], { name: "a" })).type.toBe<Made<Manager.HostedMap<string, number>>>()
  })

  it("take others with a schema that encodes them to a key", () => {
    const key = Schema.DateFromString
    expect(Manager.map([[new Date(), 1]], { key })).type.toBe<Made<Manager.HostedMap<Date, number>>>()
    expect(Manager.map(undefined, { key, value: Range })).type.toBe<Made<Manager.HostedMap<Date, Range>>>()
    expect(Manager.map).type.not.toBeCallableWith(undefined, { key: Range })
    expect(Manager.set([new Date()], { schema: key })).type.toBe<Made<Manager.HostedSet<Date>>>()
    expect(Manager.set).type.not.toBeCallableWith([], { schema: Range })
    expect(Manager.mapSchema(key, Range)).type.toBe<Schema.Codec<Manager.HostedMap<Date, Range>>>()
    expect(Manager.mapSchema).type.not.toBeCallableWith(Range)
  })
})

describe("values with a schema", () => {
  it("are of its type", () => {
    const range = new Range({ from: 0, to: 1 })
    expect(Manager.ref(range, { schema: Range })).type.toBe<Made<Manager.HostedRef<Range>>>()
    expect(Manager.list([range], { schema: Range })).type.toBe<Made<Manager.HostedList<Range>>>()
    expect(Manager.queue({ schema: Range, capacity: 2 })).type.toBe<Made<Manager.HostedQueue<Range>>>()
    expect(Manager.ref).type.not.toBeCallableWith("a", { schema: Range })
    expect(Manager.refSchema(Range)).type.toBe<Schema.Codec<Manager.HostedRef<Range>>>()
  })
})

describe("a method", () => {
  it("is called with the elements of a tuple, and with an array as it is", () => {
    const pair = Rpc.make("pair", { payload: Schema.Tuple([Schema.Number, Schema.String]) })
    const some = Rpc.make("some", { payload: Schema.NonEmptyArray(Schema.Number) })
    const rest = Rpc.make("rest", { payload: Schema.TupleWithRest(Schema.Tuple([Schema.Number]), [Schema.String]) })
    type Methods = Manager.Service<typeof pair | typeof some | typeof rest>
    expect<Methods["pair"]>().type.toBe<(...payload: readonly [number, string]) => Effect.Effect<void>>()
    expect<Methods["some"]>().type.toBe<(payload: readonly [number, ...Array<number>]) => Effect.Effect<void>>()
    expect<Methods["rest"]>().type.toBe<(payload: readonly [number, ...Array<string>]) => Effect.Effect<void>>()
  })

  it("gives the same object where its schema is annotated", () => {
    const Note = Manager.hosted("Note", { module, methods: {} as never })
    expect(Note.annotate({ description: "a note" })).type.toBe<typeof Note>()
  })
})

describe("a condition", () => {
  const condition = {} as Manager.HostedCondition

  it("has a lock, of its own or another's", () => {
    expect(Manager.condition()).type.toBe<Made<Manager.HostedCondition>>()
    expect(Manager.condition).type.toBeCallableWith(lock, { name: "changed" })
    expect(Manager.withLock(condition.lock, work)).type.toBe<Effect.Effect<number, "no" | Failed, "service">>()
  })

  it("is waited for, and notified", () => {
    expect(Manager.wait(condition)).type.toBe<Effect.Effect<void, Failed>>()
    expect(Manager.waitFor(condition, {} as Effect.Effect<boolean, "no", "service">)).type.toBe<
      Effect.Effect<void, "no" | Failed, "service">
    >()
    expect(Manager.waitFor).type.not.toBeCallableWith(condition, work)
    expect(Manager.notify(condition, 2)).type.toBe<Effect.Effect<void, Failed>>()
    expect(Manager.notifyAll(condition)).type.toBe<Effect.Effect<void, Failed>>()
    expect(Manager.wait).type.not.toBeCallableWith(lock)
  })
})

describe("a barrier", () => {
  it("gives places, or is broken", () => {
    const barrier = {} as Manager.HostedBarrier
    expect(Manager.barrier(2)).type.toBe<Made<Manager.HostedBarrier>>()
    expect(barrier.wait()).type.toBe<Effect.Effect<number, SharedBarrier.BarrierBroken | Failed>>()
    expect(Manager.barrier).type.not.toBeCallableWith()
    const needsPayload = Task.sync("needsPayload", { module, handler: (n: number) => n })
    expect(Manager.barrier).type.not.toBeCallableWith(2, { action: needsPayload })
  })
})

describe("a namespace", () => {
  const Settings = Manager.struct("Settings", {
    module,
    schema: Schema.Struct({
      limit: Schema.Number,
      since: Schema.DateFromString,
      note: Schema.optionalKey(Schema.String)
    })
  })
  type Values = { readonly limit: number; readonly since: Date; readonly note?: string }
  const increment = Task.sync("increment", { module, handler: (n: number) => n + 1 })
  const settings = {} as Manager.HostedNamespace<Values>

  it("has the types of its struct", () => {
    expect(Settings).type.toBe<Manager.Struct<Values>>()
    expect(Manager.namespace(Settings, { limit: 1, since: new Date() })).type.toBe<
      Made<Manager.HostedNamespace<Values>>
    >()
    expect(Manager.namespace).type.not.toBeCallableWith(Settings, { limit: 1 })
    expect(Manager.namespace).type.not.toBeCallableWith(Settings, { limit: 1, since: "now" })
    expect(settings.get("since")).type.toBe<Effect.Effect<Date, Failed>>()
    expect(settings.get).type.not.toBeCallableWith("limits")
    expect(settings.set).type.not.toBeCallableWith("limit", "a")
    expect(settings.setAll).type.toBeCallableWith({ limit: 2 })
    expect(settings.setAll).type.not.toBeCallableWith({ limit: "a" })
    expect(settings.update("limit", increment)).type.toBe<Effect.Effect<number, Failed>>()
    expect(settings.update).type.not.toBeCallableWith("since", increment)
    expect(settings.all()).type.toBe<Effect.Effect<Values, Failed>>()
  })
})

describe("a pool", () => {
  const pool = {} as Manager.HostedPool
  const square = Task.make("square", {
    module,
    error: Range,
    handler: (_: number) => ({}) as Effect.Effect<string, Range>
  })
  const greets = Task.make("greets", { module, handler: (_: string) => ({}) as Effect.Effect<string, never, Range> })

  it("has the types of its tasks", () => {
    expect(Manager.pool({ processes: 2 })).type.toBe<Made<Manager.HostedPool>>()
    expect(pool.apply(square, 1)).type.toBe<Effect.Effect<string, Range | Failed>>()
    expect(pool.map(square, [1])).type.toBe<Effect.Effect<Array<string>, Range | Failed>>()
    expect(pool.imap(square, [1])).type.toBe<Stream.Stream<string, Range | Failed>>()
    expect(pool.imapUnordered(square, {} as Stream.Stream<number, "no">)).type.toBe<
      Stream.Stream<string, Range | "no" | Failed>
    >()
    expect(pool.apply).type.not.toBeCallableWith(square, "a")
    expect(pool.map).type.not.toBeCallableWith(square, ["a"])
  })

  it("takes tasks that need a service only where its initializer provides it", () => {
    const initializer = {} as Initializer.Initializer<Range>
    expect(Manager.pool({ initializer })).type.toBe<Made<Manager.HostedPool<Range>>>()
    expect(pool.apply).type.not.toBeCallableWith(greets, "a")
    expect(({} as Manager.HostedPool<Range>).apply(greets, "a")).type.toBe<Effect.Effect<string, Failed>>()
  })
})

describe("shared memory", () => {
  it("is made by its owner", () => {
    const memory = {} as Manager.HostedMemory
    expect(Manager.memory()).type.toBe<Made<Manager.HostedMemory>>()
    expect(memory.create({ size: 8 })).type.toBe<Effect.Effect<SharedMemory.SharedMemory, Failed>>()
  })
})
