import { Context, Effect, Layer, Schema } from "effect"
import type { Option, Scope } from "effect"
import { describe, expect, it } from "tstyche"
import { Initializer, StartMethod, Task } from "../src/index.ts"
import type { Process } from "../src/index.ts"

const module = import.meta.url

class NegativeInput extends Schema.TaggedError<NegativeInput>()("NegativeInput", { input: Schema.Number }) {}
class Database
  extends Context.Service<Database, { readonly query: (text: string) => Effect.Effect<number> }>()("Database")
{}

describe("Task.make", () => {
  it("takes its types from the handler", () => {
    expect(Task.make("t", { module, handler: (n: number) => Effect.succeed(String(n)) }))
      .type.toBe<Task.Task<number, string, never, never>>()
    expect(
      Task.make("t", { module, handler: (n: number) => n < 0 ? Effect.fail("negative" as const) : Effect.succeed(n) })
    )
      .type.toBe<Task.Task<number, number, "negative", never>>()
  })

  it("takes the payload's type from its schema, decoded", () => {
    const task = Task.make("t", {
      module,
      payload: Schema.Struct({ at: Schema.DateFromString, size: Schema.Option(Schema.NumberFromString) }),
      handler: (payload) => Effect.succeed(payload)
    })
    interface Payload {
      readonly at: Date
      readonly size: Option.Option<number>
    }
    expect<Task.Payload<typeof task>>().type.toBeAssignableTo<Payload>()
    expect<Task.Payload<typeof task>>().type.toBeAssignableFrom<Payload>()
  })

  it("without a parameter has no payload", () => {
    const task = Task.make("t", { module, handler: () => Effect.succeed(1) })
    expect<Task.Payload<typeof task>>().type.toBe<void>()
  })

  it("carries the services of its handler", () => {
    const task = Task.make("t", {
      module,
      handler: (text: string) => Effect.flatMap(Database, (database) => database.query(text))
    })
    expect(task).type.toBe<Task.Task<string, number, never, Database>>()
    expect<Task.Services<typeof task>>().type.toBe<Database>()
  })

  it("carries what a child provides", () => {
    const task = Task.make("t", {
      module,
      handler: () => Effect.andThen(Effect.addFinalizer(() => Effect.void), StartMethod.StartMethod)
    })
    expect<Task.Services<typeof task>>().type.toBe<Scope.Scope | StartMethod.StartMethod>()
    expect<Task.Services<typeof task>>().type.toBeAssignableTo<Process.Provided>()
  })

  it("accepts schemas that fit the handler", () => {
    const task = Task.make("t", {
      module,
      payload: Schema.Number,
      success: Schema.BigInt,
      error: NegativeInput,
      handler: (n) => n < 0 ? Effect.fail(new NegativeInput({ input: n })) : Effect.succeed(BigInt(n))
    })
    expect(task).type.toBe<Task.Task<number, bigint, NegativeInput, never>>()
    expect<Task.Success<typeof task>>().type.toBe<bigint>()
    expect<Task.Error<typeof task>>().type.toBe<NegativeInput>()
  })

  it("refuses schemas that do not fit the handler", () => {
    // @ts-expect-error Type 'number' is not assignable to type 'string'
    Task.make("t", { module, payload: Schema.Number, handler: (text: string) => Effect.succeed(text) })
    // @ts-expect-error is not assignable to type
    Task.make("t", { module, success: Schema.Number, handler: () => Effect.succeed("text") })
    // @ts-expect-error is not assignable to type
    Task.make("t", { module, error: NegativeInput, handler: () => Effect.fail("text") })
  })

  it("refuses a handler that returns no Effect", () => {
    // @ts-expect-error is not assignable to type
    Task.make("t", { module, handler: (n: number) => n + 1 })
    // @ts-expect-error is not assignable to type
    Task.make("t", { module, handler: (n: number) => Promise.resolve(n) })
  })

  it("needs a module, as a string or a URL", () => {
    Task.make("t", { module: new URL(import.meta.url), handler: () => Effect.void })
    // @ts-expect-error Property 'module' is missing
    Task.make("t", { handler: () => Effect.void })
    // @ts-expect-error Type 'number' is not assignable to type 'string | URL'
    Task.make("t", { module: 1, handler: () => Effect.void })
  })
})

describe("Task.sync", () => {
  it("takes its types from the handler, and cannot fail", () => {
    expect(Task.sync("t", { module, handler: (x: number) => x * x })).type.toBe<Task.Task<number, number>>()
    expect(Task.sync("t", { module, handler: () => {} })).type.toBe<Task.Task<void, void>>()
    expect(Task.sync("t", { module, handler: (x: unknown) => x })).type.toBe<Task.Task<unknown, unknown>>()
    expect(Task.sync("t", { module, handler: (x: number) => x > 0 ? x : undefined }))
      .type.toBe<Task.Task<number, number | undefined>>()
  })

  it("refuses a handler that returns a promise", () => {
    // @ts-expect-error is not assignable to type
    Task.sync("t", { module, handler: (x: number) => Promise.resolve(x) })
    // @ts-expect-error is not assignable to type
    Task.sync("t", { module, handler: async (x: number) => x })
    // @ts-expect-error is not assignable to type
    Task.sync("t", { module, handler: async () => {} })
    // @ts-expect-error is not assignable to type
    Task.sync("t", { module, handler: (x: number): PromiseLike<number> | number => x > 0 ? x : Promise.resolve(x) })
  })

  it("has no schema of errors", () => {
    // @ts-expect-error 'error' does not exist in type
    Task.sync("t", { module, error: NegativeInput, handler: (x: number) => x })
  })
})

describe("a Task", () => {
  const anyTask = Task.sync("t", { module, handler: (x: number | string): 1 | 2 => typeof x === "number" ? 1 : 2 })

  it("of a wider payload and a narrower result stands for one of a narrower payload and a wider result", () => {
    expect(anyTask).type.toBeAssignableTo<Task.Task<number, number>>()
    expect(anyTask).type.toBeAssignableTo<Task.Task<number, 1 | 2, Error, Database>>()
    expect(anyTask).type.not.toBeAssignableTo<Task.Task<boolean, number>>()
    expect(anyTask).type.not.toBeAssignableTo<Task.Task<number, 1>>()
  })

  it("has a name and a module, and nothing that could be called", () => {
    expect(anyTask.name).type.toBe<string>()
    expect(anyTask.module).type.toBe<string>()
    expect(anyTask).type.not.toHaveProperty("handler")
    // @ts-expect-error This expression is not callable
    anyTask(1)
  })
})

describe("Initializer.make", () => {
  it("gives a function from its payload to what provides the layer's services", () => {
    const live = Initializer.make("live", {
      module,
      layer: (url: string) => Layer.succeed(Database, { query: () => Effect.succeed(url.length) })
    })
    expect(live).type.toBe<(payload: string) => Initializer.Initializer<Database>>()
    expect(live).type.not.toBeCallableWith(1)
    expect(live).type.not.toBeCallableWith()
  })

  it("without a payload is called with nothing", () => {
    const live = Initializer.make("live", {
      module,
      layer: () => Layer.succeed(Database, { query: () => Effect.succeed(1) })
    })
    expect(live).type.toBeCallableWith()
    expect(live()).type.toBe<Initializer.Initializer<Database>>()
  })

  it("takes the payload's type from its schema", () => {
    const live = Initializer.make("live", { module, payload: Schema.Number, layer: () => Layer.empty })
    expect(live).type.toBeCallableWith(1)
    expect(live).type.not.toBeCallableWith("1")
  })

  it("may fail, but may not need anything", () => {
    Initializer.make("live", { module, layer: () => Layer.effectDiscard(Effect.fail("no database")) })
    // @ts-expect-error is not assignable to type
    Initializer.make("live", { module, layer: () => Layer.effectDiscard(Database) })
  })

  it("that provides more stands for one that provides less", () => {
    class Cache extends Context.Service<Cache, string>()("Cache") {}
    expect<Initializer.Initializer<Database | Cache>>().type.toBeAssignableTo<Initializer.Initializer<Database>>()
    expect<Initializer.Initializer<Database>>().type.not.toBeAssignableTo<Initializer.Initializer<Database | Cache>>()
    expect<Initializer.Initializer<Database>>().type.toBeAssignableTo<Initializer.Initializer<never>>()
  })
})
