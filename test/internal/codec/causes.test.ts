import { assert, describe, it } from "@effect/vitest"
import { Cause, Data, Duration, Exit, Option, Schema } from "effect"
import { decodeFailure, decodeSuccess, reasonToError } from "../../../src/internal/codec/causes.ts"
import { valueCodec } from "../../../src/internal/codec/schema.ts"
import { prepare, prepareLossy } from "../../../src/internal/codec/values.ts"
import type {
  Crossed,
  EncodedCauseReason,
  EncodedFailure,
  EncodedReason
} from "../../../src/internal/protocol/messages.ts"
import * as ProcessError from "../../../src/ProcessError.ts"

const border = { sharesMemory: false }
const place = { task: "scan", module: "file:///tasks.ts", worker: "Pool-worker-1", pid: 42 }

class Refused extends Schema.TaggedError<Refused>()("Refused", { after: Schema.Duration }) {}
const refusedSchema = Refused as unknown as Schema.Codec<unknown, unknown>
class Plain extends Data.TaggedError("Plain")<{ readonly id: number }> {}

const crossed = ({ marked, value }: Crossed): Crossed => ({ marked, value: structuredClone(value) })
const failed = (...reasons: ReadonlyArray<EncodedCauseReason>): EncodedFailure => ({ _tag: "Cause", reasons })
const decode = (failure: EncodedFailure, schema?: Schema.Codec<unknown, unknown>): ReadonlyArray<Cause.Reason<any>> =>
  decodeFailure(failure, place, schema, "spawn").reasons

const errorOf = (reasons: ReadonlyArray<Cause.Reason<any>>): any => {
  const [reason] = reasons
  return reason !== undefined && Cause.isFailReason(reason) ? reason.error : assert.fail("no failure")
}
const defectOf = (reasons: ReadonlyArray<Cause.Reason<any>>): any => {
  const [reason] = reasons
  return reason !== undefined && Cause.isDieReason(reason) ? reason.defect : assert.fail("no defect")
}

describe("the failure of a task", () => {
  it("without a schema is the error as it was, with its tag and fields", () => {
    const error = errorOf(decode(failed(["fail", crossed(prepare(new Plain({ id: 3 }), border, "error"))])))
    assert.strictEqual(error._tag, "Plain")
    assert.strictEqual(error.id, 3)
  })

  it("without a schema may be any value", () => {
    for (const value of ["no", undefined, 0, { _tag: "Refused" }]) {
      assert.deepStrictEqual(errorOf(decode(failed(["fail", crossed(prepare(value, border, "error"))]))), value)
    }
  })

  it("with a schema is an instance of its class", () => {
    const encoded = valueCodec(refusedSchema).encode(new Refused({ after: Duration.millis(5) }), [])
    const wire = Exit.isSuccess(encoded) ? encoded.value : assert.fail("it was not encoded")
    const error = errorOf(decode(failed(["fail", crossed(prepare(wire, border, "error"))]), refusedSchema))
    assert.instanceOf(error, Refused)
    assert.strictEqual(Duration.toMillis((error as Refused).after), 5)
  })

  it("that does not fit its schema is a CodecFailed that names the task and the place", () => {
    const error = errorOf(decode(failed(["fail", { marked: false, value: { _tag: "Refused" } }]), refusedSchema))
    assert.isTrue(ProcessError.isProcessError(error))
    const { reason } = error as ProcessError.ProcessError
    assert.strictEqual(reason._tag, "CodecFailed")
    assert.strictEqual((reason as ProcessError.CodecFailed).phase, "error")
    assert.match(reason.message, /^task "scan": the error that came back does not fit its schema: [^]*\["after"\]/)
  })
})

describe("a defect of a task", () => {
  it("keeps its class and its stack, which ends with where it happened", () => {
    const defect = new RangeError("too far")
    const arrived = defectOf(decode(failed(["die", crossed(prepareLossy(defect, border))])))
    assert.isTrue(arrived instanceof RangeError)
    assert.strictEqual(arrived.message, "too far")
    assert.strictEqual(
      arrived.stack,
      `${defect.stack}\n    at task "scan" of file:///tasks.ts in Pool-worker-1 (pid 42)`
    )
    assert.deepStrictEqual(Object.keys(arrived), [])
  })

  it("without a stack says what it is and where it happened", () => {
    const defect = Object.assign(new Error("bare"), { stack: undefined })
    const arrived = defectOf(decode(failed(["die", crossed(prepareLossy(defect, border))])))
    assert.strictEqual(arrived.stack, `Error: bare\n    at task "scan" of file:///tasks.ts in Pool-worker-1 (pid 42)`)
  })

  it("that is no error stays what it is", () => {
    assert.strictEqual(defectOf(decode(failed(["die", { marked: false, value: "text" }]))), "text")
  })

  it("is shown with its remote stack by Cause.pretty", () => {
    const defect = new RangeError("too far")
    const cause = decodeFailure(failed(["die", crossed(prepareLossy(defect, border))]), place, undefined, "spawn")
    assert.match(Cause.pretty(cause), /RangeError: too far[^]*at task "scan" of file:\/\/\/tasks\.ts in Pool-worker-1/)
  })
})

describe("a cause", () => {
  it("keeps all its reasons, in order", () => {
    const reasons = decode(failed(
      ["fail", { marked: false, value: 1 }],
      ["die", { marked: false, value: 2 }],
      ["interrupt", 3],
      ["interrupt", undefined]
    ))
    assert.deepStrictEqual(reasons.map(({ _tag }) => _tag), ["Fail", "Die", "Interrupt", "Interrupt"])
  })

  it("of an interruption alone is an interruption", () => {
    assert.isTrue(Cause.hasInterruptsOnly(decodeFailure(failed(["interrupt", 3]), place, undefined, "spawn")))
  })
})

describe("what a child reports of the border", () => {
  const reported: ReadonlyArray<EncodedReason> = [
    { _tag: "TaskNotFound", module: "file:///m.ts", task: "t", message: "text" },
    { _tag: "CodecFailed", phase: "success", message: "text" },
    { _tag: "NotShareable", handle: "Pool", message: "text" },
    { _tag: "MessageTooLarge", size: 5, limit: 4, message: "text" },
    { _tag: "StartFailed", message: "text" }
  ]

  it("becomes a ProcessError with the same reason, fields and message", () => {
    for (const encoded of reported) {
      const error = reasonToError(encoded, "threads")
      assert.isTrue(ProcessError.isProcessError(error))
      assert.strictEqual(error.message, "text")
      const expected = encoded._tag === "StartFailed" ? { ...encoded, startMethod: "threads" } : { ...encoded }
      assert.deepStrictEqual({ ...error.reason, message: error.reason.message } as unknown, expected)
      assert.strictEqual(error.cause, undefined)
    }
  })

  it("has its cause, as the error that it was", () => {
    const cause = crossed(prepareLossy(Object.assign(new RangeError("below"), { code: 5 }), border))
    for (const encoded of reported) {
      if (encoded._tag !== "TaskNotFound" && encoded._tag !== "CodecFailed" && encoded._tag !== "StartFailed") continue
      const arrived: any = reasonToError({ ...encoded, cause: crossed(cause) }, "spawn").cause
      assert.isTrue(arrived instanceof RangeError)
      assert.strictEqual(arrived.code, 5)
    }
  })

  it("fails the item without being taken for the task's own error", () => {
    const error = errorOf(decode({ _tag: "Border", reason: reported[0]! }, refusedSchema))
    assert.strictEqual((error as ProcessError.ProcessError).reason._tag, "TaskNotFound")
  })
})

describe("a result", () => {
  const Options = Schema.Array(Schema.Option(Schema.Number)) as unknown as Schema.Codec<unknown, unknown>

  /** How an Option travels: it says what it is, so that in a union it cannot be taken for another member. */
  const option = (value: unknown) => ({
    "~effect-multiprocessing/plain": "effect/schema/Option",
    value: { _tag: "Some", value }
  })

  it("is decoded by its schema, or itself without one", () => {
    const wire = [option(1)]
    assert.deepStrictEqual(decodeSuccess(wire, false, () => place, Options), Exit.succeed([Option.some(1)]))
    assert.deepStrictEqual(decodeSuccess(wire, false, () => place, undefined), Exit.succeed(wire))
  })

  it("with errors in it has them back", () => {
    const { marked, value } = crossed(prepare([new Plain({ id: 1 })], border, "result"))
    const exit: any = decodeSuccess(value, marked, () => place, undefined)
    assert.strictEqual(exit.value[0]._tag, "Plain")
  })

  it("that does not fit its schema is a CodecFailed that names the task and the place", () => {
    const exit = decodeSuccess([option("one")], false, () => place, Options)
    const error = Option.getOrThrow(Exit.findErrorOption(exit))
    assert.strictEqual(error.reason._tag, "CodecFailed")
    assert.match(error.message, /^task "scan": the result that came back does not fit its schema: [^]*\[0\]\["value"\]/)
  })
})
