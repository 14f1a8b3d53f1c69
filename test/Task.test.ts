import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Initializer, Pool, StartMethod, Task } from "../src/index.ts"

const module = import.meta.url

describe("Task", () => {
  it("is named by its module and its name", () => {
    const task = Task.sync("named", { module, handler: (x: number) => x })
    assert.strictEqual(task.name, "named")
    assert.strictEqual(task.module, module)
    assert.isTrue(Task.isTask(task))
    assert.isFalse(Task.isTask({ name: "named", module }))
    assert.strictEqual(Task.sync("byUrl", { module: new URL(module), handler: () => 1 }).module, module)
  })

  for (const wrong of ["./task.ts", "/tmp/task.ts", 42, undefined]) {
    it(`refuses ${String(wrong)} as a module, and says what to write`, () => {
      const options = { module: wrong as string, handler: () => 1 }
      assert.throws(() => Task.sync("misplaced", options), /Task\.sync\("misplaced"\).*module: import\.meta\.url/)
      assert.throws(
        () => Initializer.make("misplaced", { module: wrong as string, layer: () => undefined as never }),
        /Initializer\.make\("misplaced"\).*module: import\.meta\.url/
      )
    })
  }

  it("refuses an empty name", () => {
    assert.throws(() => Task.make("", { module, handler: () => Effect.void }), /non-empty string/)
  })

  it.live("what is no task is a TypeError that says so", () =>
    Effect.gen(function*() {
      const pool = yield* Pool.make({ processes: 1 })
      const notATask = ((x: number) => x) as unknown as Task.Task<number, number> // as a caller without types could pass
      const exit = yield* Effect.exit(Pool.apply(pool, notATask, 1))
      assert.include(String(exit), "not a task")
    }).pipe(Effect.scoped, Effect.provide(StartMethod.layerInline)))
})
