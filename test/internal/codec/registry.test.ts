import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import {
  findInitializer,
  findTask,
  initializerOf,
  moduleUrl,
  namesOf,
  taskOf,
  usesEffect
} from "../../../src/internal/codec/registry.ts"
import * as Initializer from "../../../src/Initializer.ts"
import * as Task from "../../../src/Task.ts"

const module = "file:///somewhere/of-this-test.ts"

describe("a definition", () => {
  it("is found by its module and its name", () => {
    Task.sync("first", { module, handler: () => 1 })
    Task.make("second", { module, handler: () => Effect.succeed(2) })
    Initializer.make("third", { module, layer: () => Layer.empty })
    assert.strictEqual(findTask(module, "first")?.kind, "sync")
    assert.strictEqual(findTask(module, "second")?.kind, "effect")
    assert.strictEqual(findInitializer(module, "third")?.kind, "initializer")
    assert.strictEqual(findTask(module, "third"), undefined)
    assert.strictEqual(findTask(`${module}x`, "first"), undefined)
    assert.deepStrictEqual(namesOf("task", module), ["first", "second"])
    assert.deepStrictEqual(namesOf("initializer", module), ["third"])
    assert.deepStrictEqual(namesOf("task", "file:///nothing.ts"), [])
  })

  it("is replaced by a later one of the same name in the same module", () => {
    const one = Task.sync("again", { module: `${module}2`, handler: () => 1 })
    const two = Task.sync("again", { module: `${module}2`, handler: () => 2 })
    assert.strictEqual(findTask(`${module}2`, "again")?.handler, taskOf(two).handler)
    assert.notStrictEqual(taskOf(one).handler, taskOf(two).handler)
    assert.deepStrictEqual(namesOf("task", `${module}2`), ["again"])
  })

  it("is found in one table, also when the library is evaluated a second time", async () => {
    Task.sync("shared", { module: `${module}3`, handler: () => 1 })
    const url = new URL("../../../src/internal/codec/registry.ts?again", import.meta.url).href
    const other: typeof import("../../../src/internal/codec/registry.ts") = await import(/* @vite-ignore */ url)
    assert.notStrictEqual(other.findTask, findTask)
    assert.strictEqual(other.findTask(`${module}3`, "shared"), findTask(`${module}3`, "shared"))
  })

  it("needs the URL of its module: import.meta.url, as text or as a URL", () => {
    assert.strictEqual(moduleUrl(new URL(module), "Task.make"), module)
    assert.strictEqual(moduleUrl(module, "Task.make"), module)
    for (const wrong of ["./tasks.ts", "/abs/tasks.ts", "", undefined, 5]) {
      assert.throws(
        () => Task.sync("t", { module: wrong as string, handler: () => 1 }),
        /^Task\.sync\("t"\): "module" must be the URL of the file that defines it, but it is .*import\.meta\.url/
      )
      assert.throws(() => Task.make("t", { module: wrong as string, handler: () => Effect.void }), /^Task\.make\("t"\)/)
      assert.throws(
        () => Initializer.make("i", { module: wrong as string, layer: () => Layer.empty }),
        /^Initializer\./
      )
    }
  })

  it("needs a name", () => {
    for (const wrong of ["", undefined, 5]) {
      assert.throws(
        () => Task.sync(wrong as string, { module, handler: () => 1 }),
        /^Task\.sync: the name must be a non-empty string, but it is /
      )
    }
  })

  it("needs effect when it returns an Effect or has a schema on either side", () => {
    const handler = () => 1
    const uses = (task: object): boolean => usesEffect(taskOf(task))
    assert.isFalse(uses(Task.sync("plain", { module, handler })))
    assert.isTrue(uses(Task.sync("payload", { module, payload: Schema.Number, handler })))
    assert.isTrue(uses(Task.sync("success", { module, success: Schema.Number, handler })))
    assert.isTrue(uses(Task.make("effect", { module, handler: () => Effect.succeed(1) })))
  })

  it("is told from what is none", () => {
    for (const wrong of [{}, () => 1, { name: "t", module }, [], "square"]) {
      assert.throws(() => taskOf(wrong as object), /^This is not a task: .*Task\.make or Task\.sync/)
    }
    const unapplied = Initializer.make("unapplied", { module, layer: (_: string) => Layer.empty })
    for (const wrong of [{}, unapplied]) {
      assert.throws(() => initializerOf(wrong), /^This is not an initializer: [^]*apply it to its payload/)
    }
    assert.isTrue(Task.isTask(Task.sync("is", { module, handler: () => 1 })))
    assert.isTrue(Initializer.isInitializer(unapplied("x")))
    assert.isFalse(Task.isTask({ name: "t", module }))
    assert.isFalse(Initializer.isInitializer(unapplied))
  })
})
