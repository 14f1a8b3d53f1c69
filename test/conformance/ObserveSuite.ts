/** What is seen of a pool and of its tasks: logs, spans, metrics, statistics and progress, for every start method. */
import * as OtelTracer from "@effect/opentelemetry/OtelTracer"
import { assert, describe } from "@effect/vitest"
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base"
import { Effect, Exit, Fiber, Layer, Logger, Metric, Option, References, Stream, Tracer } from "effect"
import { Pool, Process } from "../../src/index.ts"
import * as O from "../fixtures/observed.ts"
import * as T from "../fixtures/tasks.ts"
import { numbers } from "./assertions.ts"
import { makeEvents } from "./events.ts"
import { laws } from "./law.ts"
import type { Method } from "./methods.ts"
import { makeTracer } from "./spans.ts"

interface Logged {
  readonly level: string
  readonly message: unknown
  readonly annotations: Readonly<Record<string, unknown>>
  readonly spans: ReadonlyArray<string>
  readonly date: Date
}

const makeLog = () => {
  const seen: Array<Logged> = []
  const waits = new Set<() => void>()
  const logger = Logger.make<unknown, void>(({ date, fiber, logLevel, message }) => {
    seen.push({
      level: logLevel,
      message,
      annotations: fiber.getRef(References.CurrentLogAnnotations),
      spans: fiber.getRef(References.CurrentLogSpans).map(([label]) => label),
      date
    })
    for (const check of waits) check()
  })
  const until = (count: number): Effect.Effect<void> =>
    Effect.callback((resume) => {
      const check = (): void => {
        if (seen.length < count) return
        waits.delete(check)
        resume(Effect.void)
      }
      waits.add(check)
      check()
    })
  return { seen, until, layer: Logger.layer([logger]) }
}

const spanCalled = (spans: ReadonlyArray<Tracer.NativeSpan>, name: string): Tracer.NativeSpan => {
  const found = spans.find((span) => span.name === name)
  assert.isDefined(found, `no span ${name} among ${spans.map((span) => span.name).join(", ")}`)
  return found!
}

export const suite = ({ claims, layer, name }: Method): void => {
  const law = laws(layer)

  describe(`what is seen on ${name}`, () => {
    describe("logs", () => {
      law(
        "come out of the caller's loggers, with message, level, annotations, log spans, pid and worker",
        () =>
          Effect.gen(function*() {
            const log = makeLog()
            const pool = yield* Pool.make({ name: "Loud", processes: 1 })
            const { workers } = yield* Pool.stats(pool)
            yield* Pool.map(pool, O.logs, [7]).pipe(Effect.annotateLogs("caller", "me"), Effect.provide(log.layer))
            assert.deepStrictEqual(log.seen.map(({ level }) => level), ["Info", "Error"])
            const [info, error] = log.seen
            assert.deepStrictEqual(info!.message, ["loud", { x: 7 }])
            assert.deepStrictEqual(info!.annotations, {
              caller: "me",
              list: [7, 7],
              pid: workers[0]!.pid,
              worker: "Loud-worker-1"
            })
            assert.deepStrictEqual(info!.spans, ["span"])
            assert.isTrue(Math.abs(Date.now() - info!.date.getTime()) < 60_000)
            const [text, broken] = error!.message as ReadonlyArray<unknown>
            assert.strictEqual(text, "broken")
            assert.isTrue(broken instanceof Error)
            assert.deepInclude(broken, { _tag: "Refused", message: "no" })
          })
      )

      law("keep to the level of the caller", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          const levels = (level: "Debug" | "Error" | "None") =>
            Effect.gen(function*() {
              const log = makeLog()
              yield* Pool.apply(pool, O.logs, 1).pipe(
                Effect.provideService(References.MinimumLogLevel, level),
                Effect.provide(log.layer)
              )
              return log.seen.map((one) => one.level)
            })
          assert.deepStrictEqual(yield* levels("Debug"), ["Debug", "Info", "Error"])
          assert.deepStrictEqual(yield* levels("Error"), ["Error"])
          assert.deepStrictEqual(yield* levels("None"), [])
        }))

      law("come at once, while the task still runs", () =>
        Effect.gen(function*() {
          const log = makeLog()
          const pool = yield* Pool.make({ processes: 1 })
          const running = yield* Effect.forkChild(Effect.provide(Pool.apply(pool, O.logsAndWaits, 3), log.layer))
          yield* log.until(1)
          assert.isUndefined(running.pollUnsafe())
          assert.deepStrictEqual(log.seen[0]!.message, ["waits", 3])
          yield* Fiber.interrupt(running)
        }))

      law("go to the call that made them, when two run side by side", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          const one = makeLog()
          const two = makeLog()
          yield* Effect.all([
            Effect.provide(Pool.map(pool, O.logs, numbers(20)), one.layer),
            Effect.provide(Pool.map(pool, O.logs, numbers(20).map((i) => 100 + i)), two.layer)
          ], { concurrency: 2 })
          const given = (log: typeof one) =>
            log.seen.filter(({ level }) => level === "Info")
              .map(({ message }) => (message as [string, { readonly x: number }])[1].x)
              .toSorted((a, b) => a - b)
          assert.deepStrictEqual(given(one), numbers(20))
          assert.deepStrictEqual(given(two), numbers(20).map((i) => 100 + i))
        }))

      law(
        "of an initializer come out of the loggers around the pool, its finalizers' too",
        () =>
          Effect.gen(function*() {
            const log = makeLog()
            yield* Effect.scoped(Pool.make({ processes: 1, initializer: O.loggingLayer() })).pipe(
              Effect.provide(log.layer)
            )
            assert.deepStrictEqual(log.seen.map(({ message }) => message), [["built"], ["released"]])
          })
      )

      law(
        "are those of a logger that an initializer provides, where one does: none is sent home",
        () =>
          Effect.gen(function*() {
            const log = makeLog()
            yield* Effect.gen(function*() {
              const pool = yield* Pool.make({ processes: 1, initializer: O.ownLogger() })
              assert.deepStrictEqual(yield* Pool.map(pool, O.logs, [1, 2]), [1, 2])
              assert.deepStrictEqual(yield* Pool.apply(pool, O.heard), ["loud", "broken", "loud", "broken"])
              yield* Pool.close(pool)
              // what another logs afterwards does come
              const other = yield* Pool.make({ processes: 1 })
              yield* Pool.apply(other, O.logs, 3)
            }).pipe(Effect.provide(log.layer))
            assert.deepStrictEqual(log.seen.map(({ message }) => (message as ReadonlyArray<unknown>)[0]), [
              "loud",
              "broken"
            ])
          })
      )

      law(
        "are of the level that an initializer provides, unless the call has one of its own; with a span around it too",
        () =>
          Effect.gen(function*() {
            const log = makeLog()
            const heard = (call: Effect.Effect<unknown, unknown>) =>
              Effect.map(Effect.provide(call, log.layer), () =>
                log.seen.splice(0).map(({ message }) => (message as ReadonlyArray<unknown>)[0]))
            const pool = yield* Pool.make({ processes: 1, initializer: O.errorsOnly() })
            const call = Pool.apply(pool, O.logs, 1)
            assert.deepStrictEqual(yield* heard(call), ["broken"])
            assert.deepStrictEqual(yield* heard(Effect.withSpan(call, "around")), ["broken"])
            for (const level of ["Info", "Debug"] as const) {
              const wordy = Effect.provideService(call, References.MinimumLogLevel, level)
              for (const one of [wordy, Effect.withSpan(wordy, "around")]) {
                assert.deepStrictEqual((yield* heard(one)).slice(-2), ["loud", "broken"])
              }
            }
          })
      )

      law("of what cannot cross say what it was", () =>
        Effect.gen(function*() {
          const log = makeLog()
          const pool = yield* Pool.make({ processes: 1 })
          yield* Effect.provide(Pool.apply(pool, O.logsFunction), log.layer)
          const [text, ...odd] = log.seen[0]!.message as ReadonlyArray<unknown>
          assert.strictEqual(text, "odd")
          assert.isTrue(odd.every((part) => typeof part === "string" && part.length > 0), String(odd))
        }))

      law("that cannot be posted cost no result, and say so", () =>
        Effect.gen(function*() {
          const log = makeLog()
          const pool = yield* Pool.make({ processes: 1 })
          assert.strictEqual(yield* Effect.provide(Pool.apply(pool, O.logsDetached, 3), log.layer), 3)
          const [text] = log.seen[0]!.message as ReadonlyArray<unknown>
          assert.include(String(text), "could not cross")
        }))

      law("of a process come out of the loggers around its start", () =>
        Effect.gen(function*() {
          const log = makeLog()
          const process = yield* Effect.provide(Process.start(O.logs, 5, { name: "Alone" }), log.layer)
          yield* Process.join(process)
          assert.deepStrictEqual(log.seen[0]!.message, ["loud", { x: 5 }])
          assert.deepInclude(log.seen[0]!.annotations, { pid: process.pid, process: "Alone" })
        }))
    })

    describe("spans", () => {
      law("of tasks have the span of the call as their parent, by its W3C ids", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          const [ours, theirs] = yield* Effect.gen(function*() {
            const span = yield* Effect.currentSpan
            return [span, yield* Pool.apply(pool, O.parentSpan)] as const
          }).pipe(Effect.withSpan("call"))
          const { sampled, spanId, traceId } = ours
          assert.deepStrictEqual(theirs, { _tag: "ExternalSpan", sampled, spanId, traceId })
        }))

      law("of tasks are made in the caller's tracer, with attributes, outcome and place", () =>
        Effect.gen(function*() {
          const { spans, tracer } = makeTracer()
          const pool = yield* Pool.make({ name: "Traced", processes: 1 })
          const [result] = yield* Pool.map(pool, O.spans, [7]).pipe(Effect.withSpan("call"), Effect.withTracer(tracer))
          const [call, outer, inner] = ["call", "outer", "inner"].map((one) => spanCalled(spans, one))
          assert.strictEqual(Option.getOrThrow(outer!.parent), call)
          assert.strictEqual(Option.getOrThrow(inner!.parent), outer)
          assert.deepStrictEqual(result, { traceId: call!.traceId, sampled: true })
          assert.strictEqual(outer!.attributes.get("x"), 7)
          assert.strictEqual(outer!.attributes.get("worker"), "Traced-worker-1")
          for (const { status } of [outer!, inner!]) {
            assert.isTrue(status._tag === "Ended" && Exit.isSuccess(status.exit) && status.endTime >= status.startTime)
          }
        }))

      law("of tasks are OpenTelemetry's where the caller's are, in one trace", () =>
        Effect.gen(function*() {
          const exporter = new InMemorySpanExporter()
          const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
          const telemetry = Layer.provide(OtelTracer.layer, Layer.succeed(OtelTracer.OtelTracerProvider, provider))
          const pool = yield* Pool.make({ name: "Traced", processes: 1 })
          yield* Effect.gen(function*() {
            const [result] = yield* Pool.map(pool, O.spans, [7]).pipe(Effect.withSpan("call"))
            const finished = exporter.getFinishedSpans()
            const [call, outer, inner] = ["call", "outer", "inner"].map((one) => {
              const found = finished.find((span) => span.name === one)
              assert.isDefined(found, `no span ${one} was exported`)
              return found!
            })
            assert.match(call!.spanContext().traceId, /^[0-9a-f]{32}$/)
            assert.deepStrictEqual(result, { traceId: call!.spanContext().traceId, sampled: true })
            assert.strictEqual(outer!.parentSpanContext?.spanId, call!.spanContext().spanId)
            assert.strictEqual(inner!.parentSpanContext?.spanId, outer!.spanContext().spanId)
            for (const span of [outer!, inner!]) {
              assert.strictEqual(span.spanContext().traceId, call!.spanContext().traceId)
              assert.strictEqual(span.attributes["worker"], "Traced-worker-1")
            }
          }).pipe(Effect.provide(telemetry))
        }))

      law("of a task that fails end with its failure", () =>
        Effect.gen(function*() {
          const { spans, tracer } = makeTracer()
          const pool = yield* Pool.make({ processes: 1 })
          yield* Pool.apply(pool, O.fails, 1).pipe(Effect.exit, Effect.withSpan("call"), Effect.withTracer(tracer))
          const { status } = spanCalled(spans, "failing")
          assert.isTrue(status._tag === "Ended")
          if (status._tag !== "Ended") return
          assert.deepInclude(Option.getOrThrow(Exit.findErrorOption(status.exit)), { _tag: "Refused", message: "1" })
        }))

      if (claims.exits) {
        law("of a worker that dies are ended", () =>
          Effect.gen(function*() {
            const { spans, tracer } = makeTracer()
            const pool = yield* Pool.make({ processes: 1 })
            yield* Pool.apply(pool, O.diesInSpan).pipe(Effect.exit, Effect.withSpan("call"), Effect.withTracer(tracer))
            const { status } = spanCalled(spans, "dying")
            assert.isTrue(status._tag === "Ended" && Exit.isFailure(status.exit))
          }))
      }

      law("of a tracer that throws cost no result", () =>
        Effect.gen(function*() {
          for (const when of ["start", "end"] as const) {
            const log = makeLog()
            const tracer = Tracer.make({
              span: (options) => {
                if (options.name !== "outer") return new Tracer.NativeSpan(options)
                if (when === "start") throw new Error("no span")
                const span = new Tracer.NativeSpan(options)
                span.end = () => {
                  throw new Error("no end")
                }
                return span
              }
            })
            const pool = yield* Pool.make({ processes: 1 })
            const results = yield* Pool.map(pool, O.spans, numbers(8)).pipe(
              Effect.withSpan("call"),
              Effect.withTracer(tracer),
              Effect.provide(log.layer)
            )
            assert.lengthOf(results, 8)
          }
        }))

      law("that are not sampled are not told", () =>
        Effect.gen(function*() {
          const { spans, tracer } = makeTracer()
          const pool = yield* Pool.make({ processes: 1 })
          const result = yield* Pool.apply(pool, O.spans, 1).pipe(
            Effect.withSpan("call", { sampled: false }),
            Effect.withTracer(tracer)
          )
          assert.isFalse(result.sampled)
          assert.deepStrictEqual(spans.map((span) => span.name), ["call"])
        }))
    })

    describe("counts", () => {
      law("Pool.stats tells what has ended, how, and in which worker", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          yield* Pool.map(pool, T.square, numbers(100))
          yield* Effect.exit(Pool.apply(pool, O.fails, 1))
          yield* Pool.apply(pool, T.busy, 20)
          const { workers, ...counts } = yield* Pool.stats(pool)
          assert.deepStrictEqual(counts, {
            queued: 0,
            running: 0,
            completed: 101,
            failed: 1,
            restarts: 0,
            killed: 0
          })
          assert.strictEqual(workers.length, 2)
          assert.strictEqual(workers.reduce((sum, { tasks }) => sum + tasks, 0), 102)
          assert.isTrue(workers.reduce((sum, { busyMillis }) => sum + busyMillis, 0) >= 20)
          for (const { idleMillis, rssBytes, startUpMillis } of workers) {
            assert.isTrue(idleMillis >= 0 && startUpMillis > 0 && rssBytes > 1e6, JSON.stringify(workers))
          }
        }))

      law("Pool.stats counts the item that runs as busy time", () =>
        Effect.gen(function*() {
          const log = makeLog()
          const pool = yield* Pool.make({ processes: 1 })
          const call = yield* Effect.forkChild(Effect.provide(Pool.apply(pool, O.logsAndWaits, 1), log.layer))
          yield* log.until(1)
          const busy = Effect.map(Pool.stats(pool), ({ workers }) => workers[0]!.busyMillis)
          const before = yield* busy
          yield* Effect.repeat(busy, { until: (now) => now > before })
          yield* Fiber.interrupt(call)
        }))

      law("Pool.stats counts what a worker has lived and not worked as idle time", () =>
        Effect.gen(function*() {
          const began = performance.now()
          const pool = yield* Pool.make({ processes: 1 })
          const made = performance.now()
          /** Its times, and between when and when they were taken. */
          const take = Effect.gen(function*() {
            const from = performance.now()
            const { workers } = yield* Pool.stats(pool)
            return { ...workers[0]!, from, to: performance.now() }
          })
          yield* Pool.apply(pool, T.busy, 50)
          const first = yield* take
          const other = yield* Pool.make({ processes: 1 })
          yield* Pool.apply(other, T.busy, 200) // meanwhile it has nothing to do
          const second = yield* take
          const rested = second.idleMillis - first.idleMillis
          assert.isAtLeast(rested, Math.max(200, second.from - first.to - 1))
          assert.isAtMost(rested, second.to - first.from + 1)
          assert.strictEqual(second.busyMillis, first.busyMillis)
          for (const { busyMillis, from, idleMillis, to } of [first, second]) {
            assert.isAtLeast(busyMillis, 50)
            assert.isAtLeast(busyMillis + idleMillis, from - made - 1)
            assert.isAtMost(busyMillis + idleMillis, to - began + 1)
          }
        }))

      law(
        "a worker's times are no longer than it has lived, and those of run are those that workers were busy",
        () =>
          Effect.gen(function*() {
            const began = performance.now()
            const pool = yield* Pool.make({ name: "Timed", processes: 1 })
            yield* Pool.map(pool, T.busy, numbers(100).map(() => 1), { chunkSize: 50 })
            yield* Pool.map(pool, T.square, numbers(5000)) // most are reported together
            const { workers } = yield* Pool.stats(pool)
            const lived = performance.now() - began
            const { busyMillis, idleMillis, startUpMillis } = workers[0]!
            assert.isAtLeast(busyMillis, 100)
            assert.isAtMost(startUpMillis + busyMillis + idleMillis, lived)
            const runTimes = (yield* Metric.snapshot).find(({ attributes, id }) =>
              id === "multiprocessing_pool_run_time_millis" && attributes?.["pool"] === "Timed"
            )?.state as Metric.HistogramState
            assert.strictEqual(runTimes.count, 5100)
            assert.closeTo(runTimes.sum, busyMillis, 0.001)
          }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
      )

      law("Pool.stats tells what runs and what waits", () =>
        Effect.gen(function*() {
          const log = makeLog()
          const pool = yield* Pool.make({ processes: 1 })
          const calls = yield* Effect.forEach(
            numbers(4),
            (i) => Effect.forkChild(Effect.provide(Pool.apply(pool, O.logsAndWaits, i), log.layer))
          )
          yield* log.until(1)
          const { queued, running } = yield* Pool.stats(pool)
          assert.deepStrictEqual([queued, running], [3, 1])
          yield* Fiber.interruptAll(calls)
          const after = yield* Pool.stats(pool)
          assert.deepStrictEqual([after.queued, after.running, after.completed, after.failed], [0, 0, 0, 0])
        }))

      law(
        "metrics count items, over all pools of a name, and keep the times of queue and run",
        () =>
          Effect.gen(function*() {
            const use = Effect.scoped(Effect.gen(function*() {
              const pool = yield* Pool.make({ name: "Counted", processes: 1 })
              yield* Pool.map(pool, T.busy, [2, 2, 2])
              yield* Effect.exit(Pool.apply(pool, O.fails, 1))
            }))
            yield* use
            yield* use
            const metrics = new Map(
              (yield* Metric.snapshot).filter(({ attributes }) => attributes?.["pool"] === "Counted")
                .map(({ id, state }) => [id, state])
            )
            const count = (metric: string) => (metrics.get(metric) as Metric.CounterState<number>).count
            assert.strictEqual(count("multiprocessing_pool_completed"), 6)
            assert.strictEqual(count("multiprocessing_pool_failed"), 2)
            assert.strictEqual(count("multiprocessing_pool_restarts"), 0)
            assert.deepStrictEqual(metrics.get("multiprocessing_pool_workers"), { value: 0 })
            const runTimes = metrics.get("multiprocessing_pool_run_time_millis") as Metric.HistogramState
            assert.strictEqual(runTimes.count, 8)
            assert.isTrue(runTimes.max >= 2 && runTimes.sum >= 12, JSON.stringify(runTimes))
            assert.strictEqual(
              (metrics.get("multiprocessing_pool_queue_time_millis") as Metric.HistogramState).count,
              8
            )
          }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
      )

      if (claims.exits) {
        law("metrics count the workers that died and were replaced", () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ name: "Replaced", processes: 1 })
            const count = Effect.map(Metric.snapshot, (all) => {
              const found = all.find(({ attributes, id }) =>
                id === "multiprocessing_pool_restarts" && attributes?.["pool"] === "Replaced"
              )
              return (found!.state as Metric.CounterState<number>).count
            })
            assert.strictEqual(yield* count, 0)
            yield* Effect.exit(Pool.apply(pool, T.exits, 3))
            assert.strictEqual(yield* Pool.apply(pool, T.square, 3), 9)
            assert.strictEqual(yield* count, 1)
            assert.strictEqual((yield* Pool.stats(pool)).restarts, 1)
          }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))
      }

      law("metrics tell what waits, what runs and what was killed", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const options = { name: "Gauged", processes: 1, gracePeriod: "50 millis" } as const
          const pool = yield* Pool.make(options)
          const valueOf = Effect.fnUntraced(function*(metric: string) {
            const all = yield* Metric.snapshot
            const found = all.find(({ attributes, id }) => id === metric && attributes?.["pool"] === "Gauged")
            const { count, value } = found!.state as { readonly count?: number; readonly value?: number }
            return value ?? count
          })
          const gauges = Effect.all([
            valueOf("multiprocessing_pool_queued"),
            valueOf("multiprocessing_pool_running"),
            valueOf("multiprocessing_pool_workers"),
            valueOf("multiprocessing_pool_killed")
          ])
          assert.deepStrictEqual(yield* gauges, [0, 0, 1, 0])
          const told = { path: events.path, name: "a" }
          const busy = yield* Effect.forkChild(Pool.apply(pool, claims.killsBusy ? T.spins : T.waits, told))
          yield* events.until("a started")
          const others = yield* Effect.forEach(numbers(3), (i) => Pool.applyAsync(pool, T.square, i))
          assert.deepStrictEqual(yield* gauges, [3, 1, 1, 0])
          yield* Fiber.interrupt(busy)
          yield* Effect.forEach(others, Fiber.join)
          assert.deepStrictEqual(yield* gauges, [0, 0, 1, claims.killsBusy ? 1 : 0])
        }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))

      law("Pool.progress tells now, whenever something has changed, and at the end", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          yield* Pool.map(pool, T.square, numbers(10)) // before it is asked
          const states = yield* Effect.forkChild(
            Stream.runCollect(Pool.progress(pool, { every: 0 })),
            { startImmediately: true }
          )
          yield* Pool.map(pool, T.square, numbers(50))
          yield* Effect.exit(Pool.apply(pool, O.fails, 1))
          yield* Pool.close(pool)
          const seen = yield* Fiber.join(states)
          const [first, last] = [seen[0]!, seen.at(-1)!]
          assert.deepStrictEqual([first.submitted, first.done, first.rate], [0, 0, 0])
          assert.isTrue(Option.isNone(first.remaining))
          assert.deepStrictEqual([last.submitted, last.done, last.failed], [51, 51, 1])
          assert.isTrue(last.rate > 0 && Option.isSome(last.remaining))
          for (const [i, { done, submitted }] of seen.entries()) {
            assert.isTrue(done <= submitted && done >= (seen[i - 1]?.done ?? 0))
          }
        }))
    })
  })
}
