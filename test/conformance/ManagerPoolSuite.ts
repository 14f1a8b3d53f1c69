/** The laws of pools that live in the server of a manager, for every start method. */
import { assert, describe } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { Connection, Manager, Pipe, Process } from "../../src/index.ts"
import type { Listener } from "../../src/index.ts"
import * as T from "../fixtures/managerReady.ts"
import { bounded, defectOf, numbers, reasonOf, squares } from "./assertions.ts"
import { makeEvents } from "./events.ts"
import { laws } from "./law.ts"
import type { Method } from "./methods.ts"

const withObjects = <A, E, R>(use: Effect.Effect<A, E, R>) => Effect.provide(use, Manager.layerObjects())

const range = (from: number, to: number) => new T.Range({ from, to })

export const suite = ({ claims, layer, name }: Method): void => {
  const law = laws(layer, 30_000)

  describe(`Manager's pools on ${name}`, () => {
    law(
      "runs tasks in workers of the server, one, many, and as streams, in order where it says so",
      () =>
        withObjects(Effect.gen(function*() {
          const pool = yield* Manager.pool({ processes: 2 })
          assert.strictEqual(yield* pool.apply(T.square, 12), 144)
          assert.deepStrictEqual(yield* pool.map(T.square, numbers(100)), squares(100))
          assert.deepStrictEqual(yield* pool.map(T.square, []), [])
          assert.deepStrictEqual(yield* Stream.runCollect(pool.imap(T.square, numbers(50))), squares(50))
          assert.deepStrictEqual(
            yield* Stream.runCollect(pool.imap(T.square, Stream.range(0, 49), { buffer: 4 })),
            squares(50)
          )
          const unordered = yield* Stream.runCollect(pool.imapUnordered(T.square, new Set(numbers(50))))
          assert.deepStrictEqual(unordered.toSorted((a, b) => a - b), squares(50))
          const all = yield* Stream.runCollect(pool.imapUnordered(T.square, numbers(50)))
          assert.deepStrictEqual(all.toSorted((a, b) => a - b), squares(50))
          const stats = yield* pool.stats()
          assert.strictEqual(stats.workers.length, 2)
          assert.strictEqual(stats.completed, 301)
        }))
    )

    law("a source without end is pulled as results are taken", () =>
      withObjects(Effect.gen(function*() {
        const pool = yield* Manager.pool({ processes: 1 })
        let pulled = 0
        const source = Stream.map(Stream.iterate(0, (n) => n + 1), (n) => {
          pulled = n
          return n
        })
        const first = yield* Stream.runCollect(Stream.take(pool.imap(T.square, source, { buffer: 4 }), 20))
        assert.deepStrictEqual(first, squares(20))
        assert.isBelow(pulled, 60)
      })))

    law("classes and typed errors cross by the schemas of the task", () =>
      withObjects(Effect.gen(function*() {
        const pool = yield* Manager.pool({ processes: 1 })
        const longer = yield* pool.apply(T.lengthen, range(1, 3))
        assert.instanceOf(longer, T.Range)
        assert.strictEqual(longer.length, 3)
        const both = yield* pool.map(T.lengthen, [range(0, 1), range(0, 2)])
        assert.deepStrictEqual(both.map(({ length }) => length), [2, 3])
        for (
          const failing of [
            pool.apply(T.lengthen, range(3, 1)),
            pool.map(T.lengthen, [range(0, 1), range(3, 1)]),
            Stream.runDrain(pool.imap(T.lengthen, [range(0, 1), range(3, 1)])),
            Stream.runDrain(pool.imapUnordered(T.lengthen, Stream.make(range(3, 1))))
          ]
        ) {
          const error = yield* Effect.flip(failing)
          assert.instanceOf(error, T.TooSmall)
          assert.strictEqual((error as T.TooSmall).by, 3)
        }
        const complaint = yield* Effect.flip(pool.apply(T.complains))
        assert.deepInclude(complaint, { _tag: "Complaint", text: "no" })
        const misfit = yield* Effect.exit(pool.apply(T.lengthen, { from: "a" } as never))
        assert.strictEqual(reasonOf(misfit)._tag, "CodecFailed")
      })))

    law("a bug in a task is a defect with its stack; the pool goes on", () =>
      withObjects(Effect.gen(function*() {
        const pool = yield* Manager.pool({ processes: 1 })
        const defect = defectOf(yield* Effect.exit(pool.apply(T.crashes, "oops"))) as Error
        assert.include(defect.message, "oops")
        assert.include(defect.stack!, "managerReady.ts")
        assert.strictEqual(yield* pool.apply(T.square, 2), 4)
      })))

    if (claims.exits) {
      law("a worker that dies fails its call, and another takes its place", () =>
        withObjects(Effect.gen(function*() {
          const pool = yield* Manager.pool({ processes: 1 })
          const reason = reasonOf(yield* Effect.exit(pool.apply(T.exits, 3)))
          assert.strictEqual(reason._tag, "WorkerExited")
          assert.deepInclude(reason, { status: { _tag: "Exited", code: 3 } })
          assert.strictEqual(yield* pool.apply(T.square, 2), 4)
        })))
    }

    law("options cross: a timeout, and wrong ones are defects", () =>
      withObjects(Effect.gen(function*() {
        const events = yield* makeEvents
        const pool = yield* Manager.pool({ processes: 1, gracePeriod: "100 millis" })
        const late = yield* Effect.exit(pool.apply(T.lingers, events.path, { timeout: "50 millis" }))
        assert.strictEqual(reasonOf(late)._tag, "TimedOut")
        const wrong = yield* Effect.exit(pool.map(T.square, [1], { chunkSize: 0.5 }))
        assert.include(String(defectOf(wrong)), "chunkSize")
        for (const source of [[1], Stream.make(1)]) {
          const wrong = yield* Effect.exit(Stream.runDrain(pool.imap(T.square, source, { buffer: 0 })))
          assert.include(String(defectOf(wrong)), "buffer must be a whole number of at least 1")
        }
        assert.include(String(defectOf(yield* Effect.exit(Manager.pool({ processes: 0 })))), "processes")
      })))

    law("interrupting a call interrupts its task", () =>
      withObjects(Effect.gen(function*() {
        const events = yield* makeEvents
        const pool = yield* Manager.pool({ processes: 1 })
        const call = yield* Effect.forkChild(pool.apply(T.lingers, events.path))
        yield* events.until("runs")
        yield* Fiber.interrupt(call)
        yield* events.until("interrupted")
        assert.strictEqual(yield* pool.apply(T.square, 2), 4)
      })))

    law("the workers build what the initializer says", () =>
      withObjects(Effect.gen(function*() {
        const pool = yield* Manager.pool({ processes: 1, initializer: T.greetingLive(range(0, 2)) })
        assert.strictEqual(yield* pool.apply(T.greets, "you"), "hellohello you")
      })))

    law("is used by others who are sent its proxy", () =>
      withObjects(Effect.gen(function*() {
        const pool = yield* Manager.pool({ processes: 1 })
        const children = yield* Effect.forEach([1, 2], () =>
          Process.start(T.usesPool, { pool, range: { from: 0, to: 4 } }))
        for (const child of children) {
          const { all, isRange, length } = yield* Process.join(child)
          assert.deepStrictEqual({ all, isRange, length }, { all: [1, 4, 9], isRange: true, length: 5 })
        }
        const named = yield* Manager.pool({ name: "shared", processes: 1 })
        const same = yield* Manager.pool({ name: "shared", processes: 3 })
        yield* named.apply(T.square, 1)
        assert.strictEqual((yield* same.stats()).completed, 1)
      })))

    if (claims.signals) {
      law(
        "the death of the process that calls interrupts its task, and frees the worker",
        () =>
          withObjects(Effect.gen(function*() {
            const events = yield* makeEvents
            const { path } = events
            const pool = yield* Manager.pool({ processes: 1 })
            const child = yield* Process.start(T.asksPoolToLinger, { pool, path }, { daemon: true })
            yield* events.until("runs")
            yield* Process.kill(child)
            yield* events.until("interrupted")
            assert.strictEqual(yield* pool.apply(T.square, 2).pipe(bounded("a free worker")), 4)
          }))
      )
    }

    law("its workers end when nobody holds it, whatever they do", () =>
      withObjects(Effect.gen(function*() {
        const events = yield* makeEvents
        yield* Effect.scoped(Effect.gen(function*() {
          const pool = yield* Manager.pool({ processes: 1 })
          yield* Effect.forkScoped(Effect.ignore(pool.apply(T.lingers, events.path)))
          yield* events.until("runs")
        }))
        yield* events.until("interrupted")
      })))

    law("a program that serves objects has a start method for them", () =>
      Effect.gen(function*() {
        const [receiver, sender] = yield* Pipe.simplex<Listener.Address>()
        const authKey = "a key of these laws"
        yield* Process.start(T.servesObjects, { announce: sender, authKey }, { daemon: true })
        const address = yield* Connection.receive(receiver)
        yield* Effect.gen(function*() {
          const pool = yield* Manager.pool({ processes: 1 })
          assert.strictEqual(yield* pool.apply(T.square, 3), 9)
        }).pipe(Effect.scoped, Effect.provide(Manager.connect(Manager.objects, { address, authKey })))
      }))
  })
}

/** Where there is none in the program that serves. */
export const withoutStartMethod = Effect.scoped(Effect.gen(function*() {
  const { address } = yield* Manager.serve(Manager.objects, { authKey: "key" })
  const pool = Manager.pool({ processes: 1 })
  return reasonOf(
    yield* Effect.exit(
      Effect.provide(Effect.scoped(pool), Manager.connect(Manager.objects, { address, authKey: "key" }))
    )
  )
}))
