import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { createSecretKey } from "node:crypto"
import { isUncrossable, prepare, prepareLossy, revive } from "../../../src/internal/codec/values.ts"
import { decodeBody, encodeFrame, headerBytes, maxFrameBytes } from "../../../src/internal/protocol/frames.ts"
import { build, buildAll, difference, graph, mark, plainGraph } from "./graphs.ts"

const process = { sharesMemory: false }
const thread = { sharesMemory: true }

const byClone = (value: unknown): unknown => structuredClone(value)
const byFrame = (value: unknown): unknown =>
  decodeBody(Buffer.concat(encodeFrame(value, maxFrameBytes)).subarray(headerBytes))

/** The whole way: made ready, carried, put back. */
const cross = (value: unknown, carry: (value: unknown) => unknown = byClone): any => {
  const prepared = prepare(value, process, "payload")
  const arrived = carry(prepared.value)
  return prepared.marked ? revive(arrived) : arrived
}

const same = (expected: unknown, actual: unknown): void => assert.strictEqual(difference(expected, actual), undefined)

const refusal = (value: unknown, border = process): string => {
  try {
    prepare(value, border, "payload")
  } catch (cause) {
    if (isUncrossable(cause)) return cause.message
    throw cause
  }
  return assert.fail("it was not refused")
}

describe("what crosses", () => {
  it("any graph of values arrives as it was by structured clone, with what it shares and its cycles", () => {
    fc.assert(fc.property(graph, (nodes) => same(build(nodes), cross(build(nodes)))), { numRuns: 500 })
  })

  it("any graph of values arrives as it was in a frame, with what it shares and its cycles", () => {
    fc.assert(fc.property(graph, (nodes) => same(build(nodes), cross(build(nodes), byFrame))), { numRuns: 500 })
  })

  it("a graph without errors and look-alikes is not copied before it is cloned", () => {
    const withoutMark = plainGraph.filter((nodes) =>
      nodes.every((node) => node.kind !== "object" || node.entries.every(([name]) => name !== mark))
    )
    fc.assert(fc.property(withoutMark, (nodes) => {
      const value = build(nodes)
      const prepared = prepare(value, process, "payload")
      assert.isFalse(prepared.marked)
      assert.strictEqual(prepared.value, value)
    }))
  })

  it("prepare changes nothing in the original, and works on frozen values", () => {
    fc.assert(fc.property(graph, (nodes) => {
      const all = buildAll(nodes)
      for (const node of all) if (!ArrayBuffer.isView(node)) Object.freeze(node)
      cross(all[0])
      same(build(nodes), all[0])
    }))
  })

  it("reviving what was prepared does not reach into the original", () => {
    fc.assert(fc.property(graph, (nodes) => {
      const value = build(nodes)
      const prepared = prepare(value, process, "payload")
      revive(structuredClone(prepared.value))
      same(build(nodes), value)
    }))
  })

  it("primitives cross as they are", () => {
    for (const value of [undefined, null, true, 0, -0, NaN, -Infinity, "", "text", 10n ** 30n]) {
      for (const carry of [byClone, byFrame]) assert.isTrue(Object.is(cross(value, carry), value))
    }
  })

  it("a key named __proto__ is a key like any other, beside errors too", () => {
    const value = JSON.parse(`{ "__proto__": { "polluted": true }, "b": 1 }`) as object
    for (const carry of [byClone, byFrame]) {
      for (const arrived of [cross(value, carry), cross([value, new Error("x")], carry)[0]]) {
        assert.deepStrictEqual(Object.keys(arrived), ["__proto__", "b"])
        assert.strictEqual(Object.getPrototypeOf(arrived), Object.prototype)
        assert.strictEqual(arrived.polluted, undefined)
      }
    }
  })

  it("objects that look like the codec's marks arrive as they were", () => {
    const lookAlikes = [
      { [mark]: "error", error: { kind: "Error", message: "none" } },
      { [mark]: "object", object: { a: 1 } },
      { [mark]: undefined },
      { [mark]: { [mark]: "error" }, other: [{ [mark]: "object" }] }
    ]
    for (const carry of [byClone, byFrame]) {
      for (const value of lookAlikes) {
        same(value, cross(value, carry))
        same([value, { again: value }], cross([value, { again: value }], carry))
      }
      const error = Object.assign(new Error("x"), { field: lookAlikes })
      same(error, cross(error, carry))
    }
  })

  it("an array with a property named like the codec's mark arrives beside an error", () => {
    const array = Object.assign([1], { [mark]: "error" })
    assert.strictEqual(cross([array, new Error("x")])[0][mark], "error")
  })

  it("holes stay holes beside an error", () => {
    const array: Array<unknown> = [1]
    array[3] = new Error("x")
    const arrived = cross(array)
    assert.strictEqual(arrived.length, 4)
    assert.deepStrictEqual(Object.keys(arrived), ["0", "3"])
    assert.instanceOf(arrived[3], Error)
  })

  it("an array with one element far out is prepared as fast as its elements", () => {
    const array: Array<unknown> = []
    array[40_000_000] = 1
    const began = performance.now()
    prepare({ array }, process, "payload")
    assert.isBelow(performance.now() - began, 400, "milliseconds for one element")
  })

  it("an error under a name in an array keeps its tag", () => {
    const array = Object.assign([1], { last: Object.assign(new Error("x"), { _tag: "Tagged" }) })
    assert.strictEqual(cross(array).last._tag, "Tagged")
  })

  it("class instances and objects without a prototype arrive as plain objects, as structured clone says", () => {
    class Point {
      readonly x = 1
      readonly problem = new Error("inside")
      get twice(): number {
        return this.x * 2
      }
    }
    const arrived = cross([new Point(), Object.assign(Object.create(null), { a: new Error("b") })])
    assert.strictEqual(Object.getPrototypeOf(arrived[0]), Object.prototype)
    assert.deepStrictEqual(Object.keys(arrived[0]), ["x", "problem"])
    assert.strictEqual(arrived[1].a.message, "b")
  })

  it("a Buffer crosses without the pool of other Buffers that it lies in", () => {
    for (const value of [[Buffer.from("abc")], { error: new Error("x"), text: Buffer.from("abc") }]) {
      const [arrived] = Object.values(cross(value)).filter((part) => ArrayBuffer.isView(part)) as [Uint8Array]
      assert.deepStrictEqual(Array.from(arrived), [97, 98, 99])
      assert.strictEqual(arrived.buffer.byteLength, 3)
    }
  })

  it("shared memory crosses where the border shares memory", () => {
    const shared = new SharedArrayBuffer(8)
    const value = { view: new Int32Array(shared), error: new Error("x") }
    const prepared = prepare(value, thread, "payload")
    const arrived = revive(structuredClone(prepared.value)) as typeof value
    Atomics.store(value.view, 0, 7)
    assert.strictEqual(Atomics.load(arrived.view, 0), 7)
  })
})

describe("what is refused", () => {
  /** Values that cannot cross, and how the message calls them. */
  const culprits: ReadonlyArray<readonly [what: string, make: () => unknown]> = [
    ["a function (named)", () => function named() {}],
    ["a function", () => [() => {}][0]],
    ["a function (Date)", () => Date],
    ["a symbol (Symbol(s))", () => Symbol("s")],
    ["a symbol (Symbol(s))", () => Object(Symbol("s"))],
    ["a Promise", () => Promise.resolve(1)],
    ["a WeakMap", () => new WeakMap()],
    ["a WeakSet", () => new WeakSet()],
    ["a WeakRef", () => new WeakRef({})],
    ["a Proxy", () => new Proxy({}, {})],
    ["a generator", () => (function*() {})()],
    ["a generator", () => (async function*() {})()],
    ["backed by a SharedArrayBuffer", () => new SharedArrayBuffer(8)],
    ["backed by a SharedArrayBuffer", () => new Float64Array(new SharedArrayBuffer(8))],
    ["backed by a SharedArrayBuffer", () => new DataView(new SharedArrayBuffer(8))]
  ]

  /** One step on the way to the culprit: how the container is made, and how the path names the place. */
  interface Step {
    readonly wrap: (inner: unknown) => unknown
    readonly path: string
  }
  const name = fc.constantFrom("a", "$b_1", "b c", "1a", "", "__proto__", "quote\"d", "ключ")
  const own = (target: object, key: string, value: unknown): object =>
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
  const pathOf = (key: string): string => /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`

  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.nat(3).map((n): Step => ({
      wrap: (inner) => [...Array.from({ length: n }, () => ({ n })), inner],
      path: `[${n}]`
    })),
    name.map((key): Step => ({ wrap: (inner) => own({ before: [1] }, key, inner), path: pathOf(key) })),
    fc.constantFrom("k", "a b", 5, 7n, true).map((key): Step => ({
      wrap: (inner) => new Map<unknown, unknown>([["first", 0], [key, inner]]),
      path: `.get(${typeof key === "string" ? JSON.stringify(key) : String(key)})`
    })),
    fc.constant<Step>({ wrap: (inner) => new Map([[{}, 0], [{ k: 1 }, inner]] as any), path: ".get(key 1)" }),
    fc.constant<Step>({ wrap: (inner) => new Map<unknown, unknown>([[1, 1], [inner, 2]]), path: ".keys()[1]" }),
    fc.nat(2).map((n): Step => ({
      wrap: (inner) => new Set<unknown>([..."abc".slice(0, n), inner]),
      path: `.values()[${n}]`
    })),
    fc.constantFrom("code", "a b").map((key): Step => ({
      wrap: (inner) => own(new Error("x"), key, inner),
      path: pathOf(key)
    })),
    fc.constant<Step>({ wrap: (inner) => new TypeError("x", { cause: inner }), path: ".cause" }),
    fc.nat(1).map((n): Step => ({
      wrap: (inner) => new AggregateError([...Array(n).fill(0), inner]),
      path: `.errors[${n}]`
    }))
  )

  it("the message begins with the path to the culprit, wherever it stands", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 5 }), fc.constantFrom(...culprits), (steps, [what, make]) => {
        const value = steps.reduceRight<unknown>((inner, { wrap }) => wrap(inner), make())
        const path = steps.map(({ path }) => path).join("")
        const message = refusal(value)
        const expected = `payload${path} is ${what}, which cannot cross to another process. `
        assert.strictEqual(message.slice(0, expected.length), expected)
        assert.isAbove(message.length, expected.length, "it says what to do instead")
      }),
      { numRuns: 500 }
    )
  })

  it("a key that begins with < is quoted in the path as other keys are", () => {
    assert.match(refusal({ "<b>": () => {} }), /^payload\["<b>"\] is a function/)
  })

  it("a function under a name in an array is refused with its path", () => {
    assert.match(refusal({ list: Object.assign([1], { extra: () => {} }) }), /^payload\.list\.extra is a function/)
  })

  it("a Proxy of an array is refused with its path, as one of an object is", () => {
    assert.match(refusal({ list: new Proxy([1], {}) }), /^payload\.list is a Proxy/)
  })

  it("the traps of a Proxy are not run", () => {
    const trap = (): never => assert.fail("a trap was run")
    const value = new Proxy({}, { getPrototypeOf: trap, has: trap, get: trap, ownKeys: trap })
    assert.match(refusal({ value }), /^payload\.value is a Proxy/)
  })

  it("what loses its meaning or cannot be cloned is refused with its path on every border", () => {
    const values: Record<string, unknown> = {
      url: new URL("http://localhost/"),
      search: new URLSearchParams("a=1"),
      headers: new Headers(),
      request: new Request("http://localhost/"),
      response: new Response("text"),
      stream: new ReadableStream(),
      arrayIterator: [].values(),
      mapIterator: new Map().entries(),
      format: new Intl.NumberFormat(),
      registry: new FinalizationRegistry(() => {})
    }
    for (const border of [process, thread]) {
      for (const [name, value] of Object.entries(values)) {
        assert.match(refusal([{ [name]: value }], border), new RegExp(`^payload\\[0\\]\\.${name} is `))
      }
    }
  })

  it("a host object that arrives empty in a frame is refused with its path before a process", () => {
    assert.match(refusal({ blob: new Blob(["text"]) }), /^payload\.blob is /)
    assert.match(refusal({ key: createSecretKey(new Uint8Array(8)) }), /^payload\.key is /)
  })

  it("a value that is nested too deeply is refused, not thrown out of the stack", () => {
    let value: unknown = 1
    for (let i = 0; i < 100_000; i++) value = [value]
    assert.match(refusal(value), /^payload is nested more than 500 levels deep, which cannot cross/)
  })

  it("a value that is nested as deeply as it may be crosses, one level more is refused", () => {
    const nested = (levels: number): unknown => {
      let value: unknown = []
      for (let i = 0; i < levels; i++) value = [value]
      return value
    }
    for (const carry of [byClone, byFrame]) same(nested(500), cross(nested(500), carry))
    assert.match(refusal(nested(501)), /^payload is nested more than 500 levels deep, which cannot cross/)
  })

  it("an error is no reason to let through what is refused beside it", () => {
    assert.match(refusal([new Error("x"), { f: () => {} }]), /^payload\[1\]\.f is a function/)
  })

  it("nothing is refused that structured clone carries", () => {
    fc.assert(fc.property(plainGraph, (nodes) => {
      prepare(build(nodes), process, "payload")
    }))
  })
})

describe("what must not be lost", () => {
  const hostile = (): Error => {
    const error = new Error("hostile")
    Object.defineProperty(error, "field", {
      enumerable: true,
      get: () => {
        throw new TypeError("a getter that throws")
      }
    })
    return error
  }

  const carried = (value: unknown): any => {
    const { marked, value: prepared } = prepareLossy(value, process)
    const arrived = byFrame(prepared)
    return marked ? revive(arrived) : arrived
  }

  it("an error with a function in it keeps its name, message, stack and the fields that can cross", () => {
    const error = Object.assign(new RangeError("x"), { _tag: "Tagged", code: 5, retry: () => {} })
    const arrived = carried(error)
    assert.isTrue(arrived instanceof RangeError)
    assert.strictEqual(arrived.message, "x")
    assert.strictEqual(arrived.stack, error.stack)
    assert.strictEqual(arrived._tag, "Tagged")
    assert.strictEqual(arrived.code, 5)
    assert.match(arrived.retry, /Function: retry/)
  })

  it("an error keeps itself when a field can be told from nothing but the clone to be uncrossable", () => {
    for (const field of [new URL("http://localhost/"), [].values(), new Proxy([1], {})]) {
      const error = Object.assign(new RangeError("x"), { code: 5, field })
      for (const carry of [byClone, byFrame]) {
        const { marked, value } = prepareLossy(error, thread)
        const arrived: any = marked ? revive(carry(value)) : carry(value)
        assert.strictEqual(arrived.message, "x")
        assert.strictEqual(arrived.code, 5)
        assert.isString(arrived.field)
      }
    }
  })

  it("what is no error and cannot cross becomes its description", () => {
    assert.match(carried(function named() {}), /Function: named/)
    assert.match(carried(Symbol("s")), /Symbol\(s\)/)
    assert.deepStrictEqual(carried({ a: () => {} }), { a: "[Function: a]" })
    assert.match(carried(new Proxy([1], {})), /1/)
  })

  it("no graph makes it throw, with or without functions in it", () => {
    fc.assert(fc.property(graph, fc.array(fc.nat(20), { maxLength: 3 }), (nodes, places) => {
      const all = buildAll(nodes)
      for (const place of places) {
        const target = all[place % all.length]!
        // a cycle of errors has a test of its own
        if (!ArrayBuffer.isView(target) && !(target instanceof Error)) Object.assign(target, { culprit: () => {} })
      }
      prepareLossy(all[0], process)
    }))
  })

  it("an error whose cause leads back to itself crosses, also with a function in it", () => {
    const error: Error & { retry?: unknown } = new Error("round")
    error.cause = new Error("trip", { cause: error })
    error.retry = () => {}
    const arrived = carried(error)
    assert.strictEqual(arrived.message, "round")
    assert.strictEqual(arrived.cause.message, "trip")
  })

  it("a long chain of causes with a function at its end does not exhaust the stack", () => {
    let error: Error = Object.assign(new Error("first"), { retry: () => {} })
    for (let i = 0; i < 3000; i++) error = new Error(`after ${i}`, { cause: error })
    assert.strictEqual(carried(error).message, "after 2999")
  })

  it("what is nested too deeply is cut off where it could no longer be read", () => {
    let value: unknown = "the bottom"
    for (let i = 0; i < 1000; i++) value = [value]
    const error = carried(Object.assign(new Error("deep"), { value, code: 5 }))
    assert.strictEqual(error.code, 5)
    let levels = 0
    let inner: any = error.value
    for (; Array.isArray(inner); levels++) inner = inner[0]
    assert.isAtMost(levels, 500)
    assert.isAbove(levels, 400)
    assert.match(inner, /^\[/)
  })

  it("an error whose field cannot be read crosses without it", () => {
    assert.strictEqual(carried(hostile()).message, "hostile")
    assert.strictEqual(cross(hostile()).message, "hostile")
  })

  it("a value that resists every question is described", () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    const values = [
      proxy,
      { f: () => {}, [Symbol.for("nodejs.util.inspect.custom")]: () => assert.fail("a custom inspection") },
      {
        get f(): never {
          throw new Error("a getter")
        }
      }
    ]
    const [first, second, third] = values.map(carried)
    assert.isString(first)
    assert.deepStrictEqual(second, { f: "[Function: f]" })
    assert.isString(third)
  })
})
