/**
 * Values for the codec's tests: graphs of containers and errors with shared places and cycles, built from a description, so
 * that the same graph can be built twice; and a comparison that also compares what is shared.
 */
import * as fc from "fast-check"
import { types } from "node:util"

/** The codec's own mark: a user's object may carry it too. */
export const mark = "~effect-multiprocessing/wire"

const errorKinds = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError } as const
type ErrorKind = keyof typeof errorKinds | "AggregateError"

export const typedArrays = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array
] as const

// ---------------------------------------------------------------------------------------------------- descriptions

/** A place of a node: a primitive, or the number of another node (modulo how many there are). */
type Slot = { readonly leaf: unknown } | { readonly node: number }

export type Node =
  | { readonly kind: "array"; readonly slots: ReadonlyArray<Slot>; readonly holes: number }
  | { readonly kind: "object"; readonly entries: ReadonlyArray<readonly [string, Slot]> }
  | { readonly kind: "map"; readonly entries: ReadonlyArray<readonly [Slot, Slot]> }
  | { readonly kind: "set"; readonly slots: ReadonlyArray<Slot> }
  | { readonly kind: "bytes"; readonly type: number; readonly bytes: ReadonlyArray<number> }
  | { readonly kind: "date"; readonly millis: number }
  | { readonly kind: "regexp"; readonly flags: string }
  | { readonly kind: "boxed"; readonly value: string | number | boolean | bigint }
  | {
    readonly kind: "error"
    readonly error: ErrorKind
    readonly name: string | undefined
    readonly message: string
    readonly tag: string | undefined
    readonly cause: Slot | undefined
    readonly inner: ReadonlyArray<Slot>
    readonly fields: ReadonlyArray<readonly [string, Slot]>
  }

const leaf = fc.oneof(
  fc.constantFrom(undefined, null, true, false, NaN, -0, 0, Infinity, "", "text", "_tag", 2n ** 70n, -1n),
  fc.integer(),
  fc.double(),
  fc.string({ unit: "binary", maxLength: 6 }),
  fc.bigInt()
)

const slot: fc.Arbitrary<Slot> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ leaf }) },
  { weight: 3, arbitrary: fc.record({ node: fc.nat(20) }) }
)
const slots = fc.array(slot, { maxLength: 4 })

/** Keys that are known to hurt somebody somewhere. */
const key = fc.oneof(
  fc.constantFrom(
    "a",
    "b c",
    "",
    "0",
    "__proto__",
    "constructor",
    "toString",
    "length",
    "_tag",
    "value",
    "error",
    mark
  ),
  fc.string({ maxLength: 4 })
)
const entries = fc.uniqueArray(fc.tuple(key, slot), { maxLength: 4, selector: ([name]) => name })
/** The own names of an Error mean something else, and `~` begins the marks of Effect's classes. */
const reserved = new Set(["name", "message", "stack", "cause", "errors", "_tag"])
const fields = entries.map((all) => all.filter(([name]) => !reserved.has(name) && !name.startsWith("~")))

const plainNode: fc.Arbitrary<Node> = fc.oneof(
  fc.record({ kind: fc.constant("array" as const), slots, holes: fc.constantFrom(0, 0, 0, 1, 5) }),
  fc.record({ kind: fc.constant("object" as const), entries }),
  fc.record({ kind: fc.constant("map" as const), entries: fc.array(fc.tuple(slot, slot), { maxLength: 3 }) }),
  fc.record({ kind: fc.constant("set" as const), slots }),
  fc.record({
    kind: fc.constant("bytes" as const),
    type: fc.nat(typedArrays.length + 1),
    bytes: fc.array(fc.nat(255), { maxLength: 40 })
  }),
  fc.record({ kind: fc.constant("date" as const), millis: fc.oneof(fc.integer(), fc.constant(NaN)) }),
  fc.record({ kind: fc.constant("regexp" as const), flags: fc.constantFrom("", "g", "iu", "gimsy") }),
  fc.record({ kind: fc.constant("boxed" as const), value: fc.constantFrom("s", 1, true, 5n) })
)

const errorNode: fc.Arbitrary<Node> = fc.record({
  kind: fc.constant("error" as const),
  error: fc.constantFrom<ErrorKind>("AggregateError", ...(Object.keys(errorKinds) as Array<ErrorKind>)),
  name: fc.constantFrom(undefined, "MyError", ""),
  message: fc.string({ maxLength: 6 }),
  tag: fc.constantFrom(undefined, "Tagged"),
  cause: fc.option(slot, { nil: undefined }),
  inner: slots,
  fields
})

/** Graphs without errors: what crosses as it is. */
export const plainGraph = fc.array(plainNode, { minLength: 1, maxLength: 8 })
/** Graphs with errors: what is rewritten on the way. */
export const graph = fc.array(fc.oneof({ weight: 3, arbitrary: plainNode }, { weight: 2, arbitrary: errorNode }), {
  minLength: 1,
  maxLength: 8
})

// ---------------------------------------------------------------------------------------------------- building

const makeBytes = (type: number, bytes: ReadonlyArray<number>): object => {
  const Type = typedArrays[type]
  const size = Type?.BYTES_PER_ELEMENT ?? 1
  const buffer = Uint8Array.from(bytes.slice(0, bytes.length - (bytes.length % size))).buffer
  if (Type !== undefined) return new Type(buffer)
  return type === typedArrays.length ? buffer : new DataView(buffer)
}

const makeError = ({ error, message, name, tag }: Extract<Node, { readonly kind: "error" }>): Error => {
  const instance = error === "AggregateError" ? new AggregateError([], message) : new errorKinds[error](message)
  if (name !== undefined) Object.defineProperty(instance, "name", { value: name, enumerable: false })
  if (tag !== undefined) Object.assign(instance, { _tag: tag })
  Object.defineProperty(instance, "stack", { value: `stack of ${message}`, enumerable: false })
  return instance
}

const makeEmpty = (node: Node): object => {
  switch (node.kind) {
    case "array":
      return []
    case "object":
      return {}
    case "map":
      return new Map()
    case "set":
      return new Set()
    case "bytes":
      return makeBytes(node.type, node.bytes)
    case "date":
      return new Date(node.millis)
    case "regexp":
      return new RegExp("a+", node.flags)
    case "boxed":
      return Object(node.value) as object
    case "error":
      return makeError(node)
  }
}

const set = (target: object, name: PropertyKey, value: unknown, enumerable = true): void => {
  Object.defineProperty(target, name, { value, enumerable, configurable: true, writable: true })
}

const fill = (target: object, node: Node, resolve: (slot: Slot) => unknown): void => {
  switch (node.kind) {
    case "array": {
      const array = target as Array<unknown>
      array.length = node.holes
      for (const slot of node.slots) array.push(resolve(slot))
      return
    }
    case "object":
      for (const [name, slot] of node.entries) set(target, name, resolve(slot))
      return
    case "map":
      for (const [name, slot] of node.entries) (target as Map<unknown, unknown>).set(resolve(name), resolve(slot))
      return
    case "set":
      for (const slot of node.slots) (target as Set<unknown>).add(resolve(slot))
      return
    case "error": {
      if (node.cause !== undefined) set(target, "cause", resolve(node.cause), false)
      if (node.error === "AggregateError") set(target, "errors", node.inner.map(resolve), false)
      for (const [name, slot] of node.fields) set(target, name, resolve(slot))
      return
    }
  }
}

/** All nodes of a graph; the first is its root. */
export const buildAll = (nodes: ReadonlyArray<Node>): ReadonlyArray<object> => {
  const made = nodes.map(makeEmpty)
  const resolve = (slot: Slot): unknown => "leaf" in slot ? slot.leaf : made[slot.node % made.length]
  nodes.forEach((node, i) => fill(made[i]!, node, resolve))
  return made
}

export const build = (nodes: ReadonlyArray<Node>): object => buildAll(nodes)[0]!

// ---------------------------------------------------------------------------------------------------- comparing

const bytesOf = (value: object): Uint8Array =>
  ArrayBuffer.isView(value)
    ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    : new Uint8Array(value as ArrayBuffer)

/** The first place where two graphs differ, in content, class or in what is shared; `undefined` where they are the same. */
export const difference = (expected: unknown, actual: unknown): string | undefined => {
  const there = new Map<object, object>()
  const back = new Map<object, object>()

  const props = (a: object, b: object, names: ReadonlyArray<string>, path: string): string | undefined => {
    for (const name of names) {
      const found = walk((a as any)[name], (b as any)[name], `${path}.${name}`)
      if (found !== undefined) return found
    }
    return undefined
  }

  const ownProps = (a: object, b: object, path: string): string | undefined => {
    const names = Object.keys(a)
    const others = Object.keys(b)
    if (names.length !== others.length || names.some((name) => !Object.hasOwn(b, name))) {
      return `${path}: keys ${JSON.stringify(names)} and ${JSON.stringify(others)}`
    }
    return props(a, b, names, path)
  }

  const errors = (a: Error, b: Error, path: string): string | undefined => {
    if (Object.hasOwn(a, "cause") !== Object.hasOwn(b, "cause") && a.cause !== undefined) return `${path}: cause`
    const names = ["name", "message", "stack", "cause", ...(a instanceof AggregateError ? ["errors"] : [])]
    return props(a, b, names, path) ?? ownProps(a, b, path)
  }

  const walk = (a: unknown, b: unknown, path: string): string | undefined => {
    if (typeof a !== "object" || a === null || typeof b !== "object" || b === null) {
      return Object.is(a, b) ? undefined : `${path}: ${String(a)} and ${String(b)}`
    }
    if (there.has(a) || back.has(b)) {
      return there.get(a) === b && back.get(b) === a ? undefined : `${path}: shared in one and not in the other`
    }
    there.set(a, b)
    back.set(b, a)
    if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return `${path}: of different classes`
    if (a instanceof Error) return errors(a, b as Error, path)
    if (types.isDate(a)) return walk(a.getTime(), (b as Date).getTime(), path)
    if (types.isRegExp(a)) return walk(String(a), String(b), path)
    if (types.isBoxedPrimitive(a)) return walk(a.valueOf(), b.valueOf(), path)
    if (ArrayBuffer.isView(a) || types.isAnyArrayBuffer(a)) {
      return walk(bytesOf(a).join(), bytesOf(b).join(), path)
    }
    if (types.isMap(a) || types.isSet(a)) return walk(Array.from(a), Array.from(b as Iterable<unknown>), `${path}<>`)
    if (Array.isArray(a) && a.length !== (b as Array<unknown>).length) return `${path}.length`
    return ownProps(a, b, path)
  }

  return walk(expected, actual, "value")
}
