/**
 * The kinds of numbers that cells hold, and their atomic verbs: those of `Atomics` for integers; for floats, which
 * `Atomics` does not have, the same bits are compared and exchanged as integers.
 */

export type Kind =
  | "int8"
  | "uint8"
  | "int16"
  | "uint16"
  | "int32"
  | "uint32"
  | "int64"
  | "uint64"
  | "float32"
  | "float64"

export type Of<K extends Kind> = K extends "int64" | "uint64" ? bigint : number

/** The typed array of each kind. */
export interface Views {
  readonly int8: Int8Array<SharedArrayBuffer>
  readonly uint8: Uint8Array<SharedArrayBuffer>
  readonly int16: Int16Array<SharedArrayBuffer>
  readonly uint16: Uint16Array<SharedArrayBuffer>
  readonly int32: Int32Array<SharedArrayBuffer>
  readonly uint32: Uint32Array<SharedArrayBuffer>
  readonly int64: BigInt64Array<SharedArrayBuffer>
  readonly uint64: BigUint64Array<SharedArrayBuffer>
  readonly float32: Float32Array<SharedArrayBuffer>
  readonly float64: Float64Array<SharedArrayBuffer>
}

type ViewConstructor = new(
  buffer: SharedArrayBuffer,
  offset: number,
  length: number
) => Views[Kind]

const constructors: { readonly [K in Kind]: ViewConstructor & { readonly BYTES_PER_ELEMENT: number } } = {
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
}

export const kinds: ReadonlyArray<Kind> = Object.keys(constructors) as ReadonlyArray<Kind>

export const isKind = (u: unknown): u is Kind => typeof u === "string" && Object.hasOwn(constructors, u)

export const bytesPerElement = (kind: Kind): number => constructors[kind].BYTES_PER_ELEMENT

export const isBig = (kind: Kind): kind is "int64" | "uint64" => kind === "int64" || kind === "uint64"

/** Numbers side by side in shared bytes. Each verb is one atomic step, or a loop around one. */
export interface Numbers<K extends Kind> {
  readonly view: Views[K]
  readonly load: (index: number) => Of<K>
  readonly store: (index: number, value: Of<K>) => void
  readonly exchange: (index: number, value: Of<K>) => Of<K>
  /** Calls `f` again when somebody else was faster; gives what was there before the change that held. */
  readonly change: (index: number, f: (value: Of<K>) => Of<K>) => Of<K>
  /** What would be read after a store of this value: it may wrap, or lose digits. */
  readonly stored: (value: Of<K>) => Of<K>
}

/** The typed array would take what is none for 0. */
const checked = (next: number, before: number): number => {
  if (typeof next === typeof before) return next
  throw new TypeError(
    `The function that changes a number has to give a ${typeof before}, and gave ${
      next === undefined ? "nothing" : `a ${typeof next} (${String(next)})`
    }.`
  )
}

type IntegerView = Exclude<Views[Kind], Float32Array | Float64Array>

const integers = (view: IntegerView, scratch: IntegerView): Numbers<Kind> => {
  // one signature for both: `Atomics` has one for numbers and one for big integers, and the view decides which is meant
  const array = view as Int32Array<SharedArrayBuffer>
  const one = scratch as Int32Array<SharedArrayBuffer>
  const stored = (value: number): number => {
    one[0] = value
    return one[0]!
  }
  const numbers: Numbers<"int32"> = {
    view: array,
    load: (index) => Atomics.load(array, index),
    store: (index, value) => void Atomics.store(array, index, value),
    exchange: (index, value) => Atomics.exchange(array, index, value),
    change: (index, f) => {
      let before = Atomics.load(array, index)
      while (true) {
        const found = Atomics.compareExchange(array, index, before, checked(f(before), before))
        if (found === before) return before
        before = found
      }
    },
    stored
  }
  return numbers as unknown as Numbers<Kind>
}

type FloatView = Float32Array<SharedArrayBuffer> | Float64Array<SharedArrayBuffer>
type Bits = Int32Array<SharedArrayBuffer>

/** `float` and `bits` lie on the same bytes, and so do their scratch places. */
const floats = (view: FloatView, bits: Bits, float: FloatView, floatBits: Bits): Numbers<Kind> => {
  const toBits = (value: number): number => {
    float[0] = value
    return floatBits[0]!
  }
  const fromBits = (value: number): number => {
    floatBits[0] = value
    return float[0]!
  }
  const numbers: Numbers<"float64"> = {
    view: view as Float64Array<SharedArrayBuffer>,
    load: (index) => fromBits(Atomics.load(bits, index)),
    store: (index, value) => void Atomics.store(bits, index, toBits(value)),
    exchange: (index, value) => fromBits(Atomics.exchange(bits, index, toBits(value))),
    change: (index, f) => {
      let before = Atomics.load(bits, index)
      while (true) {
        // the bits are compared: a NaN does not equal itself, and 0 equals -0
        const found = Atomics.compareExchange(bits, index, before, toBits(checked(f(fromBits(before)), 0)))
        if (found === before) return fromBits(before)
        before = found
      }
    },
    stored: (value) => {
      float[0] = value
      return float[0]!
    }
  }
  return numbers as unknown as Numbers<Kind>
}

export const numbersAt = <K extends Kind>(
  kind: K,
  buffer: SharedArrayBuffer,
  offset: number,
  length: number
): Numbers<K> => {
  const at = (of: Kind) => new constructors[of](buffer, offset, length)
  const scratch = new SharedArrayBuffer(8)
  const inScratch = (of: Kind) => new constructors[of](scratch, 0, 1)
  if (kind === "float32" || kind === "float64") {
    const integer = kind === "float32" ? "int32" : "int64"
    return floats(
      at(kind) as FloatView,
      at(integer) as Bits, // of BigInt64Array for doubles: the view decides what its elements are
      inScratch(kind) as FloatView,
      inScratch(integer) as Bits
    ) as Numbers<K>
  }
  return integers(at(kind) as IntegerView, inScratch(kind) as IntegerView) as Numbers<K>
}

/** A change that also gives something. */
export const modified = <K extends Kind, B>(
  numbers: Numbers<K>,
  index: number,
  f: (value: Of<K>) => readonly [B, Of<K>]
): B => {
  let result!: B
  numbers.change(index, (value) => {
    const [given, next] = f(value)
    result = given
    return next
  })
  return result
}
