import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Option, PlatformError, Schema, Terminal } from "effect"
import { execFileSync } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { Pool, ProgressBar, StartMethod } from "../src/index.ts"
import * as T from "./fixtures/tasks.ts"

const unused = Effect.die(new Error("a bar only displays"))

const makeTerminal = (columns: number, display: Terminal.Terminal["display"]) =>
  Terminal.make({
    columns: Effect.succeed(columns),
    rows: Effect.succeed(24),
    size: unused,
    readInput: unused,
    readLine: unused,
    display
  })

const draw = (columns: number) =>
  Effect.gen(function*() {
    const written: Array<string> = []
    const pool = yield* Pool.make({ name: "Bar", processes: 2 })
    yield* Effect.scoped(Effect.gen(function*() {
      yield* ProgressBar.show(pool, { every: 0 })
      yield* Pool.map(pool, T.square, Array.from({ length: 100 }, (_, i) => i))
    })).pipe(Effect.provideService(
      Terminal.Terminal,
      makeTerminal(columns, (text) => Effect.sync(() => void written.push(text)))
    ))
    return written
  }).pipe(Effect.scoped, Effect.provide(StartMethod.layerThreads))

const watched = `${process.execPath} ${fileURLToPath(new URL("./fixtures/programs/progress.ts", import.meta.url))}`

/** What a program writes: to a terminal, which `script` plays, or to a file. */
const outputOf = (command: string, isTerminal: boolean): string => {
  const [program, ...args] = isTerminal
    ? ["script", "-qefc", `stty cols 100; ${command}`, "/dev/null"]
    : ["sh", "-c", command]
  return execFileSync(program!, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], timeout: 20_000 })
}

describe("ProgressBar", () => {
  it.runIf(process.platform === "linux" && existsSync("/usr/bin/script"))(
    "draws on a real terminal, and leaves the output of anything else as it is",
    () => {
      const drawn = outputOf(watched, true).replaceAll("\r\n", "\n")
      const [bars, words, rest] = drawn.split("\n")
      assert.deepStrictEqual([words, rest], ["all squared", ""])
      const states = bars!.split("\r\u001b[2K").slice(1)
      assert.isAbove(states.length, 1)
      for (const state of states) assert.match(state, /^squares \[[# ]+\] \d+\/500 \d+% \S+\/s \S+$/)
      assert.match(states.at(-1)!, /^squares \[#+\] 500\/500 100% /)
      assert.strictEqual(outputOf(watched, false), "all squared\n")
    },
    45_000
  )

  it.live("shows the last state on a line of its own when its scope closes", () =>
    Effect.gen(function*() {
      const written = yield* draw(80)
      const last = written.at(-1)!
      assert.include(last, "Bar [")
      assert.include(last, "100/100 100%")
      assert.isTrue(last.startsWith("\r") && last.endsWith("\n"))
      for (const text of written.slice(0, -1)) assert.isFalse(text.includes("\n"))
    }), 20_000)

  it.live("writes nothing where there is no terminal, or a narrow one", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* draw(0), [])
      assert.deepStrictEqual(yield* draw(39), [])
    }), 20_000)

  it.live("a terminal that cannot be written to ends the bar, not the program", () =>
    Effect.gen(function*() {
      const pool = yield* Pool.make({ processes: 1 })
      const broken = makeTerminal(
        80,
        () => Effect.fail(PlatformError.systemError({ _tag: "Unknown", module: "Terminal", method: "display" }))
      )
      const results = yield* Effect.scoped(Effect.gen(function*() {
        yield* ProgressBar.show(pool)
        return yield* Pool.map(pool, T.square, [1, 2])
      })).pipe(Effect.provideService(Terminal.Terminal, broken))
      assert.deepStrictEqual(results, [1, 4])
    }).pipe(Effect.scoped, Effect.provide(StartMethod.layerThreads)), 20_000)

  const count = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
  it.prop(
    "a line fits into its columns, whatever the counts",
    { columns: count(200), done: count(1_000_000), more: count(1000), failed: count(100), rate: count(100_000) },
    ({ columns, done, failed, more, rate }) => {
      const remaining = rate === 0 ? Option.none() : Option.some(Duration.seconds(more / rate))
      for (const total of [undefined, 10, 2_000_000]) {
        const line = ProgressBar.render({ submitted: done + more, done, failed, rate, remaining }, {
          columns,
          label: "a label",
          total
        })
        assert.isTrue(line.length < Math.max(1, columns), `${line.length} in ${columns}: ${line}`)
        assert.notInclude(line, "NaN")
      }
    },
    { arbitrary: { runs: 1000 } }
  )

  it("counts hours, and what a stream will have", () => {
    const progress = { submitted: 10, done: 5, failed: 0, rate: 0.5, remaining: Option.some(Duration.seconds(10)) }
    assert.include(ProgressBar.render(progress, { columns: 80 }), "5/10 50% 0.5/s 00:10")
    assert.include(ProgressBar.render(progress, { columns: 80, total: 3605 }), "5/3605 0% 0.5/s 2:00:00")
  })
})
