/** Whole programs, run as a user runs them and ended as the world ends them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import type { Scope } from "effect"
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { availableParallelism, loadavg } from "node:os"
import { fileURLToPath } from "node:url"
import { StartMethod } from "../src/index.ts"

interface Program {
  readonly process: ChildProcess
  readonly output: () => string
  /** Completes when the output has as many lines that match. */
  readonly until: (line: RegExp, times?: number) => Effect.Effect<void>
  readonly ended: Effect.Effect<{ readonly code: number | null; readonly signal: string | null }>
}

/** Runs a program of the fixtures in a process group of its own, so that a terminal's Ctrl-C can be played. */
const run = (name: string, env: Record<string, string> = {}): Effect.Effect<Program, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const file = fileURLToPath(new URL(`./fixtures/programs/${name}.ts`, import.meta.url))
        const child = spawn(process.execPath, [file], {
          detached: true,
          stdio: ["ignore", "pipe", "pipe"],
          env: { ...process.env, NODE_OPTIONS: "", ...env }
        })
        let text = ""
        const listeners = new Set<() => void>()
        for (const stream of [child.stdout, child.stderr]) {
          stream.on("data", (block: Buffer) => {
            text += block.toString("utf8")
            for (const listener of listeners) listener()
          })
        }
        const closed = new Promise<{ readonly code: number | null; readonly signal: string | null }>((resolve) =>
          child.once("close", (code, signal) => resolve({ code, signal }))
        )
        return { child, closed, listeners, output: () => text }
      }),
      ({ child, closed }) =>
        Effect.promise(() => {
          if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, "SIGKILL")
          return closed
        })
    ),
    ({ child, closed, listeners, output }) => ({
      process: child,
      output,
      ended: Effect.promise(() => closed),
      until: (line, times = 1) =>
        Effect.callback<void>((resume) => {
          const check = (): void => {
            if (output().split("\n").filter((one) => line.test(one)).length < times) return
            listeners.delete(check)
            resume(Effect.void)
          }
          listeners.add(check)
          check()
        }).pipe(Effect.timeoutOrElse({
          duration: "20 seconds",
          orElse: () => Effect.die(new Error(`${String(line)} did not come ${times} times in:\n${output()}`))
        }))
    })
  )

const count = (text: string, line: string): number => text.split("\n").filter((one) => one === line).length

/** A zombie has ended: it only waits for somebody to ask how. */
const lives = (pid: number): boolean => {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))
  } catch {
    return false
  }
}

/** Among how many each core is shared: what takes two seconds of a quiet machine takes so many times as long. */
const contention = (): number => Math.max(1, loadavg()[0]! / availableParallelism())

/** Waits for the end of processes that are nobody's children here: only /proc knows. Bounded. */
const gone = (pids: ReadonlyArray<number>, millis: number): Effect.Effect<ReadonlyArray<number>> =>
  Effect.gen(function*() {
    const deadline = performance.now() + millis
    while (true) {
      const left = pids.filter(lives)
      if (left.length === 0 || performance.now() > deadline) return left
      yield* Effect.sleep("20 millis")
    }
  })

const available = Effect.runSync(StartMethod.available)

describe("a program", () => {
  for (const method of ["threads", "spawn", "forkserver"]) {
    it.live(
      `on ${method} ends through its scope at Ctrl-C, with every finalizer run once`,
      () =>
        Effect.scoped(Effect.gen(function*() {
          const program = yield* run("interruptible", { MULTIPROCESSING_START_METHOD: method })
          yield* program.until(/^process started$/)
          yield* program.until(/^worker started$/)
          // to the whole group, as a terminal does
          yield* Effect.sync(() => process.kill(-program.process.pid!, "SIGINT"))
          const { code } = yield* program.ended
          const output = program.output()
          for (const line of ["process finalized", "worker finalized", "program finalized"]) {
            assert.strictEqual(count(output, line), 1, `${line} in:\n${output}`)
          }
          assert.notStrictEqual(code, 0)
        })),
      30_000
    )

    it.live(`on ${method} ends through its scope at SIGTERM`, () =>
      Effect.scoped(Effect.gen(function*() {
        const program = yield* run("interruptible", { MULTIPROCESSING_START_METHOD: method })
        yield* program.until(/^worker started$/)
        yield* program.until(/^process started$/)
        yield* Effect.sync(() => program.process.kill("SIGTERM"))
        yield* program.ended
        for (const line of ["process finalized", "worker finalized", "program finalized"]) {
          assert.strictEqual(count(program.output(), line), 1, `${line} in:\n${program.output()}`)
        }
      })), 30_000)
  }

  if (existsSync("/proc/self/status")) {
    const orphans = [
      ["orphans", 5, "no child after two seconds: idle, waiting, computing, or a grandchild", {}],
      ["orphans", 5, "none of a fork server", { MULTIPROCESSING_START_METHOD: "forkserver" }],
      ["orphans", 5, "none either where the native part is missing", { EFFECT_MULTIPROCESSING_NATIVE: "off" }],
      ["rpcOrphans", 2, "no worker of an RPC client, idle or computing", {}]
    ] as const
    for (const [name, count, what, env] of orphans) {
      it.live(`that is killed leaves ${what}`, () =>
        Effect.scoped(Effect.gen(function*() {
          const program = yield* run(name, env)
          yield* program.until(/^pid \d+$/, count)
          const pids = [...program.output().matchAll(/^pid (\d+)$/gm)].map(([, pid]) => Number(pid))
          assert.strictEqual(new Set(pids).size, count)
          const watch = yield* Effect.forkChild(gone(pids, 2000 * contention()))
          yield* Effect.sync(() => program.process.kill("SIGKILL"))
          const left = yield* Fiber.join(watch)
          yield* Effect.sync(() => left.forEach((pid) => process.kill(pid, "SIGKILL")))
          assert.deepStrictEqual(left, [])
        })), 40_000)
    }
  }

  it.live.runIf(available.includes("forkserver"))(
    "that is killed while its fork server loads leaves none, and no word of it",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const program = yield* run("forkServerOrphan")
        yield* program.until(/^pid \d+$/)
        yield* Effect.sync(() => program.process.kill("SIGKILL"))
        yield* program.ended // the server has its output, too
        assert.match(program.output(), /^pid \d+\n$/)
      })),
    40_000
  )

  for (const method of ["threads", "spawn", "forkserver"]) {
    it.live(
      `without a guard on ${method}: no tree of processes, and a message that shows the guard`,
      () =>
        Effect.scoped(Effect.gen(function*() {
          const program = yield* run("unguarded", { MULTIPROCESSING_START_METHOD: method })
          yield* program.ended
          const output = program.output()
          assert.isAtMost([...output.matchAll(/^loaded \d+$/gm)].length, 3, output)
          assert.include(output, "Process.runMain")
        })),
      30_000
    )
  }
})
