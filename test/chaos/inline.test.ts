/** As the chaos test, where nobody can crash: small plans of calls, made smaller when one fails. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Cause, Effect, Exit, Fiber, Option, Schema, Stream } from "effect"
import { Pool, Process, ProcessError, StartMethod } from "../../src/index.ts"
import * as T from "../fixtures/tasks.ts"

const upTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

/** Calls that end well come more often than calls that end a worker. */
const Well = Schema.Union([
  Schema.TaggedStruct("square", { x: upTo(1000) }),
  Schema.TaggedStruct("map", { count: upTo(200), chunkSize: Schema.Literals([1, 7, "auto"]) }),
  Schema.TaggedStruct("stream", { count: upTo(200), take: upTo(50) }),
  Schema.TaggedStruct("busy", { millis: upTo(20) })
])
const Badly = Schema.Union([
  Schema.TaggedStruct("fails", {}),
  Schema.TaggedStruct("throws", {}),
  Schema.TaggedStruct("refused", {}),
  Schema.TaggedStruct("given up", { after: upTo(10) }),
  Schema.TaggedStruct("timed out", {})
])
type Step = typeof Well.Type | typeof Badly.Type

const steps = Arbitrary.map(
  Arbitrary.all([
    Arbitrary.array(Arbitrary.schema(Well), { minLength: 10, maxLength: 40 }),
    Arbitrary.array(Arbitrary.schema(Badly), { minLength: 0, maxLength: 15 })
  ]),
  // side by side, as they run
  ([well, badly]): ReadonlyArray<Step> => well.flatMap((one, i) => i < badly.length ? [one, badly[i]!] : [one])
)

const tagOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return "success"
  const error = Option.getOrUndefined(Exit.findErrorOption(exit))
  if (error === undefined) return Cause.hasDies(exit.cause) ? "die" : "interrupt"
  return ProcessError.isProcessError(error) ? error.reason._tag : (error as { readonly _tag: string })._tag
}

/** One call, and the check of its outcome. */
const play = (pool: Pool.Pool, one: Step): Effect.Effect<void> => {
  const numbers = (count: number) => Array.from({ length: count }, (_, i) => i)
  const ends = (call: Effect.Effect<unknown, unknown>, ...tags: ReadonlyArray<string>) =>
    Effect.map(Effect.exit(call), (exit) => assert.include(tags, tagOf(exit), `${one._tag}: ${String(exit)}`))
  switch (one._tag) {
    case "square":
      return Effect.orDie(Effect.map(Pool.apply(pool, T.square, one.x), (y) => assert.strictEqual(y, one.x * one.x)))
    case "map":
      return Effect.orDie(Effect.map(
        Pool.map(pool, T.square, numbers(one.count), { chunkSize: one.chunkSize }),
        (all) => assert.deepStrictEqual(all, numbers(one.count).map((x) => x * x))
      ))
    case "stream":
      return Effect.orDie(Effect.map(
        Pool.imap(pool, T.square, numbers(one.count)).pipe(Stream.take(one.take), Stream.runCollect),
        (some) => assert.deepStrictEqual(some, numbers(Math.min(one.count, one.take)).map((x) => x * x))
      ))
    case "fails":
      return ends(Pool.apply(pool, T.squareRoot, -1), "NegativeInput")
    case "throws":
      return ends(Pool.apply(pool, T.throws, "bug"), "die")
    case "refused":
      return ends(Pool.apply(pool, T.echo, () => 1), "CodecFailed")
    case "busy":
      return Effect.orDie(
        Effect.map(Pool.apply(pool, T.busy, one.millis), (millis) => assert.strictEqual(millis, one.millis))
      )
    case "given up":
      return Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(Pool.apply(pool, T.never))
        yield* Effect.sleep(one.after)
        yield* Fiber.interrupt(fiber)
      })
    case "timed out":
      return ends(Pool.apply(pool, T.never, undefined, { timeout: "20 millis" }), "TimedOut")
  }
}

describe("an inline pool under everything at once", () => {
  it.live.prop(
    "every call ends with an outcome of its own, and nothing is left",
    [steps],
    ([steps]) =>
      Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          yield* Effect.forEach(steps, (one) => play(pool, one), { concurrency: "unbounded", discard: true })
        }))
        assert.deepStrictEqual(yield* Process.activeChildren, [])
      }).pipe(Effect.provide(StartMethod.layerInline)),
    { timeout: 60_000, arbitrary: { runs: 20 } }
  )
})
