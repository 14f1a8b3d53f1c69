/**
 * The laws of semaphores, events, conditions and barriers, across the children of a start method. PYTHON-SYNC.md says which
 * of CPython's tests they stand for.
 */
import { assert, describe } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Logger, Option, References, Schema, Scope } from "effect"
import {
  Pool,
  Process,
  SharedBarrier,
  SharedCondition,
  SharedEvent,
  SharedLock,
  SharedMemory,
  SharedSemaphore,
  SharedValue
} from "../../src/index.ts"
import type { StartMethod, Task } from "../../src/index.ts"
import { openBarrier } from "../../src/internal/handles/barrier.ts"
import { openEvent } from "../../src/internal/handles/event.ts"
import type { EventHandle } from "../../src/internal/handles/event.ts"
import { crossing } from "../../src/internal/handles/handle.ts"
import { openSemaphore } from "../../src/internal/handles/semaphore.ts"
import * as F from "../fixtures/sync.ts"
import { bounded, defectOf, numbers, reasonOf } from "./assertions.ts"
import { makeEvents } from "./events.ts"
import type { Events } from "./events.ts"
import { laws } from "./law.ts"
import type { Method } from "./methods.ts"

type Child<A> = Effect.Effect<Process.Process<A>, unknown, StartMethod.StartMethod | Scope.Scope>

/** A child that ends with the test, whatever it waits for. */
const start = <P, A>(task: Task.Task<P, A, never, Process.Provided>, payload: P): Child<A> =>
  Process.start(task, payload as never, { daemon: true }) as Child<A> // the payload is one of this task

const run = <P, A>(task: Task.Task<P, A, never, Process.Provided>, payload: P) =>
  Effect.flatMap(start(task, payload), (child) => bounded(`a child ended`)(Process.join(child)))

/** Lets other fibers of this process, and messages that have come, go on. */
const turns = Effect.replicateEffect(F.turn, 20, { discard: true })

const forked = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

const isDone = (fiber: Fiber.Fiber<unknown, unknown>): boolean => fiber.pollUnsafe() !== undefined

const ended = <A, E>(fiber: Fiber.Fiber<A, E>) => bounded("a fiber ended")(Fiber.await(fiber))

const tellsOf = (events: Events, word: string): ReadonlyArray<string> =>
  events.seen().filter((event) => event.endsWith(` ${word}`))

const isRangeError = (exit: Exit.Exit<unknown, unknown>, words: string): void => {
  const defect = defectOf(exit)
  assert.instanceOf(defect, RangeError)
  assert.include(String(defect), words)
}

const isClosed = (exit: Exit.Exit<unknown, unknown>, what: string): void => {
  const reason = reasonOf(exit)
  assert.strictEqual(reason._tag, "Closed")
  assert.include(reason.message, what)
}

/** Something of a scope that the test closes. */
const ownedElsewhere = <A, E>(make: Effect.Effect<A, E, Scope.Scope>) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    return { close: Scope.close(scope, Exit.void), it: yield* Scope.provide(make, scope) }
  })

interface Setting {
  readonly law: ReturnType<typeof laws>
  readonly claims: Method["claims"]
  /** Values and locks reach the children. */
  readonly reaches: boolean
}

// ---------------------------------------------------------------------------------------------------- semaphores

const semaphores = ({ claims, law, reaches }: Setting): void => {
  law("has so many permits, and more when more are released", () =>
    Effect.gen(function*() {
      const semaphore = yield* SharedSemaphore.make(2)
      assert.strictEqual(semaphore.permits, 2)
      assert.strictEqual(yield* SharedSemaphore.take(semaphore, 1), 1)
      assert.strictEqual(yield* run(F.takes, { semaphore, permits: 1 }), 1)
      // what a child has comes back when it ends; inline there is nobody to end
      if (claims.exits) yield* ended(yield* forked(SharedSemaphore.take(semaphore, 1)))
      assert.strictEqual(yield* run(F.releases, { semaphore, permits: 1 }), 1)
      assert.strictEqual(yield* SharedSemaphore.release(semaphore, 1), 2)
      assert.strictEqual(yield* SharedSemaphore.release(semaphore, 1), 3)
      assert.strictEqual(yield* SharedSemaphore.take(semaphore, 3), 3)
    }))

  law(
    "that is bounded never has more: one release too many is a defect, here and elsewhere",
    () =>
      Effect.gen(function*() {
        const semaphore = yield* SharedSemaphore.make(2, { bounded: true })
        yield* SharedSemaphore.take(semaphore, 2)
        assert.strictEqual(yield* SharedSemaphore.release(semaphore, 1), 1)
        assert.strictEqual(yield* run(F.releases, { semaphore, permits: 1 }), 2, "not the taker")
        isRangeError(yield* Effect.exit(SharedSemaphore.release(semaphore, 1)), "2 permits, and never more")
        const child = yield* start(F.releases, { semaphore, permits: 3 })
        const exit = yield* bounded("the child ended")(Process.wait(child))
        assert.include(String(defectOf(exit)), "2 permits, and never more")
        isRangeError(yield* Effect.exit(SharedSemaphore.take(semaphore, 3)), "Ask for 1 to 2")
        assert.strictEqual(yield* SharedSemaphore.take(semaphore, 2), 2)
      })
  )

  law("refuses numbers that are none", () =>
    Effect.gen(function*() {
      const semaphore = yield* SharedSemaphore.make(0)
      for (const count of [-1, 1.5, NaN, Infinity, "1" as never]) {
        isRangeError(yield* Effect.exit(SharedSemaphore.make(count)), "SharedSemaphore.make: permits")
        isRangeError(yield* Effect.exit(SharedSemaphore.take(semaphore, count)), "SharedSemaphore.take: permits")
        isRangeError(yield* Effect.exit(SharedSemaphore.release(semaphore, count)), "SharedSemaphore.release")
        isRangeError(
          yield* Effect.exit(SharedSemaphore.withPermits(semaphore, count)(Effect.void)),
          "SharedSemaphore.withPermits"
        )
      }
      isRangeError(yield* Effect.exit(SharedSemaphore.take(semaphore, 0)), "1 or more")
    }))

  law("gives up at a timeout, and has taken nothing", () =>
    Effect.gen(function*() {
      const semaphore = yield* SharedSemaphore.make(0)
      const gaveUp = yield* Effect.timeoutOption(SharedSemaphore.take(semaphore, 1), "20 millis")
      assert.deepStrictEqual(gaveUp, Option.none())
      assert.strictEqual(yield* SharedSemaphore.release(semaphore, 1), 1)
      assert.strictEqual(yield* run(F.takes, { semaphore, permits: 1 }), 1)
    }))

  law(
    "waits for many permits first come, first served: the large request is not overtaken",
    () =>
      Effect.gen(function*() {
        const events = yield* makeEvents
        const { path } = events
        const probe = yield* SharedSemaphore.make(0)
        const semaphore = yield* SharedSemaphore.make(3)
        yield* SharedSemaphore.take(semaphore, 3)
        yield* start(F.queues, { semaphore, permits: 3, probe, path, name: "large" })
        yield* events.until("large waits")
        yield* start(F.queues, { semaphore, permits: 1, probe, path, name: "small" })
        yield* events.until("small waits")
        assert.strictEqual(yield* SharedSemaphore.release(semaphore, 2), 2)
        assert.deepStrictEqual(tellsOf(events, "1"), [])
        assert.strictEqual(yield* SharedSemaphore.release(semaphore, 1), 0)
        yield* events.until("large 3")
        if (claims.killsBusy) yield* events.until("small 1") // the large one's child has ended
      })
  )

  law("a waiter that is interrupted takes no permit, and lets those behind it go", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const { path } = events
      const probe = yield* SharedSemaphore.make(0)
      const semaphore = yield* SharedSemaphore.make(1)
      const large = yield* start(F.queues, { semaphore, permits: 2, probe, path, name: "large" })
      yield* events.until("large waits")
      const small = yield* forked(SharedSemaphore.take(semaphore, 1))
      assert.isFalse(isDone(small))
      yield* Process.interrupt(large)
      assert.isTrue(Exit.isSuccess(yield* ended(small)))
      assert.strictEqual(yield* SharedSemaphore.release(semaphore, 1), 1)
    }))

  law("loses no permit and makes none, whenever takers are interrupted", () =>
    Effect.gen(function*() {
      const semaphore = yield* SharedSemaphore.make(2, { bounded: true })
      const pool = yield* Pool.make({ processes: 2 })
      // the workers live on: what they had lost would not come back by their end
      const payloads = [1, 2].map((permits) => ({ semaphore, permits, rounds: 60 }))
      yield* bounded("the rounds are over")(Pool.map(pool, F.interruptsTakers, payloads, { chunkSize: 1 }))
      yield* bounded("all permits are free")(SharedSemaphore.take(semaphore, 2))
      assert.strictEqual(yield* SharedSemaphore.release(semaphore, 2), 2)
    }))

  law(
    "withPermits loses no permit and makes none, at whatever step of the fiber it is interrupted",
    () =>
      Effect.gen(function*() {
        const semaphore = yield* SharedSemaphore.make(1, { bounded: true })
        // a turn of the event loop after each few steps; with fewer it makes none
        const finely = Effect.provideService(References.MaxOpsBeforeYield, 3)
        for (let steps = 0; steps < 40; steps++) {
          const waits = steps % 2 === 0
          if (waits) yield* SharedSemaphore.take(semaphore, 1)
          const fiber = yield* forked(finely(SharedSemaphore.withPermits(semaphore, 1, Effect.void)))
          if (waits) yield* Effect.andThen(turns, SharedSemaphore.release(semaphore, 1))
          for (let step = 0; step < steps / 2; step++) yield* F.turn
          yield* Fiber.interrupt(fiber)
          yield* ended(fiber)
          yield* bounded(`it is free after ${steps} steps`)(SharedSemaphore.take(semaphore, 1))
          yield* SharedSemaphore.release(semaphore, 1)
        }
      })
  )

  law(
    "withPermits gives them back after success, failure, a defect and interruption, in both call shapes",
    () =>
      Effect.gen(function*() {
        const semaphore = yield* SharedSemaphore.make(2, { bounded: true })
        assert.strictEqual(yield* SharedSemaphore.withPermits(semaphore, 2, Effect.succeed("done")), "done")
        const failed = Effect.fail("failed").pipe(SharedSemaphore.withPermits(semaphore, 2))
        assert.deepStrictEqual(yield* Effect.exit(failed), Exit.fail("failed"))
        assert.strictEqual(defectOf(yield* Effect.exit(SharedSemaphore.withPermits(semaphore, 2, Effect.die(1)))), 1)
        const fiber = yield* forked(SharedSemaphore.withPermits(semaphore, 2, Effect.never))
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(yield* SharedSemaphore.take(semaphore, 2), 2)
      })
  )

  law("ends with its scope: who waits, and who will, is told", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const { path } = events
      const probe = yield* SharedSemaphore.make(0)
      const { close, it } = yield* ownedElsewhere(SharedSemaphore.make(0))
      const here = yield* forked(SharedSemaphore.take(it, 1))
      yield* start(F.queues, { semaphore: it, permits: 1, probe, path, name: "there" })
      yield* events.until("there waits")
      yield* close
      isClosed(yield* ended(here), "SharedSemaphore")
      yield* events.until("there Closed")
      isClosed(yield* Effect.exit(SharedSemaphore.release(it, 1)), "SharedSemaphore")
      // nor does it leave any more
      isClosed(yield* Effect.exit(run(F.takes, { semaphore: it, permits: 1 })), "SharedSemaphore")
    }))

  if (reaches && claims.exits) {
    law("who uses what nobody else wants asks nobody: its owner computes meanwhile", () =>
      Effect.gen(function*() {
        const events = yield* makeEvents
        const { path } = events
        const semaphore = yield* SharedSemaphore.make(3, { bounded: true })
        const event = yield* SharedEvent.make()
        const rounds = yield* SharedValue.make("int32")
        const child = yield* start(F.alone, { semaphore, permits: 2, event, rounds, path, name: "child" })
        yield* events.until("child begins")
        const until = Date.now() + 20_000
        // no message is read meanwhile
        while (Effect.runSync(SharedValue.get(rounds)) < 1000 && Date.now() < until);
        assert.strictEqual(yield* SharedValue.get(rounds), 1000)
        assert.strictEqual(yield* bounded("the child has ended")(Process.join(child)), 3)
        assert.isFalse(yield* SharedEvent.isSet(event))
        // what lies idle there is there for others
        assert.strictEqual(yield* SharedSemaphore.take(semaphore, 3), 3)
      }))
  }

  if (reaches) {
    law("no more are out than there are, over all children", () =>
      Effect.gen(function*() {
        const semaphore = yield* SharedSemaphore.make(3)
        const inside = yield* SharedValue.make("int32")
        const most = yield* SharedValue.make("int32")
        const children = yield* Effect.forEach([1, 2, 1, 3], (permits) =>
          start(F.counts, { semaphore, permits, inside, most }))
        for (const child of children) {
          assert.isUndefined(yield* bounded("a child has been in")(Process.join(child)))
        }
        assert.isAtMost(yield* SharedValue.get(most), 3)
        assert.strictEqual(yield* SharedValue.get(inside), 0)
      }))
  }

  if (claims.killsBusy) {
    law("what a child that is killed had, and what it waited for, comes back", () =>
      Effect.gen(function*() {
        const events = yield* makeEvents
        const { path } = events
        const probe = yield* SharedSemaphore.make(0)
        const semaphore = yield* SharedSemaphore.make(3, { bounded: true })
        const holder = yield* start(F.holds, { semaphore, permits: 2, path, name: "holder" })
        yield* events.until("holder holds")
        const waiter = yield* start(F.queues, { semaphore, permits: 3, probe, path, name: "waiter" })
        yield* events.until("waiter waits")
        const small = yield* forked(SharedSemaphore.take(semaphore, 1))
        assert.isFalse(isDone(small))
        yield* Process.kill(waiter)
        assert.isTrue(Exit.isSuccess(yield* ended(small)), "it waits behind nobody any more")
        const rest = yield* forked(SharedSemaphore.take(semaphore, 2))
        yield* Process.kill(holder)
        assert.isTrue(Exit.isSuccess(yield* ended(rest)))
        assert.strictEqual(yield* SharedSemaphore.release(semaphore, 3), 3)
      }))
  }
}

// ---------------------------------------------------------------------------------------------------- events

const sharedEvents = ({ law }: Setting): void => {
  law("is not set, is set, is cleared: every child sees it at once", () =>
    Effect.gen(function*() {
      const event = yield* SharedEvent.make()
      const pool = yield* Pool.make({ processes: 1 })
      const seen = () => Effect.all([SharedEvent.isSet(event), Pool.apply(pool, F.looks, { event })])
      assert.deepStrictEqual(yield* seen(), [false, false])
      yield* SharedEvent.set(event)
      yield* SharedEvent.set(event)
      assert.deepStrictEqual(yield* seen(), [true, true])
      yield* Pool.apply(pool, F.clears, { event })
      assert.deepStrictEqual(yield* seen(), [false, false])
      yield* Pool.apply(pool, F.sets, { event })
      assert.deepStrictEqual(yield* seen(), [true, true])
      assert.isTrue(yield* SharedEvent.isSet(yield* SharedEvent.make(true)))
    }))

  law("who waits goes when it is set, and who comes later does not wait", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const { path } = events
      const probe = yield* SharedSemaphore.make(0)
      const event = yield* SharedEvent.make()
      const here = yield* forked(SharedEvent.wait(event))
      for (const name of ["a", "b"]) yield* start(F.awaits, { event, probe, path, name })
      yield* events.until("a waits")
      yield* events.until("b waits")
      assert.isFalse(isDone(here))
      yield* run(F.sets, { event })
      yield* ended(here)
      yield* events.until("a goes")
      yield* events.until("b goes")
      yield* SharedEvent.wait(event)
      assert.isUndefined(yield* run(F.awaits, { event, probe, path, name: "c" }))
    }))

  law("who waits goes, also when it is cleared in the same moment", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const { path } = events
      const probe = yield* SharedSemaphore.make(0)
      const event = yield* SharedEvent.make()
      yield* start(F.awaits, { event, probe, path, name: "a" })
      yield* events.until("a waits")
      yield* Effect.andThen(SharedEvent.set(event), SharedEvent.clear(event))
      yield* events.until("a goes")
    }))

  law("gives up at a timeout, as often as it is not set", () =>
    Effect.gen(function*() {
      const event = yield* SharedEvent.make()
      const wait = Effect.timeoutOption(SharedEvent.wait(event), "10 millis")
      assert.deepStrictEqual(yield* wait, Option.none())
      assert.deepStrictEqual(yield* wait, Option.none())
      yield* SharedEvent.set(event)
      assert.deepStrictEqual(yield* wait, Option.some(undefined))
      yield* SharedEvent.clear(event)
      assert.deepStrictEqual(yield* wait, Option.none())
    }))

  law("a waiter that is interrupted, or killed, holds nobody up", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const { path } = events
      const probe = yield* SharedSemaphore.make(0)
      const event = yield* SharedEvent.make()
      const ends = { a: Process.interrupt, b: Process.kill, c: undefined }
      for (const name of ["a", "b", "c"] as const) {
        const child = yield* start(F.awaits, { event, probe, path, name })
        yield* events.until(`${name} waits`)
        yield* ends[name]?.(child) ?? Effect.void
      }
      yield* SharedEvent.set(event)
      yield* events.until("c goes")
    }))

  law("ends with its scope: who waits, and who will, is told, also when it was set", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const { path } = events
      const probe = yield* SharedSemaphore.make(0)
      const { close, it } = yield* ownedElsewhere(SharedEvent.make())
      const here = yield* forked(SharedEvent.wait(it))
      yield* start(F.awaits, { event: it, probe, path, name: "there" })
      yield* events.until("there waits")
      yield* close
      isClosed(yield* ended(here), "SharedEvent")
      yield* events.until("there Closed")
      isClosed(yield* Effect.exit(SharedEvent.set(it)), "SharedEvent")
      const set = yield* ownedElsewhere(SharedEvent.make(true))
      yield* set.close
      isClosed(yield* Effect.exit(SharedEvent.wait(set.it)), "SharedEvent")
      assert.isFalse(yield* SharedEvent.isSet(set.it))
    }))
}

// ---------------------------------------------------------------------------------------------------- conditions

/** So many children that wait; whoever has the lock after this finds all of them waiting. */
const sleepers = (condition: SharedCondition.SharedCondition, events: Events, names: ReadonlyArray<string>) =>
  Effect.forEach(
    names,
    (name) => Effect.tap(start(F.sleeps, { condition, path: events.path, name }), () => events.until(`${name} sleeps`))
  )

/** Has had the lock: whoever slept with it waits now. */
const visits = (condition: SharedCondition.SharedCondition) => SharedLock.withLock(condition.lock, Effect.void)

const notify = (condition: SharedCondition.SharedCondition, count?: number) =>
  SharedLock.withLock(condition.lock, SharedCondition.notify(condition, count))

const notifyAll = (condition: SharedCondition.SharedCondition) =>
  SharedLock.withLock(condition.lock, SharedCondition.notifyAll(condition))

const conditions = ({ claims, law }: Setting): void => {
  law("notify lets one go, the one that has waited longest", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const condition = yield* SharedCondition.make()
      yield* sleepers(condition, events, ["a", "b"])
      yield* notify(condition)
      yield* events.until("a wakes")
      yield* visits(condition)
      assert.deepStrictEqual(tellsOf(events, "wakes"), ["a wakes"])
      assert.isUndefined(yield* run(F.notifies, { condition, count: 1 }))
      yield* events.until("b wakes")
    }))

  law("notifyAll lets all go", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const condition = yield* SharedCondition.make()
      yield* sleepers(condition, events, ["a", "b", "c"])
      const here = yield* forked(SharedLock.withLock(condition.lock, SharedCondition.wait(condition)))
      yield* visits(condition)
      assert.isUndefined(yield* run(F.notifies, { condition, count: Infinity }))
      yield* ended(here)
      for (const name of ["a", "b", "c"]) yield* events.until(`${name} wakes`)
    }))

  law("notify(n) lets n go, and no more than there are", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const condition = yield* SharedCondition.make()
      yield* sleepers(condition, events, ["a", "b", "c"])
      yield* notify(condition, 0)
      yield* notify(condition, 2)
      yield* events.until("a wakes")
      yield* events.until("b wakes")
      yield* visits(condition)
      assert.sameMembers([...tellsOf(events, "wakes")], ["a wakes", "b wakes"])
      yield* notify(condition, 4)
      yield* events.until("c wakes")
      yield* notify(condition, 3)
      isRangeError(yield* Effect.exit(notify(condition, -1)), "the count")
      isRangeError(yield* Effect.exit(notify(condition, 1.5)), "the count")
    }))

  law("a notification that nobody waits for is not kept", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const condition = yield* SharedCondition.make()
      yield* notifyAll(condition)
      yield* sleepers(condition, events, ["a"])
      yield* visits(condition)
      assert.deepStrictEqual(tellsOf(events, "wakes"), [])
      yield* notify(condition)
      yield* events.until("a wakes")
    }))

  law("a timeout around the lock gives up waiting", () =>
    Effect.gen(function*() {
      const condition = yield* SharedCondition.make()
      const waiting = SharedLock.withLock(condition.lock, SharedCondition.wait(condition))
      assert.deepStrictEqual(yield* Effect.timeoutOption(waiting, "10 millis"), Option.none())
      assert.isFalse(yield* SharedLock.isLocked(condition.lock))
    }))

  law("waitFor waits until something holds, and looks each time it is notified", () =>
    Effect.gen(function*() {
      const condition = yield* SharedCondition.make()
      const state = yield* SharedValue.make("int32", -1)
      const child = yield* start(F.waitsForFour, { condition, state })
      const here = Effect.map(SharedValue.get(state), (n) => n === 0)
      yield* bounded("the child is here")(
        SharedLock.withLock(condition.lock, SharedCondition.waitFor(condition, here))
      )
      for (let i = 0; i < 4; i++) {
        yield* SharedLock.withLock(
          condition.lock,
          Effect.andThen(SharedValue.update(state, (n) => n + 1), SharedCondition.notify(condition))
        )
      }
      assert.strictEqual(yield* bounded("the child has seen it")(Process.join(child)), 4)
      yield* SharedLock.withLock(condition.lock, SharedCondition.waitFor(condition, Effect.succeed(true)))
    }))

  law("a timeout around the lock gives up waitFor", () =>
    Effect.gen(function*() {
      const condition = yield* SharedCondition.make()
      let looked = 0
      const never = SharedCondition.waitFor(condition, Effect.sync(() => ++looked > 100))
      const waiting = yield* forked(
        Effect.timeoutOption(SharedLock.withLock(condition.lock, never), "200 millis")
      )
      yield* notifyAll(condition)
      assert.deepStrictEqual(yield* ended(waiting), Exit.succeed(Option.none()))
      assert.strictEqual(looked, 2)
    }))

  law("hands out each thing once: consumers in children wait for what is brought here", () =>
    Effect.gen(function*() {
      const condition = yield* SharedCondition.make()
      const state = yield* SharedValue.make("int32")
      const children = yield* Effect.forEach([10, 20], (times) => start(F.consumes, { condition, state, times }))
      for (let i = 0; i < 30; i++) {
        yield* SharedLock.withLock(
          condition.lock,
          Effect.andThen(SharedValue.update(state, (n) => n + 1), SharedCondition.notify(condition))
        )
      }
      for (const [i, times] of [10, 20].entries()) {
        assert.strictEqual(yield* bounded("a consumer has got all")(Process.join(children[i]!)), times)
      }
      assert.strictEqual(yield* SharedValue.get(state), 0)
    }))

  law(
    "is for the fiber that holds the lock: anybody else is a defect, here and elsewhere",
    () =>
      Effect.gen(function*() {
        const condition = yield* SharedCondition.make()
        const calls = [
          SharedCondition.wait(condition),
          SharedCondition.waitFor(condition, Effect.succeed(true)),
          SharedCondition.notify(condition),
          SharedCondition.notifyAll(condition)
        ]
        for (const call of calls) {
          assert.include(String(defectOf(yield* Effect.exit(call))), "does not hold the lock")
          const inside = SharedLock.withLock(condition.lock, Effect.flatMap(forked(Effect.exit(call)), Fiber.join))
          assert.include(String(defectOf(yield* inside)), "does not hold the lock", "another fiber")
        }
        const child = yield* start(F.waitsWithoutLock, { condition })
        const exit = yield* bounded("the child ended")(Process.wait(child))
        assert.include(String(defectOf(exit)), "does not hold the lock")
      })
  )

  law("gives a reentrant lock up however often it is held, and holds it as often again", () =>
    Effect.gen(function*() {
      const condition = yield* SharedCondition.make()
      assert.isTrue(condition.lock.reentrant)
      const inside: Array<boolean> = []
      const look = Effect.tap(
        SharedLock.isLocked(condition.lock),
        (isLocked) => Effect.sync(() => inside.push(isLocked))
      )
      const twice = SharedLock.withLock(
        condition.lock,
        Effect.andThen(SharedLock.withLock(condition.lock, SharedCondition.wait(condition)), look)
      )
      const fiber = yield* forked(twice)
      yield* turns
      assert.isFalse(yield* SharedLock.isLocked(condition.lock))
      assert.isUndefined(yield* run(F.notifies, { condition, count: 1 }))
      yield* ended(fiber)
      assert.deepStrictEqual(inside, [true])
      assert.isFalse(yield* SharedLock.isLocked(condition.lock))
    }))

  law(
    "shares a plain lock with another condition: who waits for the one is not woken by the other",
    () =>
      Effect.gen(function*() {
        const lock = yield* SharedLock.make()
        const events = yield* makeEvents
        const first = yield* SharedCondition.make(lock)
        const second = yield* SharedCondition.make(lock)
        assert.strictEqual(first.lock, lock)
        yield* sleepers(first, events, ["a"])
        yield* sleepers(second, events, ["b"])
        yield* notifyAll(second)
        yield* events.until("b wakes")
        yield* visits(first)
        assert.deepStrictEqual(tellsOf(events, "wakes"), ["b wakes"])
        assert.isUndefined(yield* run(F.notifies, { condition: first, count: 1 }))
        yield* events.until("a wakes")
      })
  )

  law("a wait that is interrupted has the lock again before it ends", () =>
    Effect.gen(function*() {
      const condition = yield* SharedCondition.make()
      const waits = yield* Deferred.make<void>()
      const ends: Array<boolean> = []
      const fiber = yield* forked(SharedLock.withLock(
        condition.lock,
        Effect.andThen(Deferred.succeed(waits, undefined), SharedCondition.wait(condition)).pipe(
          Effect.onInterrupt(() =>
            Effect.map(SharedLock.isLocked(condition.lock), (isLocked) => void ends.push(isLocked))
          )
        )
      ))
      yield* Deferred.await(waits)
      yield* SharedLock.withLock(
        condition.lock,
        Effect.gen(function*() {
          const interrupting = yield* forked(Fiber.interrupt(fiber))
          yield* turns
          assert.isFalse(isDone(interrupting), "the lock is held here")
          assert.deepStrictEqual(ends, [])
        })
      )
      assert.isTrue(Exit.hasInterrupts(yield* ended(fiber)))
      assert.deepStrictEqual(ends, [true])
      assert.isFalse(yield* SharedLock.isLocked(condition.lock))
    }))

  law(
    "a waiter that was notified and is interrupted before it has the lock hands the notification on",
    () =>
      Effect.gen(function*() {
        const events = yield* makeEvents
        const condition = yield* SharedCondition.make()
        const here = yield* forked(SharedLock.withLock(condition.lock, SharedCondition.wait(condition)))
        yield* turns
        yield* sleepers(condition, events, ["a"])
        yield* SharedLock.withLock(
          condition.lock,
          Effect.gen(function*() {
            yield* SharedCondition.notify(condition)
            yield* forked(Fiber.interrupt(here))
          })
        )
        assert.isTrue(Exit.hasInterrupts(yield* ended(here)))
        yield* events.until("a wakes")
      })
  )

  law("a child that waits and is interrupted, or killed, eats no notification", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const condition = yield* SharedCondition.make()
      const children = yield* sleepers(condition, events, ["a", "b", "c"])
      yield* visits(condition)
      yield* Process.interrupt(children[0]!)
      yield* Process.kill(children[1]!)
      yield* Process.exited(children[0]!)
      yield* Process.exited(children[1]!)
      yield* turns
      yield* notify(condition)
      yield* events.until("c wakes")
    }))

  law("ends with its scope: who waits, and who will, is told", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      for (const lock of [undefined, yield* SharedLock.make()]) {
        const { close, it } = yield* ownedElsewhere(SharedCondition.make(lock))
        const here = yield* forked(SharedLock.withLock(it.lock, SharedCondition.wait(it)))
        const [child] = yield* sleepers(it, events, ["a"])
        yield* visits(it)
        yield* close
        assert.strictEqual(reasonOf(yield* ended(here))._tag, "Closed")
        assert.strictEqual(yield* bounded("the child is told")(Process.join(child!)), "Closed")
        assert.strictEqual(reasonOf(yield* Effect.exit(notify(it)))._tag, "Closed")
        assert.isFalse(yield* SharedLock.isLocked(it.lock))
      }
    }))

  law("ends with the scope of its lock, too: nobody could notify any more", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const lock = yield* ownedElsewhere(SharedLock.make())
      const condition = yield* SharedCondition.make(lock.it)
      const here = yield* forked(SharedLock.withLock(lock.it, SharedCondition.wait(condition)))
      const [child] = yield* sleepers(condition, events, ["a"])
      yield* visits(condition)
      yield* lock.close
      assert.strictEqual(reasonOf(yield* ended(here))._tag, "Closed")
      assert.strictEqual(yield* bounded("the child is told")(Process.join(child!)), "Closed")
      const late = yield* SharedCondition.make(lock.it)
      assert.strictEqual(reasonOf(yield* Effect.exit(notify(late)))._tag, "Closed")
    }))

  if (claims.killsBusy) {
    law(
      "the death of one that has the lock wakes all who wait: they are told that the lock is abandoned",
      () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const { path } = events
          const condition = yield* SharedCondition.make()
          const [sleeper] = yield* sleepers(condition, events, ["a"])
          const here = yield* forked(SharedLock.withLock(condition.lock, SharedCondition.wait(condition)))
          yield* turns
          const holder = yield* start(F.holdsLock, { condition, path, name: "holder" })
          yield* events.until("holder holds")
          yield* Process.kill(holder)
          const error = Option.getOrThrow(Exit.findErrorOption(yield* ended(here)))
          assert.instanceOf(error, SharedLock.LockAbandoned)
          assert.strictEqual((error as SharedLock.LockAbandoned).pid, holder.pid)
          assert.strictEqual(yield* bounded("the child is told")(Process.join(sleeper!)), "LockAbandoned")
          yield* SharedLock.recover(condition.lock, Effect.void)
          yield* sleepers(condition, events, ["b"])
          yield* notify(condition)
          yield* events.until("b wakes")
        })
    )
  }
}

// ---------------------------------------------------------------------------------------------------- barriers

const brokenBy = (exit: Exit.Exit<unknown, unknown>, why: string): void => {
  const error = Option.getOrThrow(Exit.findErrorOption(exit))
  assert.instanceOf(error, SharedBarrier.BarrierBroken)
  assert.include((error as SharedBarrier.BarrierBroken).message, why)
}

const Shade = Context.Reference<string>("test/Shade", { defaultValue: () => "none" })

/** Children that wait. */
const arrivals = (barrier: SharedBarrier.SharedBarrier, events: Events, names: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const probe = yield* SharedSemaphore.make(0)
    return yield* Effect.forEach(
      names,
      (name) =>
        Effect.tap(
          start(F.arrives, { barrier, probe, path: events.path, name }),
          () => events.until(`${name} waits`)
        ),
      { concurrency: "unbounded" }
    )
  })

const barrierRounds = ({ law, reaches }: Setting): void => {
  for (const rounds of [1, 10]) {
    law(
      `nobody goes on before all have come, ${rounds === 1 ? "once" : `${rounds} times`}`,
      () =>
        Effect.gen(function*() {
          const barrier = yield* SharedBarrier.make(3)
          assert.strictEqual(barrier.parties, 3)
          if (!reaches) {
            yield* Effect.forEach([1, 2, 3], () => start(F.meets, { barrier, rounds }))
            return
          }
          const arrived = yield* SharedValue.make("int32")
          const children = yield* Effect.forEach(
            [1, 2, 3],
            () => start(F.keepsStep, { arrived, barrier, rounds })
          )
          for (const child of children) {
            const seen = yield* bounded("a party has gone through")(Process.join(child))
            assert.deepStrictEqual(seen, numbers(rounds).map((round) => 3 * (round + 1)))
          }
          assert.isFalse(yield* SharedBarrier.isBroken(barrier))
        })
    )
  }

  law("gives each party of a round another place, from 0", () =>
    Effect.gen(function*() {
      const barrier = yield* SharedBarrier.make(3)
      const children = yield* Effect.forEach([1, 2], () => start(F.meets, { barrier, rounds: 5 }))
      const mine: Array<number> = []
      for (let round = 0; round < 5; round++) {
        mine.push(yield* bounded("the others have come")(SharedBarrier.wait(barrier)))
      }
      const theirs = yield* Effect.forEach(children, (child) => bounded("a child ended")(Process.join(child)))
      for (let round = 0; round < 5; round++) {
        assert.sameMembers([mine[round]!, ...theirs.map((places) => Number(places[round]))], [0, 1, 2])
      }
    }))

  law("of one party is no barrier", () =>
    Effect.gen(function*() {
      const barrier = yield* SharedBarrier.make(1)
      assert.strictEqual(yield* SharedBarrier.wait(barrier), 0)
      assert.deepStrictEqual(yield* run(F.meets, { barrier, rounds: 2 }), [0, 0])
    }))

  law("a thousand rounds", () =>
    Effect.gen(function*() {
      let runs = 0
      const barrier = yield* SharedBarrier.make(2, { action: Effect.sync(() => void runs++) })
      const children = yield* Effect.forEach([1, 2], () => start(F.meets, { barrier, rounds: 1000 }))
      const places = yield* Effect.forEach(children, (child) => bounded("a child ended")(Process.join(child)))
      assert.strictEqual(runs, 1000)
      for (let round = 0; round < 1000; round++) {
        assert.strictEqual(Number(places[0]![round]) + Number(places[1]![round]), 1)
      }
    }))
}

const barrierActions = ({ law }: Setting): void => {
  law("runs its action once a round, here, with what make had, before anybody goes on", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const opened = yield* Deferred.make<void>()
      const ran: Array<string> = []
      const barrier = yield* Effect.provideService(
        SharedBarrier.make(2, {
          action: Effect.gen(function*() {
            ran.push(yield* Shade)
            yield* Deferred.await(opened)
          })
        }),
        Shade,
        "dark"
      )
      yield* arrivals(barrier, events, ["a", "b"])
      assert.deepStrictEqual(ran, ["dark"])
      assert.deepStrictEqual(tellsOf(events, "passes"), [])
      yield* Deferred.succeed(opened, undefined)
      yield* events.until("a passes")
      yield* events.until("b passes")
      yield* Effect.all([SharedBarrier.wait(barrier), SharedBarrier.wait(barrier)], { concurrency: 2 })
      assert.deepStrictEqual(ran, ["dark", "dark"])
    }))

  law("an action that fails breaks it, and is logged here", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const logged: Array<string> = []
      const logger = Logger.make<unknown, void>(({ message }) => void logged.push(String(message)))
      const barrier = yield* Effect.provide(
        SharedBarrier.make(2, { action: Effect.die(new Error("no paint left")) }),
        Logger.layer([logger])
      )
      const [child] = yield* arrivals(barrier, events, ["a"])
      brokenBy(yield* Effect.exit(SharedBarrier.wait(barrier)), "no paint left")
      assert.strictEqual(yield* bounded("the child is told")(Process.join(child!)), "BarrierBroken")
      assert.isTrue(yield* SharedBarrier.isBroken(barrier))
      assert.include(logged.join(), "The action of a SharedBarrier failed")
    }))

  law("an action ends with the scope, and those who wait are told", () =>
    Effect.gen(function*() {
      const finalized = yield* Deferred.make<void>()
      const { close, it } = yield* ownedElsewhere(SharedBarrier.make(2, {
        action: Effect.onInterrupt(Effect.never, () => Deferred.succeed(finalized, undefined))
      }))
      const waiting = yield* forked(
        Effect.exit(Effect.all([SharedBarrier.wait(it), SharedBarrier.wait(it)], { concurrency: 2 }))
      )
      yield* close
      yield* bounded("the action was interrupted")(Deferred.await(finalized))
      isClosed(yield* Effect.flatten(ended(waiting)), "SharedBarrier")
    }))
}

const barrierBreaks = ({ claims, law }: Setting): void => {
  law("is broken by abort, for who waits and who comes, until it is reset", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const barrier = yield* SharedBarrier.make(3)
      yield* arrivals(barrier, events, ["a"])
      const here = yield* forked(SharedBarrier.wait(barrier))
      const pool = yield* Pool.make({ processes: 1 })
      assert.isUndefined(yield* Pool.apply(pool, F.aborts, { barrier }))
      brokenBy(yield* ended(here), "aborted")
      yield* events.until("a BarrierBroken")
      assert.isTrue(yield* SharedBarrier.isBroken(barrier))
      assert.isTrue(yield* Pool.apply(pool, F.isBroken, { barrier }))
      brokenBy(yield* Effect.exit(SharedBarrier.wait(barrier)), "aborted")
      assert.strictEqual(yield* Pool.apply(pool, F.meets, { barrier, rounds: 1 }), "BarrierBroken")
      yield* SharedBarrier.reset(barrier)
      assert.isFalse(yield* SharedBarrier.isBroken(barrier))
      const places = yield* Effect.all(numbers(3).map(() => SharedBarrier.wait(barrier)), { concurrency: 3 })
      assert.deepStrictEqual(places, [0, 1, 2])
    }))

  law("reset turns away who waits, and leaves it whole", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const barrier = yield* SharedBarrier.make(3)
      yield* arrivals(barrier, events, ["a", "b"])
      assert.isUndefined(yield* run(F.resets, { barrier }))
      yield* events.until("a BarrierBroken")
      yield* events.until("b BarrierBroken")
      assert.isFalse(yield* SharedBarrier.isBroken(barrier))
      yield* arrivals(barrier, events, ["c", "d"])
      assert.strictEqual(yield* SharedBarrier.wait(barrier), 2)
      yield* events.until("c passes")
      yield* events.until("d passes")
    }))

  law("is broken by a party that gives up: a timeout", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const barrier = yield* SharedBarrier.make(3)
      yield* arrivals(barrier, events, ["a"])
      assert.deepStrictEqual(yield* Effect.timeoutOption(SharedBarrier.wait(barrier), "10 millis"), Option.none())
      yield* events.until("a BarrierBroken")
      brokenBy(yield* Effect.exit(SharedBarrier.wait(barrier)), "interrupted")
    }))

  const ends = [["interrupted", Process.interrupt], ["killed", Process.kill]] as const
  for (const [word, end] of claims.killsBusy ? ends : ends.slice(0, 1)) {
    law(`is broken by a child that is ${word} while it waits`, () =>
      Effect.gen(function*() {
        const events = yield* makeEvents
        const barrier = yield* SharedBarrier.make(3)
        const [child] = yield* arrivals(barrier, events, ["a"])
        const here = yield* forked(SharedBarrier.wait(barrier))
        yield* end(child!)
        brokenBy(yield* ended(here), "interrupted, or its process died")
        assert.isTrue(yield* SharedBarrier.isBroken(barrier))
        yield* SharedBarrier.reset(barrier)
        assert.isFalse(yield* SharedBarrier.isBroken(barrier))
      }))
  }

  law("ends with its scope: who waits, and who will, is told; and it is broken", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const { close, it } = yield* ownedElsewhere(SharedBarrier.make(3))
      yield* arrivals(it, events, ["a"])
      const here = yield* forked(SharedBarrier.wait(it))
      yield* close
      isClosed(yield* ended(here), "SharedBarrier")
      yield* events.until("a Closed")
      isClosed(yield* Effect.exit(SharedBarrier.reset(it)), "SharedBarrier")
      assert.isTrue(yield* SharedBarrier.isBroken(it))
    }))

  law("refuses numbers that are none", () =>
    Effect.gen(function*() {
      for (const parties of [0, -1, 1.5, NaN]) {
        isRangeError(yield* Effect.exit(SharedBarrier.make(parties)), "SharedBarrier.make: parties")
      }
    }))
}

// ---------------------------------------------------------------------------------------------------- all of them

/** What crosses in place of an event. */
const writtenOf = (event: SharedEvent.SharedEvent) =>
  (event as unknown as EventHandle)[crossing].write({ sharesMemory: false }, []) as Parameters<typeof openEvent>[0]

const handles = ({ claims, law }: Setting): void => {
  law("are found by their guards and schemas, and know their names", () =>
    Effect.gen(function*() {
      const all = [
        [yield* SharedSemaphore.make(1), SharedSemaphore.isSharedSemaphore, SharedSemaphore.schema],
        [yield* SharedEvent.make(), SharedEvent.isSharedEvent, SharedEvent.schema],
        [yield* SharedCondition.make(), SharedCondition.isSharedCondition, SharedCondition.schema],
        [yield* SharedBarrier.make(1), SharedBarrier.isSharedBarrier, SharedBarrier.schema]
      ] as const
      const names = ["SharedSemaphore", "SharedEvent", "SharedCondition", "SharedBarrier"]
      for (const [index, [value, , schema]] of all.entries()) {
        assert.deepStrictEqual(all.map(([, is]) => is(value)), numbers(4).map((i) => i === index))
        assert.isTrue(Schema.is(schema as Schema.Schema<unknown>)(value))
        assert.strictEqual(String(value), names[index])
        assert.strictEqual(value.pipe((self: unknown) => self), value)
      }
    }))

  law("an event whose bytes did not reach asks its owner instead", () =>
    Effect.gen(function*() {
      const event = yield* SharedEvent.make()
      const { home } = writtenOf(event)
      const blind = openEvent({ home, place: undefined }) as unknown as SharedEvent.SharedEvent
      assert.isFalse(yield* SharedEvent.isSet(blind))
      const waiting = yield* forked(SharedEvent.wait(blind))
      yield* SharedEvent.set(blind)
      yield* ended(waiting)
      assert.deepStrictEqual(yield* Effect.all([blind, event].map(SharedEvent.isSet)), [true, true])
      yield* SharedEvent.wait(blind)
      yield* SharedEvent.clear(blind)
      assert.deepStrictEqual(yield* Effect.all([blind, event].map(SharedEvent.isSet)), [false, false])
      const gone = yield* ownedElsewhere(SharedEvent.make(true))
      const goneBlind = openEvent({ home: writtenOf(gone.it).home, place: undefined })
      yield* gone.close
      assert.isFalse(yield* SharedEvent.isSet(goneBlind as unknown as SharedEvent.SharedEvent))
    }))

  if (claims.killsBusy) {
    law("end when their owner is killed: who waits, and who will, is told", () =>
      Effect.gen(function*() {
        const events = yield* makeEvents
        const owner = yield* start(F.ownsAll, { path: events.path })
        yield* events.until("made")
        const data = JSON.parse(events.seen().find((text) => text.startsWith("{"))!)
        const semaphore = openSemaphore(data.SharedSemaphore) as unknown as SharedSemaphore.SharedSemaphore
        const event = openEvent(data.SharedEvent) as unknown as SharedEvent.SharedEvent
        const barrier = openBarrier(data.SharedBarrier) as unknown as SharedBarrier.SharedBarrier
        const waits = [
          SharedSemaphore.take(semaphore, 1),
          SharedEvent.wait(event),
          Effect.catchTag(SharedBarrier.wait(barrier), "BarrierBroken", Effect.die)
        ]
        const waiting = yield* Effect.forEach(waits, forked)
        assert.isFalse(yield* SharedBarrier.isBroken(barrier))
        assert.deepStrictEqual(waiting.map(isDone), [false, false, false])
        yield* Process.kill(owner)
        for (const fiber of waiting) assert.strictEqual(reasonOf(yield* ended(fiber))._tag, "Closed")
        for (const wait of waits) {
          assert.strictEqual(reasonOf(yield* bounded("it is told")(Effect.exit(wait)))._tag, "Closed")
        }
        assert.isTrue(yield* SharedBarrier.isBroken(barrier))
      }))
  }
}

export const suite = ({ claims, layer, name }: Method): void => {
  const reaches = claims.sharesMemory || SharedMemory.reach === "processes"
  const setting: Setting = { law: laws(layer), claims, reaches }

  describe(`sync on ${name}`, () => {
    describe("a semaphore", () => semaphores(setting))
    describe("an event", () => sharedEvents(setting))
    if (reaches) describe("a condition", () => conditions(setting))
    describe("a barrier", () => {
      barrierRounds(setting)
      barrierActions(setting)
      barrierBreaks(setting)
    })
    describe("their handles", () => handles(setting))
  })
}
