import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option } from "effect"
import { execFile, spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { inspect } from "node:util"
import {
  Connection,
  Pipe,
  Pool,
  SharedArray,
  SharedCondition,
  SharedEvent,
  SharedLock,
  SharedMemory,
  SharedValue,
  StartMethod
} from "../src/index.ts"
import * as F from "./fixtures/shared.ts"
import * as Sync from "./fixtures/sync.ts"
import { bounded, defectOf, reasonOf } from "./conformance/assertions.ts"
import { methods } from "./conformance/methods.ts"
import { suite } from "./conformance/SharedSuite.ts"
import { openDescriptors } from "./internal/memory/open.ts"

for (const method of methods) {
  if (method.name !== "spawn" || SharedMemory.reach === "processes") suite(method)
}

const started = { startImmediately: true } as const

const rangeErrorOf = (exit: Exit.Exit<unknown, unknown>, ...says: ReadonlyArray<string>): void => {
  const defect = defectOf(exit) as Error
  assert.instanceOf(defect, RangeError)
  for (const one of says) assert.include(defect.message, one)
}

const invalid = (size: unknown) => Effect.exit(Effect.scoped(SharedMemory.create({ size: size as number })))

describe("a shared value", () => {
  it.effect("has the verbs of Ref, with its argument last too; what is stored may have wrapped", () =>
    Effect.gen(function*() {
      const value = yield* SharedValue.make("uint8", 250)
      assert.strictEqual(yield* SharedValue.updateAndGet(value, (n) => n + 10), 4)
      assert.strictEqual(yield* value.pipe(SharedValue.getAndUpdate((n: number) => n * 2)), 4)
      assert.strictEqual(yield* value.pipe(SharedValue.getAndSet(-1)), 8)
      assert.strictEqual(yield* SharedValue.modify(value, (n) => [`was ${n}`, 300]), "was 255")
      yield* value.pipe(SharedValue.update((n: number) => n + 1))
      assert.strictEqual(yield* SharedValue.get(value), 45)
      yield* value.pipe(SharedValue.set(1.9))
      assert.strictEqual(yield* SharedValue.get(value), 1)
      const big = yield* SharedValue.make("uint64")
      assert.strictEqual(yield* big.pipe(SharedValue.updateAndGet((n: bigint) => n - 1n)), 2n ** 64n - 1n)
      assert.strictEqual(yield* SharedValue.withLock(value)(Effect.succeed("under it")), "under it")
    }))

  it.effect("of no kind, or with a number of the other type, is a defect that says so", () =>
    Effect.gen(function*() {
      rangeErrorOf(yield* Effect.exit(SharedValue.make("int" as "int8")), "SharedValue.make", `"int"`, "float64")
      rangeErrorOf(yield* Effect.exit(SharedArray.make("toString" as "int8", 1)), "SharedArray.make", "float64")
      assert.throws(() => SharedValue.schema("int" as "int8"), RangeError)
      assert.throws(() => SharedArray.schema("int" as "int8"), RangeError)
      const wrong = defectOf(yield* Effect.exit(SharedValue.make("int64", 1 as never))) as Error
      assert.instanceOf(wrong, TypeError)
      assert.include(wrong.message, "bigint")
      assert.instanceOf(defectOf(yield* Effect.exit(SharedArray.make("int8", [1n as never]))), TypeError)
    }))

  it.effect("does not grow the process, however many are made and dropped", () =>
    Effect.gen(function*() {
      setFlagsFromString("--expose-gc")
      const collect = runInNewContext("gc") as () => void
      const measures: Array<{ readonly fds: number; readonly used: number; readonly beside: number }> = []
      for (let part = 0; part < 4; part++) {
        for (let i = 0; i < 250; i++) {
          yield* Effect.scoped(Effect.replicateEffect(SharedValue.make("float64", i), 100))
        }
        collect()
        // how large V8 makes its heap is its own affair
        const { heapTotal, heapUsed, rss } = process.memoryUsage()
        measures.push({ fds: openDescriptors(), used: heapUsed, beside: rss - heapTotal })
      }
      // what leaks grows in each part; a collection that has not come yet makes one of them larger
      const least = (of: (measure: typeof measures[number]) => number): number =>
        Math.min(...measures.slice(1).map((measure, i) => of(measure) - of(measures[i]!)))
      assert.isAtMost(least(({ fds }) => fds), 0)
      assert.isBelow(least(({ used }) => used), 2 * 1024 * 1024)
      assert.isBelow(least(({ beside }) => beside), 16 * 1024 * 1024)
    }))
})

describe("a shared array", () => {
  it.effect("is made of zeros or of elements, and is as long as they are", () =>
    Effect.gen(function*() {
      const zeros = yield* SharedArray.make("int16", 3)
      assert.deepStrictEqual(yield* SharedArray.toArray(zeros), [0, 0, 0])
      const some = yield* SharedArray.make("int64", new Set([1n, -1n, 2n ** 63n]))
      assert.deepStrictEqual(yield* SharedArray.toArray(some), [1n, -1n, -(2n ** 63n)])
      assert.strictEqual(yield* SharedArray.modify(some, 1, (n) => [n * 2n, 5n]), -2n)
      yield* SharedArray.update(some, 0, (n) => n + 1n)
      assert.deepStrictEqual([...SharedArray.view(some)], [2n, 5n, -(2n ** 63n)])
      const empty = yield* SharedArray.make("float32", 0)
      assert.deepStrictEqual(yield* SharedArray.toArray(empty), [])
      assert.strictEqual(SharedArray.view(empty).length, 0)
    }))

  it.effect("with a length or an index that cannot be is a RangeError that names it", () =>
    Effect.gen(function*() {
      for (const length of [-1, 1.5, NaN, Infinity, 2 ** 60, "3"]) {
        rangeErrorOf(yield* Effect.exit(SharedArray.make("int8", length as number)), "SharedArray.make", "length")
      }
      const array = yield* SharedArray.make("int8", 3)
      for (const index of [-1, 3, 0.5, NaN]) {
        rangeErrorOf(yield* Effect.exit(SharedArray.get(array, index)), "SharedArray.get", "0 to 2", String(index))
        rangeErrorOf(yield* Effect.exit(SharedArray.set(array, index, 1)), "SharedArray.set")
        rangeErrorOf(yield* Effect.exit(SharedArray.update(array, index, (n) => n)), "SharedArray.update")
        rangeErrorOf(yield* Effect.exit(SharedArray.modify(array, index, (n) => [n, n])), "SharedArray.modify")
      }
      rangeErrorOf(yield* Effect.exit(SharedArray.get(yield* SharedArray.make("int8", 0), 0)), "empty")
    }))

  it.effect("of more than the system gives is SharedMemoryFailed, and what is smaller is given", () =>
    Effect.gen(function*() {
      const reason = reasonOf(yield* Effect.exit(SharedArray.make("float64", 2 ** 50)))
      assert.strictEqual(reason._tag, "SharedMemoryFailed")
      assert.include(reason.message, "SharedArray.make")
      yield* SharedArray.make("float64", 2)
    }))
})

describe("a shared lock", () => {
  it.effect("that is not reentrant is a defect where its holder takes it again, and is free after that", () =>
    Effect.gen(function*() {
      const lock = yield* SharedLock.make()
      const again = SharedLock.withLock(lock, SharedLock.withLock(lock, Effect.void))
      assert.include((defectOf(yield* Effect.exit(again)) as Error).message, "reentrant: true")
      const repairing = SharedLock.withLock(lock, SharedLock.recover(lock, Effect.void))
      assert.include((defectOf(yield* Effect.exit(repairing)) as Error).message, "reentrant: true")
      const asked = SharedLock.withLock(lock)(SharedLock.withLockIfAvailable(lock)(Effect.void))
      assert.deepStrictEqual(yield* asked, Option.none())
      assert.isFalse(yield* SharedLock.isLocked(lock))
    }))

  it.effect("that is reentrant is given when it was given as often as it was taken; another fiber waits", () =>
    Effect.gen(function*() {
      const lock = yield* SharedLock.make({ reentrant: true })
      const seen: Array<string> = []
      const other = yield* SharedLock.withLock(
        lock,
        Effect.gen(function*() {
          yield* SharedLock.withLock(lock, Effect.void)
          assert.isTrue(yield* SharedLock.isLocked(lock))
          const fiber = yield* Effect.forkChild(
            SharedLock.withLock(lock, Effect.sync(() => seen.push("other"))),
            started
          )
          yield* Effect.ignore(SharedLock.withLock(lock, Effect.fail("no")))
          yield* Effect.yieldNow
          assert.deepStrictEqual(
            yield* SharedLock.withLockIfAvailable(lock, Effect.succeed("again")),
            Option.some("again")
          )
          seen.push("holder")
          return fiber
        })
      )
      yield* Fiber.join(other)
      assert.deepStrictEqual(seen, ["holder", "other"])
      assert.isFalse(yield* SharedLock.isLocked(lock))
    }))

  it.effect("is given back however the effect under it ends", () =>
    Effect.gen(function*() {
      const lock = yield* SharedLock.make()
      const waits = SharedLock.withLock(lock, Effect.never)
      for (const effect of [Effect.void, Effect.fail("no"), Effect.die("bug"), Effect.interrupt]) {
        yield* Effect.exit(SharedLock.withLock(lock, effect))
        assert.isFalse(yield* SharedLock.isLocked(lock))
      }
      const fiber = yield* Effect.forkChild(waits, started)
      assert.isTrue(yield* SharedLock.isLocked(lock))
      const next = yield* Effect.forkChild(SharedLock.withLock(lock, Effect.succeed("next")), started)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* Fiber.join(next), "next")
    }))

  it.effect("gives its turns in the order of the waiters, without those who left", () =>
    Effect.gen(function*() {
      const lock = yield* SharedLock.make()
      const order: Array<number> = []
      const fibers = yield* SharedLock.withLock(
        lock,
        Effect.gen(function*() {
          const all = yield* Effect.forEach(Array.from({ length: 50 }, (_, i) => i), (i) =>
            Effect.forkChild(
              SharedLock.withLock(
                lock,
                Effect.sync(() => order.push(i))
              ),
              started
            ))
          for (let i = 0; i < 50; i += 3) {
            yield* Fiber.interrupt(all[i]!)
          }
          return all.filter((_, i) => i % 3 > 0)
        })
      )
      yield* bounded("all had a turn")(Effect.forEach(fibers, Fiber.join))
      assert.deepStrictEqual(order, Array.from({ length: 50 }, (_, i) => i).filter((i) => i % 3 > 0))
    }))

  it.effect("and all handles show what they are, and no more", () =>
    Effect.gen(function*() {
      const handles = {
        SharedLock: yield* SharedLock.make(),
        SharedValue: yield* SharedValue.make("int8"),
        SharedArray: yield* SharedArray.make("int8", 1),
        SharedMemory: yield* SharedMemory.create({ size: 1 })
      }
      const guards = [
        SharedLock.isSharedLock,
        SharedValue.isSharedValue,
        SharedArray.isSharedArray,
        SharedMemory.isSharedMemory
      ]
      Object.entries(handles).forEach(([name, handle], index) => {
        assert.strictEqual(inspect(handle), name)
        assert.strictEqual(String(handle), name)
        assert.deepStrictEqual(guards.map((isOne) => isOne(handle)), guards.map((_, at) => at === index))
      })
      for (const isOne of guards) for (const other of [undefined, null, 1, {}, []]) assert.isFalse(isOne(other))
    }))
})

describe("a shared block", () => {
  it.effect("of a size that cannot be is InvalidSize, whatever it is", () =>
    Effect.gen(function*() {
      for (const size of [0, -0, -1, NaN, Infinity, 1.5, 2 ** 40, 2 ** 53, "10", undefined, null, 1n]) {
        const reason = reasonOf(yield* invalid(size))
        assert.strictEqual(reason._tag, "SharedMemoryFailed")
        assert.strictEqual((reason as { readonly kind?: string }).kind, "InvalidSize")
        assert.include(reason.message, "SharedMemory.create")
      }
    }))

  it.effect("with a name that cannot be is a RangeError; any other name will do", () =>
    Effect.gen(function*() {
      for (const name of ["", 3, null]) {
        rangeErrorOf(yield* Effect.exit(SharedMemory.create({ size: 1, name: name as string })), "SharedMemory.create")
        rangeErrorOf(yield* Effect.exit(SharedMemory.attach(name as string)), "SharedMemory.attach")
      }
      for (const name of ["/", "../etc", "a\0b", "a".repeat(10_000), "ünïcödé 🙂", "__proto__"]) {
        const own = `${process.pid} ${name}`
        const block = yield* SharedMemory.create({ size: 10, name: own })
        block.bytes[9] = 1
        assert.strictEqual((yield* SharedMemory.attach(own)).bytes[9], 1)
        const reason = reasonOf(yield* Effect.exit(SharedMemory.attach(`${own} `)))
        assert.strictEqual((reason as { readonly kind?: string }).kind, "NotFound")
      }
    }))

  it.effect("without a name gets one that nobody else has", () =>
    Effect.gen(function*() {
      const blocks = yield* Effect.replicateEffect(SharedMemory.create({ size: 1 }), 20)
      assert.strictEqual(new Set(blocks.map(({ name }) => name)).size, 20)
      for (const { name } of blocks) assert.match(name, /^block-[0-9a-f]{32}$/)
    }))

  it.effect("of a name that two ask for at once is that of one of them", () =>
    Effect.gen(function*() {
      const name = `both ${process.pid}`
      const attempts = yield* Effect.all(
        Array.from({ length: 5 }, () => Effect.exit(SharedMemory.create({ size: 1, name }))),
        { concurrency: "unbounded" }
      )
      assert.lengthOf(attempts.filter(Exit.isSuccess), 1)
      for (const exit of attempts.filter(Exit.isFailure)) {
        assert.strictEqual((reasonOf(exit) as { readonly kind?: string }).kind, "AlreadyExists")
      }
    }))
})

describe("without the native part", () => {
  const program = fileURLToPath(new URL("./fixtures/programs/threadsOnly.ts", import.meta.url))
  const env = { ...process.env, NODE_OPTIONS: "", EFFECT_MULTIPROCESSING_NATIVE: "off" }

  it.live("shared memory reaches threads, and says at the border to a process what is missing and what to do", () =>
    Effect.gen(function*() {
      const output = yield* Effect.callback<string>((resume) => {
        const child = execFile(process.execPath, [program], { env }, (_, out, err) => resume(Effect.succeed(out + err)))
        return Effect.sync(() => void child.kill("SIGKILL"))
      }).pipe(bounded("the program has ended", 25))
      const lines = output.trim().split("\n").map((line) => [line.split(": ")[0], line] as const)
      const of = (what: string) => lines.filter(([one]) => one === what).map(([, line]) => line)
      assert.deepStrictEqual(of("reach"), [`reach: "threads"`], output)
      assert.deepStrictEqual([of("inline"), of("threads")], [["inline: [10000,1000,100,3]"], [
        "threads: [10000,1000,100,3]"
      ]])
      const refused = of("refused")
      for (const name of ["SharedLock", "SharedValue", "SharedArray", "SharedMemory"]) {
        const line = refused.find((one) => one.includes(`payload.inside[0] is a ${name}`)) ?? assert.fail(output)
        assert.include(line, "NotShareable")
        assert.include(line, "unset EFFECT_MULTIPROCESSING_NATIVE")
        assert.include(line, "StartMethod.layerThreads")
      }
      assert.deepStrictEqual(of("lives"), ["lives: 1"])
      assert.include(of("result")[0], "NotShareable")
    }))
})

// where memory reaches threads only it is refused before it leaves
describe.skipIf(SharedMemory.reach === "threads")("a process that reaches less than the one that sends", () => {
  const without = StartMethod.layerSpawnWith({ extendEnv: { EFFECT_MULTIPROCESSING_NATIVE: "off" } })

  const makeAll = Effect.all({
    SharedValue: SharedValue.make("int8"),
    SharedArray: SharedArray.make("int8", 3),
    SharedLock: SharedLock.make(),
    SharedMemory: SharedMemory.create({ size: 1 }),
    SharedCondition: SharedCondition.make()
  })

  /** It says why, and what to do. */
  const refusedBy = (exit: Exit.Exit<unknown, unknown>, handle: string, ...says: ReadonlyArray<string>): void => {
    const reason = reasonOf(exit)
    assert.strictEqual(reason._tag, "NotShareable", reason.message)
    assert.strictEqual((reason as { readonly handle?: string }).handle, handle)
    for (const one of [handle, ...says]) assert.include(reason.message, one)
  }

  it.live("says that it cannot open what is in shared memory, why, and what to do; and lives on", () =>
    Effect.gen(function*() {
      const pool = yield* Pool.make({ processes: 1 })
      for (const [name, handle] of Object.entries(yield* makeAll)) {
        const exit = yield* Effect.exit(Pool.apply(pool, F.gives, { inside: [handle] }))
        refusedBy(exit, name, "unset EFFECT_MULTIPROCESSING_NATIVE", "StartMethod.layerThreads", "payload")
      }
      assert.strictEqual(yield* Pool.apply(pool, F.gives, 1), 1)
      assert.strictEqual((yield* Pool.stats(pool)).restarts, 0)
    }).pipe(Effect.scoped, Effect.provide(without)))

  it.live("says so of a message through a pipe, and of what its initializer is given", () =>
    Effect.gen(function*() {
      const pool = yield* Pool.make({ processes: 1 })
      const [here, there] = yield* Pipe.make<unknown, never>()
      const heard = yield* Effect.forkChild(Pool.apply(pool, F.hears, there as never), started)
      yield* Connection.send(here, [yield* SharedValue.make("int8")])
      const words = yield* bounded("it has heard")(Fiber.join(heard))
      assert.match(words, /^NotShareable .*SharedValue in the message.*unset EFFECT_MULTIPROCESSING_NATIVE/)
      const cells = { hits: yield* SharedValue.make("int32"), histogram: yield* SharedArray.make("uint32", 4) }
      const other = yield* Effect.exit(Pool.make({ processes: 1, initializer: F.cellsLive(cells) }))
      refusedBy(other, "SharedValue", "unset EFFECT_MULTIPROCESSING_NATIVE", "initializer")
    }).pipe(Effect.scoped, Effect.provide(without)))

  it.live("asks the hub where an event's bytes would be", () =>
    Effect.gen(function*() {
      const pool = yield* Pool.make({ processes: 1 })
      const event = yield* SharedEvent.make()
      assert.isFalse(yield* Pool.apply(pool, Sync.looks, { event }))
      yield* Pool.apply(pool, Sync.sets, { event })
      assert.isTrue(yield* SharedEvent.isSet(event))
      assert.isTrue(yield* Pool.apply(pool, Sync.looks, { event }))
    }).pipe(Effect.scoped, Effect.provide(without)))

  const isRoot = process.getuid?.() === 0
  const nobody = 65_534

  it.live.skipIf(!isRoot)(
    "because it has another user is told so, and never sees other memory than what was sent",
    () =>
      Effect.gen(function*() {
        const pool = yield* Pool.make({ processes: 1 })
        // it has seen small things before, and what it has seen stays
        const value = (yield* SharedValue.make("int32")) as unknown as SharedValue.SharedValue<SharedValue.Kind>
        yield* Pool.apply(pool, F.adds, { value, times: 1 })
        yield* Pool.apply(pool, F.becomes, nobody)
        yield* Pool.apply(pool, F.adds, { value, times: 1 })
        assert.strictEqual(yield* SharedValue.get(value), 2)
        const large = {
          SharedArray: yield* SharedArray.make("int8", 300_000),
          SharedMemory: yield* SharedMemory.create({ size: 300_000 })
        }
        for (const [name, handle] of Object.entries(large)) {
          const exit = yield* Effect.exit(Pool.apply(pool, F.gives, { inside: [handle] }))
          refusedBy(exit, name, "EACCES", String(process.pid), "user", "send a copy")
        }
        assert.strictEqual(yield* Pool.apply(pool, F.tries, yield* SharedLock.make()), "Closed")
        assert.strictEqual(yield* Pool.apply(pool, F.gives, 1), 1)
      }).pipe(Effect.scoped, Effect.provide(StartMethod.layerSpawn))
  )

  const program = fileURLToPath(new URL("./fixtures/programs/changesUser.ts", import.meta.url))
  /** Its children run as that user: it has to reach this Node and these files. */
  const reachesProgram = (): boolean =>
    spawnSync(process.execPath, ["-e", "fs.readFileSync(process.argv[1])", "--", program], { uid: nobody }).status === 0

  it.live.skipIf(!isRoot || !reachesProgram())(
    "because its parent has changed its user is told so",
    () =>
      Effect.gen(function*() {
        const output = yield* Effect.callback<string>((resume) => {
          const child = execFile(
            process.execPath,
            [program, String(nobody)],
            (_, out, err) => resume(Effect.succeed(out + err))
          )
          return Effect.sync(() => void child.kill("SIGKILL"))
        }).pipe(bounded("the program has ended", 25))
        const lines = output.trim().split("\n")
        assert.match(lines[0]!, /^value: NotShareable .*SharedValue in the payload.*EACCES.*user/, output)
        assert.match(lines[1]!, /^array: NotShareable .*SharedArray in the payload.*EACCES.*user/, output)
        assert.strictEqual(lines[2], "lives: 1", output)
        assert.lengthOf(lines, 3, output)
      })
  )
})
