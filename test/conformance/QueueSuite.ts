/**
 * The laws of queues, across the children of a start method. PYTHON-QUEUE.md says which of CPython's tests they stand for.
 */
import { assert, describe } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Option, Schema, Scope, Stream } from "effect"
import { Connection, Pipe, Process, SharedQueue, SharedSemaphore } from "../../src/index.ts"
import type { StartMethod, Task } from "../../src/index.ts"
import { openQueue } from "../../src/internal/handles/queue.ts"
import * as F from "../fixtures/queue.ts"
import { bounded, defectOf, numbers, reasonOf } from "./assertions.ts"
import { makeEvents } from "./events.ts"
import { laws } from "./law.ts"
import type { Method } from "./methods.ts"

type Child<A> = Effect.Effect<Process.Process<A, any>, unknown, StartMethod.StartMethod | Scope.Scope>

/** A child that ends with the test, whatever it waits for. */
const start = <P, A, E>(task: Task.Task<P, A, E, Process.Provided>, payload: NoInfer<P>): Child<A> =>
  Process.start(task, payload as never, { daemon: true }) as Child<A> // the payload is one of this task

const run = <P, A, E>(task: Task.Task<P, A, E, Process.Provided>, payload: NoInfer<P>) =>
  Effect.flatMap(start(task, payload), (child) => bounded("a child ended")(Process.join(child)))

const forked = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

/** What has come to this process has been heard then. */
const turns = Effect.replicateEffect(F.turn, 20, { discard: true })

const isDone = (fiber: Fiber.Fiber<unknown, unknown>): boolean => fiber.pollUnsafe() !== undefined

const ended = <A, E>(fiber: Fiber.Fiber<A, E>) => bounded("a fiber ended")(Fiber.await(fiber))

const isClosed = (exit: Exit.Exit<unknown, unknown>, words: string): void => {
  const reason = reasonOf(exit)
  assert.strictEqual(reason._tag, "Closed")
  assert.include(reason.message, words)
}

const isRangeError = (exit: Exit.Exit<unknown, unknown>, words: string): void => {
  const defect = defectOf(exit)
  assert.instanceOf(defect, RangeError)
  assert.include(String(defect), words)
}

const isEnd = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Option.match(Exit.findErrorOption(exit), { onNone: () => false, onSome: Cause.isDone })

/** All that is left in a queue that has ended. */
const drained = <A>(queue: SharedQueue.SharedQueue<A>) =>
  bounded("the end of a queue")(Stream.runCollect(SharedQueue.toStream(queue)))

const sorted = (values: ReadonlyArray<number>): ReadonlyArray<number> => values.toSorted((a, b) => a - b)

interface Setting {
  readonly law: ReturnType<typeof laws>
  readonly claims: Method["claims"]
}

// ---------------------------------------------------------------------------------------------------- values

const values = ({ law }: Setting): void => {
  law("gives what was offered in its order, here and elsewhere", () =>
    Effect.gen(function*() {
      const queue = yield* SharedQueue.unbounded<unknown>()
      assert.strictEqual(queue.capacity, Infinity)
      const all = [1, "two", Uint8Array.of(3), { four: [4n] }, new Map([["five", new Date(5)]]), null, undefined, ""]
      yield* SharedQueue.offerAll(queue, all)
      assert.strictEqual(yield* SharedQueue.size(queue), all.length)
      assert.strictEqual(yield* SharedQueue.take(queue), 1)
      assert.strictEqual(yield* run(F.takesOne, { queue }), "two")
      yield* run(F.offersAll, { queue, values: ["more"] })
      yield* SharedQueue.end(queue)
      assert.deepStrictEqual(yield* drained(queue), [...all.slice(2), "more"])
    }))

  law("copies a value when it is offered: what its producer changes later is not seen", () =>
    Effect.gen(function*() {
      const queue = yield* SharedQueue.unbounded<{ list: Array<number>; bytes: Uint8Array }>()
      const value = { list: [1], bytes: Uint8Array.of(1) }
      yield* SharedQueue.offer(queue, value)
      value.list.push(2)
      value.bytes[0] = 2
      assert.deepStrictEqual(yield* SharedQueue.take(queue), { list: [1], bytes: Uint8Array.of(1) })
    }))

  law("refuses what cannot cross before it is in the queue, and goes on", () =>
    Effect.gen(function*() {
      const queue = yield* SharedQueue.bounded<unknown>(1)
      const [end] = yield* Pipe.make<unknown>()
      const refused = yield* Effect.exit(SharedQueue.offer(queue, { deep: [() => {}] }))
      assert.strictEqual(reasonOf(refused)._tag, "CodecFailed")
      assert.include(reasonOf(refused).message, "message.deep[0] is a function")
      const pipe = reasonOf(yield* Effect.exit(SharedQueue.offer(queue, { end })))
      assert.strictEqual(pipe._tag, "NotShareable")
      assert.include(pipe.message, "nobody knows who will take it")
      assert.strictEqual(yield* SharedQueue.size(queue), 0)
      yield* SharedQueue.offer(queue, true)
      assert.isTrue(yield* SharedQueue.take(queue))
      yield* Connection.send(end, "it is still here")
      const all = SharedQueue.offerAll(queue, [1, () => {}, 3])
      assert.strictEqual(reasonOf(yield* Effect.exit(all))._tag, "CodecFailed")
      assert.deepStrictEqual(yield* SharedQueue.poll(queue), Option.some(1))
    }))

  law("carries handles, which arrive working: a queue through a queue", () =>
    Effect.gen(function*() {
      const queue = yield* SharedQueue.unbounded<F.Question>()
      const reply = yield* SharedQueue.unbounded<number>()
      const child = yield* start(F.answers, { queue })
      yield* SharedQueue.offer(queue, { n: 7, reply })
      assert.strictEqual(yield* bounded("an answer")(SharedQueue.take(reply)), 49)
      yield* Process.join(child)
      const mixed = yield* SharedQueue.unbounded<{ readonly semaphore: SharedSemaphore.SharedSemaphore }>()
      const semaphore = yield* SharedSemaphore.make(0)
      yield* SharedQueue.offer(mixed, { semaphore })
      const { semaphore: again } = yield* SharedQueue.take(mixed)
      yield* SharedSemaphore.release(again, 2)
      assert.strictEqual(yield* SharedSemaphore.take(semaphore, 2), 2)
    }))

  law("of a child serves that child's own children", () =>
    Effect.gen(function*() {
      const child = yield* Process.start(F.givesToItsChild, undefined)
      assert.deepStrictEqual(yield* bounded("a child ended")(Process.join(child)), [0, "from below"])
    }))

  law("gives classes where both sides have schemas, and fails for what does not fit", () =>
    Effect.gen(function*() {
      const orders = yield* SharedQueue.unbounded({ schema: F.Order })
      const doubled = yield* SharedQueue.bounded(1, { schema: F.Order })
      const child = yield* start(F.doublesOrders, { orders, doubled })
      yield* SharedQueue.offer(orders, new F.Order({ id: 7, at: new Date(1) }))
      const order = yield* bounded("an order")(SharedQueue.take(doubled))
      assert.instanceOf(order, F.Order)
      assert.deepStrictEqual({ ...order }, { id: 14, at: new Date(1) })
      yield* Process.join(child)
      const exit = yield* Effect.exit(SharedQueue.offer(orders, { id: "x" } as unknown as F.Order))
      assert.strictEqual(reasonOf(exit)._tag, "CodecFailed")
      // without a schema somebody else may offer anything
      yield* run(F.offersAll, { queue: orders as unknown as SharedQueue.SharedQueue<unknown>, values: [1] })
      assert.strictEqual(reasonOf(yield* Effect.exit(SharedQueue.take(orders)))._tag, "CodecFailed")
      assert.strictEqual(yield* SharedQueue.size(orders), 0)
    }))

  law("carries large values, and many at once", () =>
    Effect.gen(function*() {
      const queue = yield* SharedQueue.unbounded<unknown>()
      const child = yield* start(F.collects, { queue })
      const large = new Uint8Array(3_000_000).fill(7)
      yield* SharedQueue.offerAll(queue, [large, ...numbers(5000), large])
      yield* SharedQueue.end(queue)
      const all = yield* bounded("a child ended")(Process.join(child))
      assert.strictEqual(all.length, 5002)
      assert.deepStrictEqual(all.slice(1, -1), [...numbers(5000)])
      for (const one of [all[0], all[5001]]) assert.isTrue(Buffer.from(large).equals(one as Uint8Array))
    }))

  law("is found by its guard and schema, and knows its name", () =>
    Effect.gen(function*() {
      const queue = yield* SharedQueue.bounded<number>(3)
      assert.strictEqual(queue.capacity, 3)
      assert.isTrue(SharedQueue.isSharedQueue(queue) && Schema.is(SharedQueue.schema())(queue))
      assert.isFalse(SharedQueue.isSharedQueue({}) || SharedQueue.isSharedQueue(yield* SharedSemaphore.make(1)))
      assert.strictEqual(String(queue), "SharedQueue")
      yield* queue.pipe(SharedQueue.offer(1))
      assert.strictEqual(yield* SharedQueue.take(queue), 1)
    }))

  law("refuses capacities that are none", () =>
    Effect.gen(function*() {
      for (const capacity of [0, -1, 1.5, NaN, Infinity, "1" as never]) {
        isRangeError(yield* Effect.exit(SharedQueue.bounded(capacity)), "SharedQueue.bounded: the capacity")
      }
    }))
}

// ---------------------------------------------------------------------------------------------------- waiting

const waiting = ({ claims, law }: Setting): void => {
  law("a producer waits for room, and goes on when somebody takes", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const queue = yield* SharedQueue.bounded<unknown>(2)
      yield* SharedQueue.offerAll(queue, [1, 2])
      const child = yield* start(F.waitsToOffer, { queue, value: 3, path: events.path, name: "producer" })
      yield* events.until("producer waits")
      const here = yield* forked(SharedQueue.offer(queue, 4))
      assert.isFalse(isDone(here))
      assert.strictEqual(yield* SharedQueue.size(queue), 2)
      assert.strictEqual(yield* run(F.takesOne, { queue }), 1)
      yield* events.until("producer goes")
      yield* Process.join(child)
      assert.isFalse(isDone(here), "first come, first served")
      assert.strictEqual(yield* SharedQueue.take(queue), 2)
      assert.isTrue(Exit.isSuccess(yield* ended(here)))
      assert.deepStrictEqual([yield* SharedQueue.take(queue), yield* SharedQueue.take(queue)], [3, 4])
    }))

  law("takers are served first come, first served", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const queue = yield* SharedQueue.unbounded<unknown>()
      yield* start(F.waitsToTake, { queue, path: events.path, name: "first" })
      yield* events.until("first waits")
      yield* start(F.waitsToTake, { queue, path: events.path, name: "second" })
      yield* events.until("second waits")
      const third = yield* forked(SharedQueue.take(queue))
      yield* SharedQueue.offerAll(queue, [1, 2, 3])
      yield* events.until("first 1")
      yield* events.until("second 2")
      assert.deepStrictEqual(yield* ended(third), Exit.succeed(3))
    }))

  law("gives up at a timeout, and has taken and added nothing", () =>
    Effect.gen(function*() {
      const queue = yield* SharedQueue.bounded<number>(1)
      assert.deepStrictEqual(yield* Effect.timeoutOption(SharedQueue.take(queue), "20 millis"), Option.none())
      yield* SharedQueue.offer(queue, 1)
      assert.deepStrictEqual(yield* Effect.timeoutOption(SharedQueue.offer(queue, 2), "20 millis"), Option.none())
      assert.strictEqual(yield* SharedQueue.take(queue), 1)
      assert.deepStrictEqual(yield* SharedQueue.poll(queue), Option.none())
    }))

  law("poll and size tell what is there now", () =>
    Effect.gen(function*() {
      const queue = yield* SharedQueue.unbounded<unknown>()
      assert.deepStrictEqual(yield* SharedQueue.poll(queue), Option.none())
      yield* SharedQueue.offerAll(queue, [1, 2, 3])
      assert.deepStrictEqual(yield* SharedQueue.poll(queue), Option.some(1))
      const [value, size] = yield* run(F.pollsAndSizes, { queue })
      assert.deepInclude(value, { value: 2 })
      assert.strictEqual(size, 1)
      yield* SharedQueue.end(queue)
      yield* SharedQueue.take(queue)
      assert.isTrue(isEnd(yield* Effect.exit(SharedQueue.poll(queue))))
      assert.deepStrictEqual(yield* run(F.pollsAndSizes, { queue }), ["Done", 0])
    }))

  law("loses no value and doubles none, whenever takers are interrupted", () =>
    Effect.gen(function*() {
      const queue = yield* SharedQueue.bounded<number>(3)
      const count = 200
      const children = yield* Effect.all([1, 2].map(() => start(F.interruptsTakers, { queue, rounds: 150 })))
      const here = yield* forked(Effect.gen(function*() {
        const got: Array<number> = []
        for (let round = 0; round < 150; round++) {
          const fiber = yield* forked(Effect.map(SharedQueue.take(queue), (value) => void got.push(value)))
          for (let turns = 0; turns < round % 3; turns++) yield* F.turn
          yield* Fiber.interrupt(fiber)
        }
        return got
      }))
      const offering = yield* forked(
        Effect.andThen(SharedQueue.offerAll(queue, numbers(count)), SharedQueue.end(queue))
      )
      const got = yield* bounded("all rounds are over")(Effect.all([...children.map(Process.join), Fiber.join(here)]))
      const rest = yield* drained(queue)
      yield* Fiber.join(offering)
      assert.deepStrictEqual(sorted([...got.flat(), ...rest]), [...numbers(count)])
    }))

  law("adds no value of a producer that was interrupted, and all of the others", () =>
    Effect.gen(function*() {
      const queue = yield* SharedQueue.unbounded<number>()
      const added = yield* run(F.interruptsProducers, { queue, rounds: 100 })
      yield* SharedQueue.end(queue)
      assert.deepStrictEqual(yield* drained(queue), added)
    }))

  law(
    "says whether a value was accepted in time, also when somebody takes it at that moment",
    () =>
      Effect.gen(function*() {
        const queue = yield* SharedQueue.bounded<number>(1)
        const taken: Array<number> = []
        const takes = Effect.forever(Effect.gen(function*() {
          taken.push(yield* SharedQueue.take(queue))
          if (taken.length % 3 === 0) yield* Effect.sleep(1) // so that there is no room now and then
        }))
        const taking = yield* Effect.forkChild(Effect.exit(takes))
        const accepted = yield* run(F.offersWithin, { queue, rounds: 300 })
        yield* SharedQueue.end(queue)
        yield* Fiber.join(taking)
        assert.deepStrictEqual(taken, accepted)
      })
  )

  law("accepts in no time at all what there is room for, and nothing else", () =>
    Effect.gen(function*() {
      const queue = yield* SharedQueue.bounded<number>(2)
      assert.deepStrictEqual(yield* run(F.offersAtOnce, { queue, rounds: 4 }), [0, 1])
      assert.isFalse(yield* SharedQueue.offerWithin(queue, 9, 0))
      yield* SharedQueue.end(queue)
      const late = yield* Effect.flip(SharedQueue.offerWithin(queue, 9, 0))
      assert.strictEqual(late.reason._tag, "Closed")
      assert.deepStrictEqual(yield* drained(queue), [0, 1])
    }))

  law("leaves nothing of an offer for a time that was interrupted", () =>
    Effect.gen(function*() {
      const queue = yield* SharedQueue.unbounded<number>()
      assert.strictEqual(yield* run(F.interruptsOffersWithin, { queue, rounds: 200 }), 0)
    }))

  law("a stream that ends early leaves the rest in its place", () =>
    Effect.gen(function*() {
      const queue = yield* SharedQueue.unbounded<number>()
      yield* SharedQueue.offerAll(queue, numbers(500))
      assert.deepStrictEqual(yield* run(F.takesSomeAsStream, { queue, count: 100 }), [...numbers(100)])
      const here = Stream.runCollect(Stream.take(SharedQueue.toStream(queue), 10))
      assert.deepStrictEqual(yield* here, numbers(110).slice(100))
      yield* SharedQueue.end(queue)
      assert.deepStrictEqual(yield* drained(queue), numbers(500).slice(110))
    }))

  law(
    "a stream in chunks takes so many together, and what it had fetched beside them returns",
    () =>
      Effect.gen(function*() {
        const queue = yield* SharedQueue.unbounded<number>()
        yield* SharedQueue.offerAll(queue, numbers(5000))
        const some = Stream.take(SharedQueue.toStream(queue, { chunkSize: 7 }), 3)
        assert.deepStrictEqual(yield* Stream.runCollect(some), [0, 1, 2])
        assert.strictEqual(yield* SharedQueue.take(queue), 7)
        const chunks = yield* run(F.takesChunks, { queue, chunkSize: 100, chunks: 30 })
        const taken = 8 + chunks.flat().length
        assert.deepStrictEqual(chunks.flat(), numbers(taken).slice(8))
        assert.strictEqual(Math.max(...chunks.map((chunk) => chunk.length)), 100)
        yield* SharedQueue.end(queue)
        const rest = bounded("the end of a queue")(Stream.runCollect(SharedQueue.toStream(queue, { chunkSize: 64 })))
        assert.deepStrictEqual(yield* rest, numbers(5000).slice(taken))
      })
  )

  law("a stream in chunks fails in its turn for what does not fit", () =>
    Effect.gen(function*() {
      const queue = yield* SharedQueue.unbounded<unknown>()
      const typed = yield* Schema.decodeUnknownEffect(SharedQueue.schema(Schema.Number))(queue)
      yield* SharedQueue.offerAll(queue, [0, 1, "text", 3])
      const chunks: Array<ReadonlyArray<number>> = []
      const exit = yield* Effect.exit(
        Stream.runForEachArray(
          SharedQueue.toStream(typed, { chunkSize: 10 }),
          (chunk) => Effect.sync(() => void chunks.push(chunk))
        )
      )
      assert.deepStrictEqual(chunks, [[0, 1]])
      assert.strictEqual(reasonOf(exit)._tag, "CodecFailed")
      assert.strictEqual(yield* SharedQueue.take(typed), 3)
      const none = yield* Effect.exit(Stream.runDrain(SharedQueue.toStream(queue, { chunkSize: 0.5 })))
      isRangeError(none, "SharedQueue.toStream: the chunkSize")
    }))

  law("a stream whose consumer waits lets others have what it had fetched", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const queue = yield* SharedQueue.unbounded<unknown>()
      yield* SharedQueue.offerAll(queue, numbers(300))
      yield* start(F.stopsAfter, { queue, after: 200, path: events.path })
      yield* events.until("stops")
      yield* SharedQueue.end(queue)
      assert.deepStrictEqual(sorted((yield* drained(queue)) as ReadonlyArray<number>), numbers(300).slice(201))
    }))

  law("fibers that feed each other here let others have their turn", () =>
    Effect.gen(function*() {
      const queue = yield* SharedQueue.bounded<number>(1)
      yield* forked(Effect.forever(SharedQueue.offer(queue, 1)))
      yield* forked(Effect.forever(SharedQueue.take(queue)))
      yield* bounded("a timer")(Effect.sleep("20 millis"))
    }))

  if (claims.parallel) {
    law(
      "many producers and consumers in many processes: each value once, each producer's in order",
      () =>
        Effect.gen(function*() {
          const queue = yield* SharedQueue.bounded<F.Produced>(8)
          const any = queue as unknown as SharedQueue.SharedQueue<unknown>
          const consumers = [yield* start(F.consumes, { queue: any }), yield* start(F.collects, { queue: any })]
          const one = yield* start(F.produces, { queue, by: 0, count: 300 })
          const other = yield* start(F.streamsInto, { queue, by: 1, count: 300 })
          yield* bounded("all was offered")(Effect.all([Process.join(one), Process.join(other)]))
          yield* SharedQueue.end(queue)
          const got = (yield* bounded("all was taken")(
            Effect.forEach(consumers, Process.join)
          )) as ReadonlyArray<ReadonlyArray<F.Produced>>
          for (const by of [0, 1]) {
            const parts = got.map((all) => all.filter((value) => value.by === by).map(({ n }) => n))
            assert.deepStrictEqual(sorted(parts.flat()), [...numbers(300)])
            for (const part of parts) assert.deepStrictEqual(part, sorted(part))
          }
        })
    )
  }
}

// ---------------------------------------------------------------------------------------------------- ends

const endings = ({ law }: Setting): void => {
  law("ended, it is drained, and then everybody sees the end", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const queue = yield* SharedQueue.bounded<unknown>(2)
      yield* SharedQueue.offerAll(queue, [1, 2])
      yield* start(F.waitsToOffer, { queue, value: 3, path: events.path, name: "producer" })
      yield* events.until("producer waits")
      const here = yield* forked(SharedQueue.offerAll(queue, [4, 5]))
      assert.isUndefined(yield* run(F.ends, { queue }))
      yield* events.until("producer Closed")
      isClosed(yield* ended(here), "it has ended")
      isClosed(yield* Effect.exit(SharedQueue.offer(queue, 6)), "it has ended")
      assert.strictEqual(yield* run(F.offersAll, { queue, values: [7] }), "Closed")
      assert.strictEqual(yield* SharedQueue.take(queue), 1)
      assert.strictEqual(yield* run(F.takesOne, { queue }), 2)
      assert.strictEqual(yield* run(F.takesOne, { queue }), "Done")
      assert.isTrue(isEnd(yield* Effect.exit(SharedQueue.take(queue))))
      assert.deepStrictEqual(yield* drained(queue), [])
      yield* SharedQueue.end(queue)
    }))

  law("takers who wait when it ends see the end", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const queue = yield* SharedQueue.unbounded<unknown>()
      yield* start(F.waitsToTake, { queue, path: events.path, name: "taker" })
      yield* events.until("taker waits")
      const here = yield* forked(SharedQueue.take(queue))
      const stream = yield* forked(Stream.runCollect(SharedQueue.toStream(queue)))
      yield* SharedQueue.end(queue)
      yield* events.until("taker Done")
      assert.isTrue(isEnd(yield* ended(here)))
      assert.deepStrictEqual(yield* ended(stream), Exit.succeed([]))
    }))

  law("when its scope ends everybody who waits, and will, fails with Closed", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const scope = yield* Scope.make()
      const queue = yield* Scope.provide(SharedQueue.bounded<unknown>(1), scope)
      const full = yield* Scope.provide(SharedQueue.bounded<unknown>(1), scope)
      yield* SharedQueue.offer(full, 1)
      yield* start(F.waitsToTake, { queue, path: events.path, name: "taker" })
      yield* start(F.waitsToOffer, { queue: full, value: 2, path: events.path, name: "producer" })
      yield* start(F.joins, { queue: full, path: events.path, name: "joiner" })
      for (const name of ["taker", "producer", "joiner"]) yield* events.until(`${name} waits`)
      const here = yield* forked(SharedQueue.take(queue))
      yield* Scope.close(scope, Exit.void)
      for (const name of ["taker", "producer", "joiner"]) yield* events.until(`${name} Closed`)
      isClosed(yield* ended(here), "the scope that made it has ended")
      const uses: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
        SharedQueue.offer(queue, 1),
        SharedQueue.take(queue),
        SharedQueue.poll(queue),
        SharedQueue.size(queue),
        SharedQueue.end(queue),
        SharedQueue.taskDone(queue),
        SharedQueue.join(queue),
        Stream.runDrain(SharedQueue.toStream(queue))
      ]
      for (const use of uses) isClosed(yield* Effect.exit(use), "the scope that made it has ended")
      assert.strictEqual(reasonOf(yield* Effect.exit(start(F.takesOne, { queue })))._tag, "Closed")
    }))

  law(
    "a child that has offered ends before anybody takes: there is nothing to be flushed",
    () =>
      Effect.gen(function*() {
        const queue = yield* SharedQueue.unbounded<unknown>()
        const values = numbers(4).map((i) => new Uint8Array(300_000).fill(i))
        assert.isUndefined(yield* run(F.offersAll, { queue, values }))
        for (const value of values) assert.deepStrictEqual(yield* SharedQueue.take(queue), value)
      })
  )
}

// ---------------------------------------------------------------------------------------------------- joining

const joining = ({ claims, law }: Setting): void => {
  law("join waits until all that was offered is done, here and elsewhere", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const queue = yield* SharedQueue.unbounded<number>()
      const any = queue as unknown as SharedQueue.SharedQueue<unknown>
      yield* SharedQueue.join(queue)
      yield* SharedQueue.offerAll(queue, numbers(20))
      yield* start(F.joins, { queue: any, path: events.path, name: "joiner" })
      yield* events.until("joiner waits")
      const here = yield* forked(SharedQueue.join(queue))
      assert.isFalse(isDone(here))
      const workers = [yield* start(F.works, { queue }), yield* start(F.works, { queue })]
      assert.isTrue(Exit.isSuccess(yield* ended(here)))
      yield* events.until("joiner goes")
      yield* SharedQueue.end(queue)
      yield* bounded("the workers ended")(Effect.forEach(workers, Process.join))
      yield* SharedQueue.join(queue)
    }))

  law("taskDone more often than values were taken is a defect", () =>
    Effect.gen(function*() {
      const queue = yield* SharedQueue.unbounded<unknown>()
      isRangeError(yield* Effect.exit(SharedQueue.taskDone(queue)), "more often than values were taken")
      yield* SharedQueue.offer(queue, 1)
      isRangeError(yield* Effect.exit(SharedQueue.taskDone(queue)), "more often than values were taken")
      yield* SharedQueue.take(queue)
      assert.isUndefined(yield* run(F.saysDone, { queue }), "not the taker")
      const child = yield* start(F.saysDone, { queue })
      assert.include(String(defectOf(yield* bounded("the child ended")(Process.wait(child)))), "more often")
    }))

  if (claims.killsBusy) {
    law("join fails when all that is left went with a process that died", () =>
      Effect.gen(function*() {
        const events = yield* makeEvents
        const queue = yield* SharedQueue.unbounded<unknown>()
        yield* SharedQueue.offer(queue, 1)
        const child = yield* start(F.tellsWhatItTakes, { queue, after: 1, path: events.path })
        yield* events.until("took 1")
        const joiner = yield* forked(SharedQueue.join(queue))
        assert.isFalse(isDone(joiner))
        yield* Process.kill(child)
        isClosed(yield* ended(joiner), "1 of the values were taken")
        yield* SharedQueue.taskDone(queue)
        yield* SharedQueue.join(queue)
      }))
  }
}

// ---------------------------------------------------------------------------------------------------- deaths

const deaths = ({ claims, law }: Setting): void => {
  law("a consumer that is killed in the middle leaves all that it has not taken", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const queue = yield* SharedQueue.unbounded<unknown>()
      yield* SharedQueue.offerAll(queue, numbers(300))
      const child = yield* start(F.stopsAfter, { queue, after: 200, path: events.path })
      yield* events.until("stops")
      yield* Process.kill(child)
      yield* SharedQueue.end(queue)
      assert.deepStrictEqual(sorted((yield* drained(queue)) as ReadonlyArray<number>), numbers(300).slice(201))
    }))

  law("what has come to a process that is killed before it hears of it goes to the next", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const queue = yield* SharedQueue.bounded<unknown>(1)
      const child = yield* start(F.takesAndComputes, { queue, path: events.path })
      yield* events.until("computes")
      yield* SharedQueue.offer(queue, "it")
      assert.deepStrictEqual(yield* SharedQueue.poll(queue), Option.none())
      assert.strictEqual(yield* SharedQueue.size(queue), 1)
      const next = yield* forked(SharedQueue.take(queue))
      yield* Process.kill(child)
      assert.deepStrictEqual(yield* ended(next), Exit.succeed("it"))
    }))

  law(
    "a producer that is killed while it waits adds nothing, and lets those behind it go",
    () =>
      Effect.gen(function*() {
        const events = yield* makeEvents
        const queue = yield* SharedQueue.bounded<unknown>(1)
        yield* SharedQueue.offer(queue, 1)
        const child = yield* start(F.waitsToOffer, { queue, value: 2, path: events.path, name: "producer" })
        yield* events.until("producer waits")
        const behind = yield* forked(SharedQueue.offer(queue, 3))
        yield* Process.kill(child)
        yield* bounded("the child ended")(Process.exited(child))
        yield* turns // its connection is known to be closed
        assert.strictEqual(yield* SharedQueue.take(queue), 1)
        assert.isTrue(Exit.isSuccess(yield* ended(behind)))
        assert.strictEqual(yield* bounded("a value")(SharedQueue.take(queue)), 3)
      })
  )

  if (claims.signals) {
    law("a value that kills its taker does so once", () =>
      Effect.gen(function*() {
        const queue = yield* SharedQueue.unbounded<unknown>()
        yield* SharedQueue.offerAll(queue, ["poison", "good"])
        const child = yield* start(F.diesOfIt, { queue })
        yield* bounded("the child ended")(Process.exited(child))
        assert.strictEqual(yield* run(F.takesOne, { queue }), "good")
        assert.strictEqual(yield* SharedQueue.size(queue), 0)
      }))
  }

  law("when its owner is killed who waits, and who will, is told", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const owner = yield* start(F.owns, { path: events.path })
      yield* events.until("made")
      const data = JSON.parse(events.seen().find((text) => text.startsWith("{"))!)
      const queue = openQueue(data) as unknown as SharedQueue.SharedQueue<string>
      yield* SharedQueue.offerAll(queue, ["one", "two"])
      const offering = yield* forked(SharedQueue.offer(queue, "three"))
      const joiner = yield* forked(SharedQueue.join(queue))
      assert.strictEqual(yield* SharedQueue.size(queue), 2)
      assert.deepStrictEqual([isDone(offering), isDone(joiner)], [false, false])
      yield* Process.kill(owner)
      for (const fiber of [offering, joiner]) assert.strictEqual(reasonOf(yield* ended(fiber))._tag, "Closed")
      assert.strictEqual(reasonOf(yield* bounded("it is told")(Effect.exit(SharedQueue.take(queue))))._tag, "Closed")
    }))
}

export const suite = ({ claims, layer, name }: Method): void => {
  const setting: Setting = { law: laws(layer), claims }

  describe(`queue on ${name}`, () => {
    describe("a queue", () => values(setting))
    describe("who waits", () => waiting(setting))
    describe("its end", () => endings(setting))
    describe("its work", () => joining(setting))
    if (claims.killsBusy) describe("deaths", () => deaths(setting))
  })
}
