/** A number in shared bytes is what an element of the typed array of its kind would be. */
import { assert, describe, it } from "@effect/vitest"
import * as FC from "fast-check"
import { bytesPerElement, isBig, isKind, kinds, modified, numbersAt } from "../../../src/internal/memory/kinds.ts"
import type { Kind, Numbers } from "../../../src/internal/memory/kinds.ts"

const arrays = {
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  float32: Float32Array,
  float64: Float64Array
} as const

type Value = number | bigint

/** What is read and written is compared by identity: NaN is NaN, and -0 is not 0. */
const same = (a: unknown, b: unknown, what: string): void => assert.isTrue(Object.is(a, b), `${what}: ${a} and ${b}`)

const edges: ReadonlyArray<number> = [
  NaN,
  0,
  -0,
  Infinity,
  -Infinity,
  ...[7, 8, 15, 16, 24, 31, 32, 53, 63, 64].flatMap((
    bits
  ) => [2 ** bits, 2 ** bits - 1, -(2 ** bits), -(2 ** bits) - 1]),
  0.5,
  -1.9,
  Number.MIN_VALUE,
  Number.MAX_VALUE,
  3.4028235677973366e38, // becomes infinite as a float32
  1e-46 // becomes zero
]

const bigEdges: ReadonlyArray<bigint> = [63n, 64n, 65n, 128n].flatMap((bits) => [
  2n ** bits,
  2n ** bits - 1n,
  -(2n ** bits),
  -(2n ** bits) - 1n
]).concat(0n, 1n, -1n)

const valuesOf = (kind: Kind): FC.Arbitrary<Value> =>
  isBig(kind)
    ? FC.oneof(FC.constantFrom(...bigEdges), FC.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }))
    : FC.oneof(FC.constantFrom(...edges), FC.double(), FC.integer())

type Act = readonly ["store" | "exchange" | "change" | "stored", index: number, value: Value]

const actsOf = (kind: Kind): FC.Arbitrary<ReadonlyArray<Act>> =>
  FC.array(
    FC.tuple(FC.constantFrom("store", "exchange", "change", "stored"), FC.nat({ max: 4 }), valuesOf(kind)),
    { maxLength: 30 }
  )

interface Plain {
  [index: number]: Value
}

/** The verbs, with the types of both kinds of numbers erased: the values come from the kind. */
const erased = (numbers: unknown): Numbers<"float64"> => numbers as Numbers<"float64">

describe("numbers in shared bytes", () => {
  for (const kind of kinds) {
    it(`of kind ${kind} are as the elements of a typed array, whatever is done to them`, () => {
      const size = bytesPerElement(kind)
      FC.assert(FC.property(actsOf(kind), (acts) => {
        const buffer = new SharedArrayBuffer(64 + 5 * size + 64)
        const numbers = erased(numbersAt(kind, buffer, 64, 5))
        const model: Plain = new arrays[kind](5)
        const scratch: Plain = new arrays[kind](1)
        const write = (place: Plain, index: number, value: Value): Value => (place[index] = value, place[index]!)
        for (const [verb, index, value] of acts as ReadonlyArray<[Act[0], number, number]>) {
          const before = model[index]
          if (verb === "stored") {
            same(numbers.stored(value), write(scratch, 0, value), verb)
          } else {
            if (verb === "store") numbers.store(index, value)
            if (verb === "exchange") same(numbers.exchange(index, value), before, verb)
            if (verb === "change") {
              same(numbers.change(index, (found) => (same(found, before, "given"), value)), before, verb)
            }
            write(model, index, value)
          }
          for (let i = 0; i < 5; i++) {
            same(numbers.load(i), model[i], `load after ${verb}`)
            same(numbers.view[i], model[i], `view after ${verb}`)
          }
        }
        const around = [...new Uint8Array(buffer, 0, 64), ...new Uint8Array(buffer, 64 + 5 * size)]
        assert.isTrue(around.every((byte) => byte === 0), "nothing is written beside them")
      }))
    })

    it(`of kind ${kind} are changed again when somebody else was faster`, () => {
      const two = isBig(kind) ? 2n : 2
      const numbers = numbersAt(kind, new SharedArrayBuffer(64), 0, 1)
      const one = erased(numbers)
      const found: Array<Value> = []
      const before = one.change(0, (value) => {
        found.push(value)
        // another process, between the read and the write
        if (found.length < 3) one.store(0, (isBig(kind) ? BigInt(found.length) : found.length) as number)
        return (value as never) * (two as never) + (two as never)
      })
      assert.deepEqual(found.map(Number), [0, 1, 2])
      assert.strictEqual(Number(before), 2)
      assert.strictEqual(Number(one.load(0)), 6)
      const given = modified(one, 0, (value) => [`was ${value}`, value])
      assert.strictEqual(given, "was 6")
    })
  }

  it("of floats are compared by their bits: a NaN can be changed, and 0 is told from -0", () => {
    for (const kind of ["float32", "float64"] as const) {
      const numbers = numbersAt(kind, new SharedArrayBuffer(64), 0, 1)
      numbers.store(0, NaN)
      assert.isNaN(numbers.change(0, () => -0))
      same(numbers.change(0, (value) => value), -0, kind)
      same(numbers.load(0), -0, kind)
      same(numbers.exchange(0, 0), -0, kind)
    }
  })

  it("of a NaN with other bits than ours are changed too", () => {
    const buffer = new SharedArrayBuffer(8)
    new Uint32Array(buffer).set([0x12345678, 0x7ff4dead])
    const numbers = numbersAt("float64", buffer, 0, 1)
    assert.isNaN(numbers.load(0))
    assert.isNaN(numbers.change(0, () => 1))
    assert.strictEqual(numbers.load(0), 1)
  })

  it("know their kinds", () => {
    assert.deepEqual([...kinds].toSorted(), Object.keys(arrays).toSorted())
    for (const kind of kinds) assert.isTrue(isKind(kind))
    for (const other of ["", "int", "toString", "__proto__", 8, undefined, null, {}]) assert.isFalse(isKind(other))
  })
})
