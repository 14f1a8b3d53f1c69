import { assert, describe, it } from "@effect/vitest"
import { Cause, Data, Effect, Schema } from "effect"
import { runInNewContext } from "node:vm"
import { prepare, revive } from "../../../src/internal/codec/values.ts"
import { decodeBody, encodeFrame, headerBytes, maxFrameBytes } from "../../../src/internal/protocol/frames.ts"

class NotFound
  extends Data.TaggedError("NotFound")<{ readonly id: number; readonly where: ReadonlyMap<string, Date> }>
{}
class Refused extends Schema.TaggedError<Refused>()("Refused", { code: Schema.Number, message: Schema.String }) {}
class HttpError extends TypeError {
  override readonly name = "HttpError"
  readonly status: number
  constructor(status: number, options?: ErrorOptions) {
    super(`status ${status}`, options)
    this.status = status
  }
}

const clone = (value: unknown): unknown => structuredClone(value)
const frame = (value: unknown): unknown =>
  decodeBody(Buffer.concat(encodeFrame(value, maxFrameBytes)).subarray(headerBytes))

const crossBy = (value: unknown, carry: (value: unknown) => unknown): any => {
  const { marked, value: prepared } = prepare(value, { sharesMemory: false }, "error")
  assert.isTrue(marked)
  return revive(carry(prepared))
}

for (const [name, carry] of [["structured clone", clone], ["a frame", frame]] as const) {
  const cross = (value: unknown): any => crossBy(value, carry)

  describe(`errors by ${name}`, () => {
    it("the standard classes arrive as themselves", () => {
      for (const Class of [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError]) {
        const error = new Class("text")
        const arrived = cross(error)
        assert.strictEqual(Object.getPrototypeOf(arrived), Class.prototype)
        assert.strictEqual(arrived.message, "text")
        assert.strictEqual(arrived.stack, error.stack)
        assert.strictEqual(arrived.name, error.name)
        assert.deepStrictEqual(Object.keys(arrived), [])
      }
    })

    it("a subclass arrives as the standard class that it extends, with its name and its own fields", () => {
      const arrived = cross(new HttpError(404, { cause: new SyntaxError("below") }))
      assert.strictEqual(Object.getPrototypeOf(arrived), TypeError.prototype)
      assert.strictEqual(arrived.name, "HttpError")
      assert.strictEqual(arrived.message, "status 404")
      assert.strictEqual(arrived.status, 404)
      assert.instanceOf(arrived.cause, SyntaxError)
      assert.strictEqual(arrived.cause.message, "below")
      assert.match(String(arrived), /^HttpError: status 404$/)
    })

    it("a tag on the prototype and an own tag arrive as own tags", () => {
      const where = new Map([["disk", new Date(5)]])
      const found = cross(new NotFound({ id: 7, where }))
      assert.strictEqual(found._tag, "NotFound")
      assert.strictEqual(found.id, 7)
      assert.deepStrictEqual(found.where, where)
      assert.strictEqual(found.name, "NotFound")
      const refused = cross(new Refused({ code: 3, message: "no" }))
      assert.strictEqual(refused._tag, "Refused")
      assert.strictEqual(refused.code, 3)
      assert.strictEqual(refused.message, "no")
      assert.strictEqual(cross(Object.assign(new Error("x"), { _tag: "Own" }))._tag, "Own")
    })

    it.effect("Effect.catchTag finds an error that has crossed", () =>
      Effect.gen(function*() {
        const failed: Effect.Effect<never, NotFound | Refused> = Effect.fail(
          cross(new NotFound({ id: 7, where: new Map() }))
        )
        const id = yield* failed.pipe(
          Effect.catchTag("NotFound", (error) => Effect.succeed(error.id)),
          Effect.catchTag("Refused", () => Effect.succeed(-1))
        )
        assert.strictEqual(id, 7)
      }))

    it("the errors of an AggregateError arrive", () => {
      const inner = new NotFound({ id: 1, where: new Map() })
      const arrived = cross(new AggregateError([inner, "text", inner], "several"))
      assert.instanceOf(arrived, AggregateError)
      assert.strictEqual(arrived.message, "several")
      assert.strictEqual(arrived.errors.length, 3)
      assert.strictEqual(arrived.errors[0]._tag, "NotFound")
      assert.strictEqual(arrived.errors[0], arrived.errors[2])
      assert.strictEqual(arrived.errors[1], "text")
    })

    it("a field named errors of another class arrives", () => {
      const invalid = Object.assign(new Error("invalid"), { errors: { name: "too short" } })
      assert.deepStrictEqual(cross(invalid).errors, { name: "too short" })
      class Invalid extends Data.TaggedError("Invalid")<{ readonly errors: ReadonlyArray<string> }> {}
      assert.deepStrictEqual(cross(new Invalid({ errors: ["a", "b"] })).errors, ["a", "b"])
    })

    it("causes arrive whatever they are, with an absent one absent", () => {
      assert.isFalse("cause" in cross(new Error("none")))
      for (const cause of [null, 0, "", false, { a: [1] }, new Map([[1, 2]])]) {
        assert.deepStrictEqual(cross(new Error("x", { cause })).cause, cause)
      }
    })

    it("a cycle through an error and the places that share it are kept", () => {
      const error: any = new Error("round")
      const holder = { error, list: [error] }
      error.cause = error
      error.holder = holder
      const arrived = cross(holder)
      assert.strictEqual(arrived.error.cause, arrived.error)
      assert.strictEqual(arrived.error.holder, arrived)
      assert.strictEqual(arrived.list[0], arrived.error)
    })

    it("errors stand as keys and values of maps and in sets", () => {
      const error = new HttpError(500)
      const arrived = cross({ map: new Map<unknown, unknown>([[error, 1], [2, error]]), set: new Set([error]) })
      const [first] = arrived.map.keys()
      assert.strictEqual(first.status, 500)
      assert.strictEqual(arrived.map.get(2), first)
      assert.isTrue(arrived.set.has(first))
    })

    it("the fields of a system error arrive", () => {
      const error = Object.assign(new Error("ENOENT: no such file"), { errno: -2, code: "ENOENT", syscall: "open" })
      const { code, errno, syscall } = cross(error)
      assert.deepStrictEqual({ code, errno, syscall }, { code: "ENOENT", errno: -2, syscall: "open" })
    })

    it("an error of another realm arrives as an error", () => {
      const arrived = cross(runInNewContext(`Object.assign(new RangeError("far"), { code: 1 })`))
      assert.isTrue(arrived instanceof Error)
      assert.strictEqual(arrived.name, "RangeError")
      assert.strictEqual(arrived.message, "far")
      assert.strictEqual(arrived.code, 1)
    })

    it("a name, message, stack or tag that is a getter or no string does no harm", () => {
      class Odd extends Error {
        override get name(): string {
          throw new Error("no name")
        }
      }
      const odd = Object.assign(new Odd("odd"), { stack: 5, _tag: 6 })
      const arrived = cross(odd)
      assert.strictEqual(arrived.message, "odd")
      assert.strictEqual(arrived.name, "Error")
      assert.strictEqual(arrived.stack, undefined)
      assert.strictEqual(arrived._tag, 6)
    })

    it("the marks of Effect's own classes do not cross as fields", () => {
      const error = new Cause.NoSuchElementError("none there")
      const arrived = cross(error)
      assert.strictEqual(arrived._tag, "NoSuchElementError")
      assert.strictEqual(arrived.message, "none there")
      assert.isTrue(Object.keys(arrived).every((key) => !key.startsWith("~")))
    })
  })
}
