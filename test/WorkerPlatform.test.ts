import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Option, Scope, Stream } from "effect"
import type { Duration } from "effect"
import { RpcClient } from "effect/rpc"
import type { RpcClientError } from "effect/rpc"
import { realpathSync } from "node:fs"
import { tmpdir } from "node:os"
import { fileURLToPath } from "node:url"
import { ProcessError, StartMethod, WorkerPlatform } from "../src/index.ts"
import { livingModuleChildren } from "../src/internal/start/moduleChild.ts"
import { makeEvents } from "./conformance/events.ts"
import { methods } from "./conformance/methods.ts"
import { DivisionByZero, Requests } from "./fixtures/rpc.ts"

const limit = 20_000
const fixture = (name: string): URL => new URL(`./fixtures/${name}.ts`, import.meta.url)

type Method = Layer.Layer<StartMethod.StartMethod, ProcessError.ProcessError>

interface Setting {
  readonly size?: number
  readonly concurrency?: number
  readonly module?: (id: number) => URL | string
  readonly gracePeriod?: Duration.Input
}

/** A client whose workers end with the scope. */
const connect = (method: Method, { concurrency = 10, gracePeriod, module, size = 1 }: Setting = {}) =>
  Effect.gen(function*() {
    const protocol = yield* Layer.build(
      RpcClient.layerProtocolWorker({ size, concurrency }).pipe(
        Layer.provide(WorkerPlatform.layer(module ?? (() => fixture("rpcWorker")), { gracePeriod })),
        Layer.provide(method)
      )
    )
    return yield* RpcClient.make(Requests).pipe(Effect.provide(protocol))
  })

/** What a call failed with, when it was the protocol. */
const reasonOf = <A>(call: Effect.Effect<A, unknown>): Effect.Effect<RpcClientError.RpcClientError["reason"]> =>
  Effect.map(Effect.exit(call), (exit) => {
    const error = Option.getOrThrowWith(Exit.findErrorOption(exit), () => new Error(`no failure: ${String(exit)}`))
    assert.propertyVal(error, "_tag", "RpcClientError")
    return (error as RpcClientError.RpcClientError).reason
  })

const first = <A, E>(stream: Stream.Stream<A, E>) =>
  Effect.gen(function*() {
    const found = yield* Deferred.make<A, E>()
    yield* Stream.runForEach(stream, (value) => Deferred.succeed(found, value)).pipe(
      Effect.catchCause((cause) => Deferred.failCause(found, cause)),
      Effect.forkScoped
    )
    return yield* Deferred.await(found)
  })

const lives = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const withVariables = (name: StartMethod.Name, variables: Record<string, string>): Method =>
  name === "threads"
    ? StartMethod.layerThreadsWith({ env: { PATH: process.env["PATH"]!, ...variables } })
    : StartMethod.layerSpawnWith({ extendEnv: variables })

for (const { claims, layer, name } of methods.filter(({ name }) => name === "threads" || name === "spawn")) {
  describe(`WorkerPlatform on ${name}`, () => {
    const law = <E>(
      what: string,
      body: () => Effect.Effect<void, E, Scope.Scope>
    ) => it.live(what, () => Effect.scoped(body()), limit)

    law("answers a call, and a typed error comes back as its class", () =>
      Effect.gen(function*() {
        const client = yield* connect(layer)
        assert.strictEqual(yield* client.divide({ a: 6, b: 3 }), 2)
        const error = yield* Effect.flip(client.divide({ a: 1, b: 0 }))
        assert.instanceOf(error, DivisionByZero)
        assert.propertyVal(error, "dividend", 1)
        const about = yield* client.about()
        assert.strictEqual(about.pid !== process.pid, name === "spawn")
        assert.strictEqual(about.ipc, name === "spawn")
        assert.deepStrictEqual(about.argv.slice(0, 1), [fileURLToPath(fixture("rpcWorker"))])
      }))

    law("streams in order, to the end", () =>
      Effect.gen(function*() {
        const client = yield* connect(layer)
        const numbers = yield* Stream.runCollect(client.countTo({ n: 1000 }))
        assert.deepStrictEqual(Array.from(numbers), Array.from({ length: 1000 }, (_, i) => i + 1))
      }))

    law("an interrupted call interrupts its handler", () =>
      Effect.gen(function*() {
        const client = yield* connect(layer)
        const call = yield* Effect.forkChild(client.hold())
        yield* client.holds()
        yield* Fiber.interrupt(call)
        yield* client.heldNoMore()
      }))

    law("two calls run in two workers", () =>
      Effect.gen(function*() {
        const client = yield* connect(layer, { size: 2, concurrency: 1 })
        const [one, two] = yield* Effect.all([first(client.occupy()), first(client.occupy())])
        assert.notDeepEqual([one.pid, one.thread], [two.pid, two.thread])
      }))

    law(
      "a handler that exits fails its call with the code, and another worker answers the next one",
      () =>
        Effect.gen(function*() {
          const client = yield* connect(layer)
          const before = yield* client.about()
          const reason = yield* reasonOf(client.exit({ code: 3 }))
          assert.strictEqual(reason._tag, "WorkerReceiveError")
          for (const part of ["Worker 0", name, "rpcWorker.ts", "exited with code 3"]) {
            assert.include(reason.message, part)
          }
          const after = yield* client.about()
          assert.notDeepEqual([before.pid, before.thread], [after.pid, after.thread])
        })
    )

    law(
      "an error outside of any handler ends the worker, and its stack stands in the message",
      () =>
        Effect.gen(function*() {
          const client = yield* connect(name === "threads" ? StartMethod.layerThreads : claims.captured!)
          const reason = yield* reasonOf(client.throwOutside())
          assert.include(reason.message, "exited with code 1")
          assert.include(reason.message, "thrown outside of a handler")
          assert.include(reason.message, "rpcWorker.ts:")
        })
    )

    if (claims.signals) {
      law("a killed worker fails its call with the signal", () =>
        Effect.gen(function*() {
          const client = yield* connect(layer)
          const reason = yield* reasonOf(client.kill())
          assert.match(reason.message, /^Worker 0 \(spawn, pid \d+\) of .*rpcWorker\.ts was ended by SIGKILL\.$/)
        }))

      law("a worker that closes its channel and goes on is killed", () =>
        Effect.gen(function*() {
          const client = yield* connect(layer)
          const reason = yield* reasonOf(client.disconnect())
          assert.include(reason.message, "was ended by SIGKILL")
        }))
    }

    law("a module that does not exist is named", () =>
      Effect.gen(function*() {
        const client = yield* connect(layer, { module: () => fixture("isNotThere") })
        const reason = yield* reasonOf(client.about())
        assert.strictEqual(reason._tag, "WorkerSpawnError")
        assert.include(reason.message, `Worker 0 (${name}) did not start: its module`)
        assert.include(reason.message, fileURLToPath(fixture("isNotThere")))
      }))

    law("what is no file, and a function that throws, are failures", () =>
      Effect.gen(function*() {
        const throws = (): string => {
          throw new Error("no such worker")
        }
        const refused = [
          [() => "./worker.ts", `"./worker.ts" is not the URL of a file`],
          [() => new URL("data:text/javascript,0"), `"data:text/javascript,0" is not the URL of a file`],
          [throws, "no such worker"]
        ] as const
        yield* Effect.forEach(refused, ([module, part]) =>
          Effect.gen(function*() {
            const client = yield* connect(layer, { module })
            assert.include((yield* reasonOf(client.about())).message, part)
          }), { concurrency: "unbounded" })
      }))

    law("a module that throws while it loads fails the call with the error", () =>
      Effect.gen(function*() {
        const client = yield* connect(claims.captured!, { module: () => fileURLToPath(fixture("rpcThrows")) })
        const reason = yield* reasonOf(client.about())
        assert.strictEqual(reason._tag, "WorkerSpawnError")
        for (const part of ["rpcThrows.ts", "exited with code 1 before it was ready", "this module cannot be loaded"]) {
          assert.include(reason.message, part)
        }
      }))

    law(
      "a module that ends without a word fails the call, and says what makes a worker ready",
      () =>
        Effect.gen(function*() {
          const client = yield* connect(layer, { module: () => fixture("rpc") })
          const reason = yield* reasonOf(client.about())
          assert.include(reason.message, "exited with code 0 before it was ready")
          assert.include(reason.message, "layerProtocolWorkerRunner")
        })
    )

    law("a worker that is not ready in time is killed", () =>
      Effect.gen(function*() {
        const startTimeout = "700 millis"
        const impatient = name === "threads"
          ? StartMethod.layerThreadsWith({ startTimeout })
          : StartMethod.layerSpawnWith({ startTimeout })
        const client = yield* connect(impatient, { module: () => fixture("rpcSilent"), gracePeriod: "100 millis" })
        assert.include((yield* reasonOf(client.about())).message, "was not ready within 700 ms")
      }))

    law(claims.moves ? "a marked buffer moves" : "a marked buffer is copied", () =>
      Effect.gen(function*() {
        const client = yield* connect(layer)
        const bytes = new Uint8Array(1000).fill(3)
        yield* client.about() // a request that waits for its worker is sent in another way
        assert.strictEqual(yield* client.sum({ bytes }), 3000)
        assert.strictEqual(bytes.byteLength, claims.moves ? 0 : 1000)
      }))

    law("messages that are not Effect's are passed over", () =>
      Effect.gen(function*() {
        const client = yield* connect(layer)
        assert.strictEqual(yield* client.chatter(), "said")
        assert.strictEqual(yield* client.divide({ a: 1, b: 1 }), 1)
      }))

    law(
      "a scope that closes asks the worker to close: its finalizers run, and nothing is left",
      () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const { pid } = yield* Effect.scoped(Effect.gen(function*() {
            const client = yield* connect(withVariables(name, { BEACON: events.path }), {
              gracePeriod: "15 seconds"
            })
            const about = yield* client.about()
            assert.strictEqual(livingModuleChildren(), 1)
            return about
          }))
          assert.deepStrictEqual(events.seen(), ["closed"])
          assert.strictEqual(livingModuleChildren(), 0)
          assert.strictEqual(lives(pid), name === "threads")
        })
    )

    law("a worker that computes is killed after the grace period", () =>
      Effect.gen(function*() {
        const events = yield* makeEvents
        const scope = yield* Scope.make()
        const client = yield* connect(layer, { gracePeriod: "100 millis" }).pipe(Scope.provide(scope))
        const { pid } = yield* client.about()
        yield* Effect.forkChild(client.spin({ beacon: events.path }))
        yield* events.until("spins")
        yield* Effect.timeout(Scope.close(scope, Exit.void), "4 seconds")
        assert.strictEqual(livingModuleChildren(), 0)
        assert.strictEqual(lives(pid), name === "threads")
      }))

    law("a scope that closes before the worker is ready leaves nothing", () =>
      Effect.gen(function*() {
        yield* Effect.scoped(connect(layer, { size: 2, module: () => fixture("rpcSilent"), gracePeriod: 0 }))
        assert.strictEqual(livingModuleChildren(), 0)
      }))

    law("the environment is what the start method says", () =>
      Effect.gen(function*() {
        const client = yield* connect(withVariables(name, { WORKER_VARIABLE: "set" }))
        const about = yield* client.about()
        assert.strictEqual(about.variable, "set")
        assert.strictEqual(about.path, process.env["PATH"])
      }))
  })
}

describe("WorkerPlatform", () => {
  it.live("flags and working directory of spawn hold", () =>
    Effect.scoped(Effect.gen(function*() {
      const client = yield* connect(StartMethod.layerSpawnWith({
        execArgv: ["--max-old-space-size=128"],
        cwd: tmpdir(),
        env: { WORKER_VARIABLE: "only" }
      }))
      const about = yield* client.about()
      assert.deepStrictEqual(about.execArgv, ["--max-old-space-size=128"])
      assert.strictEqual(about.cwd, realpathSync(tmpdir()))
      assert.strictEqual(about.variable, "only")
      assert.isUndefined(about.path)
    })), limit)

  it.live("an executable that is not there fails the call, and is named", () =>
    Effect.scoped(Effect.gen(function*() {
      const client = yield* connect(StartMethod.layerSpawnWith({ execPath: "/no/such/node" }))
      const reason = yield* reasonOf(client.about())
      assert.strictEqual(reason._tag, "WorkerSpawnError")
      assert.include(reason.message, "/no/such/node could not be started")
    })), limit)

  it.live("limits of threads hold", () =>
    Effect.scoped(Effect.gen(function*() {
      const client = yield* connect(StartMethod.layerThreadsWith({ resourceLimits: { maxOldGenerationSizeMb: 77 } }))
      assert.strictEqual((yield* client.about()).maxOldMb, 77)
    })), limit)

  it.live("start methods without such workers are refused, with what to use", () =>
    Effect.gen(function*() {
      for (const method of [StartMethod.layerInline, StartMethod.layerForkServer()] as const) {
        const error = yield* Effect.flip(Effect.scoped(connect(method)))
        assert.isTrue(ProcessError.isProcessError(error))
        assert.propertyVal((error as ProcessError.ProcessError).reason, "_tag", "StartMethodUnavailable")
        assert.include((error as ProcessError.ProcessError).message, "StartMethod.layerSpawn")
      }
    }), limit)

  it.live("a negative grace period is a defect", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.scoped(connect(StartMethod.layerSpawn, { gracePeriod: -1 })))
      assert.include(String(exit), "WorkerPlatform.layer: gracePeriod")
    }), limit)
})
