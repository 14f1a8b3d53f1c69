import { assert, describe, it } from "@effect/vitest"
import {
  Arbitrary,
  BigDecimal,
  Cause,
  Chunk,
  DateTime,
  Duration,
  Effect,
  Equal,
  Exit,
  HashMap,
  HashSet,
  Option,
  Redacted,
  Result,
  Schema,
  SchemaGetter,
  SchemaTransformation
} from "effect"
import * as Transferable from "effect/workers/Transferable"
import { valueCodec } from "../../../src/internal/codec/schema.ts"
import { prepare, revive } from "../../../src/internal/codec/values.ts"
import { decodeBody, encodeFrame, headerBytes, maxFrameBytes } from "../../../src/internal/protocol/frames.ts"

const clone = (value: unknown): unknown => structuredClone(value)
const frame = (value: unknown): unknown =>
  decodeBody(Buffer.concat(encodeFrame(value, maxFrameBytes)).subarray(headerBytes))

const codecOf = <A>(schema: Schema.Codec<A, any>) => valueCodec(schema as Schema.Codec<unknown, unknown>)

/** What goes over the border. */
const wireOf = <A>(schema: Schema.Codec<A, any>, value: A, transfers: Array<ArrayBuffer> = []): any => {
  const encoded = codecOf(schema).encode(value, transfers)
  return Exit.isSuccess(encoded) ? encoded.value : assert.fail(String(Cause.squash(encoded.cause)))
}

const decode = <A>(schema: Schema.Codec<A, any>, wire: unknown): A => {
  const decoded = codecOf(schema).decode(wire)
  return Exit.isSuccess(decoded) ? decoded.value as A : assert.fail(String(Cause.squash(decoded.cause)))
}

const cross = <A>(schema: Schema.Codec<A, any>, value: A, carry: (value: unknown) => unknown): A => {
  const prepared = prepare(wireOf(schema, value), { sharesMemory: false }, "payload")
  const arrived = carry(prepared.value)
  return decode(schema, prepared.marked ? revive(arrived) : arrived)
}

const failure = (exit: Exit.Exit<unknown, string>): string =>
  Exit.isFailure(exit) ? String(Cause.squash(exit.cause)) : assert.fail("it did not fail")

class Person extends Schema.Class<Person>("Person")({
  name: Schema.String,
  born: Schema.Date,
  nick: Schema.Option(Schema.String)
}) {
  get loud(): string {
    return this.name.toUpperCase()
  }
}

class Refused extends Schema.TaggedError<Refused>()("Refused", {
  code: Schema.Number,
  after: Schema.Duration,
  person: Schema.optionalKey(Person)
}) {}

interface Tree {
  readonly value: Option.Option<number>
  readonly children: ReadonlyArray<Tree>
}
const Tree: Schema.Codec<Tree, any> = Schema.Struct({
  value: Schema.Option(Schema.Number),
  children: Schema.Array(Schema.suspend((): Schema.Codec<Tree, any> => Tree))
})

class Leaf extends Schema.TaggedClass<Leaf>()("Leaf", { value: Schema.DateTimeUtc }) {}

const person = new Person({ name: "Ada", born: new Date(5), nick: Option.some("A") })

/** A schema and values that must arrive equal. */
interface Case<A> {
  readonly schema: Schema.Codec<A, any>
  readonly values: ReadonlyArray<A>
}
const values = <A>(schema: Schema.Codec<A, any>, ...values: ReadonlyArray<A>): Case<any> => ({ schema, values })

const cases: Record<string, Case<any>> = {
  "numbers, also odd ones": values(Schema.Number, 1, -0, NaN, Infinity),
  "bigints": values(Schema.BigInt, 0n, 2n ** 80n),
  "NumberFromString": values(Schema.NumberFromString, 5, -1.5),
  "dates": values(Schema.Date, new Date(0)),
  "regular expressions": values(Schema.RegExp, /a+/gi),
  "Option": values(Schema.Option(Schema.Date), Option.none(), Option.some(new Date(0))),
  "nested Option": values(Schema.Option(Schema.Option(Schema.Undefined)), Option.some(Option.none())),
  "Result": values(Schema.Result(Schema.Number, Schema.Duration), Result.succeed(1), Result.fail(Duration.seconds(2))),
  "Exit": values(Schema.Exit(Schema.Number, Schema.String, Schema.String), Exit.succeed(1), Exit.fail("no")),
  "Cause": values(Schema.Cause(Schema.String, Schema.String), Cause.fail("no"), Cause.die("bug")),
  "Duration": values(Schema.Duration, Duration.millis(5), Duration.nanos(7n), Duration.infinity, Duration.zero),
  "DateTime.Utc": values(Schema.DateTimeUtc, DateTime.makeUnsafe(5)),
  "DateTime.Zoned": values(Schema.DateTimeZoned, DateTime.makeZonedUnsafe(5, { timeZone: "Europe/Berlin" })),
  "BigDecimal": values(Schema.BigDecimal, BigDecimal.fromStringUnsafe("123.4500")),
  "HashMap": values(
    Schema.HashMap(Schema.String, Schema.Option(Schema.Number)),
    HashMap.empty(),
    HashMap.make(["a", Option.some(1)], ["b", Option.none()])
  ),
  "HashSet": values(Schema.HashSet(Schema.Duration), HashSet.make(Duration.millis(1), Duration.infinity)),
  "Chunk": values(Schema.Chunk(Schema.Option(Schema.BigInt)), Chunk.empty(), Chunk.make(Option.some(1n))),
  "ReadonlyMap": values(
    Schema.ReadonlyMap(Schema.Date, Schema.Option(Schema.Duration)),
    new Map([[new Date(1), Option.some(Duration.millis(1))]])
  ),
  "ReadonlySet": values(Schema.ReadonlySet(Schema.Option(Schema.Number)), new Set([Option.none(), Option.some(1)])),
  "Schema.Class": values(Person, person),
  "an array of classes": values(Schema.Array(Person), [], [person, person]),
  "Schema.TaggedError": values(
    Refused,
    new Refused({ code: 1, after: Duration.seconds(1) }),
    new Refused({ code: 1, after: Duration.zero, person })
  ),
  "optional keys": values(
    Schema.Struct({
      a: Schema.optionalKey(Schema.Option(Schema.Number)),
      b: Schema.optional(Schema.Duration),
      c: Schema.optionalKey(Person)
    }),
    {},
    { a: Option.none(), b: undefined },
    { b: Duration.millis(3), c: person }
  ),
  "a recursive schema": values(Tree, {
    value: Option.some(1),
    children: [{ value: Option.none(), children: [{ value: Option.some(NaN), children: [] }] }]
  }),
  "unions": values(
    Schema.Union([Schema.Option(Schema.Number), Schema.Duration, Schema.Date, Leaf, Schema.String, Schema.Null]),
    Option.some(1),
    Duration.seconds(1),
    new Date(3),
    new Leaf({ value: DateTime.makeUnsafe(1) }),
    "text",
    null
  ),
  "tuples": values(
    Schema.TupleWithRest(Schema.Tuple([Schema.Duration, Schema.Option(Schema.String)]), [Person]),
    [Duration.seconds(1), Option.some("x")],
    [Duration.seconds(1), Option.none(), person, person]
  ),
  "records": values(Schema.Record(Schema.String, Schema.Option(Schema.Number)), {}, {
    a: Option.some(1),
    "b c": Option.none()
  }),
  "a transformation into Option": values(Schema.Struct({ a: Schema.OptionFromNullOr(Schema.Duration) }), {
    a: Option.some(Duration.millis(1))
  }),
  "a checked schema": values(
    Schema.Array(Schema.Option(Schema.Number)).pipe(Schema.check(Schema.isMinLength(1))),
    [Option.some(1)]
  ),
  "a branded schema": values(Schema.Duration.pipe(Schema.brand("Timeout")) as any, Duration.millis(1))
}

for (const [name, { schema, values }] of Object.entries(cases)) {
  describe(name, () => {
    for (const [carrier, carry] of [["structured clone", clone], ["a frame", frame]] as const) {
      it(`arrive as they were by ${carrier}`, () => {
        const equivalent = Schema.toEquivalence(schema)
        for (const value of values) {
          const arrived = cross(schema, value, carry)
          assert.isTrue(
            equivalent(value, arrived) || Object.is(value, arrived),
            `${String(value)} is ${String(arrived)}`
          )
          if (typeof value === "object" && value !== null) {
            assert.strictEqual(Object.getPrototypeOf(arrived), Object.getPrototypeOf(value))
          }
        }
      })
    }
  })
}

describe("any value of a schema arrives equal", () => {
  const Everything = Schema.Struct({
    option: Schema.Option(Schema.Duration),
    map: Schema.ReadonlyMap(Schema.String, Schema.Option(Schema.BigInt)),
    set: Schema.ReadonlySet(Schema.Number),
    hash: Schema.HashMap(Schema.String, Schema.Date),
    chunk: Schema.Chunk(Schema.Result(Schema.Number, Schema.String)),
    class: Schema.optionalKey(Leaf),
    bytes: Schema.Uint8Array,
    union: Schema.Union([Schema.Option(Schema.Number), Schema.BigDecimal, Schema.Boolean]),
    tuple: Schema.Tuple([Schema.DateTimeUtc, Schema.NumberFromString]),
    record: Schema.Record(Schema.String, Schema.Option(Schema.String))
  })
  const equivalent = Schema.toEquivalence(Everything)

  it.prop("in structs of everything", { value: Everything }, ({ value }) => {
    assert.isTrue(equivalent(value, cross(Everything, value, clone)))
    assert.isTrue(equivalent(value, cross(Everything, value, frame)))
  })

  it.prop("in recursive structures", { tree: Arbitrary.schema(Tree) }, ({ tree }) => {
    assert.isTrue(Equal.equals(tree, cross(Tree, tree, clone)))
  })
})

describe("what stands on the wire", () => {
  it("bytes, big integers and dates stay what they are, in the same object", () => {
    const Value = Schema.Struct({
      bytes: Schema.Uint8Array,
      big: Schema.BigInt,
      date: Schema.Date,
      option: Schema.Option(Schema.Uint8Array)
    })
    const bytes = new Uint8Array([1, 2, 3])
    const date = new Date(0)
    const wire = wireOf(Value, { bytes, big: 7n, date, option: Option.some(bytes) })
    assert.strictEqual(wire.bytes, bytes)
    assert.strictEqual(wire.big, 7n)
    assert.strictEqual(wire.date, date)
    assert.strictEqual(wire.option.value.value, bytes)
  })

  it("a map and a set stay what they are", () => {
    const map = wireOf(Schema.ReadonlyMap(Schema.String, Schema.Number), new Map([["a", 1]]))
    assert.instanceOf(map, Map)
    const set = wireOf(Schema.ReadonlySet(Schema.Number), new Set([1]))
    assert.instanceOf(set, Set)
  })

  it("typed arrays of every kind stay what they are", () => {
    for (const Type of [Float64Array, Int32Array, BigInt64Array, Uint8ClampedArray] as ReadonlyArray<any>) {
      const value = new Type(2)
      const schema = Schema.Struct({ value: Schema.instanceOf(Type) })
      assert.strictEqual(wireOf(schema, { value }).value, value)
      assert.instanceOf(cross(schema, { value }, frame).value, Type)
    }
  })

  it("an error with a schema stays an error, and keeps its fields", () => {
    const schema = Schema.Struct({ error: Schema.ErrorInstance() })
    const error = Object.assign(new RangeError("x"), { code: 5 })
    const arrived: any = cross(schema, { error }, frame).error
    assert.isTrue(arrived instanceof RangeError)
    assert.strictEqual(arrived.stack, error.stack)
    assert.strictEqual(arrived.code, 5)
  })

  it("what no schema describes passes as it is", () => {
    const value = { any: new Map([[1, { deep: new Date(0) }]]) }
    assert.strictEqual(wireOf(Schema.Struct({ value: Schema.Unknown }), { value }).value, value)
  })

  it("a transformation is applied as the schema says", () => {
    assert.strictEqual(wireOf(Schema.NumberFromString, 5), "5")
  })
})

describe("the plain form of a recursive schema", () => {
  it("is worked out once, however deep a value is", () => {
    class Note {
      readonly text: string
      constructor(text: string) {
        this.text = text
      }
    }
    let asked = 0
    const note = Schema.declare((u): u is Note => u instanceof Note, {
      expected: "Note",
      toCodecJson: () => {
        asked++
        return Schema.link<Note>()(
          Schema.String,
          SchemaTransformation.transform({ decode: (text) => new Note(text), encode: ({ text }) => text })
        )
      }
    })
    interface Notes {
      readonly note: Note
      readonly below: ReadonlyArray<Notes>
    }
    const Notes: Schema.Codec<Notes, any> = Schema.Struct({
      note,
      below: Schema.Array(Schema.suspend((): Schema.Codec<Notes, any> => Notes))
    })
    let notes: Notes = { note: new Note("0"), below: [] }
    for (let i = 1; i <= 20; i++) notes = { note: new Note(String(i)), below: [notes] }
    assert.deepStrictEqual(cross(Notes, notes, frame), notes)
    assert.strictEqual(asked, 1)
  })
})

describe("values without an equality", () => {
  it("a URL arrives as a URL", () => {
    const url = cross(Schema.Struct({ url: Schema.URL }), { url: new URL("http://localhost/a?b=c") }, frame).url
    assert.instanceOf(url, URL)
    assert.strictEqual(url.href, "http://localhost/a?b=c")
  })

  it("a URL beside a string in a union stays a URL, and the string a string", () => {
    for (const union of [Schema.Union([Schema.URL, Schema.String]), Schema.Union([Schema.String, Schema.URL])]) {
      assert.instanceOf(cross(union, new URL("http://localhost/"), frame), URL)
      assert.strictEqual(cross(union, "http://localhost/", frame), "http://localhost/")
    }
  })

  it("a Redacted arrives redacted, with its value", () => {
    const arrived = cross(Schema.Redacted(Schema.String), Redacted.make("secret"), frame)
    assert.isTrue(Redacted.isRedacted(arrived))
    assert.strictEqual(Redacted.value(arrived), "secret")
    assert.notInclude(String(arrived), "secret")
  })

  it("classes come back as classes, with their getters", () => {
    const arrived = cross(Schema.Option(Person), Option.some(person), frame)
    assert.isTrue(Option.isSome(arrived))
    const found = Option.getOrThrow(arrived)
    assert.instanceOf(found, Person)
    assert.strictEqual(found.loud, "ADA")
  })

  it("a tagged error comes back as its class, found by its tag", () => {
    const arrived = cross(Refused, new Refused({ code: 4, after: Duration.seconds(1) }), frame)
    assert.instanceOf(arrived, Refused)
    assert.instanceOf(arrived, Error)
    assert.strictEqual(arrived._tag, "Refused")
  })
})

describe("buffers that the schema marks", () => {
  const Moved = Schema.Struct({
    name: Schema.String,
    bytes: Transferable.Uint8Array,
    maybe: Schema.optionalKey(Schema.Option(Transferable.Uint8Array))
  })

  it("are collected, and are those of the value on the wire", () => {
    const transfers: Array<ArrayBuffer> = []
    const bytes = new Uint8Array([1, 2])
    const wire = wireOf(Moved, { name: "x", bytes }, transfers)
    assert.deepStrictEqual(transfers, [bytes.buffer])
    assert.strictEqual(wire.bytes.buffer, bytes.buffer)
  })

  it("are collected inside an Option, and move with the value", () => {
    const transfers: Array<ArrayBuffer> = []
    const [first, second] = [new Uint8Array([1]), new Uint8Array([2])]
    const wire = wireOf(Moved, { name: "x", bytes: first, maybe: Option.some(second) }, transfers)
    assert.sameMembers(transfers, [first.buffer, second.buffer])
    const arrived = decode(Moved, structuredClone(wire, { transfer: transfers }))
    assert.strictEqual(first.byteLength, 0)
    assert.strictEqual(second.byteLength, 0)
    assert.deepStrictEqual(arrived.bytes, new Uint8Array([1]))
    assert.deepStrictEqual(Option.getOrThrow(arrived.maybe!), new Uint8Array([2]))
  })

  it("are left alone without a mark, and where the receiver decodes", () => {
    const transfers: Array<ArrayBuffer> = []
    wireOf(Schema.Struct({ bytes: Schema.Uint8Array }), { bytes: new Uint8Array(4) }, transfers)
    decode(Moved, { name: "x", bytes: new Uint8Array(1) })
    assert.deepStrictEqual(transfers, [])
  })

  it("of a value that does not fit stay where they are, also when the next value moves", () => {
    const Late = Schema.Struct({ bytes: Transferable.Uint8Array, name: Schema.String })
    const transfers: Array<ArrayBuffer> = []
    assert.isTrue(Exit.isFailure(codecOf(Late).encode({ bytes: new Uint8Array([1]), name: 5 }, [])))
    const bytes = new Uint8Array([2])
    wireOf(Late, { bytes, name: "x" }, transfers)
    assert.deepStrictEqual(transfers, [bytes.buffer])
  })

  it("shared memory is not among them", () => {
    const transfers: Array<ArrayBuffer> = []
    wireOf(Moved, { name: "x", bytes: new Uint8Array(new SharedArrayBuffer(4)) as any }, transfers)
    assert.deepStrictEqual(transfers, [])
  })
})

describe("wrong values", () => {
  const Deep = Schema.Struct({ list: Schema.Array(Schema.Struct({ "a b": Schema.Option(Schema.Number) })) })

  it("that are sent fail with the path and what was expected", () => {
    const value: any = { list: [{ "a b": Option.some(1) }, { "a b": Option.some("two") }] }
    const message = failure(codecOf(Deep).encode(value, []))
    assert.match(message, /Expected number/)
    assert.match(message, /\["list"\]\[1\]\["a b"\]/)
  })

  it("that are received fail with the path and what was expected", () => {
    const message = failure(codecOf(Deep).decode({ list: [{ "a b": { _tag: "Some", value: "one" } }] }))
    assert.match(message, /\["list"\]\[0\]\["a b"\]/)
  })

  it("a missing key is named", () => {
    assert.match(failure(codecOf(Deep).decode({})), /\["list"\]/)
    assert.match(failure(codecOf(Person).encode({ name: "x" } as any, [])), /Expected Person/)
  })

  it("a check that fails is told", () => {
    const Positive = Schema.Struct({ n: Schema.Number.pipe(Schema.check(Schema.isGreaterThan(0))) })
    assert.match(failure(codecOf(Positive).encode({ n: -1 }, [])), /greater than 0[^]*\["n"\]/)
  })

  it("any value at all is decoded or fails with a text, and nothing is thrown", () => {
    const odd = [undefined, null, 1, "x", [], {}, new Map(), new Error("x"), { _tag: "Some" }, Object.create(null)]
    for (const { schema } of Object.values(cases)) {
      for (const value of odd) {
        const decoded = codecOf(schema).decode(value)
        if (Exit.isFailure(decoded)) assert.isString(Cause.squash(decoded.cause))
      }
    }
  })

  it("a schema that works asynchronously is refused in words", () => {
    const Slow = Schema.String.pipe(
      Schema.decodeTo(Schema.String, {
        decode: SchemaGetter.transformEffect((text: string) => Effect.promise(() => Promise.resolve(text))),
        encode: SchemaGetter.passthrough()
      })
    )
    assert.match(failure(codecOf(Slow).decode("x")), /works asynchronously/)
  })

  it("what a transformation throws is told", () => {
    const Broken = Schema.String.pipe(
      Schema.decodeTo(Schema.Number, {
        decode: SchemaGetter.transform((_: string): number => {
          throw new RangeError("a broken transformation")
        }),
        encode: SchemaGetter.transform((n: number) => String(n))
      })
    )
    assert.match(failure(codecOf(Broken).decode("x")), /a broken transformation/)
  })
})

it("a schema has one codec", () => {
  assert.strictEqual(codecOf(Person), codecOf(Person))
})
