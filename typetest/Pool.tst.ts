import { Context, Effect, Fiber, Layer, Schema, Stream } from "effect"
import type { Exit, Scope } from "effect"
import { describe, expect, it } from "tstyche"
import { Initializer, Pool, StartMethod, Task } from "../src/index.ts"
import type { ProcessError } from "../src/index.ts"

const module = import.meta.url
type Failure = ProcessError.ProcessError
type Needs = StartMethod.StartMethod | Scope.Scope

class NegativeInput extends Schema.TaggedError<NegativeInput>()("NegativeInput", { input: Schema.Number }) {}
class SourceFailed extends Schema.TaggedError<SourceFailed>()("SourceFailed", {}) {}
class Database extends Context.Service<Database, string>()("Database") {}
class Cache extends Context.Service<Cache, number>()("Cache") {}
class Files extends Context.Service<Files, string>()("Files") {}

const square = Task.sync("square", { module, handler: (x: number) => x * x })
const ping = Task.make("ping", { module, handler: () => Effect.succeed("pong" as const) })
const root = Task.make("root", {
  module,
  payload: Schema.Number,
  success: Schema.BigInt,
  error: NegativeInput,
  handler: (n) => n < 0 ? Effect.fail(new NegativeInput({ input: n })) : Effect.succeed(BigInt(n))
})
const query = Task.make("query", { module, handler: (_: string) => Database })
const both = Task.make("both", { module, handler: (_: string) => Effect.andThen(Database, Cache) })
const scoped = Task.make("scoped", {
  module,
  handler: (_: number) => Effect.andThen(Effect.addFinalizer(() => Effect.void), StartMethod.StartMethod)
})
const databaseLive = Initializer.make("databaseLive", { module, layer: (url: string) => Layer.succeed(Database, url) })

const plain = {} as Pool.Pool
const withDatabase = {} as Pool.Pool<Database>
const source = {} as Stream.Stream<number, SourceFailed, Files>

describe("Pool.make", () => {
  it("gives a plain pool without an initializer", () => {
    expect(Pool.make()).type.toBe<Effect.Effect<Pool.Pool, Failure, Needs>>()
    expect(Pool.make({ processes: 2, name: "p", restartIntensity: { max: 3, within: "1 minute" }, gracePeriod: 100 }))
      .type.toBe<Effect.Effect<Pool.Pool, Failure, Needs>>()
  })

  it("gives a pool of what its initializer provides", () => {
    expect(Pool.make({ processes: 2, initializer: databaseLive("url") }))
      .type.toBe<Effect.Effect<Pool.Pool<Database>, Failure, Needs>>()
  })

  it("refuses options that do not exist or have the wrong type", () => {
    expect(Pool.make).type.not.toBeCallableWith({ process: 2 })
    expect(Pool.make).type.not.toBeCallableWith({ processes: "2" })
    expect(Pool.make).type.not.toBeCallableWith({ initializer: databaseLive })
  })
})

describe("Pool.layer", () => {
  it("provides the ambient pool", () => {
    expect(Pool.layer({ processes: 2 }).pipe(Layer.provide(StartMethod.layerThreads)))
      .type.toBe<Layer.Layer<Pool.Pool<never>, Failure>>()
    const program = Effect.flatMap(Pool.Pool, (pool) => Pool.map(pool, square, [1, 2]))
    expect(program).type.toBe<Effect.Effect<Array<number>, Failure, Pool.Pool<never>>>()
    expect(program.pipe(Effect.provide(Pool.layer().pipe(Layer.provide(StartMethod.layerInline)))))
      .type.toBe<Effect.Effect<Array<number>, Failure>>()
  })

  it("takes the options of a pool", () => {
    expect(Pool.layer).type.toBeCallableWith({ name: "p", processes: 2 })
    expect(Pool.layer).type.not.toBeCallableWith({ processes: "two" })
  })
})

describe("a pool", () => {
  it("that provides more stands for one that provides less, and not the other way", () => {
    expect<Pool.Pool<Database | Cache>>().type.toBeAssignableTo<Pool.Pool<Database>>()
    expect<Pool.Pool<Database>>().type.toBeAssignableTo<Pool.Pool>()
    expect<Pool.Pool<Database>>().type.not.toBeAssignableTo<Pool.Pool<Database | Cache>>()
    expect<Pool.Pool>().type.not.toBeAssignableTo<Pool.Pool<Database>>()
  })
})

describe("Pool.apply", () => {
  it("gives the result, and fails with the task's error or the border's", () => {
    expect(Pool.apply(plain, square, 3)).type.toBe<Effect.Effect<number, Failure>>()
    expect(Pool.apply(plain, root, 3)).type.toBe<Effect.Effect<bigint, NegativeInput | Failure>>()
  })

  it("needs the payload of the task, of its type", () => {
    expect(Pool.apply).type.not.toBeCallableWith(plain, square)
    expect(Pool.apply).type.not.toBeCallableWith(plain, square, "3")
    // @ts-expect-error is not assignable to parameter of type
    Pool.apply(plain, square, "3")
  })

  it("of a task without a payload needs none, also with options", () => {
    expect(Pool.apply(plain, ping)).type.toBe<Effect.Effect<"pong", Failure>>()
    expect(Pool.apply).type.toBeCallableWith(plain, ping, undefined, { timeout: "1 second", retryOnCrash: 1 })
    expect(Pool.apply).type.not.toBeCallableWith(plain, ping, 3)
  })

  it("takes the options of one item, not those of many", () => {
    expect(Pool.apply).type.toBeCallableWith(plain, square, 3, { timeout: "1 second" })
    expect(Pool.apply).type.not.toBeCallableWith(plain, square, 3, { chunkSize: 1 })
  })

  it("refuses a task whose service the pool does not provide, and accepts it where it does", () => {
    expect(Pool.apply).type.not.toBeCallableWith(plain, query, "text")
    expect(Pool.apply(withDatabase, query, "text")).type.toBe<Effect.Effect<string, Failure>>()
    expect(Pool.apply).type.not.toBeCallableWith(withDatabase, both, "text")
  })

  it("accepts a task that uses what every child provides", () => {
    expect(Pool.apply).type.toBeCallableWith(plain, scoped, 1)
    expect(Pool.apply).type.toBeCallableWith(withDatabase, scoped, 1)
  })

  it("accepts a task that needs nothing on a pool that provides something", () => {
    expect(Pool.apply(withDatabase, square, 3)).type.toBe<Effect.Effect<number, Failure>>()
  })

  it("lets errors be caught by tag and by reason", () => {
    expect(Pool.apply(plain, root, 3).pipe(Effect.catchTag("NegativeInput", () => Effect.succeed("negative"))))
      .type.toBe<Effect.Effect<bigint | string, Failure>>()
    expect(Pool.apply(plain, root, 3).pipe(Effect.catchTag("ProcessError", () => Effect.succeed(0n))))
      .type.toBe<Effect.Effect<bigint, NegativeInput>>()
    expect(
      Pool.apply(plain, square, 3).pipe(
        Effect.catchReason("ProcessError", "WorkerExited", ({ pid }) => Effect.succeed(pid))
      )
    ).type.toBe<Effect.Effect<number, Failure>>()
    // @ts-expect-error '"NoSuchReason"' is not assignable
    Pool.apply(plain, square, 3).pipe(Effect.catchReason("ProcessError", "NoSuchReason", () => Effect.succeed(0)))
  })
})

describe("Pool.applyAsync", () => {
  it("gives a fiber, and cannot fail itself", () => {
    expect(Pool.applyAsync(plain, root, 3)).type.toBe<Effect.Effect<Fiber.Fiber<bigint, NegativeInput | Failure>>>()
    expect(Pool.applyAsync(plain, ping)).type.toBe<Effect.Effect<Fiber.Fiber<"pong", Failure>>>()
    expect(Effect.flatMap(Pool.applyAsync(plain, square, 3), Fiber.join)).type.toBe<Effect.Effect<number, Failure>>()
  })

  it("checks payload and services as apply does", () => {
    expect(Pool.applyAsync).type.not.toBeCallableWith(plain, square, "3")
    expect(Pool.applyAsync).type.not.toBeCallableWith(plain, square)
    expect(Pool.applyAsync).type.not.toBeCallableWith(plain, query, "text")
    expect(Pool.applyAsync).type.toBeCallableWith(withDatabase, query, "text")
  })
})

describe("Pool.map", () => {
  it("gives all results, in an array", () => {
    expect(Pool.map(plain, square, [1, 2])).type.toBe<Effect.Effect<Array<number>, Failure>>()
    expect(Pool.map(plain, root, new Set([1]))).type.toBe<Effect.Effect<Array<bigint>, NegativeInput | Failure>>()
    expect(Pool.map).type.toBeCallableWith(plain, square, [1], {
      chunkSize: "auto",
      timeout: 5,
      retryOnCrash: 2,
      buffer: 4
    })
  })

  it("of a stream carries its error and its services", () => {
    expect(Pool.map(plain, root, source)).type.toBe<
      Effect.Effect<Array<bigint>, NegativeInput | SourceFailed | Failure, Files>
    >()
  })

  it("refuses items of another type, and tasks whose service is not there", () => {
    expect(Pool.map).type.not.toBeCallableWith(plain, square, ["1"])
    expect(Pool.map).type.not.toBeCallableWith(plain, square, Stream.make("1"))
    expect(Pool.map).type.not.toBeCallableWith(plain, query, ["text"])
    expect(Pool.map(withDatabase, query, ["text"])).type.toBe<Effect.Effect<Array<string>, Failure>>()
    // @ts-expect-error Type 'string' is not assignable to type 'number'
    Pool.map(plain, root, ["5"])
  })

  it("refuses a chunk size in words", () => {
    expect(Pool.map).type.not.toBeCallableWith(plain, square, [1], { chunkSize: "large" })
  })
})

describe("Pool.imap and Pool.imapUnordered", () => {
  for (const imap of [Pool.imap, Pool.imapUnordered]) {
    it("take the items first", () => {
      expect(imap(plain, root, [1, 2])).type.toBe<Stream.Stream<bigint, NegativeInput | Failure>>()
      expect(imap(plain, root, source, { chunkSize: 4 })).type.toBe<
        Stream.Stream<bigint, NegativeInput | SourceFailed | Failure, Files>
      >()
    })

    it("take the items last, in a pipe", () => {
      expect(source.pipe(imap(plain, root))).type.toBe<
        Stream.Stream<bigint, NegativeInput | SourceFailed | Failure, Files>
      >()
      expect(Stream.range(0, 5).pipe(imap(plain, square, { buffer: 8 }))).type.toBe<Stream.Stream<number, Failure>>()
      expect(imap(plain, square)([1, 2])).type.toBe<Stream.Stream<number, Failure>>()
    })

    it("refuse items of another type, in both forms", () => {
      expect(imap).type.not.toBeCallableWith(plain, square, ["1"])
      expect(imap(plain, square)).type.not.toBeCallableWith(["1"])
      // @ts-expect-error Type 'string' is not assignable to type 'number'
      Stream.make("1").pipe(imap(plain, square))
    })

    it("refuse tasks whose service is not there, in both forms", () => {
      expect(imap).type.not.toBeCallableWith(plain, query, ["text"])
      expect(imap).type.not.toBeCallableWith(plain, query)
      expect(imap(withDatabase, query, ["text"])).type.toBe<Stream.Stream<string, Failure>>()
      expect(Stream.make("text").pipe(imap(withDatabase, query))).type.toBe<Stream.Stream<string, Failure>>()
    })
  }
})

describe("Pool.imapExit", () => {
  it("gives each outcome, and fails with the source only", () => {
    expect(Pool.imapExit(plain, root, source)).type.toBe<
      Stream.Stream<Exit.Exit<bigint, NegativeInput | Failure>, SourceFailed, Files>
    >()
    expect(source.pipe(Pool.imapExit(plain, root))).type.toBe<
      Stream.Stream<Exit.Exit<bigint, NegativeInput | Failure>, SourceFailed, Files>
    >()
    expect(Pool.imapExit(plain, square, [1])).type.toBe<Stream.Stream<Exit.Exit<number, Failure>>>()
  })

  it("refuses items of another type, and tasks whose service is not there", () => {
    expect(Pool.imapExit).type.not.toBeCallableWith(plain, square, ["1"])
    expect(Pool.imapExit).type.not.toBeCallableWith(plain, query, ["text"])
  })
})

describe("the end of a pool", () => {
  it("is an effect that cannot fail, for every pool", () => {
    expect(Pool.close(withDatabase)).type.toBe<Effect.Effect<void>>()
    expect(Pool.terminate(plain)).type.toBe<Effect.Effect<void>>()
    expect(plain.pipe(Pool.close)).type.toBe<Effect.Effect<void>>()
  })
})

describe("what a pool tells", () => {
  it("is told of every pool, and cannot fail", () => {
    expect(Pool.stats(withDatabase)).type.toBe<Effect.Effect<Pool.Stats>>()
    expect(plain.pipe(Pool.stats)).type.toBe<Effect.Effect<Pool.Stats>>()
    expect(Pool.progress(withDatabase, { every: "1 second" })).type.toBe<Stream.Stream<Pool.Progress>>()
    expect<Pool.Stats>().type.toBeAssignableTo<{
      readonly queued: number
      readonly running: number
      readonly completed: number
      readonly failed: number
      readonly restarts: number
      readonly killed: number
      readonly workers: ReadonlyArray<{
        readonly pid: number
        readonly tasks: number
        readonly startUpMillis: number
        readonly busyMillis: number
        readonly idleMillis: number
        readonly rssBytes: number
      }>
    }>()
  })
})
