import { Context, Effect, Layer } from "effect"
import type { Exit, Option, Scope, Stream } from "effect"
import { describe, expect, it } from "tstyche"
import { Initializer, Process, StartMethod, Task } from "../src/index.ts"
import type { ProcessError } from "../src/index.ts"

const module = import.meta.url
type Failure = ProcessError.ProcessError
type Needs = StartMethod.StartMethod | Scope.Scope

class Database extends Context.Service<Database, string>()("Database") {}
class Cache extends Context.Service<Cache, number>()("Cache") {}

const square = Task.sync("square", { module, handler: (x: number) => x * x })
const ping = Task.make("ping", { module, handler: () => Effect.succeed("pong" as const) })
const maybe = Task.make("maybe", { module, handler: (_?: number) => Effect.fail("no" as const) })
const query = Task.make("query", { module, handler: (_: string) => Database })
const scoped = Task.make("scoped", {
  module,
  handler: (_: number) => Effect.andThen(Effect.addFinalizer(() => Effect.void), StartMethod.StartMethod)
})
const databaseLive = Initializer.make("databaseLive", { module, layer: (url: string) => Layer.succeed(Database, url) })
const bothLive = Initializer.make("bothLive", {
  module,
  layer: () => Layer.mergeAll(Layer.succeed(Database, "url"), Layer.succeed(Cache, 1))
})

describe("Process.start", () => {
  it("gives a process with the task's result and error, and needs a start method and a scope", () => {
    expect(Process.start(square, 3)).type.toBe<Effect.Effect<Process.Process<number, never>, Failure, Needs>>()
    expect(Process.start(maybe, 3)).type.toBe<Effect.Effect<Process.Process<never, "no">, Failure, Needs>>()
  })

  it("needs the payload of the task, of its type", () => {
    expect(Process.start).type.not.toBeCallableWith(square)
    expect(Process.start).type.not.toBeCallableWith(square, "3")
    expect(Process.start).type.not.toBeCallableWith(square, undefined)
    // @ts-expect-error is not assignable to parameter of type
    Process.start(square, "3")
  })

  it("of a task without a payload needs none, also with options", () => {
    expect(Process.start(ping)).type.toBe<Effect.Effect<Process.Process<"pong", never>, Failure, Needs>>()
    expect(Process.start).type.toBeCallableWith(ping, undefined)
    expect(Process.start).type.toBeCallableWith(ping, undefined, {
      name: "ping",
      daemon: true,
      gracePeriod: "1 second"
    })
    expect(Process.start).type.not.toBeCallableWith(ping, 3)
  })

  it("of a task that needs a service is refused without its initializer", () => {
    expect(Process.start).type.not.toBeCallableWith(query, "text")
    // @ts-expect-error Type 'Database' is not assignable to type 'Provided'
    Process.start(query, "text", { name: "no initializer" })
  })

  it("of a task that needs a service is accepted with its initializer, and with one of more", () => {
    expect(Process.start(query, "text", { initializer: databaseLive("url") }))
      .type.toBe<Effect.Effect<Process.Process<string, never>, Failure, Needs>>()
    expect(Process.start).type.toBeCallableWith(query, "text", { initializer: bothLive() })
  })

  it("of a task that needs a service is refused with the initializer of another", () => {
    const cacheLive = Initializer.make("cacheLive", { module, layer: () => Layer.succeed(Cache, 1) })
    expect(Process.start).type.not.toBeCallableWith(query, "text", { initializer: cacheLive() })
  })

  it("of a task that uses what a child provides is accepted, with and without an initializer", () => {
    expect(Process.start).type.toBeCallableWith(scoped, 1)
    expect(Process.start).type.toBeCallableWith(scoped, 1, { initializer: databaseLive("url") })
  })

  it("of a task that needs nothing is accepted with an initializer", () => {
    expect(Process.start).type.toBeCallableWith(square, 1, { initializer: databaseLive("url") })
  })

  it("refuses options that do not exist", () => {
    expect(Process.start).type.not.toBeCallableWith(square, 1, { deamon: true })
  })

  it("can be mapped over payloads", () => {
    expect(Effect.forEach([1, 2], (n) => Process.start(square, n)))
      .type.toBe<Effect.Effect<Array<Process.Process<number, never>>, Failure, Needs>>()
  })
})

describe("a process", () => {
  const child = {} as Process.Process<number, "no">

  it("is joined with its error and the border's, and awaited without", () => {
    expect(Process.join(child)).type.toBe<Effect.Effect<number, "no" | Failure>>()
    expect(Process.wait(child)).type.toBe<Effect.Effect<Exit.Exit<number, "no" | Failure>>>()
    expect(child.pipe(Process.join)).type.toBe<Effect.Effect<number, "no" | Failure>>()
  })

  it("tells how it ended as a value", () => {
    expect(Process.exited(child)).type.toBe<Effect.Effect<Process.ExitStatus>>()
    expect(Process.exitStatus(child)).type.toBe<Effect.Effect<Option.Option<Process.ExitStatus>>>()
    expect(Process.exitCode).type.toBe<(status: Process.ExitStatus) => number>()
    expect<Process.ExitStatus>().type.toBe<ProcessError.ExitStatus>()
  })

  it("is ended, and read, without failing for its own reasons", () => {
    for (const end of [Process.interrupt, Process.terminate, Process.kill]) {
      expect(end(child)).type.toBe<Effect.Effect<void>>()
    }
    expect(Process.stdout(child)).type.toBe<Stream.Stream<Uint8Array, Failure>>()
    expect(Process.stderr(child)).type.toBe<Stream.Stream<Uint8Array, Failure>>()
    expect(Process.isAlive(child)).type.toBe<Effect.Effect<boolean>>()
  })

  it("stands for one with a wider result", () => {
    expect(child).type.toBeAssignableTo<Process.Process<unknown, unknown>>()
    expect(child).type.not.toBeAssignableTo<Process.Process<string, "no">>()
  })
})

describe("who runs", () => {
  it("is known without services", () => {
    expect(Process.current).type.toBe<
      Effect.Effect<{
        readonly name: string
        readonly pid: number
        readonly daemon: boolean
        readonly startMethod: StartMethod.Name | "main"
      }>
    >()
    expect(Process.parent).type.toBe<Effect.Effect<Option.Option<{ readonly name: string; readonly pid: number }>>>()
    expect(Process.activeChildren).type.toBe<Effect.Effect<ReadonlyArray<Process.Process<unknown, unknown>>>>()
    expect(Process.isMain).type.toBe<boolean>()
  })

  it("runMain takes a program that has all it needs, whatever it fails with", () => {
    expect(Process.runMain).type.toBeCallableWith(Effect.fail("no"))
    expect(Process.runMain).type.not.toBeCallableWith(Process.start(square, 3))
  })
})

describe("StartMethod", () => {
  it("has layers that need nothing; those that may be missing say so", () => {
    for (const layer of [StartMethod.layerInline, StartMethod.layerThreads, StartMethod.layerSpawn]) {
      expect(layer).type.toBe<Layer.Layer<StartMethod.StartMethod>>()
    }
    expect(StartMethod.layerForkServer()).type.toBe<Layer.Layer<StartMethod.StartMethod, Failure>>()
    expect(StartMethod.layerForkServer).type.toBeCallableWith({ preload: ["a.ts", new URL("file:///b.ts")] })
    expect(StartMethod.layerFork).type.toBe<Layer.Layer<StartMethod.StartMethod, Failure>>()
    expect(StartMethod.layerConfig).type.toBe<Layer.Layer<StartMethod.StartMethod, Failure>>()
  })

  it("has options of its own for threads and for processes", () => {
    expect(StartMethod.layerThreadsWith({ resourceLimits: { maxOldGenerationSizeMb: 64 }, stdio: "capture" }))
      .type.toBe<Layer.Layer<StartMethod.StartMethod>>()
    expect(StartMethod.layerSpawnWith({ execPath: "node", cwd: "/", maxMessageBytes: 1000, startTimeout: "5 seconds" }))
      .type.toBe<Layer.Layer<StartMethod.StartMethod>>()
    expect(StartMethod.layerThreadsWith).type.not.toBeCallableWith({ cwd: "/" })
    expect(StartMethod.layerSpawnWith).type.not.toBeCallableWith({ resourceLimits: {} })
    expect(StartMethod.layerSpawnWith).type.not.toBeCallableWith({ stdio: "ignore" })
  })

  it("lists what is available", () => {
    expect(StartMethod.available).type.toBe<Effect.Effect<ReadonlyArray<StartMethod.Name>>>()
    expect<StartMethod.Name>().type.toBe<"inline" | "threads" | "spawn" | "forkserver" | "fork">()
  })
})
