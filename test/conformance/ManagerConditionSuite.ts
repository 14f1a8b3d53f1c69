/** The laws of a manager's conditions and barriers, for every start method. */
import { assert, describe } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import type { Exit } from "effect"
import { Manager, Process } from "../../src/index.ts"
import * as T from "../fixtures/managerReady.ts"
import { bounded, defectOf, numbers, reasonOf } from "./assertions.ts"
import { makeEvents } from "./events.ts"
import { laws } from "./law.ts"
import type { Method } from "./methods.ts"

const withObjects = <A, E, R>(use: Effect.Effect<A, E, R>) => Effect.provide(use, Manager.layerObjects())

/** Completes when nobody has the lock: those who were to wait do. */
const passLock = (condition: Manager.HostedCondition) => Manager.withLock(condition.lock, Effect.void)

const notify = (condition: Manager.HostedCondition, count?: number) =>
  Manager.withLock(condition.lock, Manager.notify(condition, count))

const turn = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

/** Fibers of this process that wait, in this order, and who has gone on. */
const waiting = Effect.fnUntraced(function*(condition: Manager.HostedCondition, count: number) {
  const gone: Array<number> = []
  const fibers: Array<Fiber.Fiber<void, unknown>> = []
  for (const i of numbers(count)) {
    const entered = yield* Deferred.make<void>()
    const one = Manager.withLock(
      condition.lock,
      Effect.andThen(Deferred.succeed(entered, undefined), Manager.wait(condition))
    )
    fibers.push(yield* Effect.forkChild(Effect.andThen(one, Effect.sync(() => void gone.push(i)))))
    yield* Deferred.await(entered)
    yield* passLock(condition)
  }
  return { gone, fibers }
})

const conditionLaws = ({ claims, layer }: Method): void => {
  const law = laws(layer, 30_000)

  law("notify lets so many go, those first that have waited longest", () =>
    withObjects(Effect.gen(function*() {
      const condition = yield* Manager.condition()
      yield* notify(condition) // nobody waits: it is not kept
      const { fibers, gone } = yield* waiting(condition, 5)
      yield* notify(condition)
      yield* Fiber.join(fibers[0]!).pipe(bounded("the first goes"))
      yield* notify(condition, 2)
      yield* Fiber.join(fibers[1]!).pipe(bounded("the second goes"))
      yield* Fiber.join(fibers[2]!).pipe(bounded("the third goes"))
      yield* passLock(condition)
      assert.deepStrictEqual(gone, [0, 1, 2])
      yield* Manager.withLock(condition.lock, Manager.notifyAll(condition))
      yield* Effect.forEach(fibers, Fiber.join).pipe(bounded("all go"))
    })))

  law("whoever has waited has the lock again", () =>
    withObjects(Effect.gen(function*() {
      const condition = yield* Manager.condition()
      let inside = 0
      let most = 0
      const one = Manager.withLock(
        condition.lock,
        Effect.gen(function*() {
          yield* Manager.wait(condition)
          most = Math.max(most, ++inside)
          yield* passesTime(condition)
          inside--
        })
      )
      const passesTime = (condition: Manager.HostedCondition) => Manager.notify(condition, 0)
      const fibers = yield* Effect.forEach(numbers(4), () => Effect.forkChild(one, { startImmediately: true }))
      // each of them has taken the lock and given it up: it is taken in the order in which it was asked for
      yield* passLock(condition)
      yield* Manager.withLock(condition.lock, Manager.notifyAll(condition))
      yield* Effect.forEach(fibers, Fiber.join).pipe(bounded("all go"))
      assert.strictEqual(most, 1)
    })))

  law(
    "hands out each thing once: takers in a child and here wait for what is brought",
    () =>
      withObjects(Effect.gen(function*() {
        const goods: T.Goods = { condition: yield* Manager.condition(), list: yield* Manager.list<number>() }
        const child = yield* Process.start(T.takes, { goods, times: 10 })
        const here = yield* Effect.forkChild(Effect.forEach(numbers(10), () => T.takeOne(goods)))
        for (const i of numbers(20)) {
          yield* Manager.withLock(
            goods.condition.lock,
            Effect.andThen(goods.list.push(i), Manager.notify(goods.condition))
          )
        }
        const taken = [...(yield* Process.join(child)), ...(yield* Fiber.join(here))]
        assert.deepStrictEqual(taken.toSorted((a, b) => a - b), numbers(20))
      }))
  )

  law("is for the fiber that holds the lock: anybody else is a defect", () =>
    withObjects(Effect.gen(function*() {
      const condition = yield* Manager.condition()
      const other = yield* Manager.lock()
      const isRefused = (exit: Exit.Exit<unknown, unknown>) =>
        assert.include((defectOf(exit) as Error).message, "this fiber does not hold the lock")
      isRefused(yield* Effect.exit(Manager.wait(condition)))
      isRefused(yield* Effect.exit(Manager.notify(condition)))
      isRefused(yield* Effect.exit(Manager.withLock(other, Manager.notifyAll(condition))))
      const forked = Effect.timeout(Manager.wait(condition), "1 second")
      isRefused(yield* Effect.exit(Manager.withLock(condition.lock, forked)))
      isRefused(yield* Effect.exit(Manager.waitFor(condition, Effect.succeed(true))))
      // a lock inside of it does not matter
      yield* Manager.withLock(condition.lock, Manager.withLock(other, Manager.notify(condition)))
      const wrong = yield* Effect.exit(notify(condition, -1))
      assert.instanceOf(defectOf(wrong), RangeError)
    })))

  law("a wait that is interrupted has the lock again before it ends", () =>
    withObjects(Effect.gen(function*() {
      const condition = yield* Manager.condition()
      const { fibers: [fiber] } = yield* waiting(condition, 1)
      const ended = yield* Manager.withLock(
        condition.lock,
        Effect.gen(function*() {
          const ended = yield* Effect.forkDetach(Fiber.interrupt(fiber!), { startImmediately: true })
          yield* Manager.notify(condition, 0) // a message there and back
          assert.isUndefined(ended.pollUnsafe())
          return ended
        })
      )
      yield* Fiber.join(ended).pipe(bounded("the end of an interrupted wait"))
      yield* passLock(condition).pipe(bounded("a free lock"))
    })))

  law(
    "who was notified and is interrupted before it has the lock hands the notification on",
    () =>
      withObjects(Effect.gen(function*() {
        const condition = yield* Manager.condition()
        const { fibers: [first, second], gone } = yield* waiting(condition, 2)
        yield* Manager.withLock(
          condition.lock,
          Effect.gen(function*() {
            yield* Manager.notify(condition)
            yield* Effect.forkDetach(Fiber.interrupt(first!), { startImmediately: true })
          })
        )
        yield* Fiber.join(second!).pipe(bounded("the second goes"))
        assert.deepStrictEqual(gone, [1])
      }))
  )

  law(
    "a notification is used by one who goes on, at whatever moment the other is interrupted",
    () =>
      withObjects(Effect.gen(function*() {
        const condition = yield* Manager.condition()
        for (const round of numbers(60)) {
          const used: Array<number> = []
          const [first, second] = yield* Effect.forEach([0, 1], (i) =>
            Effect.gen(function*() {
              const entered = yield* Deferred.make<void>()
              const waits = Effect.andThen(Manager.wait(condition), Effect.sync(() => void used.push(i)))
              const one = Manager.withLock(condition.lock, Effect.andThen(Deferred.succeed(entered, undefined), waits))
              const fiber = yield* Effect.forkChild(one)
              yield* Deferred.await(entered)
              yield* passLock(condition)
              return fiber
            }))
          const notifying = yield* Effect.forkChild(notify(condition), { startImmediately: true })
          for (let turns = 0; turns < round % 20 && used.length === 0; turns++) yield* turn
          yield* Fiber.interrupt(first!)
          yield* Fiber.join(notifying)
          if (used.length === 0) yield* Fiber.join(second!).pipe(bounded("the second goes on"))
          else yield* Fiber.interrupt(second!)
          assert.lengthOf(used, 1)
        }
      }))
  )

  law("a timeout around the lock gives up waiting", () =>
    withObjects(Effect.gen(function*() {
      const condition = yield* Manager.condition()
      const wait = Manager.withLock(condition.lock, Manager.wait(condition))
      assert.strictEqual((yield* Effect.timeoutOption(wait, "50 millis"))._tag, "None")
      yield* passLock(condition)
    })))

  law(
    "shares a lock with another condition: who waits at the one is not woken by the other",
    () =>
      withObjects(Effect.gen(function*() {
        const lock = yield* Manager.lock()
        const full = yield* Manager.condition(lock)
        const empty = yield* Manager.condition(lock)
        const { fibers, gone } = yield* waiting(full, 1)
        yield* Manager.withLock(lock, Manager.notifyAll(empty))
        yield* passLock(full)
        assert.deepStrictEqual(gone, [])
        yield* notify(full)
        yield* Fiber.join(fibers[0]!).pipe(bounded("it goes"))
      }))
  )

  law("of the same name is the same, and has the same lock", () =>
    withObjects(Effect.gen(function*() {
      const one = yield* Manager.condition(undefined, { name: "changed" })
      const other = yield* Manager.condition(undefined, { name: "changed" })
      const { fibers } = yield* waiting(one, 1)
      yield* notify(other)
      yield* Fiber.join(fibers[0]!).pipe(bounded("it goes"))
    })))

  law("knows its lock also as another asks for that by its name", () =>
    withObjects(Effect.gen(function*() {
      const lock = yield* Manager.lock({ name: "door" })
      const same = yield* Manager.lock({ name: "door" })
      const one = yield* Manager.condition(lock, { name: "opened" })
      const other = yield* Manager.condition(same, { name: "opened" })
      const { fibers } = yield* waiting(one, 1)
      yield* Manager.withLock(lock, Manager.notify(other))
      yield* Fiber.join(fibers[0]!).pipe(bounded("it goes"))
      const taken = Manager.withLock(lock, Manager.withLockIfAvailable(same, Effect.void))
      assert.strictEqual((yield* taken)._tag, "None")
    })))

  law("of the same name has one lock: another one is a defect", () =>
    withObjects(Effect.gen(function*() {
      yield* Manager.condition(yield* Manager.lock(), { name: "opened" })
      const other = yield* Effect.exit(Manager.condition(yield* Manager.lock(), { name: "opened" }))
      const defect = defectOf(other) as Error
      assert.instanceOf(defect, RangeError)
      assert.include(defect.message, `Manager.condition: "opened" has another lock`)
    })))

  if (claims.signals) {
    law(
      "a child that is killed while it waits, or has been notified, eats no notification",
      () =>
        withObjects(Effect.gen(function*() {
          const events = yield* makeEvents
          const { path } = events
          const condition = yield* Manager.condition()
          const start = (name: string) => Process.start(T.waits, { condition, name, path }, { daemon: true })
          const waits = yield* start("one")
          yield* events.until("one waits")
          const notified = yield* start("two")
          yield* events.until("two waits")
          const { fibers: [here] } = yield* waiting(condition, 1)
          yield* Process.kill(waits)
          yield* Process.exited(waits)
          yield* Manager.withLock(
            condition.lock,
            Effect.gen(function*() {
              yield* Manager.notify(condition)
              yield* Process.kill(notified)
              yield* Process.exited(notified)
            })
          )
          yield* Fiber.join(here!).pipe(bounded("the one here goes"))
        }))
    )

    law("a child that is killed while it holds the lock disturbs nobody", () =>
      withObjects(Effect.gen(function*() {
        const events = yield* makeEvents
        const { path } = events
        const condition = yield* Manager.condition()
        const { fibers: [here] } = yield* waiting(condition, 1)
        const child = yield* Process.start(T.holdsLock, { condition, path }, { daemon: true })
        yield* events.until("holds")
        yield* Process.kill(child)
        yield* notify(condition).pipe(bounded("a free lock"))
        yield* Fiber.join(here!).pipe(bounded("the one here goes"))
      })))
  }

  if (claims.exits) {
    law("who waits is told when the server ends", () =>
      withObjects(Effect.gen(function*() {
        const condition = yield* Manager.condition()
        const ref = yield* Manager.ref(0)
        const { fibers: [here] } = yield* waiting(condition, 1)
        const ended = yield* Effect.exit(ref.update(T.endsServer))
        assert.strictEqual(reasonOf(ended)._tag, "WorkerExited")
        const exit = yield* Fiber.await(here!).pipe(bounded("the end of a wait"))
        assert.strictEqual(reasonOf(exit)._tag, "WorkerExited")
      })))
  }
}

const barrierLaws = ({ claims, layer }: Method): void => {
  const law = laws(layer, 30_000)
  const tagOf = <A, E extends { readonly _tag: string }>(wait: Effect.Effect<A, E>) =>
    Effect.map(Effect.flip(wait), ({ _tag }) => _tag)

  law(
    "nobody goes on before all have come; then each has a place of its own, round after round",
    () =>
      withObjects(Effect.gen(function*() {
        const barrier = yield* Manager.barrier(3, { action: T.countsRounds })
        assert.strictEqual(yield* barrier.parties(), 3)
        const rounds = 5
        const children = yield* Effect.forEach(numbers(2), () => Process.start(T.meets, { barrier, rounds }))
        const places = [yield* Effect.forEach(numbers(rounds), () => barrier.wait())]
        for (const child of children) places.push(yield* Process.join(child))
        for (const round of numbers(rounds)) {
          assert.deepStrictEqual(places.map((all) => all[round]!).toSorted(), [0, 1, 2])
        }
        const ref = yield* Manager.ref(0)
        assert.isAtLeast(yield* ref.update(T.roundsOf), rounds)
        assert.strictEqual(yield* barrier.waiting(), 0)
      }))
  )

  law("of one party is no barrier; wrong numbers are defects", () =>
    withObjects(Effect.gen(function*() {
      const barrier = yield* Manager.barrier(1)
      assert.strictEqual(yield* barrier.wait(), 0)
      assert.instanceOf(defectOf(yield* Effect.exit(Manager.barrier(0))), RangeError)
      assert.instanceOf(defectOf(yield* Effect.exit(Manager.barrier(1.5))), RangeError)
    })))

  law("a party that is interrupted breaks it, until it is reset", () =>
    withObjects(Effect.gen(function*() {
      const barrier = yield* Manager.barrier(2)
      assert.strictEqual((yield* Effect.timeoutOption(barrier.wait(), "50 millis"))._tag, "None")
      const broken = yield* Effect.flip(barrier.wait())
      assert.strictEqual(broken._tag, "BarrierBroken")
      assert.include(broken.message, "was interrupted, or its process died")
      assert.isTrue(yield* barrier.isBroken())
      yield* barrier.reset()
      assert.isFalse(yield* barrier.isBroken())
      const places = yield* Effect.all([barrier.wait(), barrier.wait()], { concurrency: 2 })
      assert.deepStrictEqual(places.toSorted(), [0, 1])
    })))

  law("abort turns all away; reset only those who wait", () =>
    withObjects(Effect.gen(function*() {
      const events = yield* makeEvents
      const barrier = yield* Manager.barrier(2)
      const child = yield* Process.start(T.arrives, { barrier, path: events.path })
      yield* events.until("comes")
      yield* waitingAt(barrier, 1)
      yield* barrier.abort()
      assert.strictEqual(yield* tagOf(Process.join(child)), "BarrierBroken")
      assert.strictEqual(yield* tagOf(barrier.wait()), "BarrierBroken")
      yield* barrier.reset()
      const fiber = yield* Effect.forkChild(barrier.wait(), { startImmediately: true })
      yield* waitingAt(barrier, 1)
      yield* barrier.reset()
      assert.strictEqual(yield* tagOf(Fiber.join(fiber)), "BarrierBroken")
      assert.isFalse(yield* barrier.isBroken())
    })))

  law("an action that fails breaks it", () =>
    withObjects(Effect.gen(function*() {
      const barrier = yield* Manager.barrier(1, { action: T.breaks })
      const broken = yield* Effect.flip(barrier.wait())
      assert.strictEqual(broken._tag, "BarrierBroken")
      assert.include(broken.message, "its action failed: no room")
    })))

  if (claims.signals) {
    law("a child that is killed while it waits breaks it", () =>
      withObjects(Effect.gen(function*() {
        const events = yield* makeEvents
        const barrier = yield* Manager.barrier(3)
        const child = yield* Process.start(T.arrives, { barrier, path: events.path }, { daemon: true })
        yield* events.until("comes")
        const here = yield* Effect.forkChild(tagOf(barrier.wait()), { startImmediately: true })
        yield* waitingAt(barrier, 2)
        yield* Process.kill(child)
        assert.strictEqual(yield* Fiber.join(here).pipe(bounded("a broken barrier")), "BarrierBroken")
      })))
  }
}

/** Each look is a message there and back: nothing sleeps here. */
const waitingAt = (barrier: Manager.HostedBarrier, count: number) =>
  Effect.gen(function*() {
    while ((yield* barrier.waiting()) < count) yield* Effect.yieldNow
  }).pipe(bounded(`${count} wait at a barrier`))

export const suite = (method: Method): void => {
  describe(`Manager's conditions on ${method.name}`, () => conditionLaws(method))
  describe(`Manager's barriers on ${method.name}`, () => barrierLaws(method))
}
