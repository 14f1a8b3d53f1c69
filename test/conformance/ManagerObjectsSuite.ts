/** The laws of the ready-made objects of a manager, for every start method. */
import { assert, describe } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Manager, Process } from "../../src/index.ts"
import * as T from "../fixtures/manager.ts"
import { bounded, defectOf, numbers, reasonOf } from "./assertions.ts"
import { makeEvents } from "./events.ts"
import { laws } from "./law.ts"
import type { Method } from "./methods.ts"

const withObjects = <A, E, R>(use: Effect.Effect<A, E, R>) => Effect.provide(use, Manager.layerObjects())

const started = <A, E, E2, R>(start: Effect.Effect<Process.Process<A, E>, E2, R>) => Effect.flatMap(start, Process.join)

export const suite = ({ claims, layer, name }: Method): void => {
  const law = laws(layer, 30_000)

  describe(`Manager's objects on ${name}`, () => {
    law("a ref is read, written, and updated by a task", () =>
      withObjects(Effect.gen(function*() {
        const ref = yield* Manager.ref(1)
        assert.strictEqual(yield* ref.get(), 1)
        yield* ref.set(5)
        assert.strictEqual(yield* ref.getAndSet(7), 5)
        assert.strictEqual(yield* ref.update(T.increment), 8)
        assert.strictEqual(yield* ref.updateWith(T.addSlowly, 2), 10)
        assert.instanceOf(yield* Effect.flip(ref.update(T.refuse)), Error)
        assert.strictEqual(yield* ref.get(), 10)
        const sums = Effect.forEach(numbers(50), () => ref.updateWith(T.addSlowly, 1), { concurrency: "unbounded" })
        yield* sums
        assert.strictEqual(yield* ref.get(), 60)
      })))

    law("a map does what a Map does", () =>
      withObjects(Effect.gen(function*() {
        const map = yield* Manager.map([["a", 1], ["b", 2]])
        assert.strictEqual(yield* map.get("a"), 1)
        assert.strictEqual(yield* map.get("z"), undefined)
        yield* map.set("c", 3)
        yield* map.setAll([["d", 4], ["a", 10]])
        assert.strictEqual(yield* map.getOrSet("e", 5), 5)
        assert.strictEqual(yield* map.getOrSet("e", 6), 5)
        assert.isTrue(yield* map.remove("b"))
        assert.isFalse(yield* map.remove("b"))
        assert.isTrue(yield* map.has("c"))
        assert.strictEqual(yield* map.size(), 4)
        assert.strictEqual(yield* map.update("new", T.count), 1)
        assert.strictEqual(yield* map.update("new", T.count), 2)
        assert.deepStrictEqual(yield* map.entries(), [["a", 10], ["c", 3], ["d", 4], ["e", 5], ["new", 2]])
        yield* map.clear()
        assert.strictEqual(yield* map.size(), 0)
      })))

    law("a list does what an Array does, and counts from its end too", () =>
      withObjects(Effect.gen(function*() {
        const list = yield* Manager.list([1, 2])
        assert.strictEqual(yield* list.push(3), 3)
        assert.strictEqual(yield* list.pushAll([4, 5]), 5)
        assert.strictEqual(yield* list.get(-1), 5)
        assert.strictEqual(yield* list.get(9), undefined)
        assert.isTrue(yield* list.set(0, 10))
        assert.isFalse(yield* list.set(9, 10))
        assert.strictEqual(yield* list.update(0, T.increment), 11)
        yield* list.insert(1, 99)
        assert.deepStrictEqual(yield* list.values(), [11, 99, 2, 3, 4, 5])
        assert.strictEqual(yield* list.remove(1), 99)
        assert.strictEqual(yield* list.pop(), 5)
        assert.strictEqual(yield* list.shift(), 11)
        assert.deepStrictEqual(yield* list.slice(1, 3), [3, 4])
        assert.strictEqual(yield* list.length(), 3)
        yield* list.clear()
        assert.strictEqual(yield* list.pop(), undefined)
      })))

    law("a set does what a Set does", () =>
      withObjects(Effect.gen(function*() {
        const set = yield* Manager.set(["a"])
        assert.isTrue(yield* set.add("b"))
        assert.isFalse(yield* set.add("b"))
        assert.isTrue(yield* set.has("a"))
        assert.isTrue(yield* set.remove("a"))
        assert.deepStrictEqual(yield* set.values(), ["b"])
        yield* set.clear()
        assert.strictEqual(yield* set.size(), 0)
      })))

    law(
      "a queue hands each value to one taker, in order, and holds up who offers too much",
      () =>
        withObjects(Effect.gen(function*() {
          const queue = yield* Manager.queue<number>({ capacity: 2 })
          assert.deepStrictEqual(yield* queue.poll(), [])
          const offering = yield* Effect.forkChild(Effect.forEach(numbers(20), queue.offer))
          assert.strictEqual(yield* queue.take(), 0)
          const child = yield* Process.start(T.consumes, { queue, times: 19 })
          assert.strictEqual(yield* Process.join(child), 190)
          yield* Fiber.join(offering)
          assert.strictEqual(yield* queue.size(), 0)
        }))
    )

    law("an event lets pass who waits for it", () =>
      withObjects(Effect.gen(function*() {
        const event = yield* Manager.event()
        assert.isFalse(yield* event.isSet())
        const waiting = yield* Effect.forkChild(event.wait())
        yield* event.set()
        yield* Fiber.join(waiting).pipe(bounded("the end of a wait"))
        assert.isTrue(yield* event.isSet())
        yield* event.clear()
        assert.isFalse(yield* event.isSet())
      })))

    law("a semaphore has so many permits", () =>
      withObjects(Effect.gen(function*() {
        const semaphore = yield* Manager.semaphore(2)
        let inside = 0
        let most = 0
        const one = Manager.withPermits(
          semaphore,
          1,
          Effect.gen(function*() {
            most = Math.max(most, ++inside)
            yield* Effect.yieldNow
            inside--
          })
        )
        yield* Effect.all(numbers(20).map(() => one), { concurrency: "unbounded" })
        assert.isAtMost(most, 2)
        // both at once, or this would wait
        yield* Manager.withPermits(semaphore, 1, Manager.withPermits(semaphore, 1, Effect.void))
        yield* Manager.withPermits(semaphore, 2, Effect.void)
        for (const count of [0, -1, 3, 1.5, NaN]) {
          const error = defectOf(yield* Effect.exit(Manager.withPermits(semaphore, count, Effect.void))) as Error
          assert.include(error.message, "A hosted semaphore of 2 permits cannot give")
        }
        yield* Manager.withPermits(semaphore, 2, Effect.void)
      })))

    law(
      "what several processes do at once is what they would do one after the other",
      () =>
        withObjects(Effect.gen(function*() {
          const shared: T.Shared = {
            ref: yield* Manager.ref(0),
            map: yield* Manager.map<string, number>(),
            list: yield* Manager.list<number>(),
            lock: yield* Manager.lock(),
            plain: yield* Manager.ref(0)
          }
          const [clients, times] = [4, 50]
          yield* Effect.forEach(numbers(clients), () => started(Process.start(T.worksOn, { shared, times })), {
            concurrency: "unbounded"
          })
          const all = clients * times
          assert.strictEqual(yield* shared.ref.get(), all)
          assert.strictEqual(yield* shared.map.get("count"), all)
          assert.strictEqual(yield* shared.plain.get(), all)
          const expected = numbers(times).flatMap((i) => numbers(clients).map(() => i))
          assert.deepStrictEqual([...(yield* shared.list.values())].sort((a, b) => a - b), expected)
        }))
    )

    law("the same name is the same object, as long as somebody holds it", () =>
      withObjects(Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          const one = yield* Manager.ref(1, { name: "count" })
          yield* one.set(2)
          const two = yield* Effect.scoped(Effect.flatMap(Manager.ref(9, { name: "count" }), (ref) => ref.get()))
          assert.strictEqual(two, 2)
        }))
      })))

    if (claims.signals) {
      law("a lock whose holder is killed is free", () =>
        withObjects(Effect.gen(function*() {
          const events = yield* makeEvents
          const lock = yield* Manager.lock()
          const child = yield* Process.start(T.holdsLock, { lock, path: events.path }, { daemon: true })
          yield* events.until("waits")
          const taking = yield* Effect.forkChild(Manager.withLock(lock, Effect.succeed("mine")))
          yield* Process.kill(child)
          assert.strictEqual(yield* Fiber.join(taking).pipe(bounded("a lock")), "mine")
        })))
    }

    law("wrong numbers are defects", () =>
      withObjects(Effect.gen(function*() {
        assert.include(String(yield* Effect.exit(Manager.semaphore(0))), "RangeError")
        assert.strictEqual(reasonOf(yield* Effect.exit(Effect.scoped(Manager.ref(() => 1))))._tag, "CodecFailed")
      })))
  })
}
