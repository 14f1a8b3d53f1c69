/** The laws of workers that come and go: after so many items, above so much memory, when nobody needs them. */
import { assert, describe } from "@effect/vitest"
import { Effect, Exit, Fiber, Stream } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Pool, Process } from "../../src/index.ts"
import { livingBodies } from "../../src/internal/start/child.ts"
import * as F from "../fixtures/flow.ts"
import * as O from "../fixtures/observed.ts"
import * as T from "../fixtures/tasks.ts"
import { bounded, defectOf, numbers, reasonOf } from "./assertions.ts"
import { makeEvents } from "./events.ts"
import type { Events } from "./events.ts"
import { makeGate } from "./gate.ts"
import { laws } from "./law.ts"
import type { Method } from "./methods.ts"

const itemsByWorker = (ran: ReadonlyArray<{ readonly worker: string }>): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const { worker } of ran) counts.set(worker, (counts.get(worker) ?? 0) + 1)
  return counts
}

/** No worker had more than its share, and only those that were the last may have had less. */
const assertShares = (ran: ReadonlyArray<{ readonly worker: string }>, share: number, processes: number): void => {
  const counts = Array.from(itemsByWorker(ran).values())
  assert.isAtMost(Math.max(...counts), share)
  assert.isAtMost(counts.filter((count) => count < share).length, processes, `of ${counts.join(", ")}`)
}

/** At no time were fewer than `processes` workers ready, once they had come up. */
const assertAlwaysReady = (seen: ReadonlyArray<string>, processes: number): void => {
  let ready = 0
  for (const event of seen) {
    if (event.startsWith("built ")) ready++
    if (!event.startsWith("released ")) continue
    ready--
    assert.isAtLeast(ready, processes, `ready workers at "${event}" of: ${seen.join(", ")}`)
  }
}

const told = (events: Events, what: "building" | "built" | "released"): ReadonlyArray<string> =>
  events.seen().filter((event) => event.startsWith(`${what} `)).map((event) => event.slice(what.length + 1)).toSorted()

const itemsOf = (ran: ReadonlyArray<{ readonly item: number }>): ReadonlyArray<number> => ran.map(({ item }) => item)
const ascending = (items: ReadonlyArray<number>): ReadonlyArray<number> => items.toSorted((a, b) => a - b)

const workerNamed = (name: string) =>
  Effect.map(Process.activeChildren, (workers) => workers.find((worker) => worker.name === name)!)

/** The end of every worker that there is now. */
const allGone = Effect.flatMap(
  Process.activeChildren,
  (workers) => Effect.forEach(workers, Process.exited, { concurrency: "unbounded" })
).pipe(bounded("the idle workers left"))

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "recycling-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

const assertNobodyLeft = Effect.gen(function*() {
  assert.deepStrictEqual(yield* Process.activeChildren, [])
  assert.strictEqual(livingBodies(), 0, "also none that is coming up")
})

export const suite = ({ claims, layer, name }: Method): void => {
  const law = laws(layer, 40_000)

  describe(`recycling on ${name}`, () => {
    describe("after so many items", () => {
      for (const share of [1, 3]) {
        law(
          `no worker runs more than ${share}, whichever call they come by, and each is used up`,
          () =>
            Effect.gen(function*() {
              const pool = yield* Pool.make({
                processes: 2,
                maxTasksPerChild: share,
                restartIntensity: { max: 0, within: "1 hour" }
              })
              const items = numbers(share * 3)
              const ran: Array<F.Ran> = []
              for (const chunkSize of ["auto", 1000] as const) {
                const results = yield* Pool.map(pool, F.whoRan, items, { chunkSize })
                assert.deepStrictEqual(itemsOf(results), items)
                ran.push(...results)
              }
              const applied = yield* Effect.forEach(items, (item) => Pool.apply(pool, F.whoRan, item), {
                concurrency: "unbounded"
              })
              assert.deepStrictEqual(itemsOf(applied), items)
              ran.push(...applied)
              const ordered = yield* Stream.runCollect(Pool.imap(pool, F.whoRan, items, { chunkSize: 5 }))
              assert.deepStrictEqual(itemsOf(ordered), items)
              ran.push(...ordered)
              const unordered = yield* Stream.runCollect(Pool.imapUnordered(pool, F.whoRan, Stream.fromIterable(items)))
              assert.deepStrictEqual(ascending(itemsOf(unordered)), items)
              ran.push(...unordered)
              const exits = yield* Stream.runCollect(Pool.imapExit(pool, F.whoRan, items))
              assert.isTrue(exits.every(Exit.isSuccess))
              ran.push(...exits.filter(Exit.isSuccess).map(({ value }) => value))
              assertShares(ran, share, 2)
            })
        )
      }

      if (claims.parallel) {
        for (const chunkSize of ["auto", 64] as const) {
          law(
            `no chunk of cheap items goes beyond the share of its worker, with chunkSize ${chunkSize}`,
            () =>
              Effect.gen(function*() {
                const pool = yield* Pool.make({ processes: 2, maxTasksPerChild: 150 })
                const first = yield* Pool.map(pool, F.whoRanPlainly, numbers(500), { chunkSize })
                const second = yield* Pool.map(pool, F.whoRanPlainly, numbers(400), { chunkSize })
                assert.deepStrictEqual(itemsOf(first), numbers(500))
                assert.deepStrictEqual(itemsOf(second), numbers(400))
                assertShares([...first, ...second], 150, 2)
              })
          )
        }
      }

      law("of one pool of one, one item each: every item has its own worker", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1, maxTasksPerChild: 1 })
          const ran = yield* Pool.map(pool, F.whoRan, numbers(6))
          assert.deepStrictEqual(itemsOf(ran), numbers(6))
          assert.strictEqual(new Set(ran.map(({ worker }) => worker)).size, 6)
        }))

      law(
        "the replacement is ready before the old worker leaves, which goes on meanwhile",
        () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const gate = yield* makeGate
            const pool = yield* Pool.make({
              processes: 1,
              maxTasksPerChild: 2,
              initializer: F.life({ path: events.path, gate: gate.path, gatedFrom: 2 })
            })
            const [old] = yield* Process.activeChildren
            assert.deepStrictEqual(yield* Pool.apply(pool, F.lives, 0), { item: 0, worker: "Pool-worker-1", nth: 1 })
            yield* events.until("building Pool-worker-2")
            assert.deepStrictEqual(yield* Pool.apply(pool, F.lives, 1), { item: 1, worker: "Pool-worker-1", nth: 2 })
            const third = yield* Pool.applyAsync(pool, F.lives, 2)
            assert.isTrue(yield* Process.isAlive(old!), "spent, it stays until the other is ready")
            assert.deepStrictEqual(told(events, "released"), [])
            yield* gate.open
            assert.deepStrictEqual(yield* Fiber.join(third), { item: 2, worker: "Pool-worker-2", nth: 1 })
            yield* bounded("the old worker left")(Process.exited(old!))
            assert.isBelow(
              events.seen().indexOf("built Pool-worker-2"),
              events.seen().indexOf("released Pool-worker-1")
            )
          })
      )

      law(
        "as many as the pool has are ready at any time; each is built once, and released once",
        () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const open = yield* Effect.scoped(Effect.gen(function*() {
              const pool = yield* Pool.make({
                processes: 2,
                maxTasksPerChild: 4,
                initializer: F.life({ path: events.path })
              })
              const ran = yield* Pool.map(pool, F.lives, numbers(24), { chunkSize: 3 })
              assert.deepStrictEqual(itemsOf(ran), numbers(24))
              for (const { nth, worker } of ran) assert.isAtMost(nth, 4, worker)
              assert.strictEqual(Math.max(...itemsByWorker(ran).values()), 4)
              for (const [worker, count] of itemsByWorker(ran)) {
                if (count === 4) yield* events.until(`released ${worker}`)
              }
              return events.seen().slice()
            }))
            assertAlwaysReady(open, 2)
            assert.isAtLeast(open.filter((event) => event.startsWith("released ")).length, 4)
            const built = told(events, "built")
            assert.strictEqual(new Set(built).size, built.length)
            assert.deepStrictEqual(told(events, "released"), built)
          })
      )

      law("no more than the pool has work at once", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const gate = yield* makeGate
          const pool = yield* Pool.make({
            processes: 1,
            maxTasksPerChild: 1,
            initializer: F.life({ path: events.path })
          })
          const first = yield* Pool.applyAsync(pool, F.waitsAtGate, { path: events.path, name: "a", gate: gate.path })
          const second = yield* Pool.applyAsync(pool, F.lives, 1)
          yield* events.until("a started")
          yield* events.until("built Pool-worker-2")
          // it would have been handed the item by then
          for (let i = 0; i < 3; i++) yield* Pool.broadcast(pool, T.pid)
          assert.isUndefined(second.pollUnsafe())
          yield* gate.open
          assert.strictEqual(yield* Fiber.join(first), "Pool-worker-1")
          assert.strictEqual((yield* Fiber.join(second)).worker, "Pool-worker-2")
        }))

      law("with buffers that move", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2, maxTasksPerChild: 2 })
          const items = numbers(9).map((i) => new Uint8Array([i, 1]))
          assert.deepStrictEqual(yield* Pool.map(pool, T.sums, items), numbers(9).map((i) => i + 1))
        }))

      law("items that fail are counted too", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1, maxTasksPerChild: 2 })
          const before = (yield* Pool.apply(pool, F.whoRan, 0)).worker
          yield* Effect.exit(Pool.apply(pool, T.failsWith, "wrong"))
          const after = (yield* Pool.apply(pool, F.whoRan, 0)).worker
          assert.notStrictEqual(after, before)
        }))

      law("broadcast reaches each place once, whatever becomes of its worker", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const gate = yield* makeGate
          const pool = yield* Pool.make({
            processes: 2,
            maxTasksPerChild: 2,
            initializer: F.life({ path: events.path, gate: gate.path, gatedFrom: 3 })
          })
          const numbersOf = (ran: ReadonlyArray<F.Ran>) => ran.map(({ worker }) => worker).toSorted()
          assert.deepStrictEqual(numbersOf(yield* Pool.broadcast(pool, F.lives, -1)), [
            "Pool-worker-1",
            "Pool-worker-2"
          ])
          // both are spent, and their successors are not ready
          yield* Pool.map(pool, F.lives, numbers(4), { chunkSize: 1 })
          const asked = yield* Effect.forkChild(Pool.broadcast(pool, F.lives, -1), { startImmediately: true })
          yield* gate.open
          assert.deepStrictEqual(numbersOf(yield* Fiber.join(asked)), ["Pool-worker-3", "Pool-worker-4"])
          for (let i = 0; i < 6; i++) {
            const { everywhere } = yield* Effect.all({
              here: Pool.apply(pool, F.lives, i),
              everywhere: Pool.broadcast(pool, F.lives, -1)
            }, { concurrency: "unbounded" })
            assert.strictEqual(new Set(numbersOf(everywhere)).size, 2)
            assert.lengthOf(everywhere, 2)
          }
        }))

      law("a map that is interrupted while workers change leaves a pool that works", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          yield* Effect.scoped(Effect.gen(function*() {
            const pool = yield* Pool.make({
              processes: 2,
              maxTasksPerChild: 1,
              initializer: F.life({ path: events.path })
            })
            for (const until of ["built Pool-worker-3", "building Pool-worker-8"]) {
              const fiber = yield* Effect.forkChild(Pool.map(pool, F.lives, numbers(100_000), { chunkSize: 1 }))
              yield* events.until(until)
              yield* bounded("the map was interrupted")(Fiber.interrupt(fiber))
              const after = yield* Pool.map(pool, F.lives, numbers(4))
              assert.deepStrictEqual(after.map(({ nth }) => nth), [1, 1, 1, 1])
            }
          }))
          yield* assertNobodyLeft
          const released = told(events, "released")
          const unreleased = told(events, "built").filter((worker) => !released.includes(worker))
          // a successor that is on its way up when the pool closes is killed
          const onTheirWay = events.seen().filter((event) => event.startsWith("building ")).slice(-2)
          assert.includeMembers(onTheirWay, unreleased.map((worker) => `building ${worker}`))
          assert.isAbove(released.length, 5)
        }))

      law("a map can be interrupted while all workers are spent and none is ready", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const gate = yield* makeGate
          const pool = yield* Pool.make({
            processes: 1,
            maxTasksPerChild: 1,
            initializer: F.life({ path: events.path, gate: gate.path, gatedFrom: 2 })
          })
          yield* Pool.apply(pool, F.lives, 0)
          const fiber = yield* Effect.forkChild(Pool.map(pool, F.lives, numbers(10)))
          yield* events.until("building Pool-worker-2")
          yield* bounded("the map was interrupted")(Fiber.interrupt(fiber))
          yield* gate.open
          assert.deepStrictEqual(yield* Pool.apply(pool, F.lives, 7), { item: 7, worker: "Pool-worker-2", nth: 1 })
        }))

      law("wrong values are RangeErrors that name the option and the value", () =>
        Effect.gen(function*() {
          const wrong: ReadonlyArray<readonly [string, number]> = [
            ["maxTasksPerChild", 0],
            ["maxTasksPerChild", -1],
            ["maxTasksPerChild", 2.5],
            ["maxTasksPerChild", NaN],
            ["maxMemoryPerChild", 0],
            ["maxMemoryPerChild", -7],
            ["maxMemoryPerChild", 1000.5],
            ["idleTimeToLive", -1]
          ]
          for (const [option, value] of wrong) {
            const defect = defectOf(yield* Effect.exit(Pool.make({ processes: 1, [option]: value })))
            assert.instanceOf(defect, RangeError)
            const { message } = defect as RangeError
            assert.include(message, `Pool.make: ${option}`)
            assert.include(message, String(value))
            assert.include(message, "at least")
            yield* assertNobodyLeft
          }
        }))
    })

    describe("and crashes", () => {
      law("recycling is no restart: a pool that allows none recycles", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({
            processes: 2,
            maxTasksPerChild: 1,
            restartIntensity: { max: 0, within: "1 hour" }
          })
          const ran = yield* Pool.map(pool, F.whoRan, numbers(5))
          assert.strictEqual(itemsByWorker(ran).size, 5)
        }))

      law("a replacement that cannot be built is a restart; another takes its place", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const initializer = F.life({ path: events.path, failsAt: 2 })
          const allowed = yield* Pool.make({
            processes: 1,
            maxTasksPerChild: 2,
            initializer,
            restartIntensity: { max: 1, within: "1 hour" }
          })
          const ran = yield* Pool.map(allowed, F.lives, numbers(4), { chunkSize: 1 })
          assert.deepStrictEqual(itemsOf(ran), numbers(4))
          assert.deepStrictEqual(Array.from(itemsByWorker(ran)), [["Pool-worker-1", 2], ["Pool-worker-3", 2]])
          yield* Pool.close(allowed)
          const strict = yield* Pool.make({
            processes: 1,
            maxTasksPerChild: 1,
            initializer,
            restartIntensity: { max: 0, within: "1 hour" }
          })
          const exit = yield* Effect.exit(Pool.map(strict, F.lives, numbers(4)))
          const reason = reasonOf(exit)
          assert.strictEqual(reason._tag, "RestartLimitExceeded")
          yield* Pool.close(strict)
          yield* assertNobodyLeft
        }))

      law(
        "an item that runs out of time is counted, and its worker is replaced; that is no restart",
        () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const pool = yield* Pool.make({
              processes: 1,
              maxTasksPerChild: 1,
              restartIntensity: { max: 0, within: "1 hour" }
            })
            const call = Pool.apply(pool, T.waits, { path: events.path, name: "a" }, { timeout: "100 millis" })
            assert.strictEqual(reasonOf(yield* Effect.exit(call))._tag, "TimedOut")
            assert.strictEqual((yield* Pool.apply(pool, F.whoRan, 1)).worker, "Pool-worker-2")
            assert.includeMembers([...events.seen()], ["a finalized"])
          })
      )

      if (claims.killsBusy) {
        law("a spent worker that has to be killed makes room for its replacement", () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const pool = yield* Pool.make({
              processes: 1,
              maxTasksPerChild: 1,
              gracePeriod: "100 millis",
              restartIntensity: { max: 0, within: "1 hour" }
            })
            const spinning = yield* Effect.forkChild(Pool.apply(pool, T.spins, { path: events.path, name: "a" }))
            yield* events.until("a started")
            const next = yield* Pool.applyAsync(pool, F.whoRan, 1)
            yield* bounded("the spinning task was interrupted")(Fiber.interrupt(spinning))
            assert.strictEqual((yield* bounded("the next item ran")(Fiber.join(next))).worker, "Pool-worker-2")
          }))
      }

      if (claims.exits) {
        law("a worker that dies at its last item fails it; its replacement takes over", () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const gate = yield* makeGate
            const pool = yield* Pool.make({
              processes: 1,
              maxTasksPerChild: 1,
              restartIntensity: { max: 1, within: "1 hour" },
              initializer: F.life({ path: events.path, gate: gate.path, gatedFrom: 2 })
            })
            const dead = yield* Pool.applyAsync(pool, T.exits, 3)
            const next = yield* Pool.applyAsync(pool, F.lives, 1)
            assert.strictEqual(reasonOf(yield* Fiber.await(dead))._tag, "WorkerExited")
            yield* events.until("building Pool-worker-2")
            yield* gate.open
            assert.deepStrictEqual(yield* Fiber.join(next), { item: 1, worker: "Pool-worker-2", nth: 1 })
            assert.deepStrictEqual(told(events, "building").slice(0, 2), ["Pool-worker-1", "Pool-worker-2"])
          }))

        law("a replacement that dies while it comes up is replaced", () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const pool = yield* Pool.make({
              processes: 1,
              maxTasksPerChild: 2,
              restartIntensity: { max: 1, within: "1 hour" },
              initializer: F.life({ path: events.path, exitsAt: 2 })
            })
            const ran = yield* Pool.map(pool, F.lives, numbers(4), { chunkSize: 1 })
            assert.deepStrictEqual(Array.from(itemsByWorker(ran)), [["Pool-worker-1", 2], ["Pool-worker-3", 2]])
          }))

        law("of a map in chunks, exactly the items that crash fail", () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 2, maxTasksPerChild: 4 })
            const items = numbers(20).map((i) => i === 5 || i === 13 ? -i : i)
            const exits = yield* Stream.runCollect(Pool.imapExit(pool, F.whoRanOrExits, items, { chunkSize: 3 }))
            assert.deepStrictEqual(
              exits.map((exit) => Exit.isSuccess(exit) ? exit.value.item : reasonOf(exit)._tag),
              items.map((item) => item < 0 ? "WorkerExited" : item)
            )
            const ran = exits.filter(Exit.isSuccess).map(({ value }) => value)
            assert.isAtMost(Math.max(...itemsByWorker(ran).values()), 4)
          }))

        law("an item that is tried again is tried in another worker", () =>
          Effect.gen(function*() {
            const folder = yield* temporaryFolder
            const pool = yield* Pool.make({ processes: 1, maxTasksPerChild: 1 })
            const files = ["a", "b", "c"].map((file) => join(folder, file))
            assert.deepStrictEqual(
              yield* Pool.map(pool, T.exitsOnce, files, { retryOnCrash: 1 }),
              files.map(() => "second time")
            )
          }))
      }

      if (claims.signals) {
        law("a replacement that is killed while it waits for its turn is replaced", () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const pool = yield* Pool.make({
              processes: 1,
              maxTasksPerChild: 5,
              initializer: F.life({ path: events.path })
            })
            yield* Pool.map(pool, F.lives, numbers(4), { chunkSize: 1 })
            // it may be built, and not yet ready
            yield* events.until("built Pool-worker-2")
            const second = yield* bounded("the second worker was there")(
              Effect.repeat(Effect.andThen(Pool.apply(pool, F.lives, 4), workerNamed("Pool-worker-2")), {
                until: (worker) => worker !== undefined
              })
            )
            process.kill(second.pid, "SIGKILL")
            yield* bounded("it ended")(Process.exited(second))
            yield* events.until("built Pool-worker-3")
            const ran = yield* Pool.map(pool, F.lives, numbers(12))
            assert.deepStrictEqual(itemsOf(ran), numbers(12))
            assert.notInclude(ran.map(({ worker }) => worker), "Pool-worker-2")
          }))
      }
    })

    law(
      "a limit of memory that no worker can keep: every item is done, by one worker after the other",
      () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({
            processes: 2,
            maxMemoryPerChild: 1,
            restartIntensity: { max: 0, within: "1 hour" }
          })
          const workers = new Set<string>()
          yield* bounded("six workers came")(Effect.repeat(
            Effect.map(Pool.map(pool, F.whoRan, numbers(20)), (ran) => {
              assert.deepStrictEqual(itemsOf(ran), numbers(20))
              for (const { worker } of ran) workers.add(worker)
            }),
            { until: () => workers.size >= 6 }
          ))
        })
    )

    law("a replacement that grows too large before its turn keeps its place until then", () =>
      Effect.gen(function*() {
        const events = yield* makeEvents
        const gate = yield* makeGate
        const pool = yield* Pool.make({
          processes: 1,
          maxTasksPerChild: 1,
          maxMemoryPerChild: 1,
          initializer: F.life({ path: events.path })
        })
        const [old] = yield* Process.activeChildren
        const busy = yield* Pool.applyAsync(pool, F.waitsAtGate, { path: events.path, name: "a", gate: gate.path })
        yield* events.until("built Pool-worker-2")
        // it has no turn yet, but what is for every worker it runs
        for (let i = 0; i < 30; i++) {
          const [asked] = yield* bounded("the broadcast was answered")(Pool.broadcast(pool, F.keeps, 0))
          assert.strictEqual(asked!.worker, "Pool-worker-2")
        }
        const next = yield* Pool.applyAsync(pool, F.lives, 1)
        yield* gate.open
        assert.strictEqual(yield* Fiber.join(busy), "Pool-worker-1")
        yield* bounded("the old worker left")(Process.exited(old!))
        assert.strictEqual((yield* bounded("the next item ran")(Fiber.join(next))).worker, "Pool-worker-2")
        yield* bounded("one that is too large is replaced when it has its turn")(events.until("built Pool-worker-3"))
        assert.lengthOf(yield* bounded("the broadcast was answered")(Pool.broadcast(pool, F.lives, 1)), 1)
      }))

    if (claims.ownMemory) {
      describe("above so much memory", () => {
        const mega = 1 << 20
        const bytesOfFresh = Effect.scoped(Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          return (yield* Pool.apply(pool, F.keeps, 0)).bytes
        }))

        law(
          "a task that leaks leads to other workers, one below the limit stays; it is no restart",
          () =>
            Effect.gen(function*() {
              const limit = (yield* bytesOfFresh) + 128 * mega
              const pool = yield* Pool.make({
                processes: 1,
                maxMemoryPerChild: Math.round(limit),
                restartIntensity: { max: 0, within: "1 hour" }
              })
              const seen: Array<{ readonly worker: string; readonly pieces: number; readonly bytes: number }> = []
              while (new Set(seen.map(({ worker }) => worker)).size < 3) {
                assert.isBelow(seen.length, 60, `always the same worker: ${JSON.stringify(seen.at(-1))}`)
                seen.push(yield* Pool.apply(pool, F.keeps, 16 * mega))
              }
              const counts = Array.from(itemsByWorker(seen).values())
              // 16 MB a call: 5 of them are far from the limit, 10 are over it, and others come while a successor starts
              for (const count of counts.slice(0, 2)) {
                assert.isAtLeast(count, 6, `calls by worker: ${counts.join(", ")}`)
              }
              assert.isBelow(seen.at(-1)!.bytes, limit, "the new one begins afresh")
              assert.strictEqual(seen.at(-1)!.pieces, 1)
            })
        )

        law("a worker that is large, but below the limit, stays", () =>
          Effect.gen(function*() {
            const limit = (yield* bytesOfFresh) + 160 * mega
            const pool = yield* Pool.make({ processes: 1, maxMemoryPerChild: Math.round(limit) })
            const workers = new Set<string>()
            for (let i = 0; i < 12; i++) {
              // all that is kept weighs 96 MB
              workers.add((yield* Pool.apply(pool, F.keeps, i < 6 ? 16 * mega : 0)).worker)
            }
            assert.deepStrictEqual(Array.from(workers), ["Pool-worker-1"])
          }))

        law("is measured in the middle of a map, and every item has its result", () =>
          Effect.gen(function*() {
            const limit = (yield* bytesOfFresh) + 64 * mega
            const pool = yield* Pool.make({ processes: 2, maxMemoryPerChild: Math.round(limit) })
            const ran = yield* Pool.map(pool, F.keeps, numbers(60).map(() => 8 * mega), { chunkSize: 1 })
            assert.lengthOf(ran, 60)
            assert.isAtLeast(itemsByWorker(ran).size, 3)
          }))
      })
    }

    describe("when it is idle", () => {
      law(
        "a worker leaves with its finalizers; the next call gets a fresh one; it is no restart",
        () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const pool = yield* Pool.make({
              processes: 2,
              idleTimeToLive: "100 millis",
              initializer: F.life({ path: events.path }),
              restartIntensity: { max: 0, within: "1 hour" }
            })
            const first = yield* Process.activeChildren
            yield* allGone
            for (const worker of first) {
              assert.deepStrictEqual(yield* Process.exited(worker), { _tag: "Exited", code: 0 })
            }
            assert.deepStrictEqual(told(events, "released"), ["Pool-worker-1", "Pool-worker-2"])
            assert.deepStrictEqual(yield* Pool.apply(pool, F.lives, 1), { item: 1, worker: "Pool-worker-3", nth: 1 })
            yield* allGone
            assert.deepStrictEqual(told(events, "built"), [1, 2, 3].map((i) => `Pool-worker-${i}`))
            assert.deepStrictEqual(itemsOf(yield* Pool.map(pool, F.lives, numbers(50))), numbers(50))
          })
      )

      law("a worker whose time is over before the others are up does not fail Pool.make", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const gate = yield* makeGate
          const making = yield* Effect.forkScoped(Pool.make({
            processes: 2,
            idleTimeToLive: "20 millis",
            initializer: F.life({ path: events.path, gate: gate.path, gatedFrom: 2 })
          }))
          yield* events.until("released Pool-worker-1")
          yield* events.until("building Pool-worker-2")
          const [early] = yield* Process.activeChildren
          if (early !== undefined) yield* bounded("it left")(Process.exited(early))
          assert.isUndefined(making.pollUnsafe())
          yield* gate.open
          const pool = yield* bounded("the pool was made")(Fiber.join(making))
          assert.strictEqual((yield* Pool.apply(pool, F.lives, 1)).item, 1)
        }))

      law("a worker that is let go and does not leave is killed after the grace period", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({
            processes: 1,
            idleTimeToLive: "20 millis",
            gracePeriod: "50 millis",
            initializer: O.clinging()
          })
          yield* allGone
          yield* Pool.terminate(pool)
        }))

      law("broadcast right after a result reaches each place too", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2, idleTimeToLive: "20 millis" })
          yield* allGone
          // the result brings the next call in the middle of the pool's own work
          const answers = yield* Effect.andThen(Pool.apply(pool, T.square, 3), Pool.broadcast(pool, T.current))
          assert.lengthOf(new Set(answers.map(({ self }) => self.name)), 2)
        }))

      law("broadcast brings those back that were let go, and reaches each place once", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2, idleTimeToLive: "20 millis" })
          yield* allGone
          const answers = yield* Pool.broadcast(pool, T.current)
          assert.lengthOf(new Set(answers.map(({ self }) => self.name)), 2)
        }))

      law("as many come back as there is work for", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const gate = yield* makeGate
          const pool = yield* Pool.make({ processes: 3, idleTimeToLive: "100 millis" })
          yield* allGone
          const items = ["a", "b"].map((item) => ({ path: events.path, name: item, gate: gate.path }))
          const fiber = yield* Effect.forkChild(Pool.map(pool, F.waitsAtGate, items, { chunkSize: 1 }))
          yield* events.until("a started")
          yield* events.until("b started")
          const back = yield* Process.activeChildren
          assert.lengthOf(back, 2)
          yield* gate.open
          assert.sameMembers(yield* Fiber.join(fiber), back.map((worker) => worker.name))
        }))

      law("a busy worker is not let go", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const gate = yield* makeGate
          const pool = yield* Pool.make({ processes: 2, idleTimeToLive: "50 millis" })
          const busy = yield* Pool.applyAsync(pool, F.waitsAtGate, { path: events.path, name: "a", gate: gate.path })
          yield* events.until("a started")
          for (let i = 0; i < 3; i++) {
            // the time of an idle one passes while it works
            const others = (yield* Process.activeChildren).map(Process.exited)
            if (others.length > 1) yield* bounded("the idle worker left")(Effect.raceAllFirst(others))
            yield* Pool.apply(pool, F.whoRan, i)
          }
          yield* gate.open
          const itself = yield* Fiber.join(busy)
          assert.include(["Pool-worker-1", "Pool-worker-2"], itself)
        }))

      law("a stream whose consumer waits goes on with workers that come back", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2, idleTimeToLive: "50 millis" })
          for (const call of [Pool.imap, Pool.imapUnordered] as const) {
            const seen: Array<F.Ran> = []
            yield* call(pool, F.whoRan, numbers(30), { buffer: 4, chunkSize: 1 }).pipe(
              Stream.rechunk(1),
              Stream.runForEach((one) =>
                Effect.suspend(() => {
                  seen.push(one)
                  return seen.length === 1 || seen.length === 15 ? allGone : Effect.void
                })
              )
            )
            assert.deepStrictEqual(ascending(itemsOf(seen)), numbers(30))
            assert.isAtLeast(itemsByWorker(seen).size, 3)
          }
        }))

      law("no call is lost that comes when a worker leaves", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1, idleTimeToLive: "8 millis" })
          for (let i = 0; i < 16; i++) {
            yield* Effect.sleep(`${4 + i} millis`)
            const { worker: _, ...ran } = yield* bounded(`call ${i} was answered`)(Pool.apply(pool, F.whoRan, i))
            assert.deepStrictEqual(ran, { item: i })
          }
        }))

      law("a pool without workers closes, and is terminated", () =>
        Effect.gen(function*() {
          for (const end of [Pool.close, Pool.terminate]) {
            const pool = yield* Pool.make({ processes: 2, idleTimeToLive: "20 millis" })
            yield* allGone
            yield* bounded("the pool ended")(end(pool))
            assert.strictEqual(reasonOf(yield* Effect.exit(Pool.apply(pool, T.square, 1)))._tag, "Closed")
          }
        }))

      law("a time of nothing, or without end, is allowed", () =>
        Effect.gen(function*() {
          for (const idleTimeToLive of [0, Infinity]) {
            const pool = yield* Pool.make({ processes: 1, idleTimeToLive })
            for (let i = 0; i < 3; i++) {
              assert.strictEqual((yield* bounded("the call was answered")(Pool.apply(pool, F.whoRan, i))).item, i)
            }
            yield* Pool.close(pool)
          }
        }))

      law("together with a share: both hold", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1, idleTimeToLive: "100 millis", maxTasksPerChild: 1 })
          const ran: Array<F.Ran> = []
          for (let i = 0; i < 3; i++) {
            ran.push(yield* Pool.apply(pool, F.whoRan, i))
            yield* allGone
          }
          assert.strictEqual(itemsByWorker(ran).size, 3)
        }))
    })

    describe("at the end of the pool", () => {
      /** One item has been done, its worker is spent, and the next is not ready. */
      const inBetween = Effect.gen(function*() {
        const events = yield* makeEvents
        const gate = yield* makeGate
        const pool = yield* Pool.make({
          processes: 1,
          maxTasksPerChild: 1,
          initializer: F.life({ path: events.path, gate: gate.path, gatedFrom: 2 })
        })
        yield* Pool.apply(pool, F.lives, 0)
        yield* events.until("building Pool-worker-2")
        return { events, gate, pool }
      })

      law("closing it leaves no replacement that is coming up, and does not wait for it", () =>
        Effect.gen(function*() {
          const { events, pool } = yield* inBetween
          yield* bounded("the pool closed")(Pool.close(pool))
          yield* assertNobodyLeft
          assert.deepStrictEqual(told(events, "released"), ["Pool-worker-1"])
        }))

      law(
        "terminating it leaves no replacement that is coming up, and fails what waits for it",
        () =>
          Effect.gen(function*() {
            const { pool } = yield* inBetween
            const waiting = yield* Pool.applyAsync(pool, F.lives, 1)
            yield* bounded("the pool was terminated")(Pool.terminate(pool))
            assert.strictEqual(reasonOf(yield* Fiber.await(waiting))._tag, "Closed")
            yield* assertNobodyLeft
          })
      )

      law("closing it does all that was handed over, with as many workers as that takes", () =>
        Effect.gen(function*() {
          const { events, gate, pool } = yield* inBetween
          const fibers = yield* Effect.forEach(numbers(5), (i) => Pool.applyAsync(pool, F.lives, i))
          const closing = yield* Effect.forkChild(Pool.close(pool), { startImmediately: true })
          yield* gate.open
          const ran = yield* Effect.forEach(fibers, Fiber.join)
          assert.deepStrictEqual(ran.map(({ nth }) => nth), [1, 1, 1, 1, 1])
          yield* bounded("the pool closed")(Fiber.join(closing))
          yield* assertNobodyLeft
          assert.deepStrictEqual(told(events, "released"), told(events, "built"))
        }))

      law("a scope that fails, and one that is interrupted, leave none", () =>
        Effect.gen(function*() {
          const failing = yield* Effect.exit(Effect.scoped(Effect.andThen(inBetween, Effect.fail("wrong"))))
          assert.deepStrictEqual(failing, Exit.fail("wrong"))
          yield* assertNobodyLeft
          const events = yield* makeEvents
          const fiber = yield* Effect.forkChild(Effect.scoped(Effect.gen(function*() {
            const pool = yield* Pool.make({
              processes: 2,
              maxTasksPerChild: 1,
              initializer: F.life({ path: events.path })
            })
            yield* Pool.map(pool, F.lives, numbers(1000))
          })))
          yield* events.until("building Pool-worker-5")
          yield* bounded("the program was interrupted")(Fiber.interrupt(fiber))
          yield* assertNobodyLeft
        }))
    })
  })
}
