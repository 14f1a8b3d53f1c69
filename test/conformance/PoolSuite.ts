/** The laws of Pool, for every start method. */
import { assert, describe } from "@effect/vitest"
import { Cause, Deferred, Duration, Effect, Exit, Fiber, Layer, Option, Stream } from "effect"
import type { Scope } from "effect"
import { TestClock } from "effect/testing"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Pool, Process, SharedMemory, StartMethod } from "../../src/index.ts"
import type { ProcessError, Task } from "../../src/index.ts"
import * as T from "../fixtures/tasks.ts"
import { livingBodies } from "../../src/internal/start/child.ts"
import * as Slow from "../fixtures/slowToLoad.ts"
import * as Twice from "../fixtures/twice.ts"
import { bounded, defectOf, numbers, reasonOf, squares } from "./assertions.ts"
import { makeEvents } from "./events.ts"
import { laws } from "./law.ts"
import type { Method } from "./methods.ts"

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "pool-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** A source that says how far it was read, and that it was closed. */
const makeSource = () => {
  const seen = { pulled: 0, closed: false }
  const items = function*(): Generator<number, void, undefined> {
    try {
      while (true) yield seen.pulled++
    } finally {
      seen.closed = true
    }
  }
  return { seen, items }
}

export const suite = ({ claims, layer, name }: Method): void => {
  const law = laws(layer)

  describe(`Pool on ${name}`, () => {
    describe("map", () => {
      for (const chunkSize of ["auto", 1, 3, 7, 1000] as const) {
        law(`keeps the order of the items, with chunkSize ${chunkSize}`, () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 2 })
            assert.deepStrictEqual(yield* Pool.map(pool, T.square, numbers(100), { chunkSize }), squares(100))
          }))
      }

      law("takes any iterable and any stream; an empty one gives an empty array", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          assert.deepStrictEqual(yield* Pool.map(pool, T.square, new Set([3, 1, 2])), [9, 1, 4])
          assert.deepStrictEqual(yield* Pool.map(pool, T.square, Stream.range(0, 99)), squares(100))
          assert.deepStrictEqual(yield* Pool.map(pool, T.square, []), [])
          assert.deepStrictEqual(yield* Pool.map(pool, T.square, Stream.empty), [])
        }))

      law("of 50,000 items", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          assert.deepStrictEqual(yield* Pool.map(pool, T.square, numbers(50_000)), squares(50_000))
        }))

      law("fails with the first failure, and interrupts what runs", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const pool = yield* Pool.make({ processes: 2 })
          const first: T.Told | undefined = { path: events.path, name: "a" }
          const source = Stream.concat(
            Stream.succeed<T.Told | undefined>(first),
            Stream.fromEffect(Effect.as(events.until("a started"), undefined))
          )
          const exit = yield* Effect.exit(Pool.map(pool, T.waitsOrFails, source))
          assert.deepStrictEqual(Exit.findErrorOption(exit), Option.some("no item"))
          assert.deepStrictEqual(events.seen(), ["a started", "a finalized"])
          assert.strictEqual(yield* Pool.apply(pool, T.square, 3), 9)
        }))

      law("fails with the source's error after the items before it", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          const source = Stream.concat(Stream.range(0, 9), Stream.fail("dry"))
          assert.deepStrictEqual(yield* Effect.exit(Pool.map(pool, T.square, source)), Exit.fail("dry"))
        }))

      law(
        "copies what a task returns before the next item runs, also one of another task",
        () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 2 })
            const results = yield* Pool.map(pool, T.reuses, numbers(1000))
            assert.deepStrictEqual(results.map(({ values }) => values[0]!), [...numbers(1000)])
            const single = yield* Pool.make({ processes: 1 })
            yield* Pool.map(single, T.overwrites, numbers(2000))
            for (let i = 0; i < 8; i++) {
              const [kept] = yield* Effect.all([
                Pool.apply(single, T.reuses, i),
                Pool.apply(single, T.overwrites, -1),
                Pool.apply(single, T.overwrites, -1)
              ], { concurrency: "unbounded" })
              assert.strictEqual(kept.values[0], i)
            }
          })
      )

      law("with schemas on both sides", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          assert.deepStrictEqual(yield* Pool.map(pool, T.squareRoot, [1, 4, 9]), [1, 2, 3])
          const point = (x: number) => Option.some(new T.Point({ x, y: 0 }))
          const back = yield* Pool.map(pool, T.mirrors, [point(1), Option.none(), point(2)])
          assert.instanceOf(Option.getOrThrow(back[2]!), T.Point)
          assert.isTrue(Option.isNone(back[1]!))
        }))
    })

    describe("apply", () => {
      law("gives the value, the typed error, or the located defect; the worker lives on", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          const before = yield* Pool.apply(pool, T.current)
          assert.strictEqual(yield* Pool.apply(pool, T.squareRoot, 16), 4)
          const error = yield* Effect.flip(Pool.apply(pool, T.squareRoot, -16))
          assert.instanceOf(error, T.NegativeInput)
          const defect = defectOf(yield* Effect.exit(Pool.apply(pool, T.throws, "bug"))) as Error
          assert.instanceOf(defect, RangeError)
          assert.include(defect.stack, `task "throws"`)
          assert.include(defect.stack, before.self.name)
          assert.deepStrictEqual(yield* Pool.apply(pool, T.current), before)
        }))

      law("refuses a payload that cannot cross before it is queued", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          const reason = reasonOf(yield* Effect.exit(Pool.apply(pool, T.echo, new Map([["key", () => 1]]))))
          assert.strictEqual(reason._tag, "CodecFailed")
          assert.include(reason.message, `payload.get("key")`)
          const whole = reasonOf(yield* Effect.exit(Pool.map(pool, T.echo, [1, () => 1])))
          assert.strictEqual(whole._tag, "CodecFailed")
        }))

      law(
        "fails with CodecFailed for a result or an error that cannot cross; the worker lives on",
        () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 1 })
            const before = yield* Pool.apply(pool, T.current)
            for (const task of [T.givesFunction, T.failsWithFunction, T.givesWrongType] as const) {
              const call: Effect.Effect<unknown, unknown> = Pool.apply(pool, task)
              assert.strictEqual(reasonOf(yield* Effect.exit(call))._tag, "CodecFailed")
            }
            assert.deepStrictEqual(yield* Pool.apply(pool, T.current), before)
          })
      )

      law("refuses a result that is nested too deeply, and takes one that is not", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          const reason = reasonOf(yield* Effect.exit(Pool.apply(pool, T.nests, 3000)))
          assert.strictEqual(reason._tag, "CodecFailed")
          assert.include(reason.message, "levels deep")
          assert.isObject(yield* Pool.apply(pool, T.nests, 490))
        }))

      law("survives a task that throws what resists every question", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          const before = yield* Pool.apply(pool, T.current)
          assert.isString(defectOf(yield* Effect.exit(Pool.apply(pool, T.throwsStrangely))))
          assert.deepStrictEqual(yield* Pool.apply(pool, T.current), before)
        }))

      law("gives every item its own copy, also of one object that is sent twice", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          const list: Array<number> = []
          assert.deepStrictEqual(yield* Pool.map(pool, T.grows, [list, list, list], { chunkSize: 3 }), [1, 1, 1])
          const calls = yield* Effect.all([1, 2, 3].map(() => Pool.apply(pool, T.grows, list)), {
            concurrency: "unbounded"
          })
          assert.deepStrictEqual(calls, [1, 1, 1])
          assert.deepStrictEqual(list, [])
        }))

      law("a time limit may be infinite", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          for (const timeout of [Duration.infinity, Duration.days(30)]) {
            assert.strictEqual(yield* Pool.apply(pool, T.busy, 5, { timeout }), 5)
          }
        }))

      law("a time limit does not count the loading of a task's module", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          const began = performance.now()
          const millis = yield* Pool.apply(pool, Slow.loadMillis, undefined, { timeout: "200 millis" })
          assert.isAtLeast(millis, 400)
          if (name !== "inline") {
            assert.isAtLeast(performance.now() - began, 400, "its worker has loaded it in the call")
          }
        }))

      law("does everything at once that it is asked at once", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          const results = yield* Effect.forEach(numbers(2000), (i) => Pool.apply(pool, T.square, i), {
            concurrency: "unbounded"
          })
          assert.deepStrictEqual(results, squares(2000))
        }))

      law("a task that interrupts itself interrupts the call", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          const exit = yield* Effect.exit(Pool.apply(pool, T.interruptsItself))
          assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
        }))

      law("moves a marked buffer where it can", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          const items = numbers(8).map((i) => new Uint8Array([i, 1]))
          assert.deepStrictEqual(yield* Pool.map(pool, T.sums, items), numbers(8).map((i) => i + 1))
          for (const bytes of items) assert.strictEqual(bytes.length, claims.moves ? 0 : 2)
        }))

      law("moves a marked buffer of a result where it can", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          const back = yield* Pool.map(pool, T.gives, [3, 4, 5])
          assert.deepStrictEqual(back.map((bytes) => bytes.length), [3, 4, 5])
          assert.deepStrictEqual((yield* Pool.apply(pool, T.kept)).slice(-3), claims.moves ? [0, 0, 0] : [3, 4, 5])
        }))

      law("a task may make a pool of its own", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          assert.deepStrictEqual(yield* Pool.apply(pool, T.hasPool, [1, 2, 3]), [1, 4, 9])
        }))
    })

    describe("applyAsync", () => {
      law("returns at once; closing waits for it", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const pool = yield* Pool.make({ processes: 1 })
          const fiber = yield* Pool.applyAsync(pool, T.works, { path: events.path, name: "a", millis: 20 })
          yield* Pool.close(pool)
          assert.include(events.seen(), "a done")
          assert.strictEqual(yield* Fiber.join(fiber), "a")
        }))

      law("a scope that closes with success waits for it", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          yield* Effect.scoped(Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 1 })
            yield* Pool.applyAsync(pool, T.works, { path: events.path, name: "a", millis: 20 })
          }))
          assert.deepStrictEqual(events.seen(), ["a started", "a done"])
        }))

      law("terminating the pool fails it with Closed", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const pool = yield* Pool.make({ processes: 1 })
          const running = yield* Pool.applyAsync(pool, T.waits, { path: events.path, name: "a" })
          const queued = yield* Pool.applyAsync(pool, T.square, 3)
          yield* events.until("a started")
          yield* Pool.terminate(pool)
          for (const fiber of [running, queued]) {
            assert.strictEqual(reasonOf(yield* Fiber.await<unknown, unknown>(fiber))._tag, "Closed")
          }
          assert.deepStrictEqual(yield* Process.activeChildren, [])
        }))
    })

    describe("imap", () => {
      law("gives the results in order, data-first and in a pipe", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          assert.deepStrictEqual(yield* Stream.runCollect(Pool.imap(pool, T.square, numbers(500))), squares(500))
          const piped = Stream.range(0, 499).pipe(Pool.imap(pool, T.square, { chunkSize: 7 }), Stream.runCollect)
          assert.deepStrictEqual(yield* piped, squares(500))
        }))

      law("imapUnordered gives each result once", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          const results = yield* Stream.range(0, 499).pipe(Pool.imapUnordered(pool, T.square), Stream.runCollect)
          assert.deepStrictEqual(results.toSorted((a, b) => a - b), squares(500))
        }))

      if (claims.parallel) {
        law("imapUnordered does not wait for a slow item", () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const pool = yield* Pool.make({ processes: 2 })
            const items: ReadonlyArray<T.Told | undefined> = [{ path: events.path, name: "a" }, undefined]
            const first = yield* Pool.imapUnordered(pool, T.waitsOrReturns, items, { chunkSize: 1 }).pipe(
              Stream.take(1),
              Stream.runCollect
            )
            assert.deepStrictEqual(first, ["no item"])
          }))
      }

      law("pulls only what it needs, and closes a generator when the consumer stops", () =>
        Effect.gen(function*() {
          const { items, seen } = makeSource()
          const pool = yield* Pool.make({ processes: 2 })
          const first = yield* Pool.imap(pool, T.square, items(), { buffer: 8 }).pipe(
            Stream.take(10),
            Stream.runCollect
          )
          assert.deepStrictEqual(first, squares(10))
          assert.isTrue(seen.closed)
          assert.isAtMost(seen.pulled, 40)
          assert.deepStrictEqual(yield* Pool.map(pool, T.square, [5]), [25], "the pool goes on")
        }))

      law("waits for a slow consumer", () =>
        Effect.gen(function*() {
          const { items, seen } = makeSource()
          const pool = yield* Pool.make({ processes: 2 })
          let taken = 0
          yield* Pool.imap(pool, T.square, items(), { buffer: 4, chunkSize: 2 }).pipe(
            Stream.rechunk(1),
            Stream.take(50),
            Stream.runForEach(() =>
              Effect.sync(() => {
                taken++
                assert.isAtMost(seen.pulled - taken, 24, "items in flight")
              })
            )
          )
        }))

      law("a failure comes after the results of the items before it", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          for (const pause of [0, 50]) {
            const results: Array<number> = []
            const exit = yield* Pool.imap(pool, T.squareRoot, [1, 4, 9, -1, 16], { chunkSize: 2 }).pipe(
              Stream.runForEach((root) => Effect.andThen(Effect.sync(() => results.push(root)), Effect.sleep(pause))),
              Effect.exit
            )
            assert.deepStrictEqual(results, [1, 2, 3])
            assert.instanceOf(Option.getOrThrow(Exit.findErrorOption(exit)), T.NegativeInput)
          }
        }))

      law("a failure of the source comes after the results of the items before it", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          for (const call of [Pool.imap, Pool.imapUnordered]) {
            const results: Array<number> = []
            const source = Stream.concat(Stream.range(0, 9), Stream.fail("dry" as const))
            const exit = yield* call(pool, T.square, source).pipe(
              Stream.runForEach((one) => Effect.sync(() => results.push(one))),
              Effect.exit
            )
            assert.deepStrictEqual(results.toSorted((a, b) => a - b), squares(10))
            assert.deepStrictEqual(exit, Exit.fail("dry"))
          }
        }))

      law(
        "a generator that throws is a defect, after the results of the items before it",
        () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 2 })
            const results: Array<number> = []
            const broken = function*() {
              yield 1
              yield 2
              throw new Error("broken source")
            }
            const exit = yield* Pool.imap(pool, T.square, broken()).pipe(
              Stream.runForEach((one) => Effect.sync(() => results.push(one))),
              Effect.exit
            )
            assert.deepStrictEqual(results, [1, 4])
            assert.strictEqual((defectOf(exit) as Error).message, "broken source")
          })
      )

      law("imapExit goes on past items that cannot cross, in the smallest window", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          const wrong = (() => 1) as unknown as number
          for (const items of [[0, 1, 2, wrong, 4], [wrong, wrong, wrong, 3, wrong], [wrong], [0, wrong]]) {
            const exits = yield* Stream.runCollect(
              Pool.imapExit(pool, T.square, Stream.fromIterable(items), { buffer: 1 })
            )
            assert.deepStrictEqual(
              exits.map((exit) => Exit.isSuccess(exit) ? exit.value : reasonOf(exit)._tag),
              items.map((item) => typeof item === "number" ? item * item : "CodecFailed")
            )
          }
        }))

      law(
        "an item that cannot cross fails imap after the results of the items before it",
        () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 1 })
            const results: Array<number> = []
            const wrong = (() => 1) as unknown as number
            const source = Stream.fromIterable([1, 2, wrong, 4])
            const exit = yield* Pool.imap(pool, T.square, source).pipe(
              Stream.runForEach((square) => Effect.sync(() => results.push(square))),
              Effect.exit
            )
            assert.deepStrictEqual(results, [1, 4])
            assert.strictEqual(reasonOf(exit)._tag, "CodecFailed")
          })
      )

      law("imapExit pulls no further ahead for items that cannot cross", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          const { items, seen } = makeSource()
          const wrong = (() => 1) as unknown as number
          const source = function*(): Generator<number, void, undefined> {
            for (const item of items()) yield item < 50 ? wrong : item
          }
          let taken = 0
          yield* Pool.imapExit(pool, T.square, source(), { buffer: 2, chunkSize: 1 }).pipe(
            Stream.tap(() => Effect.sleep(++taken > 50 ? 50 : 0)),
            Stream.take(55),
            Stream.runDrain
          )
          assert.isAtMost(seen.pulled, 75)
        }))

      law("map stops at the first result that does not fit its schema", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          const exit = yield* Effect.exit(Pool.map(pool, T.cannotBeRead, numbers(5000), { chunkSize: 1 }))
          assert.strictEqual(reasonOf(exit)._tag, "CodecFailed")
          assert.isBelow((yield* Pool.stats(pool)).completed, 5000)
        }))

      law("map over a stream ends when a result does not fit its schema", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          const source = Stream.range(0, 299).pipe(Stream.rechunk(1))
          for (const call of [Pool.map(pool, T.cannotBeRead, source), Pool.map(pool, T.cannotBeRead, numbers(300))]) {
            assert.strictEqual(reasonOf(yield* Effect.exit(call))._tag, "CodecFailed")
          }
          assert.strictEqual(yield* Pool.apply(pool, T.square, 3), 9)
        }))

      law("imapExit gives every item's outcome", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          const exits = yield* Stream.runCollect(Pool.imapExit(pool, T.squareRoot, [4, -1, 9, "x" as never, 16]))
          assert.deepStrictEqual(
            exits.map((exit) => Exit.isSuccess(exit) ? exit.value : "failed"),
            [2, "failed", 3, "failed", 4]
          )
          assert.strictEqual(reasonOf(exits[3]!)._tag, "CodecFailed")
        }))
    })

    if (claims.exits) {
      describe("a worker that dies", () => {
        law("fails its item with WorkerExited, and nothing else", () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 2 })
            const pids = yield* Pool.broadcast(pool, T.pid)
            const { dead, neighbours } = yield* Effect.all({
              dead: Effect.exit(Pool.apply(pool, T.exits, 7)),
              neighbours: Effect.forEach(numbers(200), (i) => Pool.apply(pool, T.square, i), {
                concurrency: "unbounded"
              })
            }, { concurrency: "unbounded" })
            const reason = reasonOf(dead)
            assert.strictEqual(reason._tag, "WorkerExited")
            if (reason._tag !== "WorkerExited") return
            assert.deepStrictEqual(reason.status, { _tag: "Exited", code: 7 })
            assert.strictEqual(reason.task, "exits")
            assert.include(pids, reason.pid)
            assert.deepStrictEqual(neighbours, squares(200))
            assert.deepStrictEqual(yield* Pool.map(pool, T.square, numbers(10)), squares(10), "the pool goes on")
          }))

        law("of a chunk fails one item; the others of the chunk have their results", () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 1 })
            const exits = yield* Stream.runCollect(
              Pool.imapExit(pool, T.exitsAt, numbers(40), { chunkSize: 10 })
            )
            assert.deepStrictEqual(
              exits.map((exit) => Exit.isSuccess(exit) ? exit.value : reasonOf(exit)._tag),
              numbers(40).map((i) => i === 13 || i === 27 ? "WorkerExited" : i)
            )
          }))

        law("by a believed-cheap item is told apart from the items before it", () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 1 })
            yield* Pool.map(pool, T.exitsAt, Array.from({ length: 2000 }, () => 0))
            const exits = yield* Stream.runCollect(Pool.imapExit(pool, T.exitsAt, numbers(20), { chunkSize: 20 }))
            assert.deepStrictEqual(
              exits.map((exit) => Exit.isSuccess(exit) ? exit.value : reasonOf(exit)._tag),
              numbers(20).map((i) => i === 13 ? "WorkerExited" : i)
            )
          }))

        law("after it has replied keeps its reply", () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 1 })
            for (let i = 0; i < 5; i++) assert.strictEqual(yield* Pool.apply(pool, T.repliesAndExits, i), i)
            assert.strictEqual(yield* Pool.apply(pool, T.square, 3), 9)
          }))

        law("is tried again as often as retryOnCrash says", () =>
          Effect.gen(function*() {
            const folder = yield* temporaryFolder
            const pool = yield* Pool.make({ processes: 1 })
            const once = yield* Pool.apply(pool, T.exitsOnce, join(folder, "a"), { retryOnCrash: 1 })
            assert.strictEqual(once, "second time")
            assert.strictEqual((yield* Pool.stats(pool)).restarts, 1)
            const always = yield* Effect.exit(Pool.apply(pool, T.exits, 3, { retryOnCrash: 2 }))
            assert.strictEqual(reasonOf(always)._tag, "WorkerExited")
            assert.strictEqual((yield* Pool.stats(pool)).restarts, 1 + 3)
          }))

        law("is not tried again with a payload that has moved to it", () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 1 })
            const bytes = new Uint8Array(7)
            const reason = reasonOf(
              yield* Effect.exit(Pool.apply(pool, T.exitsWithBytes, bytes, { retryOnCrash: 2 }))
            )
            assert.strictEqual(reason._tag, "WorkerExited")
            if (reason._tag !== "WorkerExited") return
            assert.deepStrictEqual(reason.status, { _tag: "Exited", code: 7 }, "the last try too has the whole payload")
            assert.strictEqual(bytes.length, claims.moves ? 0 : 7)
            assert.strictEqual((yield* Pool.stats(pool)).restarts, claims.moves ? 1 : 3)
            assert.strictEqual(yield* Pool.apply(pool, T.square, 3), 9)
          }))

        law("too often closes the pool with RestartLimitExceeded", () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 1, restartIntensity: { max: 2, within: "1 minute" } })
            const tags: Array<string> = []
            for (let i = 0; i < 4; i++) tags.push(reasonOf(yield* Effect.exit(Pool.apply(pool, T.exits, 3)))._tag)
            assert.deepStrictEqual(tags, ["WorkerExited", "WorkerExited", "WorkerExited", "RestartLimitExceeded"])
            assert.deepStrictEqual(yield* Process.activeChildren, [])
          }))

        law("map fails with WorkerExited, and the pool goes on", () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 2 })
            assert.strictEqual(
              reasonOf(yield* Effect.exit(Pool.map(pool, T.exitsAt, numbers(40))))._tag,
              "WorkerExited"
            )
            assert.deepStrictEqual(yield* Pool.map(pool, T.square, numbers(10)), squares(10))
          }))

        law("by a rejection that cannot be made a string is told all the same", () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 1 })
            const reason = reasonOf(yield* Effect.exit(Pool.apply(pool, T.rejectsStrangely)))
            assert.strictEqual(reason._tag, "WorkerExited")
          }).pipe(Effect.provide(claims.captured!)))

        law("by an unhandled rejection says so in the message", () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 1 })
            const reason = reasonOf(yield* Effect.exit(Pool.apply(pool, T.rejects, "nobody catches this")))
            assert.strictEqual(reason._tag, "WorkerExited")
            assert.include(reason.message, "nobody catches this")
          }).pipe(Effect.provide(claims.captured!)))
      })
    }

    if (claims.signals) {
      law(
        "a worker that is killed from outside fails what it runs; its queue goes to another",
        () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const pool = yield* Pool.make({ processes: 1 })
            const held = yield* Pool.applyAsync(pool, T.waits, { path: events.path, name: "a" })
            const queued = yield* Effect.forEach(numbers(20), (i) => Pool.applyAsync(pool, T.square, i))
            yield* events.until("a started")
            const [worker] = yield* Process.activeChildren
            yield* Effect.sync(() => process.kill(worker!.pid, "SIGKILL"))
            const reason = reasonOf(yield* Fiber.await(held))
            assert.strictEqual(reason._tag, "WorkerExited")
            if (reason._tag !== "WorkerExited") return
            assert.strictEqual(reason.pid, worker!.pid)
            assert.deepStrictEqual(reason.status, { _tag: "Signaled", signal: "SIGKILL", number: 9 })
            assert.deepStrictEqual(yield* Effect.forEach(queued, Fiber.join), squares(20))
          })
      )
    }

    if (claims.signals) {
      law("a worker that is killed while it is idle is replaced, and nobody notices", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          const before = yield* Pool.broadcast(pool, T.pid)
          yield* Effect.sync(() => before.forEach((pid) => process.kill(pid, "SIGKILL")))
          assert.deepStrictEqual(yield* Pool.map(pool, T.square, numbers(50)), squares(50))
          const after = yield* Pool.broadcast(pool, T.pid)
          assert.isFalse(after.some((pid) => before.includes(pid)))
        }))

      for (const bytes of [0, 1, 1000]) {
        law(
          `a worker that is killed ${bytes} bytes into a report fails the item that it held`,
          () =>
            Effect.gen(function*() {
              const pool = yield* Pool.make({ processes: 1 })
              const reason = reasonOf(yield* Effect.exit(Pool.apply(pool, T.diesMidFrame, bytes)))
              assert.strictEqual(reason._tag, "WorkerExited")
              assert.strictEqual(yield* Pool.apply(pool, T.square, 3), 9)
            })
        )
      }
    }

    if (claims.signals && SharedMemory.reach === "processes") {
      law(
        "a worker that is killed fails what it was in, also among items too cheap to be announced",
        () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 1 })
            for (let round = 0; round < 3; round++) {
              yield* Pool.map(pool, T.killedByThirteen, Array.from({ length: 20_000 }, () => 0))
              const exits = yield* Effect.forEach(
                numbers(40),
                (n) => Effect.exit(Pool.apply(pool, T.killedByThirteen, n)),
                { concurrency: "unbounded" }
              )
              assert.deepStrictEqual(
                exits.map((exit) => Exit.isSuccess(exit) ? exit.value : reasonOf(exit)._tag),
                numbers(40).map((n) => n === 13 ? "WorkerExited" : n)
              )
              assert.strictEqual((yield* Pool.stats(pool)).restarts, round + 1)
            }
          })
      )
    }

    const { outOfMemory } = claims
    if (outOfMemory !== undefined) {
      law("a payload that ends whoever reads it fails, and takes no other with it", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          const { dead, neighbours } = yield* Effect.all({
            dead: Effect.exit(Pool.apply(pool, T.lengthOf, Array.from({ length: 1_500_000 }, (_, n) => ({ n })))),
            neighbours: Effect.forEach(numbers(20), () => Pool.apply(pool, T.busy, 5), { concurrency: "unbounded" })
          }, { concurrency: "unbounded" })
          const reason = reasonOf(dead)
          assert.strictEqual(reason._tag, "WorkerExited")
          assert.deepStrictEqual(neighbours, Array.from({ length: 20 }, () => 5))
          assert.strictEqual((yield* Pool.stats(pool)).restarts, 3)
          assert.deepStrictEqual(yield* Pool.map(pool, T.square, numbers(10)), squares(10))
        }).pipe(Effect.provide(outOfMemory)), 60_000)

      law("a worker that runs out of memory fails its own item", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          const { dead, neighbours } = yield* Effect.all({
            dead: Effect.exit(Pool.apply(pool, T.exhaustsMemory)),
            neighbours: Effect.forEach(numbers(20), () => Pool.apply(pool, T.busy, 5), { concurrency: "unbounded" })
          }, { concurrency: "unbounded" })
          const reason = reasonOf(dead)
          assert.strictEqual(reason._tag, "WorkerExited")
          if (reason._tag !== "WorkerExited") return
          assert.strictEqual(reason.task, "exhaustsMemory")
          assert.include(reason.message.toLowerCase(), "memory")
          assert.isTrue(reason.status._tag === "Signaled" || reason.status.code !== 0)
          assert.deepStrictEqual(neighbours, Array.from({ length: 20 }, () => 5))
          assert.deepStrictEqual(yield* Pool.map(pool, T.square, numbers(10)), squares(10))
        }).pipe(Effect.provide(outOfMemory)))
    }

    describe("interruption", () => {
      law("of a call interrupts the task's fiber, and the worker is kept", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const pool = yield* Pool.make({ processes: 1 })
          const before = yield* Pool.apply(pool, T.current)
          const fiber = yield* Effect.forkChild(Pool.apply(pool, T.waits, { path: events.path, name: "a" }))
          yield* events.until("a started")
          yield* Fiber.interrupt(fiber)
          assert.deepStrictEqual(events.seen(), ["a started", "a finalized"], "when the call has ended")
          assert.deepStrictEqual(yield* Pool.apply(pool, T.current), before)
        }))

      law("of a call that waits in the queue takes it out", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const pool = yield* Pool.make({ processes: 1 })
          const running = yield* Effect.forkChild(Pool.apply(pool, T.waits, { path: events.path, name: "a" }))
          yield* events.until("a started")
          const queued = yield* Effect.forkChild(Pool.apply(pool, T.waits, { path: events.path, name: "b" }))
          yield* Effect.yieldNow
          yield* Fiber.interrupt(queued)
          yield* Fiber.interrupt(running)
          assert.deepStrictEqual(events.seen(), ["a started", "a finalized"])
        }))

      law("of a map interrupts all that runs of it", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const pool = yield* Pool.make({ processes: 2 })
          const items = ["a", "b"].map((item) => ({ path: events.path, name: item }))
          const fiber = yield* Effect.forkChild(Pool.map(pool, T.waits, items, { chunkSize: 1 }))
          yield* events.until("a started")
          yield* events.until("b started")
          yield* Fiber.interrupt(fiber)
          assert.includeMembers([...events.seen()], ["a finalized", "b finalized"])
        }))

      for (const call of ["apply", "map", "imap"] as const) {
        law(
          `by Effect.timeout around ${call}: TimeoutError, what runs is finalized, and the workers are kept`,
          () =>
            Effect.gen(function*() {
              const events = yield* makeEvents
              const pool = yield* Pool.make({ processes: 2 })
              const before = yield* Pool.broadcast(pool, T.current)
              const names = call === "apply" ? ["a"] : ["a", "b", "c", "d"]
              const items = names.map((item) => ({ path: events.path, name: item }))
              const all: Effect.Effect<unknown, ProcessError.ProcessError, StartMethod.StartMethod> = {
                apply: Pool.apply(pool, T.waits, items[0]!),
                map: Pool.map(pool, T.waits, items),
                imap: Stream.runCollect(Pool.imap(pool, T.waits, items))
              }[call]
              const fiber = yield* Effect.forkChild(Effect.timeout(all, "1 minute"))
              const running = names.slice(0, 2)
              for (const item of running) yield* events.until(`${item} started`)
              yield* TestClock.adjust("59 seconds")
              assert.isUndefined(fiber.pollUnsafe())
              yield* TestClock.adjust("1 second")
              const error = yield* Effect.flip(Fiber.join(fiber))
              assert.isTrue(Cause.isTimeoutError(error), String(error))
              assert.sameMembers(
                [...events.seen()],
                running.flatMap((item) => [`${item} started`, `${item} finalized`]),
                "when the call has ended"
              )
              assert.deepStrictEqual(yield* Pool.broadcast(pool, T.current), before)
              assert.deepStrictEqual(yield* Pool.map(pool, T.square, numbers(10)), squares(10))
              const { killed, queued, restarts, running: left } = yield* Pool.stats(pool)
              assert.deepStrictEqual({ killed, left, queued, restarts }, { killed: 0, left: 0, queued: 0, restarts: 0 })
            }).pipe(Effect.provide(TestClock.layer()))
        )
      }

      if (claims.killsBusy) {
        law(
          "of a task that computes without end replaces its worker, and nobody else notices",
          () =>
            Effect.gen(function*() {
              const events = yield* makeEvents
              const pool = yield* Pool.make({ processes: 2, gracePeriod: "100 millis" })
              const spinning = yield* Effect.forkChild(Pool.apply(pool, T.spins, { path: events.path, name: "a" }))
              yield* events.until("a started")
              const others = yield* Effect.forEach(numbers(100), (i) => Pool.applyAsync(pool, T.square, i))
              yield* Fiber.interrupt(spinning)
              assert.deepStrictEqual(yield* Effect.forEach(others, Fiber.join), squares(100))
              assert.deepStrictEqual(yield* Pool.map(pool, T.square, numbers(10)), squares(10))
            })
        )

        law("frees a pool of one from a task that computes without end", () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const pool = yield* Pool.make({ processes: 1, gracePeriod: "100 millis" })
            const spins = Pool.apply(pool, T.spins, { path: events.path, name: "a" })
            const queued = yield* Effect.forkChild(
              Effect.andThen(events.until("a started"), Pool.apply(pool, T.square, 6))
            )
            assert.isTrue(Option.isNone(yield* Effect.timeoutOption(spins, "1 second")))
            assert.strictEqual(yield* Fiber.join(queued), 36)
          }))

        law(
          "of an item that its worker begins before it reads of that costs the worker too",
          () =>
            Effect.gen(function*() {
              const events = yield* makeEvents
              const pool = yield* Pool.make({ processes: 1, gracePeriod: "40 millis" })
              const { path } = events
              // known to be cheap: the next is sent while this one runs
              yield* Pool.map(
                pool,
                T.restsAndWorks,
                numbers(50).map(() => ({ path, name: "", millis: 0, endless: false }))
              )
              const first = { path, name: "first", millis: 400, endless: false }
              const working = yield* Pool.applyAsync(pool, T.restsAndWorks, first)
              const endless = { path, name: "second", millis: 0, endless: true }
              const second = yield* Pool.applyAsync(pool, T.restsAndWorks, endless)
              yield* events.until("first works")
              yield* Fiber.interrupt(second)
              assert.strictEqual(yield* Fiber.join(working), "first")
              assert.strictEqual(yield* Pool.apply(pool, T.square, 6).pipe(bounded("a free worker")), 36)
              assert.strictEqual((yield* Pool.stats(pool)).killed, 1)
            })
        )

        law("by a timeout per item: TimedOut, counted from the start of the run", () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const pool = yield* Pool.make({ processes: 1, gracePeriod: "50 millis" })
            const inQueue = yield* Effect.forEach(
              numbers(4),
              () => Pool.applyAsync(pool, T.busy, 100, { timeout: "300 millis" })
            )
            assert.deepStrictEqual(
              yield* Effect.forEach(inQueue, Fiber.join),
              [100, 100, 100, 100],
              "queue time is not counted"
            )
            const late = yield* Effect.exit(
              Pool.apply(pool, T.spins, { path: events.path, name: "a" }, { timeout: "200 millis" })
            )
            const reason = reasonOf(late)
            assert.strictEqual(reason._tag, "TimedOut")
            if (reason._tag !== "TimedOut") return
            assert.strictEqual(reason.limitMillis, 200)
            assert.strictEqual(reason.task, "spins")
            assert.strictEqual(yield* Pool.apply(pool, T.square, 7), 49)
          }))
      }

      law("of the program ends the pool: finalizers run, and no worker is left", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const fiber = yield* Effect.forkChild(Effect.scoped(Effect.gen(function*() {
            const pool = yield* Pool.make({
              processes: 1,
              initializer: T.greeting({ path: events.path, name: "greeting" })
            })
            yield* Pool.applyAsync(pool, T.waits, { path: events.path, name: "a" })
            yield* events.until("a started")
            yield* Effect.never
          })))
          yield* events.until("a started")
          yield* Fiber.interrupt(fiber)
          assert.includeMembers([...events.seen()], ["a finalized", "greeting released"])
          assert.deepStrictEqual(yield* Process.activeChildren, [])
        }))
    })

    describe("initializer", () => {
      law("is built once in every worker, and released when the pool closes", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          yield* Effect.scoped(Effect.gen(function*() {
            const pool = yield* Pool.make({
              processes: 2,
              initializer: T.greeting({ path: events.path, name: "greeting" })
            })
            assert.deepStrictEqual(
              yield* Pool.map(pool, T.greets, ["a", "b", "c"], { chunkSize: 1 }),
              ["hello, a", "hello, b", "hello, c"]
            )
          }))
          assert.deepStrictEqual(
            events.seen().toSorted(),
            ["greeting built", "greeting built", "greeting released", "greeting released"]
          )
        }))

      law("that fails makes Pool.make fail, after bounded tries", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const made = Pool.make({
            processes: 2,
            initializer: T.failingInitializer({ path: events.path, name: "greeting" })
          })
          const reason = reasonOf(yield* Effect.exit(made))
          assert.strictEqual(reason._tag, "StartFailed")
          if (reason._tag !== "StartFailed") return
          assert.strictEqual((reason.cause as T.NegativeInput)._tag, "NegativeInput")
          assert.isAtMost(events.seen().length, 2)
          assert.deepStrictEqual(yield* Process.activeChildren, [])
        }))

      if (claims.exits) {
        law(
          "that fails in the replacements only ends the pool with RestartLimitExceeded and its cause",
          () =>
            Effect.gen(function*() {
              const folder = yield* temporaryFolder
              const pool = yield* Pool.make({
                processes: 1,
                initializer: T.onlyOnce(join(folder, "built")),
                restartIntensity: { max: 2, within: "1 minute" }
              })
              assert.strictEqual(reasonOf(yield* Effect.exit(Pool.apply(pool, T.exits, 3)))._tag, "WorkerExited")
              const reason = reasonOf(yield* Effect.exit(Pool.apply(pool, T.square, 3)))
              assert.strictEqual(reason._tag, "RestartLimitExceeded")
              if (reason._tag !== "RestartLimitExceeded") return
              assert.include(reason.message, "onlyOnce")
            })
        )
      }

      law("that is missing: a defect that says what the task needs", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          const untyped = T.greets as unknown as Task.Task<string, string> // as a caller without types would
          const defect = defectOf(yield* Effect.exit(Pool.apply(pool, untyped, "you"))) as Error
          assert.include(defect.message, "test/Greeting")
          assert.include(defect.message, "Initializer")
        }))
    })

    describe("the end of a pool", () => {
      law("closed, it takes no work", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          yield* Pool.close(pool)
          yield* Pool.close(pool)
          const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
            Pool.apply(pool, T.square, 1),
            Pool.map(pool, T.square, [1]),
            Stream.runCollect(Pool.imap(pool, T.square, [1])),
            Effect.flatMap(Pool.applyAsync(pool, T.square, 1), Fiber.join),
            Stream.runCollect(Pool.imapUnordered(pool, T.square, [1])),
            Pool.broadcast(pool, T.square, 1)
          ]
          for (const call of calls) {
            const reason = reasonOf(yield* Effect.exit(call))
            assert.strictEqual(reason._tag, "Closed")
            assert.include(reason.message, "Pool")
          }
        }))

      law(
        "closed, it gives every item of imapExit that outcome, and the stream does not fail",
        () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 1 })
            yield* Pool.close(pool)
            for (const items of [numbers(40), Stream.fromIterable(numbers(40)), [] as ReadonlyArray<number>]) {
              const exits = yield* Stream.runCollect(Pool.imapExit(pool, T.square, items))
              assert.lengthOf(exits, Array.isArray(items) ? items.length : 40)
              for (const exit of exits) assert.strictEqual(reasonOf(exit)._tag, "Closed")
            }
          })
      )

      law(
        "terminated while imapExit is consumed, it gives the outcomes that it has, and Closed for the others",
        () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 1 })
            const exits = yield* Pool.imapExit(pool, T.square, numbers(30), { chunkSize: 2, buffer: 4 }).pipe(
              Stream.rechunk(1),
              Stream.tap((exit) => Exit.isSuccess(exit) && exit.value === 0 ? Pool.terminate(pool) : Effect.void),
              Stream.runCollect
            )
            assert.lengthOf(exits, 30)
            assert.deepStrictEqual(exits[0], Exit.succeed(0))
            assert.strictEqual(reasonOf(exits[29]!)._tag, "Closed")
          })
      )

      if (claims.killsBusy) {
        law("terminated, imapExit gives the outcomes that nobody has taken yet", () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 1 })
            const seen: Array<unknown> = []
            yield* Pool.imapExit(pool, T.busy, [1, 60, 1e6], { chunkSize: 1 }).pipe(
              Stream.runForEach(Effect.fnUntraced(function*(exit) {
                seen.push(Exit.isSuccess(exit) ? exit.value : reasonOf(exit)._tag)
                if (seen.length > 1) return
                while ((yield* Pool.stats(pool)).completed < 2) yield* Effect.sleep(10)
                yield* Pool.terminate(pool)
              }))
            )
            assert.deepStrictEqual(seen, [1, 60, "Closed"])
          }))
      }

      law("terminated, it settles everything that was pending", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const pool = yield* Pool.make({ processes: 1 })
          const pending = [
            yield* Effect.forkChild(Effect.exit(Pool.apply(pool, T.waits, { path: events.path, name: "a" }))),
            yield* Effect.forkChild(Effect.exit(Pool.map(pool, T.square, numbers(1000)))),
            yield* Effect.forkChild(Effect.exit(Stream.runCollect(Pool.imap(pool, T.square, numbers(1000)))))
          ] as const
          yield* events.until("a started")
          yield* Pool.terminate(pool)
          yield* Pool.terminate(pool)
          for (const fiber of pending) {
            assert.strictEqual(reasonOf(yield* Fiber.join<Exit.Exit<unknown, unknown>, never>(fiber))._tag, "Closed")
          }
        }))

      law(
        "terminated, a stream whose source had failed by then fails with Closed: results before that failure are missing",
        () =>
          Effect.gen(function*() {
            for (const call of [Pool.imap, Pool.imapUnordered]) {
              const events = yield* makeEvents
              const pool = yield* Pool.make({ processes: 1 })
              const items = [{ path: events.path, name: "a" }, (() => 1) as never]
              const fiber = yield* Effect.forkChild(Stream.runCollect(call(pool, T.waits, items)))
              yield* events.until("a started")
              yield* Pool.terminate(pool)
              assert.strictEqual(reasonOf(yield* Fiber.await(fiber))._tag, "Closed")
            }
          })
      )

      law("a failing scope ends it at once", () =>
        Effect.gen(function*() {
          const exit = yield* Effect.exit(Effect.scoped(Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 2 })
            yield* Pool.applyAsync(pool, T.never)
            return yield* Effect.fail("wrong")
          })))
          assert.deepStrictEqual(exit, Exit.fail("wrong"))
          assert.deepStrictEqual(yield* Process.activeChildren, [])
        }))

      law("the ambient pool lives as long as its layer", () =>
        Effect.gen(function*() {
          const program = Effect.flatMap(Pool.Pool, (pool) => Pool.map(pool, T.square, [1, 2, 3]))
          const start = yield* StartMethod.StartMethod
          const ambient = Layer.provide(Pool.layer({ processes: 1 }), Layer.succeed(StartMethod.StartMethod, start))
          assert.deepStrictEqual(yield* Effect.provide(program, ambient), [1, 4, 9])
          assert.deepStrictEqual(yield* Process.activeChildren, [])
        }))

      law("a pool is made although workers are let go while others come up", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 4, idleTimeToLive: 1 })
          assert.deepStrictEqual(yield* Pool.map(pool, T.square, numbers(10)), squares(10))
        }))

      law("a make that is interrupted leaves no worker, whenever it is", () =>
        Effect.gen(function*() {
          for (const millis of [0, 1, 5, 20, 60, 150]) {
            const fiber = yield* Effect.forkChild(
              Effect.scoped(Pool.make({ processes: 2, initializer: T.endlessInitializer() }))
            )
            yield* Effect.sleep(millis)
            yield* Fiber.interrupt(fiber)
            assert.strictEqual(livingBodies(), 0, `interrupted after ${millis} ms`)
          }
        }))

      if (claims.exits) {
        law("closing a pool while a worker is being replaced ends", () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 2 })
            yield* Effect.exit(Pool.apply(pool, T.exits, 3))
            yield* Pool.close(pool)
            assert.strictEqual(livingBodies(), 0)
          }))
      }
    })

    law("the second of two tasks of one name in a module is the one that runs", () =>
      Effect.gen(function*() {
        const pool = yield* Pool.make({ processes: 1 })
        assert.strictEqual(yield* Pool.apply(pool, Twice.second), "second")
        assert.strictEqual(yield* Pool.apply(pool, Twice.first), "second")
      }))

    law(
      "an interrupted call has ended when it says so: its task does not start afterwards",
      () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          yield* Pool.map(pool, T.counts, Array.from({ length: 200 }, () => 0))
          for (let i = 0; i < 60; i++) {
            const fiber = yield* Effect.forkChild(Pool.apply(pool, T.countsSlowly, undefined), {
              startImmediately: true
            })
            yield* Effect.sleep(`${i * 10} micros`)
            yield* Fiber.interrupt(fiber)
            const { finalized, started } = yield* Pool.apply(pool, T.counted)
            assert.strictEqual(finalized, started, `after ${i * 10} microseconds`)
          }
        })
    )

    law("broadcast runs once on every worker", () =>
      Effect.gen(function*() {
        const pool = yield* Pool.make({ processes: 3 })
        const seen = yield* Pool.broadcast(pool, T.current)
        assert.deepStrictEqual(seen.map(({ self }) => self.name), [1, 2, 3].map((i) => `Pool-worker-${i}`))
      }))

    law(
      "wrong options are RangeErrors that name the option, the value, and what is allowed",
      () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          const wrong: ReadonlyArray<
            readonly [string, number, Effect.Effect<unknown, unknown, StartMethod.StartMethod | Scope.Scope>]
          > = [
            ["processes", 0, Pool.make({ processes: 0 })],
            ["processes", 1.5, Pool.make({ processes: 1.5 })],
            ["chunkSize", -1, Pool.map(pool, T.square, [1], { chunkSize: -1 })],
            ["chunkSize", 2.5, Pool.map(pool, T.square, [1], { chunkSize: 2.5 })],
            ["chunkSize", 0, Stream.runCollect(Pool.imap(pool, T.square, [1], { chunkSize: 0 }))],
            ["buffer", 0, Stream.runCollect(Pool.imap(pool, T.square, [1], { buffer: 0 }))],
            ["retryOnCrash", -1, Pool.apply(pool, T.square, 1, { retryOnCrash: -1 })],
            ["timeout", -5, Pool.apply(pool, T.square, 1, { timeout: -5 })],
            [
              "retryOnCrash",
              0.5,
              Effect.flatMap(Pool.applyAsync(pool, T.square, 1, { retryOnCrash: 0.5 }), Fiber.join)
            ],
            ["chunkSize", 0, Stream.runCollect(Pool.imapUnordered(pool, T.square, [1], { chunkSize: 0 }))],
            ["timeout", -1, Stream.runCollect(Pool.imapExit(pool, T.square, [1], { timeout: -1 }))],
            ["restartIntensity.max", -1, Pool.make({ restartIntensity: { max: -1, within: 1000 } })],
            ["restartIntensity.within", -7, Pool.make({ restartIntensity: { max: 1, within: -7 } })],
            ["gracePeriod", -2, Pool.make({ gracePeriod: -2 })],
            ["gracePeriod", -3, Process.start(T.square, 1, { gracePeriod: -3 })]
          ]
          for (const [option, value, call] of wrong) {
            const defect = defectOf(yield* Effect.exit(call))
            assert.instanceOf(defect, RangeError)
            const { message } = defect as RangeError
            assert.include(message, option)
            assert.include(message, String(value))
            assert.include(message, "at least")
          }
        })
    )

    law("a deferred consumer, a slow source and many callers share one pool", () =>
      Effect.gen(function*() {
        const pool = yield* Pool.make({ processes: 2 })
        const go = yield* Deferred.make<void>()
        const lazy = yield* Effect.forkChild(
          Pool.imap(pool, T.square, numbers(300)).pipe(
            Stream.mapEffect((x) => Effect.as(Deferred.await(go), x)),
            Stream.runCollect
          )
        )
        const calls = yield* Effect.forEach(numbers(100), (i) => Pool.apply(pool, T.square, i), { concurrency: 10 })
        assert.deepStrictEqual(calls, squares(100), "the lazy stream holds nobody up")
        yield* Deferred.succeed(go, undefined)
        assert.deepStrictEqual(yield* Fiber.join(lazy), squares(300))
      }))
  })
}
