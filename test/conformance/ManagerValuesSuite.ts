/** The laws of a manager's namespaces, of values with schemas, and of its shared memory, for every start method. */
import { assert, describe } from "@effect/vitest"
import { Effect, Option, Schema } from "effect"
import { Manager, Process, SharedMemory } from "../../src/index.ts"
import { existsSync } from "node:fs"
import * as T from "../fixtures/managerReady.ts"
import { defectOf, numbers, reasonOf } from "./assertions.ts"
import { makeEvents } from "./events.ts"
import { laws } from "./law.ts"
import type { Method } from "./methods.ts"

const withObjects = <A, E, R>(use: Effect.Effect<A, E, R>) => Effect.provide(use, Manager.layerObjects())

const range = (from: number, to: number) => new T.Range({ from, to })

const first = { limit: 10, since: new Date(0), range: range(0, 2) }

const namespaceLaws = ({ layer }: Method): void => {
  const law = laws(layer, 30_000)

  law(
    "attributes are read and written by name, one, several, and all at once",
    () =>
      withObjects(Effect.gen(function*() {
        const settings = yield* Manager.namespace(T.Settings, first)
        assert.strictEqual(yield* settings.get("limit"), 10)
        assert.deepStrictEqual(yield* settings.get("since"), new Date(0))
        assert.instanceOf(yield* settings.get("range"), T.Range)
        assert.isUndefined(yield* settings.get("note"))
        yield* settings.set("note", "new")
        yield* settings.setAll({ limit: 11, since: new Date(5) })
        assert.deepStrictEqual(yield* settings.all(), {
          limit: 11,
          since: new Date(5),
          range: range(0, 2),
          note: "new"
        })
      }))
  )

  law("an attribute may be encoded to undefined", () =>
    withObjects(Effect.gen(function*() {
      const settings = yield* Manager.namespace(T.Nothing, { found: Option.none() })
      assert.deepStrictEqual(yield* settings.get("found"), Option.none())
      assert.deepStrictEqual(yield* settings.update("found", T.findsNothing), Option.none())
      yield* settings.set("found", Option.some(1))
      assert.deepStrictEqual(yield* settings.get("found"), Option.some(1))
    })))

  law("a task sees classes, and what it gives is kept", () =>
    withObjects(Effect.gen(function*() {
      const settings = yield* Manager.namespace(T.Settings, first)
      assert.deepStrictEqual(yield* settings.update("range", T.widen), range(0, 4))
      assert.strictEqual((yield* settings.get("range")).length, 4)
      const all = yield* settings.updateAll(T.moveOn)
      assert.strictEqual(all.limit, 4)
      assert.deepStrictEqual(yield* settings.all(), all)
      assert.deepStrictEqual(all.since, new Date(1000))
    })))

  law(
    "what does not fit changes nothing, also what a task gives, and half of what is set",
    () =>
      withObjects(Effect.gen(function*() {
        const settings = yield* Manager.namespace(T.Settings, { ...first, limit: 5 })
        const refused = [
          settings.set("limit", 0.5),
          settings.set("range", { from: "a" } as never),
          settings.setAll({ since: new Date(9), limit: 0.5 }),
          settings.update("limit", T.halve)
        ]
        assert.instanceOf(yield* Effect.flip(settings.update("since", T.spoils)), Error)
        for (const change of refused) assert.strictEqual(reasonOf(yield* Effect.exit(change))._tag, "CodecFailed")
        assert.deepStrictEqual(yield* settings.all(), { ...first, limit: 5 })
        assert.deepStrictEqual((yield* settings.updateAll(T.moveOn)).since, new Date(1000))
        const wrong = yield* Effect.exit(Manager.namespace(T.Settings, { ...first, limit: 0.5 }))
        assert.strictEqual(reasonOf(wrong)._tag, "CodecFailed")
        const unknown = defectOf(yield* Effect.exit(settings.get("limits" as never))) as Error
        assert.include(unknown.message, `namespace "Settings" has no attribute "limits"`)
      }))
  )

  law("the server checks what comes, whoever sends it", () =>
    withObjects(Effect.gen(function*() {
      const settings = yield* Manager.namespace(T.Settings, first, { name: "raw" })
      // as a proxy that knows no schema would
      const objects = yield* Manager.Objects
      const raw = (yield* objects.namespace({
        name: `raw, a Settings of ${T.module}`,
        initial: undefined
      })) as unknown as Manager.HostedNamespace<
        {
          readonly limit: unknown
        }
      >
      assert.strictEqual(reasonOf(yield* Effect.exit(raw.set("limit", "many")))._tag, "CodecFailed")
      const unknown = reasonOf(yield* Effect.exit(raw.set("bounds" as never, 1 as never)))
      assert.include(unknown.message, `There is no attribute "bounds"`)
      yield* raw.set("limit", 12)
      assert.strictEqual(yield* settings.get("limit"), 12)
    })))

  law("is decoded where the payload schema says so, and loses no update", () =>
    withObjects(Effect.gen(function*() {
      const settings = yield* Manager.namespace(T.Settings, { ...first, limit: 0 })
      const children = yield* Effect.forEach(numbers(2), () => Process.start(T.widens, { settings, times: 50 }))
      for (const child of children) assert.strictEqual(yield* Process.join(child), 2)
      assert.strictEqual(yield* settings.get("limit"), 100)
    })))
}

const schemaLaws = ({ layer }: Method): void => {
  const law = laws(layer, 30_000)

  law("classes come back as classes from a ref, a list, a set and a queue", () =>
    withObjects(Effect.gen(function*() {
      const ref = yield* Manager.ref(range(0, 1), { schema: T.Range })
      assert.deepStrictEqual(yield* ref.getAndSet(range(0, 2)), range(0, 1))
      assert.strictEqual((yield* ref.update(T.extend)).length, 3)
      assert.deepStrictEqual(yield* ref.updateWith(T.shifted, range(0, 5)), range(5, 8))
      assert.deepStrictEqual(yield* ref.getAndUpdate(T.extend), range(5, 8))
      assert.deepStrictEqual(yield* ref.setAndGet(range(1, 2)), range(1, 2))
      const list = yield* Manager.list([range(0, 1)], { schema: T.Range })
      yield* list.pushAll([range(1, 2), range(2, 4)])
      assert.strictEqual((yield* list.update(-1, T.extend))?.length, 3)
      assert.deepStrictEqual(yield* list.slice(0, 2), [range(0, 1), range(1, 2)])
      assert.isUndefined(yield* list.get(9))
      assert.instanceOf(yield* list.pop(), T.Range)
      const days = yield* Manager.set([new Date(0)], { schema: Schema.DateFromString })
      assert.isTrue(yield* days.has(new Date(0)))
      assert.isFalse(yield* days.add(new Date(0)))
      assert.deepStrictEqual(yield* days.values(), [new Date(0)])
      const queue = yield* Manager.queue({ schema: T.Range })
      yield* queue.offer(range(0, 3))
      assert.strictEqual((yield* queue.take()).length, 3)
      assert.deepStrictEqual(yield* queue.poll(), [])
    })))

  law(
    "what a task of an update fails with arrives as its class, and changes nothing",
    () =>
      withObjects(Effect.gen(function*() {
        const ref = yield* Manager.ref(0)
        const map = yield* Manager.map([["a", 0]])
        const settings = yield* Manager.namespace(T.Settings, { ...first, limit: 0 })
        const updates = [ref.update(T.shrink), map.update("a", T.shrink as never), settings.update("limit", T.shrink)]
        for (const update of updates) {
          const error = yield* Effect.flip(update)
          assert.instanceOf(error, T.TooSmall)
          assert.strictEqual((error as T.TooSmall).by, 1)
        }
        assert.strictEqual(yield* ref.get(), 0)
        const absent = { ...T.shrink, name: "absent" }
        assert.strictEqual(reasonOf(yield* Effect.exit(ref.update(absent)))._tag, "TaskNotFound")
      }))
  )

  law("keys of a map are found by what they are encoded to", () =>
    withObjects(Effect.gen(function*() {
      const map = yield* Manager.map([[new Date(0), range(0, 1)]], { key: Schema.DateFromString, value: T.Range })
      assert.isTrue(yield* map.has(new Date(0)))
      assert.strictEqual((yield* map.get(new Date(0)))?.length, 1)
      assert.strictEqual((yield* map.update(new Date(1), T.extend)).length, 1)
      yield* map.setAll([[new Date(2), range(0, 7)]])
      assert.deepStrictEqual(yield* map.entries(), [
        [new Date(0), range(0, 1)],
        [new Date(1), range(0, 1)],
        [new Date(2), range(0, 7)]
      ])
      assert.isTrue(yield* map.remove(new Date(2)))
    })))

  law(
    "what is encoded to undefined is no value of a map or a list, where that is nothing",
    () =>
      withObjects(Effect.gen(function*() {
        const schema = T.Found
        const none = Option.none<number>()
        const map = yield* Manager.map<string, Option.Option<number>>(undefined, { key: Schema.String, value: schema })
        const list = yield* Manager.list([Option.some(1)], { schema })
        const refused = [
          map.set("a", none),
          map.update("a", T.findsNothing as never),
          list.push(none),
          list.update(0, T.findsNothing),
          Manager.list([none], { schema })
        ]
        for (const call of refused) {
          const reason = reasonOf(yield* Effect.exit(call))
          assert.strictEqual(reason._tag, "CodecFailed")
          assert.include(reason.message, "stands for nothing being there")
        }
        assert.isFalse(yield* map.has("a"))
        assert.deepStrictEqual(yield* list.values(), [Option.some(1)])
        const ref = yield* Manager.ref(none, { schema })
        assert.deepStrictEqual(yield* ref.get(), none)
        assert.deepStrictEqual(yield* ref.update(T.findsNothing), none)
        const plain = yield* Manager.map<string, unknown>()
        assert.deepStrictEqual(yield* plain.update("a", T.findsNothing as never), none)
      }))
  )

  law("the payload schema of the other side says it again", () =>
    withObjects(Effect.gen(function*() {
      const ranges = yield* Manager.map<Date, T.Range>(undefined, { key: Schema.DateFromString, value: T.Range })
      const child = yield* Process.start(T.extendsAll, { ranges, at: new Date(5) })
      assert.deepInclude(yield* Process.join(child), { isRange: true, length: 1 })
      assert.deepStrictEqual(yield* ranges.get(new Date(5)), range(0, 1))
    })))

  law(
    "what does not fit its schema is CodecFailed; a task without schemas is a defect that says what to do",
    () =>
      withObjects(Effect.gen(function*() {
        const ref = yield* Manager.ref(range(0, 1), { schema: T.Range })
        assert.strictEqual(reasonOf(yield* Effect.exit(ref.set({ from: 1 } as never)))._tag, "CodecFailed")
        assert.strictEqual(
          reasonOf(yield* Effect.exit(Manager.ref({} as never, { schema: T.Range })))._tag,
          "CodecFailed"
        )
        const defect = defectOf(yield* Effect.exit(ref.update(T.unschooled))) as Error
        assert.include(defect.message, `the task "unschooled" needs schemas too`)
        assert.deepStrictEqual(yield* ref.get(), range(0, 1))
      }))
  )
}

const memoryLaws = ({ claims, layer }: Method): void => {
  const law = laws(layer, 30_000)
  const tagOf = <A, E>(effect: Effect.Effect<A, E>) => Effect.map(Effect.exit(effect), (exit) => reasonOf(exit))

  law("a block that a child has made outlives the child, and is gone with the manager", () =>
    Effect.gen(function*() {
      const name = `block-${process.pid}-${Math.random()}`
      yield* withObjects(Effect.scoped(Effect.gen(function*() {
        const memory = yield* Manager.memory()
        const child = yield* Process.start(T.makesBlock, { memory, name })
        assert.strictEqual(yield* Process.join(child), 16)
        yield* Process.exited(child)
        const block = yield* SharedMemory.attach(name)
        assert.deepStrictEqual(Array.from(block.bytes), Array.from({ length: 16 }, () => 7))
        assert.deepInclude(yield* tagOf(memory.create({ size: 8, name })), { kind: "AlreadyExists" })
      })))
      assert.deepInclude(yield* tagOf(Effect.scoped(SharedMemory.attach(name))), { kind: "NotFound" })
    }))

  law(
    "all blocks of one are released together, when nobody holds it; those of another stay",
    () =>
      withObjects(Effect.gen(function*() {
        const other = yield* Manager.memory()
        const kept = yield* other.create({ size: 8 })
        const names = yield* Effect.scoped(Effect.gen(function*() {
          const memory = yield* Manager.memory()
          const blocks = yield* Effect.forEach(numbers(20), () => memory.create({ size: 4096 }))
          blocks[0]!.bytes[0] = 1
          assert.strictEqual((yield* SharedMemory.attach(blocks[0]!.name)).bytes[0], 1)
          return blocks.map(({ name }) => name)
        }))
        yield* other.create({ size: 8 }) // what was let go before has been let go
        for (const name of names) {
          assert.deepInclude(yield* tagOf(Effect.scoped(SharedMemory.attach(name))), { kind: "NotFound" })
        }
        assert.strictEqual((yield* SharedMemory.attach(kept.name)).size, 8)
      }))
  )

  if (existsSync("/proc/self/fd")) {
    law("blocks that are released leave no descriptor open in the server", () =>
      withObjects(Effect.gen(function*() {
        const ref = yield* Manager.ref(0)
        const before = yield* ref.update(T.blocksOpen)
        yield* Effect.scoped(Effect.gen(function*() {
          const memory = yield* Manager.memory()
          yield* Effect.forEach(numbers(20), () => memory.create({ size: 4096 }))
          assert.isAtLeast(yield* ref.update(T.blocksOpen), before + 20)
        }))
        assert.isAtMost(yield* ref.update(T.blocksOpen), before)
      })))
  }

  law("a size that cannot be is refused", () =>
    withObjects(Effect.gen(function*() {
      const memory = yield* Manager.memory()
      for (const size of [0, -1, 1.5, NaN]) {
        assert.deepInclude(yield* tagOf(memory.create({ size })), { kind: "InvalidSize" })
      }
    })))

  if (claims.signals) {
    law("a block stays when the child that made it is killed", () =>
      withObjects(Effect.gen(function*() {
        const events = yield* makeEvents
        const name = `killed-${process.pid}-${Math.random()}`
        const memory = yield* Manager.memory()
        const child = yield* Process.start(T.makesBlock, { memory, name, path: events.path }, { daemon: true })
        yield* events.until("made")
        yield* Process.kill(child)
        yield* Process.exited(child)
        assert.strictEqual((yield* SharedMemory.attach(name)).bytes[15], 7)
      })))
  }
}

export const suite = (method: Method): void => {
  describe(`Manager's namespaces on ${method.name}`, () => namespaceLaws(method))
  describe(`Manager's values with schemas on ${method.name}`, () => schemaLaws(method))
  // where only threads share memory, a server that is a process has nothing to give to others
  if (SharedMemory.reach === "processes") {
    describe(`Manager's memory on ${method.name}`, () => memoryLaws(method))
  }
}
