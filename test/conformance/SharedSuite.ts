/** The laws of SharedValue, SharedArray, SharedLock and SharedMemory, for every start method. */
import { assert, describe } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Scope } from "effect"
import { randomUUID } from "node:crypto"
import { Pool, Process, SharedArray, SharedLock, SharedMemory, SharedValue } from "../../src/index.ts"
import type { StartMethod } from "../../src/index.ts"
import * as F from "../fixtures/shared.ts"
import { bounded, defectOf, numbers, reasonOf } from "./assertions.ts"
import { makeEvents } from "./events.ts"
import { makeGate } from "./gate.ts"
import { laws } from "./law.ts"
import type { Method } from "./methods.ts"

const started = { startImmediately: true } as const

/** One of each that a task can be under. */
const guards = {
  SharedLock: SharedLock.make(),
  "a SharedLock that is reentrant": SharedLock.make({ reentrant: true }),
  "SharedValue.withLock": SharedValue.make("int8"),
  "SharedArray.withLock": SharedArray.make("uint16", 5)
} as const

/** Lets messages that have come be heard. */
const turns = Effect.replicateEffect(Effect.promise(() => new Promise(setImmediate)), 20, { discard: true })

const held = (lock: SharedLock.SharedLock) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  SharedLock.withLock(lock, effect)

export const suite = (method: Method): void => {
  describe(`Shared on ${method.name}`, () => {
    numbersSuite(method)
    locksSuite(method)
    if (method.claims.signals || method.claims.exits) deathSuite(method)
    scopeSuite(method)
    crossingSuite(method)
    blocksSuite(method)

    laws(method.layer)(
      "crosses, fits schemas, is reentrant, and cannot be made up: what one worker is enough for",
      () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 1 })
          for (const [title, body] of Object.entries(oneWorker(method))) {
            yield* Effect.scoped(body(pool)).pipe(
              Effect.catchCause((cause) => Effect.die(new Error(`${title}: ${Cause.pretty(cause)}`)))
            )
          }
        })
    )
  })
}

// ---------------------------------------------------------------------------------------------------- numbers

const numbersSuite = ({ layer }: Method): void => {
  const law = laws(layer)

  law(
    "three workers that add 100,000 times each lose none, nor do those that add to elements side by side; they wrap",
    () =>
      Effect.gen(function*() {
        const pool = yield* Pool.make({ processes: 3 })
        for (const kind of ["int32", "int64", "float64"] as const) {
          const value = yield* SharedValue.make<SharedValue.Kind>(kind)
          yield* Pool.map(pool, F.adds, numbers(3).map(() => ({ value, times: 100_000 })), { chunkSize: 1 })
          assert.strictEqual(Number(yield* SharedValue.get(value)), 300_000, kind)
        }
        for (const kind of ["int8", "uint8", "int16", "uint16", "uint32", "uint64", "float32"] as const) {
          const value = yield* SharedValue.make<SharedValue.Kind>(kind)
          yield* Pool.map(pool, F.adds, numbers(3).map(() => ({ value, times: 23_000 })), { chunkSize: 1 })
          const model = SharedArray.view(yield* SharedArray.make<SharedValue.Kind>(kind, 1))
          model[0] = (kind === "uint64" ? 69_000n : 69_000) as never // of the type that the kind has
          assert.strictEqual(yield* SharedValue.get(value), model[0], kind)
        }
        const array = yield* SharedArray.make("float64", [0.5, 0, 0, 0])
        const items = numbers(9).map((i) => ({ array, index: i % 3, times: 2000 }))
        yield* Pool.map(pool, F.addsToElement, items, { chunkSize: 1 })
        assert.deepStrictEqual(yield* SharedArray.toArray(array), [6000.5, 6000, 6000, 0])
      })
  )
}

// ---------------------------------------------------------------------------------------------------- locks

const locksSuite = ({ claims, layer }: Method): void => {
  const law = laws(layer)

  law("steps under a lock are as one, be it a lock or that of a value or an array", () =>
    Effect.gen(function*() {
      const pool = yield* Pool.make({ processes: 3 })
      for (const [name, make] of Object.entries(guards)) {
        const guard = (yield* make) as F.Guarded["guard"] // any kind of number
        const counter = yield* SharedArray.make("float64", 1)
        yield* Pool.map(pool, F.addsGuarded, numbers(3).map(() => ({ guard, counter, times: 1500 })), { chunkSize: 1 })
        assert.strictEqual(yield* SharedArray.get(counter, 0), 4500, name)
      }
    }))

  law(
    "goes to those who wait in the order in which they came, between processes and fibers",
    () =>
      Effect.gen(function*() {
        const events = yield* makeEvents
        const lock = yield* SharedLock.make()
        const pool = yield* Pool.make({ processes: 3 })
        const order = ["a", "b", "c", "d"]
        const waiters = yield* held(lock)(Effect.forEach(order, (name) =>
          Effect.gen(function*() {
            const fiber = name === "c"
              ? yield* Effect.forkChild(held(lock)(Effect.sync(() => void here.push("c in"))), started)
              : yield* Effect.forkChild(Pool.apply(pool, F.waitsItsTurn, { lock, name, gate: events.path }), started)
            if (name !== "c") yield* events.until(`${name} waits`)
            else here.push(...events.seen().filter((one) => one.endsWith("in")))
            return fiber
          })))
        yield* bounded("everybody had a turn")(
          Effect.forEach(waiters, (fiber) => Fiber.join(fiber as Fiber.Fiber<unknown, unknown>))
        )
        assert.deepStrictEqual(events.seen().filter((one) => one.endsWith("in")), ["a in", "b in", "d in"])
        assert.deepStrictEqual(here, ["c in"])
      }).pipe(Effect.ensuring(Effect.sync(() => (here.length = 0))))
  )

  law("a waiter that is interrupted takes no turn with it, at whatever moment", () =>
    Effect.gen(function*() {
      const lock = yield* SharedLock.make()
      const counter = yield* SharedArray.make("float64", 1)
      const pool = yield* Pool.make({ processes: 2 })
      const items = numbers(2).map((i) => ({ lock, counter, seed: 17 + i * 1000, times: 250 }))
      const remote = yield* Effect.forkChild(Pool.map(pool, F.wavers, items, { chunkSize: 1 }))
      const own = yield* F.waversHere({ lock, counter, seed: 4242, times: 250 })
      const entered = yield* bounded("all have ended", 25)(Fiber.join(remote))
      assert.strictEqual(yield* SharedArray.get(counter, 0), [own, ...entered].reduce((a, b) => a + b, 0))
      // a withdrawal may still be on its way: whoever takes it next has to get it
      assert.strictEqual(yield* Pool.apply(pool, F.tries, lock), "in")
      assert.strictEqual(yield* bounded("it is free")(held(lock)(Effect.succeed("in"))), "in")
    }))

  if (claims.parallel) {
    law("a lock that was given goes on while its giver computes", () =>
      Effect.gen(function*() {
        const { path, until } = yield* makeEvents
        const lock = yield* SharedLock.make()
        const entered = yield* SharedValue.make("int32")
        const pool = yield* Pool.make({ processes: 3 })
        const items = ["a", "b", "c"].map((name) => ({ lock, entered, all: 3, name, gate: path }))
        const outcomes = yield* held(lock)(Effect.gen(function*() {
          const all = yield* Effect.forkChild(Pool.map(pool, F.givesThenComputes, items, { chunkSize: 1 }), started)
          for (const { name } of items) yield* until(`${name} waits`)
          return all
        }))
        assert.deepStrictEqual(yield* Fiber.join(outcomes), [true, true, true])
      }))

    law("a lock that was sent is tried without waiting for its owner, who computes", () =>
      Effect.gen(function*() {
        const { path, until } = yield* makeEvents
        const [lock, go, seen] = yield* Effect.all([
          SharedLock.make(),
          SharedValue.make("int32"),
          SharedValue.make("int32")
        ])
        const pool = yield* Pool.make({ processes: 1 })
        const trying = yield* Effect.forkChild(Pool.apply(pool, F.triesWhenTold, { lock, go, seen, path }), started)
        yield* until("ready")
        yield* turns
        // from here on the loop of this thread stands still
        Effect.runSync(SharedValue.set(go, 1))
        const deadline = performance.now() + 5000
        let outcome = 0
        while (outcome === 0 && performance.now() < deadline) outcome = Effect.runSync(SharedValue.get(seen))
        assert.strictEqual(outcome, 1)
        yield* Fiber.join(trying)
      }))

    law(
      "an interrupted call whose task waits for a lock leaves the queue, and the next one gets it",
      () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const lock = yield* SharedLock.make()
          const pool = yield* Pool.make({ processes: 2 })
          yield* held(lock)(Effect.gen(function*() {
            const first = yield* Effect.forkChild(
              Pool.apply(pool, F.waitsItsTurn, { lock, name: "a", gate: events.path }),
              started
            )
            yield* events.until("a waits")
            yield* Fiber.interrupt(first)
          }))
          assert.strictEqual(yield* bounded("it is free")(Pool.apply(pool, F.tries, lock)), "in")
          assert.notInclude(events.seen(), "a in")
        })
    )
  }
}

const here: Array<string> = []

// ---------------------------------------------------------------------------------------------------- deaths

/** How a child ends inside: by a signal where it has its own, by its exit elsewhere. */
const endsInside = ({ claims }: Method, pool: Pool.Pool, lock: SharedLock.SharedLock) =>
  claims.signals
    ? Pool.apply(pool, F.diesInside, { lock, counter: undefined })
    : Pool.apply(pool, F.exitsInside, lock)

const deathSuite = (method: Method): void => {
  const { claims, layer } = method
  const law = laws(layer)

  law(
    "a lock whose holder dies is abandoned within a second: every taker is told, everywhere, until it is recovered",
    () =>
      Effect.gen(function*() {
        const lock = yield* SharedLock.make()
        const pool = yield* Pool.make({ processes: 2 })
        assert.strictEqual(reasonOf(yield* Effect.exit(endsInside(method, pool, lock)))._tag, "WorkerExited")
        const error = yield* bounded("it is abandoned", 1)(Effect.flip(held(lock)(Effect.void)))
        if (error._tag !== "LockAbandoned") return assert.fail(String(error))
        if (claims.signals) assert.notStrictEqual(error.pid, process.pid)
        assert.isAbove(error.pid, 0)
        assert.include(error.message, String(error.pid))
        for (let i = 0; i < 3; i++) {
          assert.strictEqual(yield* Pool.apply(pool, F.tries, lock), "LockAbandoned")
          assert.strictEqual(yield* Pool.apply(pool, F.triesIfAvailable, lock), "LockAbandoned")
          const told = yield* Effect.flip(Pool.apply(pool, F.takes, lock))
          assert.instanceOf(told, SharedLock.LockAbandoned)
          assert.deepStrictEqual({ ...told }, { ...error })
        }
        const failed = yield* Effect.exit(SharedLock.recover(lock, Effect.fail("no repair")))
        assert.deepStrictEqual(failed, Exit.fail("no repair"))
        assert.strictEqual(yield* Pool.apply(pool, F.tries, lock), "LockAbandoned")
        assert.strictEqual(yield* SharedLock.recover(lock, Effect.succeed("mended")), "mended")
        assert.strictEqual(yield* Pool.apply(pool, F.tries, lock), "in")
        assert.strictEqual(yield* held(lock)(Effect.succeed("in")), "in")
        assert.isFalse(yield* SharedLock.isLocked(lock))
      })
  )

  law(`with onOwnerDeath "release" it is free again within a second`, () =>
    Effect.gen(function*() {
      const lock = yield* SharedLock.make({ onOwnerDeath: "release" })
      const pool = yield* Pool.make({ processes: 1 })
      yield* Effect.exit(endsInside(method, pool, lock))
      assert.strictEqual(yield* bounded("it is free", 1)(held(lock)(Effect.succeed("in"))), "in")
      assert.strictEqual(yield* Pool.apply(pool, F.tries, lock), "in")
    }))

  law("those who wait are told that its holder has died, one after the other", () =>
    Effect.gen(function*() {
      const [events, gate] = [yield* makeEvents, yield* makeGate]
      const lock = yield* SharedLock.make()
      const pool = yield* Pool.make({ processes: 2 })
      const holder = yield* Process.start(F.holds, { lock, name: "holder", gate: gate.path })
      yield* gate.until(1)
      const waiters = yield* Effect.forEach(["a", "b"], (name) =>
        Effect.forkChild(Pool.apply(pool, F.waitsItsTurn, { lock, name, gate: events.path }), started))
      yield* Effect.forEach(["a waits", "b waits"], (one) =>
        events.until(one))
      const own = yield* Effect.forkChild(Effect.flip(held(lock)(Effect.void)), started)
      yield* Process.kill(holder)
      const outcomes = yield* bounded("all are told")(Effect.forEach(waiters, Fiber.join))
      assert.deepStrictEqual(outcomes, ["LockAbandoned", "LockAbandoned"])
      assert.strictEqual((yield* bounded("so are we")(Fiber.join(own)))._tag, "LockAbandoned")
      yield* Effect.exit(Process.join(holder))
    }))

  law(
    "a lock that belongs to a child is closed when that dies, for those who wait and those who come",
    () =>
      Effect.gen(function*() {
        const pool = yield* Pool.make({ processes: 1, initializer: F.ownedLive() })
        const { lock, value } = yield* Pool.apply(pool, F.givesOwned)
        yield* held(lock)(Effect.gen(function*() {
          assert.strictEqual(yield* SharedValue.updateAndGet(value, (n) => n + 1), 6)
          const waiter = yield* Effect.forkChild(Effect.exit(held(lock)(Effect.void)), started)
          assert.strictEqual(yield* Pool.apply(pool, F.triesIfAvailable, lock), "held")
          assert.strictEqual(reasonOf(yield* Effect.exit(Pool.apply(pool, F.leaves)))._tag, "WorkerExited")
          assert.strictEqual(reasonOf(yield* bounded("it is told")(Fiber.join(waiter)))._tag, "Closed")
        }))
        const attempts: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
          held(lock)(Effect.void),
          SharedLock.recover(lock, Effect.void),
          SharedLock.withLockIfAvailable(lock, Effect.void)
        ]
        for (const attempt of attempts) {
          assert.strictEqual(reasonOf(yield* bounded("it is closed")(Effect.exit(attempt)))._tag, "Closed")
        }
        // the bytes are still there for us
        assert.strictEqual(yield* SharedValue.updateAndGet(value, (n) => n * 2), 12)
        if (!claims.signals) return
        assert.strictEqual(reasonOf(yield* Effect.exit(Pool.apply(pool, F.gives, [value])))._tag, "Closed")
      })
  )

  if (claims.signals) {
    law("a lock whose owner is killed while it holds it is held by nobody: it is closed", () =>
      Effect.gen(function*() {
        const pool = yield* Pool.make({ processes: 1, initializer: F.ownedLive() })
        const { lock } = yield* Pool.apply(pool, F.givesOwned)
        const died = yield* Effect.exit(Pool.apply(pool, F.diesInside, { lock, counter: undefined }))
        assert.strictEqual(reasonOf(died)._tag, "WorkerExited")
        const isLocked = Effect.tap(SharedLock.isLocked(lock), () => turns)
        yield* bounded("it is not locked", 5)(Effect.repeat(isLocked, { while: (one) => one }))
        for (const attempt of [held(lock)(Effect.void), SharedLock.withLockIfAvailable(lock, Effect.void)]) {
          assert.strictEqual(
            reasonOf(yield* bounded("it is closed")(Effect.exit<unknown, unknown, never>(attempt)))._tag,
            "Closed"
          )
          assert.isFalse(yield* SharedLock.isLocked(lock))
        }
      }))

    law("counts under a lock stay exact while five processes are killed inside it", () =>
      Effect.gen(function*() {
        const lock = yield* SharedLock.make()
        const counter = yield* SharedArray.make("float64", 2)
        const stop = yield* SharedValue.make("int32")
        const pool = yield* Pool.make({ processes: 3 })
        const items = numbers(3).map(() => ({ lock, counter, stop }))
        const counting = yield* Effect.forkChild(Pool.map(pool, F.addsAndRecovers, items, { chunkSize: 1 }), started)
        yield* Effect.forEach(numbers(5), () =>
          Effect.flatMap(Process.start(F.diesInside, { lock, counter }), (child) =>
            Effect.exit(Process.join(child))), { concurrency: 2 })
        // the last of them has died: whoever comes now is told of it, or comes after those who were
        const last = yield* Effect.flatMap(Process.start(F.diesInside, { lock, counter }), (child) =>
          Effect.exit(Process.join(child)))
        assert.strictEqual(reasonOf(last)._tag, "WorkerExited")
        yield* SharedValue.set(stop, 1)
        const counted = yield* bounded("all have counted", 25)(Fiber.join(counting))
        const after = yield* Pool.apply(pool, F.addsAndRecovers, { lock, counter, stop })
        const total = [...counted, after].reduce((sum, { added }) =>
          sum + added, 0)
        assert.deepStrictEqual(yield* SharedArray.toArray(counter), [total, total])
        assert.isAtLeast(
          [...counted, after].reduce((sum, { mended }) =>
            sum + mended, 0),
          3
        )
      }), 60_000)
  }
}

// ---------------------------------------------------------------------------------------------------- scopes

const scopeSuite = ({ layer }: Method): void => {
  const law = laws(layer)

  law(
    "when the owner's scope ends, waiters fail with Closed everywhere, and the bytes stay safe",
    () =>
      Effect.gen(function*() {
        const events = yield* makeEvents
        const scope = yield* Scope.make()
        const inScope = Effect.provideService(Scope.Scope, scope)
        const [lock, array] = yield* inScope(Effect.all([SharedLock.make(), SharedArray.make("float64", [1, 2])]))
        const pool = yield* Pool.make({ processes: 2 })
        yield* held(lock)(Effect.gen(function*() {
          const remote = yield* Effect.forkChild(
            Pool.apply(pool, F.waitsThenWrites, { lock, array, name: "a", gate: events.path }),
            started
          )
          yield* events.until("a waits")
          const own = yield* Effect.forkChild(Effect.exit(held(lock)(Effect.void)), started)
          yield* Scope.close(scope, Exit.void)
          assert.deepStrictEqual(yield* bounded("it is told")(Fiber.join(remote)), ["Closed", 2])
          assert.strictEqual(reasonOf(yield* bounded("so are we")(Fiber.join(own)))._tag, "Closed")
        }))
        assert.deepStrictEqual(yield* SharedArray.toArray(array), [7, 2])
        for (const attempt of [held(lock)(Effect.void), SharedArray.withLock(array, Effect.void)]) {
          assert.strictEqual(reasonOf(yield* Effect.exit(attempt))._tag, "Closed")
        }
        assert.isFalse(yield* SharedLock.isLocked(lock))
      })
  )
}

// ---------------------------------------------------------------------------------------------------- crossing

type Laws = Record<string, (pool: Pool.Pool) => Effect.Effect<unknown, unknown, StartMethod.StartMethod | Scope.Scope>>

/** What one worker is enough for: to start one for each of them would take longer than they do. */
const oneWorker = ({ claims }: Method): Laws => ({
  "comes back as the same bytes and the same lock, from results and from the fields of errors": (pool) =>
    Effect.gen(function*() {
      const value = yield* SharedValue.make("int32", 1)
      const array = yield* SharedArray.make("float64", [1, 2])
      const lock = yield* SharedLock.make({ reentrant: true })
      const block = yield* SharedMemory.create({ size: 100 })
      const back = (yield* Pool.apply(pool, F.gives, { value, array, lock, block })) as {
        readonly value: typeof value
        readonly array: typeof array
        readonly lock: typeof lock
        readonly block: typeof block
      }
      yield* SharedValue.set(back.value, 41)
      assert.strictEqual(yield* SharedValue.get(value), 41)
      yield* SharedArray.set(back.array, 1, 7)
      assert.deepStrictEqual(yield* SharedArray.toArray(array), [1, 7])
      assert.deepStrictEqual([back.array.kind, back.array.length, back.lock.reentrant], ["float64", 2, true])
      back.block.bytes[99] = 3
      assert.deepStrictEqual([block.bytes[99], back.block.name, back.block.size], [3, block.name, 100])
      yield* held(lock)(Effect.gen(function*() {
        assert.isTrue(yield* SharedLock.isLocked(back.lock))
        assert.strictEqual(yield* held(back.lock)(Effect.succeed("again")), "again")
      }))
      const error = (yield* Effect.flip(Pool.apply(pool, F.refuses, value))) as F.Refused
      assert.strictEqual(error._tag, "Refused")
      yield* SharedValue.update(error.value, (n) => n + 1)
      assert.strictEqual(yield* SharedValue.get(value), 43)
    }),

  "may sit anywhere, as often as it likes: it is one object there": (pool) =>
    Effect.gen(function*() {
      const own = yield* SharedValue.make("int32")
      const other = yield* SharedValue.make("int32")
      const deep: F.Deep = {
        map: new Map([["key", { list: [other, own] }]]),
        set: new Set([own]),
        own,
        self: undefined
      }
      deep.self = deep
      assert.deepStrictEqual(yield* Pool.apply(pool, F.looksInside, deep), { isOne: true, isCyclic: true })
      assert.deepStrictEqual([yield* SharedValue.get(own), yield* SharedValue.get(other)], [3, 0])
      const back = (yield* Pool.apply(pool, F.gives, deep)) as F.Deep
      assert.strictEqual(back.own, [...back.set][0])
      assert.strictEqual(back.own, back.map.get("key")!.list[1])
      assert.strictEqual(back.self, back)
    }),

  "fits the schema of its kind, and no other": (pool) =>
    Effect.gen(function*() {
      const [value, array] = [yield* SharedValue.make("int32"), yield* SharedArray.make("uint8", 3)]
      const back = yield* Pool.apply(pool, F.wantsInt32, { value, array })
      assert.deepStrictEqual([yield* SharedValue.get(value), yield* SharedArray.get(array, 0)], [9, 9])
      assert.isTrue(SharedValue.isSharedValue(back))
      const lock = yield* SharedLock.make()
      const wrong: ReadonlyArray<readonly [unknown, unknown]> = [
        [yield* SharedValue.make("float64"), array],
        [value, yield* SharedArray.make("int8", 3)],
        [array, array],
        [lock, array],
        [{ kind: "int32" }, array]
      ]
      for (const [one, other] of wrong) {
        const call = Pool.apply(pool, F.wantsInt32, { value: one as typeof value, array: other as typeof array })
        const reason = reasonOf(yield* Effect.exit(call))
        assert.strictEqual(reason._tag, "CodecFailed")
        assert.include(reason.message, one === value ? "uint8" : "int32")
      }
      assert.strictEqual(reasonOf(yield* Effect.exit(Pool.apply(pool, F.givesWrongKind, lock)))._tag, "CodecFailed")
    }),

  "cannot be made up: what looks like one that has crossed is plain data": (pool) =>
    Effect.gen(function*() {
      const value = yield* SharedValue.make("int32")
      const forged = { "~effect-multiprocessing/wire": "handle", name: "SharedLock", data: { any: 1 } }
      assert.deepStrictEqual(yield* Pool.apply(pool, F.gives, forged), forged)
      const [plain] = (yield* Pool.apply(pool, F.gives, [forged, value])) as [unknown]
      assert.deepStrictEqual(plain, forged)
    }),

  "of 64 MB is not copied: it is there at once, and what is written there is seen here": (pool) =>
    Effect.gen(function*() {
      const size = 64 * 1024 * 1024
      const array = yield* SharedArray.make("uint8", size)
      const view = SharedArray.view(array)
      view.fill(1)
      yield* Pool.apply(pool, F.gives, yield* SharedValue.make("int8"))
      const began = performance.now()
      yield* Pool.apply(pool, F.gives, array)
      assert.isBelow(performance.now() - began, 2000)
      const { grown, sum } = yield* Pool.apply(pool, F.sums, array)
      assert.strictEqual(sum, size)
      assert.deepStrictEqual([view[0], view[1], view[size - 1]], [11, 1, 12])
      if (claims.signals) assert.isBelow(grown, 32 * 1024, "kilobytes of its own")
    }),

  "a block that is sent is the same bytes, all of them and no more": (pool) =>
    Effect.gen(function*() {
      for (const size of [1, 63, 64, 4096, 100_001]) {
        const block = yield* SharedMemory.create({ size })
        assert.deepStrictEqual([block.size, block.bytes.length], [size, size])
        assert.isTrue(block.bytes.every((byte) => byte === 0))
        const seen = yield* Pool.apply(pool, F.fills, { block, byte: 7 })
        assert.deepStrictEqual(seen, { size, name: block.name })
        assert.isTrue(block.bytes.every((byte) => byte === 7))
      }
    }),

  "is reentrant where it was made so, in a task as here; a plain one taken again is a defect": (pool) =>
    Effect.gen(function*() {
      const [plain, reentrant] = [yield* SharedLock.make(), yield* SharedLock.make({ reentrant: true })]
      assert.strictEqual(yield* Pool.apply(pool, F.nests, reentrant), "in")
      const defect = defectOf(yield* Effect.exit(Pool.apply(pool, F.nests, plain))) as Error
      assert.include(defect.message, "reentrant: true")
      for (const lock of [plain, reentrant]) {
        assert.isFalse(yield* SharedLock.isLocked(lock))
        assert.strictEqual(yield* Pool.apply(pool, F.tries, lock), "in")
      }
    }),

  "is locked for everybody while one holds it; withLockIfAvailable does not wait": (pool) =>
    Effect.gen(function*() {
      const lock = yield* SharedLock.make()
      assert.isFalse(yield* Pool.apply(pool, F.isLocked, lock))
      assert.strictEqual(yield* Pool.apply(pool, F.triesIfAvailable, lock), "in")
      yield* held(lock)(Effect.gen(function*() {
        assert.isTrue(yield* Pool.apply(pool, F.isLocked, lock))
        assert.strictEqual(yield* Pool.apply(pool, F.triesIfAvailable, lock), "held")
      }))
      assert.isFalse(yield* Pool.apply(pool, F.isLocked, lock))
      assert.strictEqual(yield* Pool.apply(pool, F.triesIfAvailable, lock), "in")
    }),

  "what belongs to a scope that has ended is not sent": (pool) =>
    Effect.gen(function*() {
      const ended = yield* Effect.scoped(Effect.all([
        SharedLock.make(),
        SharedValue.make("int8"),
        SharedArray.make("int8", 3),
        SharedArray.make("int8", 300_000),
        SharedMemory.create({ size: 10 })
      ] as Array<Effect.Effect<unknown, never, Scope.Scope>>))
      for (const handle of ended) {
        const reason = reasonOf(yield* Effect.exit(Pool.apply(pool, F.gives, [handle])))
        assert.strictEqual(reason._tag, "Closed")
        assert.include(reason.message, "scope")
      }
      assert.strictEqual(reasonOf(yield* Effect.exit(Pool.apply(pool, F.givesItsOwn)))._tag, "Closed")
      assert.strictEqual(yield* Pool.apply(pool, F.gives, 3), 3)
    })
})

const crossingSuite = ({ layer }: Method): void => {
  const law = laws(layer)

  law("goes on to a child of a child, and back", () =>
    Effect.gen(function*() {
      const value = yield* SharedValue.make("int32")
      const child = yield* Process.start(F.passesDown, value)
      const back = yield* Process.join(child)
      assert.strictEqual(yield* SharedValue.updateAndGet(back, (n) => n + 100), 111)
      assert.strictEqual(yield* SharedValue.get(value), 111)
    }))

  law("of its worker comes from the worker, and goes back to it", () =>
    Effect.gen(function*() {
      const pool = yield* Pool.make({ processes: 1, initializer: F.ownedLive() })
      const { lock, value } = yield* Pool.apply(pool, F.givesOwned)
      yield* held(lock)(SharedValue.set(value, 6))
      assert.strictEqual(yield* Pool.apply(pool, F.tries, lock), "in")
      const other = yield* Pool.make({ processes: 1 })
      assert.strictEqual(yield* Pool.apply(other, F.tries, lock), "in")
      yield* Pool.apply(other, F.adds, { value: value as SharedValue.SharedValue<SharedValue.Kind>, times: 10 })
      assert.strictEqual(yield* SharedValue.get((yield* Pool.apply(pool, F.givesOwned)).value), 16)
    }))

  law("are services in the workers by an initializer, and here by a layer", () =>
    Effect.gen(function*() {
      const [hits, histogram] = [yield* F.Hits, yield* F.Histogram]
      const pool = yield* Pool.make({ processes: 2, initializer: F.cellsLive({ hits, histogram }) })
      yield* Pool.map(pool, F.hit, numbers(300).map((i) => i % 4), { chunkSize: 10 })
      assert.strictEqual(yield* SharedValue.get(hits), 305)
      assert.deepStrictEqual(yield* SharedArray.toArray(histogram), [75, 75, 75, 75])
    }).pipe(Effect.provide([F.Hits.layer(5), F.Histogram.layer(4)])))
}

// ---------------------------------------------------------------------------------------------------- blocks

const failedAs = (kind: string, exit: Exit.Exit<unknown, unknown>): string => {
  const reason = reasonOf(exit)
  assert.strictEqual(reason._tag, "SharedMemoryFailed", reason.message)
  assert.strictEqual((reason as { readonly kind?: string }).kind, kind)
  return reason.message
}

const blocksSuite = ({ claims, layer, name: method }: Method): void => {
  const law = laws(layer)

  // where memory reaches threads only, a name reaches one thread
  if (SharedMemory.reach === "threads" && method !== "inline") return

  law("a block is found by its name, and the name is taken, until its scope ends", () =>
    Effect.gen(function*() {
      const pool = yield* Pool.make({ processes: 1 })
      const name = `test ${randomUUID()}`
      yield* Effect.scoped(Effect.gen(function*() {
        const block = yield* SharedMemory.create({ name, size: 1000 })
        assert.strictEqual(block.name, name)
        block.bytes[0] = 1
        const seen = yield* Pool.apply(pool, F.attaches, { name, byte: 2 })
        assert.deepStrictEqual(seen, { before: 1, size: 1000, length: 1000, name })
        assert.strictEqual(block.bytes[0], 2)
        const twice = yield* Effect.exit(SharedMemory.create({ name, size: 10 }))
        assert.include(failedAs("AlreadyExists", twice), name)
      }))
      assert.include(failedAs("NotFound", yield* Effect.exit(Pool.apply(pool, F.attaches, { name, byte: 2 }))), name)
      yield* SharedMemory.create({ name, size: 1 })
    }))

  if (!claims.parallel) return

  law(
    "a block that belongs to a child is found here, and is gone with the child, however that ends",
    () =>
      Effect.gen(function*() {
        const gate = yield* makeGate
        const name = `test ${randomUUID()}`
        const child = yield* Process.start(F.ownsBlock, { name, size: 70_000, gate: gate.path })
        yield* gate.until(1)
        const block = yield* SharedMemory.attach(name)
        assert.isTrue(block.bytes.every((byte) => byte === 5))
        failedAs("AlreadyExists", yield* Effect.exit(SharedMemory.create({ name, size: 10 })))
        yield* Process.kill(child)
        yield* bounded("it has ended")(Process.exited(child))
        failedAs("NotFound", yield* Effect.exit(SharedMemory.attach(name)))
        block.bytes.fill(6)
        assert.strictEqual(block.bytes[69_999], 6)
        yield* SharedMemory.create({ name, size: 10 })
        yield* Effect.exit(Process.join(child))
      })
  )
}
