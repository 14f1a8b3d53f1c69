/** The laws of flow: what is pulled when, what is in flight, who gets what, what is given up when nobody wants it any more. */
import { assert, describe } from "@effect/vitest"
import { Effect, Exit, Fiber, Stream } from "effect"
import { Pool, Process } from "../../src/index.ts"
import type { ProcessError } from "../../src/index.ts"
import * as F from "../fixtures/flow.ts"
import * as T from "../fixtures/tasks.ts"
import { bounded, defectOf, numbers, reasonOf, squares } from "./assertions.ts"
import { makeEvents } from "./events.ts"
import { makeGate } from "./gate.ts"
import { laws } from "./law.ts"
import type { Method } from "./methods.ts"

const calls = ["imap", "imapUnordered", "imapExit"] as const
type Call = (typeof calls)[number]
type Items<P> = Iterable<P> | Stream.Stream<P, string>

/** The three stream calls as one: their results in an Exit, as imapExit gives them. */
const run = <P, A, E>(
  call: Call,
  pool: Pool.Pool,
  task: Parameters<typeof Pool.imap<never, P, A, E, never>>[1],
  items: Items<P>,
  options?: Pool.MapOptions
): Stream.Stream<Exit.Exit<A, unknown>, unknown> =>
  call === "imapExit"
    ? Pool.imapExit(pool, task, items, options)
    : Stream.map(Pool[call](pool, task, items, options), (value) => Exit.succeed(value))

const valuesOf = <A>(exits: ReadonlyArray<Exit.Exit<A, unknown>>): ReadonlyArray<A> =>
  exits.filter(Exit.isSuccess).map(({ value }) => value)

const ascending = (items: ReadonlyArray<number>): ReadonlyArray<number> => items.toSorted((a, b) => a - b)

/** An endless source that says how far it was read, and that it was closed. */
const makeSource = (kind: "generator" | "stream") => {
  const seen = { pulled: 0, closed: false }
  const generator = function*(): Generator<number, void, undefined> {
    try {
      while (true) yield seen.pulled++
    } finally {
      seen.closed = true
    }
  }
  const stream = Stream.fromEffectRepeat(Effect.sync(() => seen.pulled++)).pipe(
    Stream.ensuring(Effect.sync(() => {
      seen.closed = true
    }))
  )
  const items = (): Items<number> => kind === "generator" ? generator() : stream
  return { seen, items }
}

/** A stream with a scope of its own. */
const makeScoped = <A>(items: Stream.Stream<A, string>) => {
  const open = { acquired: 0, released: 0 }
  const stream = Stream.unwrap(Effect.as(
    Effect.acquireRelease(Effect.sync(() => open.acquired++), () => Effect.sync(() => open.released++)),
    items
  ))
  return { open, stream }
}

const throwsAfter = function*(count: number): Generator<number, void, undefined> {
  for (let i = 0; i < count; i++) yield i
  throw new Error("broken source")
}

const isLiving = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** The timers of an hour and more that are running, with their milliseconds. */
const longTimers = Effect.acquireRelease(
  Effect.sync(() => {
    const { clearTimeout, setTimeout } = globalThis
    const running = new Map<unknown, number>()
    globalThis.setTimeout = Object.assign((then: () => void, millis = 0) => {
      const timer = setTimeout(then, millis)
      if (millis >= 3_600_000) running.set(timer, millis)
      return timer
    }, setTimeout)
    globalThis.clearTimeout = (timer) => {
      running.delete(timer)
      clearTimeout(timer)
    }
    return { running, restore: () => Object.assign(globalThis, { clearTimeout, setTimeout }) }
  }),
  ({ restore }) => Effect.sync(restore)
).pipe(Effect.map(({ running }) => running))

export const suite = ({ claims, layer, name }: Method): void => {
  const law = laws(layer, 60_000)

  describe(`flow on ${name}`, () => {
    for (const call of calls) {
      describe(call, () => {
        for (const kind of ["generator", "stream"] as const) {
          law(`pulls from a ${kind} as its consumer takes, and a bounded number ahead`, () =>
            Effect.gen(function*() {
              const { items, seen } = makeSource(kind)
              const pool = yield* Pool.make({ processes: 2 })
              const buffer = 6
              const stream = run(call, pool, T.square, items(), { buffer, chunkSize: 3 })
              yield* Pool.apply(pool, T.square, 1)
              assert.strictEqual(seen.pulled, 0, "nobody has asked")
              let taken = 0
              const others = Effect.forEach(numbers(50), (i) => Pool.apply(pool, T.square, i))
              yield* stream.pipe(
                Stream.rechunk(1),
                Stream.take(60),
                Stream.runForEach(() =>
                  Effect.gen(function*() {
                    taken++
                    // a bufferful with the consumer, and one behind it
                    assert.isAtMost(seen.pulled - taken, 2 * buffer)
                    if (taken !== 20) return
                    yield* others
                    yield* others
                    assert.isAtMost(seen.pulled, 20 + 2 * buffer, "while the consumer does something else")
                  })
                )
              )
              assert.strictEqual(taken, 60)
              assert.isTrue(seen.closed)
              assert.isAtMost(seen.pulled, 60 + 2 * buffer)
            }))
        }

        law("of heavy items pulls few ahead, however cheap they are", () =>
          Effect.gen(function*() {
            const bytes = new Uint8Array(256 * 1024)
            let pulled = 0
            const source = function*(): Generator<Uint8Array, void, undefined> {
              while (pulled < 400) {
                pulled++
                yield bytes
              }
            }
            const pool = yield* Pool.make({ processes: 2 })
            let taken = 0
            let most = 0
            yield* run(call, pool, F.weighs, source()).pipe(Stream.runForEach(() =>
              Effect.sync(() => {
                most = Math.max(most, pulled - taken++)
              })
            ))
            assert.strictEqual(taken, 400)
            // two chunks of a megabyte a worker
            assert.isAtMost(most, 40)
          }))

        law("of cheap items, for a consumer that takes ten, does not pull thousands", () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 2 })
            yield* Pool.map(pool, T.square, numbers(50_000))
            const { items, seen } = makeSource("generator")
            const first = yield* run(call, pool, T.square, items()).pipe(Stream.take(10), Stream.runCollect)
            assert.lengthOf(first, 10)
            assert.isTrue(seen.closed)
            assert.isAtMost(seen.pulled, 200)
          }))

        law("that is left after ten interrupts what runs, and the pool goes on", () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const pool = yield* Pool.make({ processes: 2 })
            let closed = false
            const items = function*() {
              try {
                for (let item = 0;; item++) yield { item, from: 10, path: events.path }
              } finally {
                closed = true
              }
            }
            let taken = 0
            const first = yield* run(call, pool, F.waitsFrom, items(), { chunkSize: 1 }).pipe(
              Stream.rechunk(1),
              Stream.tap(() => ++taken < 10 ? Effect.void : events.until("10 started")),
              Stream.take(10),
              Stream.runCollect
            )
            assert.deepStrictEqual(ascending(valuesOf(first)), numbers(10))
            const ended = (what: string) =>
              events.seen().filter((event) => event.endsWith(what)).map((event) => event.split(" ")[0])
            assert.include(ended("started"), "10")
            assert.sameMembers(ended("finalized"), ended("started"))
            assert.isTrue(closed)
            assert.lengthOf(yield* Pool.broadcast(pool, T.pid), 2)
            assert.deepStrictEqual(yield* Pool.map(pool, T.square, numbers(100)), squares(100))
          }))

        law(
          "gives a source's failure after the results of the items before it, however late they are",
          () =>
            Effect.gen(function*() {
              const events = yield* makeEvents
              const gate = yield* makeGate
              const pool = yield* Pool.make({ processes: 2 })
              const item = { path: events.path, name: "a", gate: gate.path }
              const source = Stream.concat(Stream.succeed(item), Stream.fail("dry"))
              const results: Array<Exit.Exit<string, unknown>> = []
              const fiber = yield* Effect.forkChild(
                run(call, pool, F.waitsAtGate, source).pipe(
                  Stream.runForEach((one) => Effect.sync(() => results.push(one)))
                )
              )
              yield* events.until("a started")
              yield* Effect.forEach(numbers(20), (i) => Pool.apply(pool, T.square, i))
              assert.isUndefined(fiber.pollUnsafe(), "the source has failed, and its item still runs")
              yield* gate.open
              assert.deepStrictEqual(yield* Fiber.await(fiber), Exit.fail("dry"))
              assert.lengthOf(results, 1)
              assert.isTrue(Exit.isSuccess(results[0]!))
            })
        )

        law(
          "gives what a generator throws, and a stream fails with, after exactly the items before it",
          () =>
            Effect.gen(function*() {
              const pool = yield* Pool.make({ processes: 2 })
              for (const chunkSize of ["auto", 7] as const) {
                for (const count of [0, 1, 100]) {
                  const read = (items: Items<number>) =>
                    Effect.gen(function*() {
                      const results: Array<Exit.Exit<number, unknown>> = []
                      const exit = yield* run(call, pool, T.square, items, { chunkSize }).pipe(
                        Stream.runForEach((one) => Effect.sync(() => results.push(one))),
                        Effect.exit
                      )
                      const values = valuesOf(results)
                      assert.deepStrictEqual(call === "imapUnordered" ? ascending(values) : values, squares(count))
                      return exit
                    })
                  assert.strictEqual((defectOf(yield* read(throwsAfter(count))) as Error).message, "broken source")
                  const dry = Stream.concat(Stream.fromIterable(numbers(count)), Stream.fail("dry"))
                  assert.deepStrictEqual(yield* read(dry), Exit.fail("dry"))
                }
              }
              assert.strictEqual(yield* Pool.apply(pool, T.square, 3), 9)
            })
        )

        law("releases a source that has a scope, however it ends", () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const pool = yield* Pool.make({ processes: 2 })
            const { open, stream } = makeScoped(Stream.range(0, 99).pipe(Stream.rechunk(1)))
            const results = run(call, pool, T.square, stream, { buffer: 4, chunkSize: 1 })
            const isReleased = (times: number, when: string): void =>
              assert.deepStrictEqual(open, { acquired: times, released: times }, when)
            assert.lengthOf(yield* Stream.runCollect(results), 100)
            isReleased(1, "at its end")
            assert.lengthOf(yield* Stream.runCollect(Stream.take(results, 3)), 3)
            isReleased(2, "when its consumer stops")
            assert.isTrue(Exit.isFailure(
              yield* Effect.exit(Stream.runForEach(results, () => Effect.fail("enough")))
            ))
            isReleased(3, "when its consumer fails")
            const failing = makeScoped(Stream.concat(Stream.make(4, -4), Stream.range(0, 99)))
            yield* Effect.exit(Stream.runDrain(run(call, pool, T.squareRoot, failing.stream, { chunkSize: 1 })))
            assert.deepStrictEqual(failing.open, { acquired: 1, released: 1 }, "when an item fails")
            const dry = makeScoped(Stream.concat(Stream.range(0, 9), Stream.fail("dry")))
            yield* Effect.exit(Stream.runDrain(run(call, pool, T.square, dry.stream)))
            assert.deepStrictEqual(dry.open, { acquired: 1, released: 1 }, "when it fails itself")
            const waiting = makeScoped(Stream.make({ path: events.path, name: "a" }, { path: events.path, name: "b" }))
            const fiber = yield* Effect.forkChild(Stream.runDrain(run(call, pool, T.waits, waiting.stream)))
            yield* events.until("a started")
            yield* Fiber.interrupt(fiber)
            assert.deepStrictEqual(waiting.open, { acquired: 1, released: 1 }, "when it is interrupted")
          }))
      })
    }

    law("map over a generator that throws is a defect, and the pool goes on", () =>
      Effect.gen(function*() {
        const pool = yield* Pool.make({ processes: 1 })
        const exit = yield* Effect.exit(Pool.map(pool, T.square, throwsAfter(3)))
        assert.strictEqual((defectOf(exit) as Error).message, "broken source")
        assert.strictEqual(yield* Pool.apply(pool, T.square, 3), 9)
      }))

    const generated = function*(many: number) {
      for (let i = 0; i < many; i++) yield i
    }
    type Call = (pool: Pool.Pool, many: number) => Stream.Stream<number, ProcessError.ProcessError>
    /** `FLOW_ITEMS` makes it longer. */
    const items = Number(process.env["FLOW_ITEMS"] ?? 1_000_000)

    /** One reading in four may be far off. */
    const middleOf = (bytes: ReadonlyArray<number>): number => {
      const [, second, third] = bytes.toSorted((a, b) => a - b)
      return (second! + third!) / 2
    }

    const memoryLaw = (what: string, many: number, call: Call): void =>
      law(`${many / 1e6} million items through ${what} take constant memory`, () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          let sum = 0
          let count = 0
          const here: Array<number> = []
          const there: Array<number> = []
          yield* call(pool, many).pipe(Stream.runForEachArray((values) => {
            for (const value of values) sum += value
            count += values.length
            if (count < (here.length + 1) * many / 8) return Effect.void
            here.push(F.reachable())
            return Effect.map(Pool.broadcast(pool, F.reachableBytes), (bytes) => void there.push(Math.max(...bytes)))
          }))
          assert.strictEqual(count, many)
          assert.strictEqual(sum, many * (many - 1) / 4)
          for (const bytes of [here, there]) {
            // one number of each item of a half would be 8 bytes times a half of them; what is on its way comes and goes
            const allowed = 3 * many
            assert.isBelow(middleOf(bytes.slice(4)) - middleOf(bytes.slice(0, 4)), allowed, bytes.join(", "))
          }
        }))

    memoryLaw(
      "imapUnordered",
      claims.parallel ? 5_000_000 : 500_000,
      (pool, many) => Pool.imapUnordered(pool, F.half, generated(many))
    )
    if (claims.parallel) {
      memoryLaw("imap", items, (pool, many) => Pool.imap(pool, F.half, generated(many)))
      memoryLaw("imapExit", items, (pool, many) =>
        Pool.imapExit(pool, F.half, generated(many)).pipe(
          Stream.map((exit) => Exit.isSuccess(exit) ? exit.value : Number.NaN)
        ))
      memoryLaw("imap from a Stream", items, (pool, many) => Pool.imap(pool, F.half, Stream.range(0, many - 1)))
    }

    describe("chunks", () => {
      for (const chunkSize of ["auto", 1, 3, 8] as const) {
        const second = chunkSize === "auto" ? 1 : chunkSize // of unknown cost, an item comes alone
        law(`of chunkSize ${chunkSize} are what a worker gets`, () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const pool = yield* Pool.make({ processes: 2 })
            const items = numbers(20).map((i) => ({ path: events.path, name: String(i) }))
            let rounds = 0
            const options = { chunkSize }
            for (
              const call of [
                Pool.map(pool, T.waits, items, options),
                Pool.map(pool, T.waits, Stream.fromIterable(items), options),
                ...calls.map((one) => Stream.runDrain(run(one, pool, T.waits, items, options)))
              ]
            ) {
              const fiber = yield* Effect.forkChild(call)
              rounds++
              // the second worker begins with what the first one did not get
              yield* events.until("0 started", rounds)
              yield* events.until(`${second} started`, rounds)
              yield* Fiber.interrupt(fiber)
            }
            const expected = ["0 finalized", "0 started", `${second} finalized`, `${second} started`]
            assert.sameMembers(Array.from(new Set(events.seen())), expected)
            assert.lengthOf(events.seen(), rounds * expected.length)
          }))
      }

      if (claims.parallel) {
        law(
          "that turn out to be heavy are shared out again: both workers run the heavy items",
          () =>
            Effect.gen(function*() {
              const pool = yield* Pool.make({ processes: 2 })
              const tiny = Array.from({ length: 6000 }, () => 0)
              const heavy = Array.from({ length: 12 }, () => 20)
              const phases = [...tiny, ...heavy, ...tiny, ...heavy, ...tiny, ...heavy]
              yield* Pool.map(pool, F.computes, tiny)
              const ran = yield* Pool.map(pool, F.computes, phases)
              assert.deepStrictEqual(ran.map(({ item }) => item), phases)
              const streamed = yield* Stream.runCollect(Pool.imap(pool, F.computes, phases))
              assert.deepStrictEqual(streamed.map(({ item }) => item), phases)
              for (const results of [ran, streamed]) {
                const shared = [1, 2, 3].filter((phase) => {
                  const end = phase * (tiny.length + heavy.length)
                  return new Set(results.slice(end - heavy.length, end).map(({ worker }) => worker)).size === 2
                })
                // a worker that the machine gives no time for a quarter of a second misses a phase
                assert.isAtLeast(shared.length, 2, `of the phases only ${shared} were shared`)
              }
              // and back: the cheap items after the heavy ones are for both again; they are over in a few milliseconds
              const cheap = [ran, streamed].flatMap((
                results
              ) => [results.slice(6012, 12_012), results.slice(12_024, 18_024)])
              assert.isTrue(cheap.some((results) => new Set(results.map(({ worker }) => worker)).size === 2))
            })
        )
      }

      if (claims.signals) {
        law("are bounded by what they weigh: large items do not pile up in a worker", () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 2 })
            yield* Pool.map(pool, F.lengthOf, numbers(20_000).map(() => "cheap"))
            const before = yield* Pool.broadcast(pool, F.peak)
            const text = "x".repeat(100_000)
            const lengths = yield* Pool.map(pool, F.lengthOf, numbers(4000).map(() => text))
            assert.deepStrictEqual(lengths, numbers(4000).map(() => 100_000))
            const after = yield* Pool.broadcast(pool, F.peak)
            // of 200 MB for each, what has been read may lie about for a while; by their number they would be 600 and more
            for (let i = 0; i < 2; i++) assert.isBelow((after[i]! - before[i]!) / 1e6, 280, "MB more")
          }))
      }
    })

    describe("nested pools", () => {
      law("two deep give the results of the grandchildren", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          const rows = [[1, 2], [3]]
          const results = yield* Pool.map(pool, F.rowsOfSums, [rows, [[4]]], { chunkSize: 1 })
          assert.deepStrictEqual(results.map((sums) => sums.map(({ sum }) => sum)), [[5, 9], [16]])
          assert.deepStrictEqual(new Set(results.flat().flatMap(({ workers }) => workers)), new Set(["Inner-worker-1"]))
        }))

      law(
        "end with the call that made them, when it is interrupted: finalizers run, nobody is left",
        () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const pool = yield* Pool.make({ processes: 1, gracePeriod: "20 seconds" })
            const fiber = yield* Effect.forkChild(Pool.apply(pool, F.hasPoolThatWaits, { path: events.path, name: "" }))
            yield* events.until("a started")
            yield* events.until("b started")
            yield* bounded("the call was interrupted")(Fiber.interrupt(fiber))
            assert.includeMembers([...events.seen()], [
              "a finalized",
              "b finalized",
              "released Inner-worker-1",
              "released Inner-worker-2"
            ])
            const pids = events.seen().filter((event) => event.startsWith("pid ")).map((event) =>
              Number(event.slice(4))
            )
            assert.lengthOf(pids, 2)
            if (claims.signals) assert.deepStrictEqual(pids.filter(isLiving), [])
            const [worker] = yield* Process.activeChildren
            assert.strictEqual(worker!.name, "Pool-worker-1", "the child itself is kept")
            assert.strictEqual(yield* Pool.apply(pool, T.square, 3), 9)
          })
      )
    })

    describe("a limit of time", () => {
      law("leaves no timer behind, however its item ends", () =>
        Effect.gen(function*() {
          const timers = yield* longTimers
          const events = yield* makeEvents
          yield* Effect.scoped(Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 1, gracePeriod: "1 hour", idleTimeToLive: "2 hours" })
            const options = { timeout: "1 hour" } as const
            assert.strictEqual(yield* Pool.apply(pool, T.square, 3, options), 9)
            const told = { path: events.path, name: "a" }
            const call = yield* Effect.forkChild(Pool.apply(pool, T.waits, told, options), { startImmediately: true })
            yield* events.until("a started")
            yield* Fiber.interrupt(call)
            if (claims.exits) {
              const exit = yield* Effect.exit(Pool.apply(pool, T.exits, 3, options))
              assert.strictEqual(reasonOf(exit)._tag, "WorkerExited")
            }
            assert.notInclude([...timers.values()], 3_600_000)
          }))
          assert.strictEqual(timers.size, 0)
        }))

      law("of an item does not count its time in the queue", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          const items = numbers(30).map(() => 40) // 1200 ms in all
          const options = { timeout: "700 millis" } as const
          assert.deepStrictEqual(yield* Pool.map(pool, T.busy, items, options), items)
          for (const call of calls) {
            const exits = yield* Stream.runCollect(run(call, pool, T.busy, items, { ...options, buffer: 30 }))
            assert.deepStrictEqual(valuesOf(exits), items)
          }
        }))

      law(
        "frees a worker whose task can be interrupted: the same one runs the next item",
        () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const pool = yield* Pool.make({ processes: 1 })
            const items = [false, true, false, true, false].map((waits, i) =>
              waits ? { path: events.path, name: String(i) } : undefined
            )
            const exits = yield* Stream.runCollect(
              Pool.imapExit(pool, T.waitsOrReturns, items, { timeout: "800 millis" })
            )
            assert.deepStrictEqual(
              exits.map((exit) => Exit.isSuccess(exit) ? exit.value : reasonOf(exit)._tag),
              ["no item", "TimedOut", "no item", "TimedOut", "no item"]
            )
            assert.deepStrictEqual(events.seen(), ["1 started", "1 finalized", "3 started", "3 finalized"])
            const [worker] = yield* Process.activeChildren
            assert.strictEqual(worker!.name, "Pool-worker-1")
          })
      )

      if (claims.killsBusy) {
        law("does not free a worker that still computes: nothing waits behind it", () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const pool = yield* Pool.make({ processes: 2, gracePeriod: "1 hour" })
            // in this scope nobody waits an hour for it
            yield* Effect.addFinalizer(() => Pool.terminate(pool))
            const call = Pool.apply(pool, T.spins, { path: events.path, name: "a" }, { timeout: "200 millis" })
            assert.strictEqual(reasonOf(yield* bounded("its call was told")(Effect.exit(call)))._tag, "TimedOut")
            const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
              Pool.map(pool, F.whoRan, numbers(50), { chunkSize: 1 }),
              Effect.forEach(numbers(20), (i) => Pool.apply(pool, F.whoRan, i), { concurrency: "unbounded" }),
              Stream.runCollect(Pool.imap(pool, F.whoRan, numbers(2000)))
            ]
            const ran = yield* bounded("the other worker did it all")(Effect.all(calls))
            const workers = (ran as ReadonlyArray<ReadonlyArray<F.Ran>>).flat().map(({ worker }) => worker)
            assert.strictEqual(new Set(workers).size, 1)
          }))

        law("that is over for good replaces the worker, and what waited for it runs", () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const pool = yield* Pool.make({ processes: 1, gracePeriod: "100 millis" })
            const spinning = yield* Pool.applyAsync(pool, T.spins, { path: events.path, name: "a" }, {
              timeout: "200 millis"
            })
            const waiting = yield* Effect.forEach(numbers(3), (i) => Pool.applyAsync(pool, F.whoRan, i))
            assert.strictEqual(reasonOf(yield* Fiber.await<unknown, unknown>(spinning))._tag, "TimedOut")
            const ran = yield* bounded("what waited ran")(Effect.forEach(waiting, Fiber.join))
            assert.deepStrictEqual(ran, numbers(3).map((item) => ({ item, worker: "Pool-worker-2" })))
          }))
      }
    })
  })
}
