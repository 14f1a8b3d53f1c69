/** Copies of this process: what they can do, what they say of the rest, and what they leave alone. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { execFileSync, spawn } from "node:child_process"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { fileURLToPath } from "node:url"
import { join } from "node:path"
import { Worker } from "node:worker_threads"
import { Pool, Process, SharedLock, SharedValue, StartMethod } from "../src/index.ts"
import type { ProcessError } from "../src/index.ts"
import { defectOf, numbers, reasonOf } from "./conformance/assertions.ts"
import * as F from "./fixtures/copied.ts"
import * as T from "./fixtures/tasks.ts"

const limit = 60_000
/** `process.exit` is the test runner's. */
const exit = (code: number): void => {
  process.emit("exit", code)
  ;(process as unknown as { readonly reallyExit: (code: number) => void }).reallyExit(code)
}
const onFork = Effect.provide(StartMethod.layerFork)
const available = Effect.runSync(StartMethod.available).includes("fork")

describe.runIf(available)("a copy of this process", () => {
  it.live("has what this process has computed", () =>
    Effect.gen(function*() {
      F.table.push(...numbers(1000).map((n) => n * n))
      const pool = yield* Pool.make({ processes: 2 })
      assert.deepStrictEqual(yield* Pool.map(pool, F.lookUp, [3, 999]), [9, 998_001])
      F.table[3] = 0 // it is the copy's own
      assert.deepStrictEqual(yield* Pool.map(pool, F.lookUp, [3, 3]), [9, 9])
      const [pid, parent] = yield* Pool.apply(pool, F.pids)
      assert.notStrictEqual(pid, process.pid)
      assert.strictEqual(parent, process.pid)
    }).pipe(Effect.scoped, onFork), limit)

  it.live("runs a closure, as it stands", () =>
    Effect.gen(function*() {
      const here = new Map([["answer", 42]])
      const twice = (n: number): number => 2 * n
      assert.strictEqual(yield* Process.forkSync(Effect.sync(() => twice(here.get("answer")!))), 84)
      const failed = yield* Effect.exit(Process.forkSync(Effect.fail({ _tag: "TooMuch" as const, by: 3 })))
      assert.deepStrictEqual(failed, Exit.fail({ _tag: "TooMuch", by: 3 }))
      const defect = defectOf(yield* Effect.exit(Process.forkSync(Effect.die(new RangeError("no"))))) as Error
      assert.instanceOf(defect, RangeError)
      assert.include(defect.stack, "closure")
      yield* Process.forkSync(Effect.sync(() => here.clear()))
      assert.strictEqual(here.size, 1)
    }).pipe(onFork), limit)

  it.live("lets fibers take turns, and fails what has to wait for something else", () =>
    Effect.gen(function*() {
      const pool = yield* Pool.make({ processes: 1 })
      assert.strictEqual(yield* Pool.apply(pool, F.takesTurns, 5000), 12_497_500)
      const reason = reasonOf(yield* Effect.exit(Pool.apply(pool, F.waits)))
      assert.strictEqual(reason._tag, "StartMethodUnavailable")
      assert.include(reason.message, `task "waits"`)
      assert.include(reason.message, "layerForkServer")
      const closure = reasonOf(yield* Effect.exit(Process.forkSync(Effect.never)))
      assert.strictEqual(closure._tag, "StartMethodUnavailable")
      assert.match(
        closure.message,
        /^closure \d+ waits for something .* Do what waits before Process\.forkSync or after it/
      )
      assert.strictEqual(yield* Pool.apply(pool, F.takesTurns, 10), 45)
    }).pipe(Effect.scoped, onFork), limit)

  it.live("counts in shared memory; what belongs to a hub is closed", () =>
    Effect.gen(function*() {
      const value = yield* SharedValue.make("int32", 0)
      const lock = yield* SharedLock.make()
      const pool = yield* Pool.make({ processes: 2 })
      yield* Pool.map(pool, F.increments, [{ value, count: 10_000 }, { value, count: 10_000 }], { chunkSize: 1 })
      assert.strictEqual(yield* SharedValue.get(value), 20_000)
      yield* Process.forkSync(SharedValue.update(value, (n) => n + 1))
      assert.strictEqual(yield* SharedValue.get(value), 20_001)
      const closed = yield* Effect.exit(Process.forkSync(SharedLock.withLock(lock)(Effect.void)))
      assert.include(String(closed), "SharedLock: it cannot be used in a copy of a process")
      assert.strictEqual(yield* SharedLock.withLock(lock)(Effect.succeed("free")), "free")
    }).pipe(Effect.scoped, onFork), limit)

  it.live("leaves this process's connections and listeners alone", () =>
    Effect.gen(function*() {
      const folder = mkdtempSync(join(tmpdir(), "fork-"))
      const path = join(folder, "left")
      const onExit = (): void => writeFileSync(path, "it ran")
      process.on("exit", onExit)
      const pool = yield* Pool.make({ processes: 1 }).pipe(Effect.provide(StartMethod.layerSpawn))
      assert.strictEqual(yield* Pool.apply(pool, T.square, 3), 9)
      const server = createServer()
      yield* Effect.promise(() => new Promise<void>((resolve) => server.listen(join(folder, "socket"), resolve)))
      // it would write to the pool's worker
      const used = yield* Effect.exit(Process.forkSync(Pool.apply(pool, T.square, 4)))
      assert.strictEqual(reasonOf(used)._tag, "StartMethodUnavailable")
      yield* Effect.exit(Process.forkSync(Effect.sync(() => server.close())))
      yield* Effect.exit(Process.forkSync(Effect.sync(() => exit(3))))
      assert.strictEqual(yield* Pool.apply(pool, T.square, 5), 25)
      assert.isFalse(existsSync(path))
      assert.isTrue(server.listening)
      process.off("exit", onExit)
      yield* Effect.promise(() => new Promise((resolve) => server.close(resolve)))
      rmSync(folder, { recursive: true })
    }).pipe(Effect.scoped, onFork), limit)

  it.live("writes all that it has to say before it ends", () =>
    Effect.gen(function*() {
      const file = fileURLToPath(new URL("./fixtures/programs/forkPrints.ts", import.meta.url))
      const [status, out, errors] = yield* Effect.callback<readonly [number | null, string, string]>((resume) => {
        const child = spawn(process.execPath, [file], {
          stdio: ["ignore", "pipe", "pipe"],
          env: { ...process.env, NODE_OPTIONS: "" }
        })
        const texts = [child.stdout, child.stderr].map((stream) => {
          const blocks: Array<Buffer> = []
          stream.on("data", (block: Buffer) => blocks.push(block))
          return blocks
        })
        child.once("close", (code) =>
          resume(Effect.succeed([code, String(Buffer.concat(texts[0]!)), String(Buffer.concat(texts[1]!))])))
      })
      assert.strictEqual(status, 0, errors)
      const lines = out.trimEnd().split("\n")
      const others = ["held", "bound", "of another console", "by number", "after"]
      assert.strictEqual(lines.length, 1 + 5000 + others.length)
      assert.match(lines[5000]!, /^4999 o{201}$/)
      assert.deepStrictEqual(lines.slice(5001), others)
      assert.strictEqual(errors.trimEnd().split("\n").length, 5000)
    }), limit)

  it.live("exits, is killed and is interrupted as any child", () =>
    Effect.gen(function*() {
      const exits = reasonOf(yield* Effect.exit(Process.forkSync(Effect.sync(() => exit(7)))))
      assert.strictEqual(exits._tag, "WorkerExited")
      if (exits._tag === "WorkerExited") assert.deepStrictEqual(exits.status, { _tag: "Exited", code: 7 })
      for (const [end, signal] of [[Process.terminate, "SIGTERM"], [Process.kill, "SIGKILL"]] as const) {
        const child = yield* Process.start(F.computes)
        yield* end(child)
        const status = yield* Process.exited(child)
        assert.strictEqual(status._tag === "Signaled" ? status.signal : "", signal)
      }
      const endless = Process.forkSync(Effect.sync(() => {
        for (;;);
      }))
      const fiber = yield* Effect.forkChild(endless)
      yield* Effect.sleep("20 millis")
      yield* Fiber.interrupt(fiber)
      assert.strictEqual((yield* Process.activeChildren).length, 0)
    }).pipe(Effect.scoped, onFork), limit)

  it.live("builds an initializer that need not wait", () =>
    Effect.gen(function*() {
      const pool = yield* Pool.make({ processes: 1, initializer: F.greeting("hello") })
      assert.strictEqual(yield* Pool.apply(pool, F.greets, "you"), "hello, you")
      const slow = reasonOf(yield* Effect.exit(Pool.make({ processes: 1, initializer: F.slowGreeting("hello") })))
      assert.include(slow.message, `initializer "slowGreeting"`)
      assert.include(slow.message, "Use StartMethod.layerForkServer")
    }).pipe(Effect.scoped, onFork), limit)

  it.live("draws random numbers of its own", () =>
    Effect.gen(function*() {
      const drawn: Array<string> = []
      for (let i = 0; i < 20; i++) {
        drawn.push(...(yield* Effect.scoped(Effect.flatMap(Process.start(F.draws), Process.join))))
      }
      assert.strictEqual(new Set(drawn).size, 40)
    }).pipe(onFork), limit)

  it.live("is not made of a process that has threads of its own, which are named", () =>
    Effect.gen(function*() {
      const worker = new Worker("setInterval(() => {}, 1000)", { eval: true })
      yield* Effect.promise(() => new Promise((resolve) => worker.once("online", resolve)))
      const reason = reasonOf(yield* Effect.exit(onFork(Effect.void)))
      yield* Effect.promise(() => worker.terminate())
      assert.strictEqual(reason._tag, "StartMethodUnavailable")
      assert.include(reason.message, "thread")
      yield* onFork(Effect.void)
    }), limit)

  it.live("starts no children", () =>
    Effect.gen(function*() {
      const nested = yield* Effect.exit(Process.forkSync(
        Effect.scoped(Effect.flatMap(Process.start(F.pids), Process.join)).pipe(onFork)
      ))
      assert.include(String(nested), "a copy starts no children")
      const starts = (
        start: () => unknown
      ): Effect.Effect<string, ProcessError.ProcessError, StartMethod.StartMethod> =>
        Process.forkSync(Effect.sync(() => {
          try {
            return String(start())
          } catch (cause) {
            return String(cause)
          }
        }))
      assert.match(yield* starts(() => spawn("true")), /A copy of a process .* starts no processes/)
      assert.match(yield* starts(() => execFileSync("true")), /A copy of a process .* starts no processes/)
      assert.match(yield* starts(() => new Worker("", { eval: true })), /A copy of a process .* starts no threads/)
      const spawned = yield* Effect.exit(Process.forkSync(
        Effect.scoped(Effect.flatMap(Process.start(F.pids), Process.join)).pipe(Effect.provide(StartMethod.layerSpawn))
      ))
      assert.match(String(spawned), /did not start: A copy of a process .* starts no processes/)
    }).pipe(onFork), limit)
})

it.live("forkSync under another start method says which one it needs", () =>
  Effect.gen(function*() {
    const reason = reasonOf(
      yield* Effect.exit(Process.forkSync(Effect.void).pipe(Effect.provide(StartMethod.layerInline)))
    )
    assert.strictEqual(reason._tag, "StartMethodUnavailable")
    assert.include(reason.message, "StartMethod.layerFork")
  }))
