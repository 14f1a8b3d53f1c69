import { assert, describe, it } from "@effect/vitest"
import { Cause, ConfigProvider, Effect, Exit } from "effect"
import type { Layer, Scope } from "effect"
import { realpathSync } from "node:fs"
import { tmpdir } from "node:os"
import { Pool, Process, StartMethod } from "../src/index.ts"
import type { ProcessError } from "../src/index.ts"
import { inheritedFlags } from "../src/internal/start/node.ts"
import { reasonOf } from "./conformance/assertions.ts"
import { methods } from "./conformance/methods.ts"
import * as T from "./fixtures/tasks.ts"

const nameOf = Effect.map(StartMethod.StartMethod, ({ name }) => name)

const run = <A, E>(
  layer: Layer.Layer<StartMethod.StartMethod, ProcessError.ProcessError>,
  effect: Effect.Effect<A, E, StartMethod.StartMethod | Scope.Scope>
) => Effect.scoped(Effect.provide(effect, layer))

const ask = <A, E>(
  process: Effect.Effect<Process.Process<A, E>, ProcessError.ProcessError, StartMethod.StartMethod | Scope.Scope>
) => Effect.flatMap(process, Process.join)

describe("StartMethod", () => {
  for (const { layer, name } of methods) {
    it.live(`the layer of ${name} says its name, here and in its tasks`, () =>
      run(
        layer,
        Effect.gen(function*() {
          assert.strictEqual(yield* nameOf, name)
          assert.strictEqual((yield* ask(Process.start(T.hasChild))).child.self.startMethod, name)
        })
      ))
  }

  it.effect("available names the default first", () =>
    Effect.map(StartMethod.available, (names) =>
      // not everywhere
      assert.deepStrictEqual(names.filter((name) => name !== "forkserver" && name !== "fork"), [
        "spawn",
        "threads",
        "inline"
      ])))

  describe("layerConfig", () => {
    const chosen = (value: string | undefined) => {
      const env = value === undefined ? {} : { MULTIPROCESSING_START_METHOD: value }
      return Effect.exit(nameOf.pipe(
        Effect.provide(StartMethod.layerConfig),
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env)))
      ))
    }

    it.effect("is spawn where the variable is unset", () =>
      Effect.map(chosen(undefined), (exit) => assert.deepStrictEqual(exit, Exit.succeed("spawn" as const))))

    for (const name of ["inline", "threads", "spawn"] as const) {
      it.effect(`takes ${name}`, () =>
        Effect.map(chosen(name), (exit) => assert.deepStrictEqual(exit, Exit.succeed(name))))
    }

    it.effect("refuses a name that is none, and lists the valid ones", () =>
      Effect.map(chosen("frok"), (exit) => {
        const reason = reasonOf(exit)
        assert.strictEqual(reason._tag, "StartMethodUnavailable")
        for (const part of ["MULTIPROCESSING_START_METHOD", `"frok"`, "spawn, threads, ", "inline"]) {
          assert.include(reason.message, part)
        }
      }))
  })

  it.live("where the native part is missing, fork and forkserver say so and what to use", () =>
    Effect.gen(function*() {
      const without = StartMethod.layerSpawnWith({ extendEnv: { EFFECT_MULTIPROCESSING_NATIVE: "off" } })
      for (const message of yield* run(without, ask(Process.start(T.startMethods)))) {
        assert.include(message, "is not available here: the native addon is switched off")
        assert.include(message, "StartMethod.layerSpawn")
      }
    }))

  describe("layerSpawnWith", () => {
    it.live("env replaces the environment, extendEnv adds to it", () =>
      Effect.gen(function*() {
        const seen = ask(Process.start(T.surroundings, "COLOUR"))
        const replaced = yield* run(StartMethod.layerSpawnWith({ env: { COLOUR: "red" } }), seen)
        assert.strictEqual(replaced.value, "red")
        assert.isUndefined(replaced.path)
        const extended = yield* run(StartMethod.layerSpawnWith({ extendEnv: { COLOUR: "blue" } }), seen)
        assert.strictEqual(extended.value, "blue")
        assert.strictEqual(extended.path, process.env["PATH"])
      }))

    it.live("cwd and execArgv are the child's", () =>
      Effect.gen(function*() {
        const folder = realpathSync(tmpdir())
        const seen = yield* run(
          StartMethod.layerSpawnWith({ cwd: folder, execArgv: ["--max-old-space-size=99"] }),
          ask(Process.start(T.surroundings, "COLOUR"))
        )
        assert.strictEqual(seen.cwd, folder)
        assert.deepStrictEqual(seen.flags, ["--max-old-space-size=99"])
      }))

    it.live("an executable that is not there is StartFailed", () =>
      Effect.gen(function*() {
        const layer = StartMethod.layerSpawnWith({ execPath: "/nowhere/node" })
        const starts: ReadonlyArray<
          Effect.Effect<unknown, ProcessError.ProcessError, StartMethod.StartMethod | Scope.Scope>
        > = [Process.start(T.square, 1), Pool.make({ processes: 2 })]
        for (const start of starts) {
          const reason = reasonOf(yield* Effect.exit(run(layer, start)))
          assert.strictEqual(reason._tag, "StartFailed")
          assert.include(reason.message, "/nowhere/node")
        }
      }))

    it.live("an executable that is no Node is StartFailed, with what it said", () =>
      Effect.gen(function*() {
        const layer = StartMethod.layerSpawnWith({ execPath: "/bin/sh", stdio: "capture" })
        const reason = reasonOf(yield* Effect.exit(run(layer, Process.start(T.square, 1))))
        assert.strictEqual(reason._tag, "StartFailed")
        assert.include(reason.message, "before it was ready")
      }))

    it.live("a child that is not ready within startTimeout is killed: StartFailed", () =>
      Effect.gen(function*() {
        for (
          const layer of [
            StartMethod.layerSpawnWith({ startTimeout: "400 millis" }),
            StartMethod.layerThreadsWith({ startTimeout: "400 millis" })
          ]
        ) {
          const start = Process.start(T.greets, "you", { initializer: T.endlessInitializer() })
          const reason = reasonOf(yield* Effect.exit(run(layer, start)))
          assert.strictEqual(reason._tag, "StartFailed")
          assert.include(reason.message, "400 ms")
        }
      }))

    it.live("a message above maxMessageBytes is MessageTooLarge, either way, and the worker lives on", () =>
      run(
        StartMethod.layerSpawnWith({ maxMessageBytes: 10_000 }),
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          for (const call of [Pool.apply(pool, T.echo, new Uint8Array(20_000)), Pool.apply(pool, T.fills, 20_000)]) {
            const reason = reasonOf(yield* Effect.exit<unknown, unknown, never>(call))
            assert.strictEqual(reason._tag, "MessageTooLarge")
            if (reason._tag !== "MessageTooLarge") return
            assert.strictEqual(reason.limit, 10_000)
            assert.isAbove(reason.size, 20_000)
          }
          const sizes = [10, 9000, 9000, 9000, 20]
          const results = yield* Pool.map(pool, T.fills, sizes, { chunkSize: 5 })
          assert.deepStrictEqual(results.map((bytes) => bytes.length), sizes, "a batch above the limit goes in parts")
          const exits = yield* Effect.forEach(
            [5000, 20_000, 6000].map((size) => new Uint8Array(size)),
            (bytes) => Effect.exit(Pool.apply(pool, T.echo, bytes)),
            { concurrency: "unbounded" }
          )
          assert.deepStrictEqual(exits.map((exit) => exit._tag), ["Success", "Failure", "Success"])
          const reason = reasonOf(
            yield* Effect.exit(run(
              StartMethod.layerSpawnWith({ maxMessageBytes: 10_000 }),
              Process.start(T.echo, new Uint8Array(20_000))
            ))
          )
          assert.strictEqual(reason._tag, "MessageTooLarge")
        })
      ))

    it.live("a payload of 2.5 or 4 GB is MessageTooLarge, and the worker lives on", () =>
      run(
        StartMethod.layerSpawn,
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          // nobody touches their pages
          for (const size of [2.5e9, 2 ** 32 + 1]) {
            const reason = reasonOf(yield* Effect.exit(Pool.apply(pool, T.echo, new Uint8Array(size))))
            assert.isTrue(reason._tag === "MessageTooLarge" && reason.size >= size, reason.message)
          }
          assert.deepStrictEqual(yield* Pool.apply(pool, T.echo, new Uint8Array([1])), new Uint8Array([1]))
          assert.strictEqual((yield* Pool.stats(pool)).restarts, 0)
        })
      ))

    for (const maxMessageBytes of [0, 1.5, 2 ** 31]) {
      it.effect(`maxMessageBytes ${maxMessageBytes} is a RangeError`, () =>
        Effect.gen(function*() {
          const exit = yield* Effect.exit(Effect.provide(nameOf, StartMethod.layerSpawnWith({ maxMessageBytes })))
          assert.isTrue(Exit.isFailure(exit))
          const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
          assert.instanceOf(defect, RangeError)
          assert.include((defect as RangeError).message, String(maxMessageBytes))
        }))
    }
  })

  it.live("layerThreadsWith: env is the thread's", () =>
    Effect.gen(function*() {
      const seen = yield* run(
        StartMethod.layerThreadsWith({ env: { COLOUR: "green" } }),
        ask(Process.start(T.surroundings, "COLOUR"))
      )
      assert.strictEqual(seen.value, "green")
    }))

  it.live("two start methods serve one program", () =>
    Effect.gen(function*() {
      const both = yield* Effect.all([
        run(StartMethod.layerThreads, ask(Process.start(T.current))),
        run(StartMethod.layerSpawn, ask(Process.start(T.current)))
      ], { concurrency: "unbounded" })
      assert.deepStrictEqual(both.map(({ self }) => self.startMethod), ["threads", "spawn"])
    }))

  it("a child gets the flags of its parent that make sense for it", () => {
    const flags = [
      "--import",
      "tsx",
      "--inspect=9229",
      "-e",
      "code",
      "--conditions=x",
      "--test",
      "--watch",
      "--no-warnings"
    ]
    assert.deepStrictEqual(inheritedFlags(flags), ["--import", "tsx", "--conditions=x", "--no-warnings"])
    assert.deepStrictEqual(inheritedFlags(["--input-type", "module", "-p", "1+1", "--enable-source-maps"]), [
      "--enable-source-maps"
    ])
  })
})
