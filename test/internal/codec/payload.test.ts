import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Schema } from "effect"
import * as Transferable from "effect/workers/Transferable"
import { encodePayload, payloadError, tryEncode } from "../../../src/internal/codec/payload.ts"
import type { Definition } from "../../../src/internal/codec/registry.ts"
import { taskOf } from "../../../src/internal/codec/registry.ts"
import { encodeFrame } from "../../../src/internal/protocol/frames.ts"
import { initializerOf } from "../../../src/internal/codec/registry.ts"
import * as Initializer from "../../../src/Initializer.ts"
import * as ProcessError from "../../../src/ProcessError.ts"
import * as Task from "../../../src/Task.ts"

const module = import.meta.url
const process = { sharesMemory: false }

const free = taskOf(Task.make("free", { module, handler: (_: unknown) => Effect.void }))
const Options = Schema.Struct({ sizes: Schema.Array(Schema.Option(Schema.Number)) })
const typed = taskOf(Task.make("typed", { module, payload: Options, handler: () => Effect.void }))
const moves = taskOf(Task.sync("moves", { module, payload: Transferable.Uint8Array, handler: () => {} }))
const setUp = initializerOf(
  Initializer.make("setUp", { module, layer: (_: unknown) => Layer.empty })(undefined)
).definition

const reasonOf = (definition: Definition, payload: unknown): ProcessError.Reason => {
  try {
    encodePayload(definition, payload, process, [])
  } catch (error) {
    if (ProcessError.isProcessError(error)) return error.reason
    throw error
  }
  return assert.fail("it was not refused")
}

describe("a payload", () => {
  it("without a schema is the value itself", () => {
    const payload = { list: [1, new Date(0)] }
    const crossed = encodePayload(free, payload, process, [])
    assert.isFalse(crossed.marked)
    assert.strictEqual(crossed.value, payload)
  })

  it("with a schema is what that encodes it to", () => {
    const { value } = encodePayload(typed, { sizes: [Option.some(1)] }, process, [])
    assert.deepStrictEqual(value, {
      sizes: [{ "~effect-multiprocessing/plain": "effect/schema/Option", value: { _tag: "Some", value: 1 } }]
    })
  })

  it("that the schema marks gives its buffers to be moved", () => {
    const transfers: Array<ArrayBuffer> = []
    const bytes = new Uint8Array(4)
    encodePayload(moves, bytes, process, transfers)
    assert.deepStrictEqual(transfers, [bytes.buffer])
  })

  it("that cannot cross fails with the task, the path and what to do", () => {
    const reason = reasonOf(free, { jobs: [{ run: () => {} }] })
    assert.strictEqual(reason._tag, "CodecFailed")
    assert.strictEqual((reason as ProcessError.CodecFailed).phase, "payload")
    assert.strictEqual(
      reason.message,
      `task "free": payload.jobs[0].run is a function (run), which cannot cross to another process. ` +
        `Send data: what is to be done there is a Task.`
    )
  })

  it("of an initializer names the initializer", () => {
    assert.match(reasonOf(setUp, Symbol("s")).message, /^initializer "setUp": payload is a symbol \(Symbol\(s\)\)/)
  })

  it("that does not fit its schema fails with the path", () => {
    const reason = reasonOf(typed, { sizes: [Option.some(1), Option.some("two")] })
    assert.strictEqual(reason._tag, "CodecFailed")
    assert.match(
      reason.message,
      /^task "typed": the payload does not fit its schema: Expected number[^]*\["sizes"\]\[1\]/
    )
  })

  it("that only the serializer refuses fails with what that says", () => {
    const refused = Object.assign(new Error("#<X> could not be cloned."), { name: "DataCloneError" })
    const { reason } = payloadError(`task "free"`, refused)
    assert.strictEqual(reason._tag, "CodecFailed")
    assert.match(reason.message, /^task "free": the payload cannot cross: #<X> could not be cloned\./)
    assert.strictEqual((reason as ProcessError.CodecFailed).cause, refused)
  })

  it("that is too large fails with its size, the limit and what to do", () => {
    try {
      encodeFrame("x".repeat(100), 50)
      assert.fail("it was not refused")
    } catch (cause) {
      const { reason } = payloadError(`task "free"`, cause)
      assert.strictEqual(reason._tag, "MessageTooLarge")
      const { limit, message, size } = reason as ProcessError.MessageTooLarge
      assert.strictEqual(limit, 50)
      assert.isAbove(size, 100)
      assert.match(message, /^task "free": the payload takes \d+ bytes.* limit of 50 bytes.*maxMessageBytes/)
    }
  })
})

it.effect("what an encoding throws is a failure if it is ours, and a defect if it is a bug", () =>
  Effect.gen(function*() {
    const ours = yield* Effect.flip(tryEncode(() => encodePayload(free, () => {}, process, [])))
    assert.strictEqual(ours.reason._tag, "CodecFailed")
    const bug = yield* Effect.exit(tryEncode((): never => {
      throw new RangeError("bug")
    }))
    assert.isTrue(Exit.hasDies(bug))
  }))
