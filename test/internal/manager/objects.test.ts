/** Who holds an object, and until when: the server's side, with a clock of its own. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { TestClock } from "effect/testing"
import { makeObjects } from "../../../src/internal/manager/objects.ts"

const lease = 1000

/** One object, with its first holder. */
const one = Effect.gen(function*() {
  const objects = yield* makeObjects(lease)
  const first = yield* Scope.make()
  let released = 0
  const it = {}
  const make = Effect.acquireRelease(Effect.succeed(it), () => Effect.sync(() => released++))
  const { holder, object } = yield* Scope.provide(objects.put(make), first)
  return {
    first,
    holder,
    isThere: () => objects.find(object) === it && released === 0,
    enter: (known: number | undefined) =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const leased = yield* Scope.provide(objects.hold(object, known), scope)
        return { scope, holder: leased.holder }
      })
  }
})

const lose = (scope: Scope.Closeable) => Scope.close(scope, Exit.die("its connection is lost"))
const giveBack = (scope: Scope.Closeable) => Scope.close(scope, Exit.void)

describe("the objects of a server", () => {
  it.effect("whoever loses its connection may come back for so long, each time anew", () =>
    Effect.gen(function*() {
      const { enter, first, holder, isThere } = yield* one
      yield* lose(first)
      yield* TestClock.adjust(600)
      const second = yield* enter(holder)
      assert.strictEqual(second.holder, holder)
      yield* lose(second.scope)
      yield* TestClock.adjust(600)
      assert.isTrue(isThere())
      const third = yield* enter(holder)
      yield* TestClock.adjust(10_000)
      assert.isTrue(isThere())
      yield* lose(third.scope)
      yield* TestClock.adjust(999)
      assert.isTrue(isThere())
      yield* TestClock.adjust(1)
      assert.isFalse(isThere())
    }))

  it.effect("whoever has come back and gives it back is not waited for", () =>
    Effect.gen(function*() {
      const { enter, first, holder, isThere } = yield* one
      yield* lose(first)
      const { scope } = yield* enter(holder)
      yield* giveBack(scope)
      assert.isFalse(isThere())
    }))

  it.effect("one that gives it back takes it from nobody who is away", () =>
    Effect.gen(function*() {
      const { enter, first, isThere } = yield* one
      const other = yield* enter(undefined)
      yield* lose(first)
      yield* giveBack(other.scope)
      assert.isTrue(isThere())
      yield* TestClock.adjust(1000)
      assert.isFalse(isThere())
    }))

  it.effect("a connection whose loss is seen late takes nothing from whoever is back", () =>
    Effect.gen(function*() {
      const { enter, first, holder, isThere } = yield* one
      const { scope } = yield* enter(holder)
      yield* lose(first)
      yield* TestClock.adjust(10_000)
      assert.isTrue(isThere())
      yield* giveBack(scope)
      assert.isFalse(isThere())
    }))

  it.effect("what is given back is gone, also where an old connection seems to be there", () =>
    Effect.gen(function*() {
      const { enter, first, holder, isThere } = yield* one
      const { scope } = yield* enter(holder)
      yield* giveBack(scope)
      assert.isFalse(isThere())
      yield* lose(first)
      yield* TestClock.adjust(10_000)
    }))
})
