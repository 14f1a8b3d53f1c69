/**
 * A line in the terminal that shows how far a pool has come.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Terminal from "effect/Terminal"
import { engineOf } from "./internal/pool/engine.ts"
import { defaultEveryMillis, makeMeter, readings } from "./internal/pool/progress.ts"
import { timeMillisOr } from "./internal/start/checks.ts"
import type { Pool, Progress } from "./Pool.ts"

/**
 * Options of {@link show}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** What stands before the bar; default: the name of the pool. */
  readonly label?: string | undefined
  /** How many items there will be, where the pool cannot know: it is given a stream. */
  readonly total?: number | undefined
  /** How often it is drawn, at most; default 100 milliseconds. */
  readonly every?: Duration.Input | undefined
}

const fewestColumns = 40
const widestBar = 40

const timeOf = (remaining: Duration.Duration): string => {
  const seconds = Math.round(Duration.toSeconds(remaining))
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60].map((part) => String(part).padStart(2, "0"))
  const hours = Math.floor(seconds / 3600)
  return (hours > 0 ? [String(hours), ...parts] : parts).join(":")
}

const rateOf = (rate: number): string => `${rate >= 100 ? Math.round(rate) : Number(rate.toPrecision(2))}/s`

/**
 * The line that {@link show} draws, without control characters: for a drawing of your own.
 *
 * **Example** (Half way)
 *
 * ```ts run
 * import { Duration, Option } from "effect"
 * import { ProgressBar } from "effect-multiprocessing"
 *
 * const progress = { submitted: 40, done: 20, failed: 1, rate: 10, remaining: Option.some(Duration.seconds(2)) }
 * console.log(ProgressBar.render(progress, { label: "resize", columns: 60 }))
 * // => resize [##########          ] 20/40 50% 10/s 00:02 1 failed
 * ```
 *
 * @category rendering
 * @since 0.1.0
 */
export const render = (
  { done, failed, rate, remaining, submitted }: Progress,
  options: Options & { readonly columns: number }
): string => {
  const total = Math.max(options.total ?? submitted, done)
  const share = total === 0 ? 0 : done / total
  const label = options.label === undefined ? "" : `${options.label} `
  const left = options.total === undefined || rate === 0
    ? remaining
    : Option.some(Duration.seconds((total - done) / rate))
  const words = [
    `${done}/${total}`,
    `${Math.floor(share * 100)}%`,
    rateOf(rate),
    Option.match(left, { onNone: () => "--:--", onSome: timeOf }),
    ...(failed === 0 ? [] : [`${failed} failed`])
  ].join(" ")
  const room = Math.min(widestBar, options.columns - label.length - words.length - 4)
  if (room < 1) return `${label}${words}`.slice(0, Math.max(0, options.columns - 1))
  const filled = Math.round(share * room)
  return `${label}[${"#".repeat(filled)}${" ".repeat(room - filled)}] ${words}`
}

const toLineStart = "\r"
const eraseLine = "\u001b[2K"

/**
 * Draws a bar until the scope closes, and leaves its last state on a line of its own.
 *
 * **When to use**
 *
 * Around a call that takes a while, in a program that people watch. For a bar of your own, or a page, take `Pool.progress`.
 *
 * **Details**
 *
 * - It draws through Effect's `Terminal`; `NodeTerminal.layer` and `NodeServices.layer` of `@effect/platform-node` are one.
 * - Where the output is no terminal, or one of fewer than 40 columns, it draws nothing: a log file stays clean.
 * - The counts are those of the pool from then on, of all its calls.
 *
 * **Gotchas**
 *
 * - What is logged to the same terminal meanwhile is written over the bar, which comes back below it.
 * - A terminal that cannot be written to disturbs nothing but the bar.
 *
 * **Example** (Around a map)
 *
 * ```ts
 * import { NodeServices } from "@effect/platform-node"
 * import { Effect } from "effect"
 * import { Pool, Process, ProgressBar, StartMethod, Task } from "effect-multiprocessing"
 *
 * const slow = Task.make("slow", { module: import.meta.url, handler: (n: number) => Effect.delay(Effect.succeed(n), 50) })
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* Pool.make({ processes: 2 })
 *   yield* ProgressBar.show(pool, { label: "working" })
 *   yield* Pool.map(pool, slow, Array.from({ length: 200 }, (_, i) => i))
 * }).pipe(Effect.scoped, Effect.provide([StartMethod.layerSpawn, NodeServices.layer]))
 *
 * Process.runMain(program)
 * ```
 *
 * @category drawing
 * @since 0.1.0
 */
export const show = <R>(
  pool: Pool<R>,
  options: Options = {}
): Effect.Effect<void, never, Terminal.Terminal | Scope.Scope> =>
  Effect.gen(function*() {
    const terminal = yield* Terminal.Terminal
    if ((yield* terminal.columns) < fewestColumns) return
    const engine = engineOf(pool)
    const read = makeMeter(engine, yield* Clock.Clock)
    const draw = (now: Progress, end: string): Effect.Effect<void> =>
      Effect.flatMap(terminal.columns, (columns) => {
        const line = render(now, { ...options, label: options.label ?? pool.name, columns })
        return terminal.display(`${toLineStart}${eraseLine}${line}${end}`)
      }).pipe(Effect.ignore)
    yield* Effect.addFinalizer(() => Effect.suspend(() => draw(read(), "\n")))
    const everyMillis = timeMillisOr("ProgressBar.show: every", options.every, defaultEveryMillis)
    yield* Effect.forkScoped(Stream.runForEach(readings(engine, read, everyMillis), (now) => draw(now, "")))
  })
