import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Transferable from "effect/workers/Transferable"
import * as fc from "fast-check"
import { taskOf } from "../../../src/internal/codec/registry.ts"
import { revive } from "../../../src/internal/codec/values.ts"
import { encodeBlocks } from "../../../src/internal/pool/calls.ts"
import * as Task from "../../../src/Task.ts"

const module = "file:///of-this-test.ts"
const thread = { sharesMemory: true }
const process = { sharesMemory: false }

const moving = taskOf(Task.sync("moving", {
  module,
  payload: Schema.Struct({ id: Schema.Number, bytes: Schema.optionalKey(Transferable.Uint8Array) }),
  handler: () => {}
}))
const plain = taskOf(Task.sync("plain", { module, handler: () => {} }))

describe("the blocks of a call", () => {
  it("hold its items in their order, each under its index; what moves is alone, and moves its own", () => {
    fc.assert(fc.property(fc.array(fc.boolean(), { maxLength: 12 }), fc.nat(100), (moves, first) => {
      const items = moves.map((one, id) => one ? { id, bytes: new Uint8Array([id]) } : { id })
      const blocks = encodeBlocks(moving, items, first, thread)
      assert.deepStrictEqual(blocks.flatMap((block) => block.items), items)
      let next = first
      for (const block of blocks) {
        assert.strictEqual(block.first, next)
        assert.isAbove(block.items.length, 0)
        next += block.items.length
        if (block.moves === undefined) {
          for (const item of block.items) assert.notProperty(item, "bytes")
        } else assert.deepStrictEqual(block.moves, [items[block.first - first]!.bytes!.buffer])
      }
      // a process is sent copies
      assert.strictEqual(encodeBlocks(moving, items, first, process).length, items.length === 0 ? 0 : 1)
    }))
  })

  it("are marked where one of their items is", () => {
    const item = fc.constantFrom<() => unknown>(
      () => 1,
      () => "text",
      () => ({ plain: true }),
      () => new RangeError("e")
    )
    fc.assert(fc.property(fc.array(item, { minLength: 1, maxLength: 8 }), (make) => {
      const items = make.map((one) => one())
      const [block] = encodeBlocks(plain, items, 0, process)
      assert.strictEqual(block!.marked, items.some((one) => one instanceof Error))
      const arrived = structuredClone(block!.items).map((one) => block!.marked ? revive(one) : one)
      assert.deepStrictEqual(arrived, items)
    }))
  })
})
