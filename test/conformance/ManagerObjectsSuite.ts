/** The laws of the ready-made objects of a manager, for every start method. */
import { assert, describe } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Option } from "effect"
import type { Scope } from "effect"
import { Connection, Manager, Pipe, Process, SharedLock } from "../../src/index.ts"
import type { ProcessError } from "../../src/index.ts"
import * as T from "../fixtures/manager.ts"
import { bounded, defectOf, moment, nextTurn, numbers, reasonOf } from "./assertions.ts"
import { makeEvents } from "./events.ts"
import { laws } from "./law.ts"
import type { Method } from "./methods.ts"

type Asking = Manager.Objects | Scope.Scope

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
        assert.strictEqual(yield* ref.setAndGet(6), 6)
        assert.strictEqual(yield* ref.getAndUpdate(T.increment), 6)
        assert.strictEqual(yield* ref.update(T.increment), 8)
        assert.strictEqual(yield* ref.updateWith(T.addSlowly, 2), 10)
        assert.instanceOf(yield* Effect.flip(ref.update(T.refuse)), Error)
        assert.strictEqual(yield* ref.get(), 10)
        const sums = Effect.forEach(numbers(50), () => ref.updateWith(T.addSlowly, 1), { concurrency: "unbounded" })
        yield* sums
        assert.strictEqual(yield* ref.get(), 60)
      })))

    law(
      "an update takes, gives and fails with what the schemas of its task say",
      () =>
        withObjects(Effect.gen(function*() {
          const ref = yield* Manager.ref(1)
          const list = yield* Manager.list([1])
          const map = yield* Manager.map<string, T.Spot>([["a", new T.Spot({ x: 1, y: 1 })]])
          const spot = yield* Manager.ref(new T.Spot({ x: 0, y: 5 }))
          for (const update of [ref.update(T.refuseAsClass), list.update(0, T.refuseAsClass)]) {
            const error = yield* Effect.flip(update)
            assert.instanceOf(error, T.Overdrawn)
            assert.strictEqual((error as T.Overdrawn).by, 1)
          }
          // the first was sent, and has lost its class; the second was made there
          for (const x of [1, 2]) {
            const moved = yield* spot.update(T.moveRight)
            assert.instanceOf(moved, T.Spot)
            assert.deepStrictEqual(moved, new T.Spot({ x, y: 5 }))
          }
          assert.deepStrictEqual(yield* spot.getAndUpdate(T.moveRight), new T.Spot({ x: 2, y: 5 }))
          assert.instanceOf(yield* map.update("a", T.moveRight as never), T.Spot)
          assert.strictEqual(yield* list.update(7, T.increment), undefined)
          const text = yield* Manager.ref("no spot")
          assert.strictEqual(reasonOf(yield* Effect.exit(text.update(T.moveRight as never)))._tag, "CodecFailed")
          const lost = { ...T.increment, module: "file:///nowhere.ts" } as typeof T.increment
          assert.strictEqual(reasonOf(yield* Effect.exit(ref.update(lost)))._tag, "TaskNotFound")
        }))
    )

    law(
      "what has been let go of is free, also for whoever hears of that in another way",
      () =>
        withObjects(Effect.gen(function*() {
          const times = 100
          const lock = yield* Manager.lock()
          const [end, theirs] = yield* Pipe.make<string, boolean>()
          const child = yield* Process.start(T.triesWhenTold, { end: theirs, lock, times })
          for (let i = 0; i < times; i++) {
            if (i % 2 === 0) yield* Manager.withLock(lock, Effect.void)
            else {
              // before it has asked, before it has heard of having it, or after that
              const holding = yield* Effect.forkChild(Manager.withLock(lock, Effect.never), { startImmediately: true })
              for (let turn = 0; turn < i % 7; turn++) yield* nextTurn
              yield* Fiber.interrupt(holding)
            }
            yield* Connection.send(end, "now")
            assert.isTrue(yield* Connection.receive(end), `after ${i} times`)
          }
          yield* Process.join(child)
        }))
    )

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

    law(
      "an object in another one stays as long as that, whoever has put it there",
      () =>
        withObjects(Effect.gen(function*() {
          const outer = yield* Manager.list<Manager.HostedList<number>>()
          for (let n = 0; n < 20; n++) {
            yield* Effect.scoped(Effect.flatMap(Manager.list([n]), outer.push))
            const inner = yield* outer.get(n)
            assert.deepStrictEqual(yield* inner!.values(), [n])
          }
        }))
    )

    law("what moves is refused by what keeps values, and is what it was", () =>
      withObjects(Effect.gen(function*() {
        const [receiver, sender] = yield* Pipe.simplex<string>()
        const ref = yield* Manager.ref<unknown>(0)
        const queue = yield* Manager.queue<unknown>()
        for (const call of [ref.set(sender), queue.offer({ sender })]) {
          const { reason } = yield* Effect.flip(call)
          assert.strictEqual(reason._tag, "NotShareable")
        }
        yield* Connection.send(sender, "still here")
        assert.strictEqual(yield* Connection.receive(receiver), "still here")
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

    law(
      "a value whose taker gives up, at whatever moment, is the next one's, once and in its place",
      () =>
        withObjects(Effect.gen(function*() {
          const queue = yield* Manager.queue<number>()
          const count = 300
          const seen: Array<number> = []
          const keep = (value: number) => Effect.sync(() => seen.push(value))
          for (const i of numbers(count)) {
            const take = i % 4 === 3 ?
              Effect.flatMap(queue.poll(), ([value]) => value === undefined ? Effect.void : keep(value)) : //
              Effect.flatMap(queue.take(), keep)
            const taking = yield* Effect.forkChild(take, { startImmediately: true })
            yield* Effect.andThen(i % 2 === 0 ? moment(i % 5) : Effect.void, queue.offer(i))
            yield* Effect.raceFirst(Fiber.await(taking), moment(i % 17))
            yield* Fiber.interrupt(taking)
          }
          yield* Effect.repeat(Effect.tap(queue.poll(), (some) => Effect.forEach(some, keep)), {
            until: (some) => some.length === 0
          })
          assert.deepStrictEqual(seen, numbers(count))
        }))
    )

    law(
      "a value that cannot cross any more fails one take, and holds up nobody",
      () =>
        withObjects(Effect.gen(function*() {
          const queue = yield* Manager.queue<unknown>()
          yield* Effect.scoped(Effect.flatMap(SharedLock.make(), queue.offer))
          yield* queue.offer(2)
          assert.strictEqual(reasonOf(yield* Effect.exit(queue.take()))._tag, "Closed")
          assert.strictEqual(yield* queue.take().pipe(bounded("a value")), 2)
        }))
    )

    law("an offer that is given up is in, or it is not", () =>
      withObjects(Effect.gen(function*() {
        const queue = yield* Manager.queue<number>({ capacity: 1 })
        yield* queue.offer(0)
        const offering = yield* Effect.forkChild(queue.offer(1), { startImmediately: true })
        yield* queue.size()
        yield* Fiber.interrupt(offering)
        const next = yield* Effect.forkChild(queue.offer(2), { startImmediately: true })
        assert.strictEqual(yield* queue.take(), 0)
        yield* Fiber.join(next)
        assert.strictEqual(yield* queue.take(), 2)
        assert.deepStrictEqual(yield* queue.poll(), [])
      })))

    law(
      "a take and a wait with a time limit leave nothing behind in the server",
      () =>
        withObjects(Effect.gen(function*() {
          const queue = yield* Manager.queue<number>()
          const event = yield* Manager.event()
          assert.isTrue(Exit.isFailure(yield* Effect.exit(Effect.timeout(queue.take(), 1))))
          assert.isTrue(Exit.isFailure(yield* Effect.exit(Effect.timeout(event.wait(), 1))))
          yield* queue.offer(1)
          assert.strictEqual(yield* queue.take(), 1)
          yield* event.set()
          yield* event.wait()
        }))
    )

    law("an event lets pass who waits for it", () =>
      withObjects(Effect.gen(function*() {
        const event = yield* Manager.event()
        // calls of one process arrive in their order: it waits before it is asked, and before it is set
        const waiting = yield* Effect.forkChild(event.wait(), { startImmediately: true })
        assert.isFalse(yield* event.isSet())
        assert.isUndefined(waiting.pollUnsafe())
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

    law(
      "the same name is the same object of its kind, as long as somebody holds it",
      () =>
        withObjects(Effect.gen(function*() {
          yield* Effect.scoped(Effect.gen(function*() {
            const one = yield* Manager.ref(1, { name: "count" })
            yield* one.set(2)
            const two = yield* Effect.scoped(Effect.flatMap(Manager.ref(9, { name: "count" }), (ref) => ref.get()))
            assert.strictEqual(two, 2)
            const queue = yield* Manager.queue<number>({ name: "count" })
            assert.strictEqual(yield* queue.size(), 0)
          }))
          const anew = yield* Manager.ref(9, { name: "count" })
          assert.strictEqual(yield* anew.get(), 9)
        }))
    )

    law("a lock and a semaphore of one name are two", () =>
      withObjects(Effect.gen(function*() {
        const lock = yield* Manager.lock({ name: "both" })
        const semaphore = yield* Manager.semaphore(2, { name: "both" })
        const both = yield* Manager.withLock(lock, Manager.withPermits(semaphore, 2, Effect.succeed("both")))
        assert.strictEqual(both, "both")
        const again = yield* Manager.lock({ name: "both" })
        assert.deepStrictEqual(
          yield* Manager.withLock(lock, Manager.withLockIfAvailable(again, Effect.void)),
          Option.none()
        )
      })))

    law("whoever asks for a name with another number is told so", () =>
      withObjects(Effect.gen(function*() {
        yield* Manager.semaphore(2, { name: "two" })
        yield* Manager.semaphore(2, { name: "two" })
        yield* Manager.queue({ name: "two", capacity: 2 })
        yield* Manager.barrier(2, { name: "two" })
        const asked = [
          [
            Manager.semaphore(3, { name: "two" }),
            "Manager.semaphore: \"two\" has 2 permits, and was asked for with 3 permits"
          ],
          [Manager.queue({ name: "two", capacity: 3 }), "Manager.queue: \"two\" has a capacity of 2"],
          [
            Manager.queue({ name: "two" }),
            "Manager.queue: \"two\" has a capacity of 2, and was asked for with no capacity"
          ],
          [Manager.barrier(3, { name: "two" }), "Manager.barrier: \"two\" has 2 parties"]
        ] as const
        for (const [ask, words] of asked) {
          const defect = defectOf(yield* Effect.exit(Effect.asVoid<object, ProcessError.ProcessError, Asking>(ask)))
          assert.instanceOf(defect, RangeError)
          assert.include((defect as Error).message, words)
        }
      })))

    law("whoever has waited for long enough for permits has left the line", () =>
      withObjects(Effect.gen(function*() {
        const lock = yield* Manager.lock()
        const gate = Deferred.makeUnsafe<void>()
        const held = Deferred.makeUnsafe<void>()
        const holder = yield* Effect.forkChild(
          Manager.withLock(lock, Effect.andThen(Deferred.succeed(held, undefined), Deferred.await(gate)))
        )
        yield* Deferred.await(held)
        const late = yield* Effect.exit(Effect.timeout(Manager.withLock(lock, Effect.die("it ran")), 20))
        assert.include(String(late), "TimeoutError")
        const next = yield* Effect.forkChild(Manager.withLock(lock, Effect.succeed("next")))
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(holder)
        assert.strictEqual(yield* Fiber.join(next).pipe(bounded("a lock")), "next")
      })))

    law("permits come back from whoever gives up, at whatever moment", () =>
      withObjects(Effect.gen(function*() {
        const semaphore = yield* Manager.semaphore(2)
        for (const i of numbers(100)) {
          const use = (count: number) =>
            i % 3 === 0
              ? Effect.asVoid(Manager.withPermitsIfAvailable(semaphore, count, moment(i % 7)))
              : Manager.withPermits(semaphore, count, moment(i % 7))
          const some = yield* Effect.forEach([1, 2, 1], (count) =>
            Effect.forkChild(use(count), { startImmediately: true }))
          yield* moment(i % 11)
          yield* Effect.forEach(some, Fiber.interrupt)
        }
        yield* Manager.withPermits(semaphore, 2, Effect.void).pipe(bounded("two permits"))
      })))

    law("whoever waits for an object that is dropped is told so", () =>
      withObjects(Effect.gen(function*() {
        const waits = yield* Effect.scoped(Effect.gen(function*() {
          const queue = yield* Manager.queue<number>()
          const full = yield* Manager.queue<number>({ capacity: 1 })
          const event = yield* Manager.event()
          const lock = yield* Manager.lock()
          yield* full.offer(1)
          const held = Deferred.makeUnsafe<void>()
          const holds = Manager.withLock(lock, Effect.andThen(Deferred.succeed(held, undefined), Effect.never))
          const holder = yield* Effect.forkDetach(holds)
          yield* Deferred.await(held)
          const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
            queue.take(),
            full.offer(2),
            event.wait(),
            Manager.withLock(lock, Effect.never)
          ]
          const waits = yield* Effect.forEach(calls, (call) => Effect.forkDetach(call, { startImmediately: true }))
          // it comes after them
          yield* event.isSet()
          return [holder, ...waits]
        }))
        for (const wait of waits) {
          assert.strictEqual(reasonOf(yield* Fiber.await(wait).pipe(bounded("the end of a wait")))._tag, "Closed")
        }
      })))

    law("a fiber that would wait for itself is told so", () =>
      withObjects(Effect.gen(function*() {
        const lock = yield* Manager.lock()
        const again = Manager.withLock(lock, Effect.void)
        const twice = yield* Effect.exit(Manager.withLock(lock, again))
        assert.match((defectOf(twice) as Error).message, /^Manager\.withLock: this fiber holds the lock already/)
        yield* again
        const semaphore = yield* Manager.semaphore(3)
        const two = Manager.withPermits(semaphore, 2, Effect.void)
        yield* Manager.withPermits(semaphore, 1, two)
        const four = yield* Effect.exit(Manager.withPermits(semaphore, 2, two))
        assert.match(
          (defectOf(four) as Error).message,
          /holds 2 of the 3 permits, and would wait for itself to get 2 more/
        )
        // fibers that it forks are others: they wait for it
        const forked = Manager.withLock(lock, Effect.timeoutOption(again, "30 millis"))
        assert.deepStrictEqual(yield* forked, Option.none())
      })))

    law("what is not available now is None, and nothing has run", () =>
      withObjects(Effect.gen(function*() {
        const semaphore = yield* Manager.semaphore(2)
        const lock = yield* Manager.lock()
        const one = Manager.withPermitsIfAvailable(semaphore, 1, Effect.succeed("in"))
        const both = Manager.withPermitsIfAvailable(semaphore, 2, Effect.succeed("in"))
        assert.deepStrictEqual(yield* both, Option.some("in"))
        assert.deepStrictEqual(
          yield* Manager.withPermits(semaphore, 1, Effect.all([one, both])),
          [Option.some("in"), Option.none()]
        )
        assert.deepStrictEqual(yield* both, Option.some("in"))
        const never = Manager.withLockIfAvailable(lock)(Effect.die("it ran"))
        assert.deepStrictEqual(yield* Manager.withLock(lock, never), Option.none())
        const child = yield* Process.start(T.triesLock, lock)
        assert.isTrue(yield* Process.join(child))
        const other = yield* Manager.withLock(lock, started(Process.start(T.triesLock, lock)))
        assert.isFalse(other)
        assert.include(
          (defectOf(yield* Effect.exit(Manager.withPermitsIfAvailable(semaphore, 3, Effect.void))) as Error).message,
          "A hosted semaphore of 2 permits cannot give"
        )
      })))

    if (claims.signals) {
      // one that is written at once, and one that the other side would have to read before it is
      for (const size of [1, 8 * 1024 * 1024]) {
        law(
          `a value of ${size} bytes that was on its way to a process that is killed is the next one's`,
          () =>
            withObjects(Effect.gen(function*() {
              const events = yield* makeEvents
              const queue = yield* Manager.queue<Uint8Array>()
              const child = yield* Process.start(T.takesStopped, { queue, path: events.path }, { daemon: true })
              yield* events.until("takes")
              yield* queue.offer(new Uint8Array(size).fill(1))
              // it was handed to the child, which has stopped
              while ((yield* queue.size()) > 0) yield* nextTurn
              yield* queue.offer(new Uint8Array(1).fill(2))
              yield* Process.kill(child)
              yield* Process.exited(child)
              const both = [yield* queue.take().pipe(bounded("a value")), yield* queue.take().pipe(bounded("another"))]
              assert.deepStrictEqual(both.map(([first]) => first).sort(), [1, 2])
              assert.deepStrictEqual(yield* queue.poll(), [])
            }))
        )
      }

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
