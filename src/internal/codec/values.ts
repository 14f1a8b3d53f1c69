/**
 * What may cross, and how it is made ready: plain data goes by structured clone as it is; errors are rewritten, because
 * structured clone loses their `_tag`, their own fields and their class name.
 *
 * Effect-free: the runner in a child uses it too.
 */
import { inspect as inspectValue, types } from "node:util"
import type { EncodedError } from "./errors.ts"
import { encodeError, errorFields, isError, reviveError } from "./errors.ts"

/** What the border can do. */
export interface Border {
  /** A raw SharedArrayBuffer may cross (threads and inline, not processes). */
  readonly sharesMemory: boolean
}

/** Thrown by {@link prepare}: which place in the value cannot cross, and why. */
export interface Uncrossable {
  readonly _tag: "Uncrossable"
  readonly handle: string | undefined
  readonly message: string
}

/** What `prepare` gives: `marked` says that errors (or look-alikes of our marks) were rewritten, so that it must be revived. */
export interface Prepared {
  readonly value: unknown
  readonly marked: boolean
}

const mark = "~effect-multiprocessing/wire" as const
type Marked = { readonly [mark]: "error"; readonly error: EncodedError } | {
  readonly [mark]: "object"
  readonly object: object
}

/** Objects that carry this property are handles of this library that cannot cross; its value says what to do instead. */
export const notShareable = "~effect-multiprocessing/notShareable" as const

type Segment = string | number

const renderPath = (root: string, path: ReadonlyArray<Segment>): string =>
  path.reduce<string>((out, segment) =>
    typeof segment === "number"
      ? `${out}[${segment}]`
      : segment.startsWith("<")
      ? `${out}${segment}`
      : /^[A-Za-z_$][\w$]*$/.test(segment)
      ? `${out}.${segment}`
      : `${out}[${JSON.stringify(segment)}]`, root)

const uncrossable = (path: ReadonlyArray<Segment>, root: string, what: string, advice: string): Uncrossable => ({
  _tag: "Uncrossable",
  handle: undefined,
  message: `${renderPath(root, path)} is ${what}, which cannot cross to another process. ${advice}`
})

export const isUncrossable = (u: unknown): u is Uncrossable =>
  typeof u === "object" && u !== null && (u as Uncrossable)._tag === "Uncrossable"

const isPrimitive = (value: unknown): boolean =>
  value === null || (typeof value !== "object" && typeof value !== "function" && typeof value !== "symbol")

/** How `inspect` went: nothing to do, or something to rewrite. It throws an `Uncrossable` for what cannot cross. */
const inspect = (
  value: unknown,
  border: Border,
  root: string,
  path: Array<Segment>,
  seen: Set<object>
): boolean => {
  if (isPrimitive(value)) return false
  if (typeof value === "function") {
    throw uncrossable(
      path,
      root,
      `a function${value.name === "" ? "" : ` (${value.name})`}`,
      "Define it as a Task and send its payload."
    )
  }
  if (typeof value === "symbol") throw uncrossable(path, root, `a symbol (${String(value)})`, "Send a string.")
  const object = value as object
  if (seen.has(object)) return false
  seen.add(object)
  if (Array.isArray(object)) {
    let marked = false
    for (let i = 0; i < object.length; i++) {
      const element: unknown = object[i]
      if (isPrimitive(element)) continue
      path.push(i)
      if (inspect(element, border, root, path, seen)) marked = true
      path.pop()
    }
    return marked
  }
  return inspectObject(object, border, root, path, seen)
}

const inspectObject = (
  object: object,
  border: Border,
  root: string,
  path: Array<Segment>,
  seen: Set<object>
): boolean => {
  if (ArrayBuffer.isView(object)) return inspectBuffer(object.buffer, border, root, path)
  if (types.isAnyArrayBuffer(object)) return inspectBuffer(object, border, root, path)
  if (isError(object)) {
    for (const key of errorFields(object)) {
      path.push(key)
      inspect((object as unknown as Record<string, unknown>)[key], border, root, path, seen)
      path.pop()
    }
    for (const key of ["cause", "errors"]) {
      path.push(key)
      inspect((object as unknown as Record<string, unknown>)[key], border, root, path, seen)
      path.pop()
    }
    return true
  }
  if (types.isMap(object)) {
    let marked = false
    let index = 0
    for (const [key, element] of object) {
      path.push(`<key ${index}>`)
      if (inspect(key, border, root, path, seen)) marked = true
      path[path.length - 1] = isPrimitive(key)
        ? `<get(${typeof key === "string" ? JSON.stringify(key) : String(key)})>`
        : `<entry ${index}>`
      if (inspect(element, border, root, path, seen)) marked = true
      path.pop()
      index++
    }
    return marked
  }
  if (types.isSet(object)) {
    let marked = false
    let index = 0
    for (const element of object) {
      path.push(`<element ${index++}>`)
      if (inspect(element, border, root, path, seen)) marked = true
      path.pop()
    }
    return marked
  }
  if (types.isDate(object) || types.isRegExp(object) || types.isBoxedPrimitive(object)) {
    return types.isSymbolObject(object) ? inspect(object.valueOf(), border, root, path, seen) : false
  }
  const unclonable = kindOfUnclonable(object)
  if (unclonable !== undefined) throw uncrossable(path, root, unclonable, "Send the data it stands for.")
  if (notShareable in object) {
    const { advice, handle } = object[notShareable] as { readonly handle: string; readonly advice: string }
    const refused: Uncrossable = {
      _tag: "Uncrossable",
      handle,
      message: `${renderPath(root, path)} is a ${handle}, which cannot cross to another process. ${advice}`
    }
    throw refused
  }
  let marked = mark in object
  for (const key of Object.keys(object)) {
    const element: unknown = (object as Record<string, unknown>)[key]
    if (isPrimitive(element)) continue
    path.push(key)
    if (inspect(element, border, root, path, seen)) marked = true
    path.pop()
  }
  return marked
}

const inspectBuffer = (
  buffer: ArrayBufferLike,
  border: Border,
  root: string,
  path: ReadonlyArray<Segment>
): boolean => {
  if (!border.sharesMemory && types.isSharedArrayBuffer(buffer)) {
    throw uncrossable(
      path,
      root,
      "backed by a SharedArrayBuffer",
      "It reaches threads only: use StartMethod.layerThreads, or send a copy."
    )
  }
  return false
}

const kindOfUnclonable = (object: object): string | undefined => {
  if (types.isProxy(object)) return "a Proxy"
  if (types.isPromise(object)) return "a Promise"
  if (types.isWeakMap(object)) return "a WeakMap"
  if (types.isWeakSet(object)) return "a WeakSet"
  if (types.isGeneratorObject(object)) return "a generator"
  if (object instanceof WeakRef) return "a WeakRef"
  return undefined
}

/** Copies the containers of a value, and puts a mark where an error stands. Shared places and cycles stay shared. */
const rewrite = (value: unknown, done: Map<object, unknown>): unknown => {
  if (typeof value !== "object" || value === null) return value
  const before = done.get(value)
  if (before !== undefined) return before
  if (Array.isArray(value)) {
    const out: Array<unknown> = new Array(value.length)
    done.set(value, out)
    for (const key of Object.keys(value)) out[key as unknown as number] = rewrite(value[key as unknown as number], done)
    return out
  }
  if (isError(value)) {
    const out = { [mark]: "error", error: undefined as unknown as EncodedError } satisfies Record<string, unknown>
    done.set(value, out)
    out.error = encodeError(value, (inner) => rewrite(inner, done))
    return out
  }
  if (
    ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value) || types.isDate(value) || types.isRegExp(value) ||
    types.isBoxedPrimitive(value)
  ) {
    return value
  }
  if (types.isMap(value)) {
    const out = new Map<unknown, unknown>()
    done.set(value, out)
    for (const [key, element] of value) out.set(rewrite(key, done), rewrite(element, done))
    return out
  }
  if (types.isSet(value)) {
    const out = new Set<unknown>()
    done.set(value, out)
    for (const element of value) out.add(rewrite(element, done))
    return out
  }
  const copy: Record<string, unknown> = {}
  const out: object = mark in value ? { [mark]: "object", object: copy } : copy
  done.set(value, out)
  for (const key of Object.keys(value)) define(copy, key, rewrite((value as Record<string, unknown>)[key], done))
  return out
}

/** `__proto__` is a key like any other in structured clone. */
const define = (target: object, key: string, value: unknown): void => {
  if (key === "__proto__") {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
  } else {
    ;(target as Record<string, unknown>)[key] = value
  }
}

const plain = (value: unknown): Prepared => ({ value, marked: false })

/**
 * Makes a value ready to cross, or throws an {@link Uncrossable} that names the place. `root` is what the value is
 * called in the message ("payload", "result", ...). Nothing is copied unless there is an error inside.
 */
export const prepare = (value: unknown, border: Border, root: string): Prepared => {
  if (isPrimitive(value)) return plain(value)
  try {
    return inspect(value, border, root, [], new Set())
      ? { value: rewrite(value, new Map()), marked: true }
      : plain(value)
  } catch (cause) {
    if (cause instanceof RangeError) {
      throw uncrossable([], root, "nested too deeply to be copied", "Send it flat, as arrays or bytes.")
    }
    throw cause
  }
}

/** As {@link prepare}, for what must not be lost (a defect): what cannot cross is left out, or becomes its description. */
export const prepareLossy = (value: unknown, border: Border): Prepared => {
  try {
    return prepare(value, border, "defect")
  } catch {
    if (!isError(value)) return plain(describe(value))
    const error = encodeError(value, (inner) => {
      const prepared = prepareLossy(inner, border)
      return prepared.value
    })
    const marked: Marked = { [mark]: "error", error }
    return { value: marked, marked: true }
  }
}

const describe = (value: unknown): string => {
  try {
    return inspectValue(value, { depth: 2 })
  } catch {
    return Object.prototype.toString.call(value)
  }
}

/** Puts the errors back. Works in place: the value is our own copy. */
export const revive = (value: unknown): unknown => reviveInto(value, new Map())

const reviveInto = (value: unknown, done: Map<object, unknown>): unknown => {
  if (typeof value !== "object" || value === null) return value
  if (done.has(value)) return done.get(value)
  if (mark in value) return reviveMarked(value as Marked, done)
  done.set(value, value)
  if (Array.isArray(value)) {
    for (const key of Object.keys(value)) {
      value[key as unknown as number] = reviveInto(value[key as unknown as number], done)
    }
  } else if (types.isMap(value)) {
    const entries = Array.from(value)
    value.clear()
    for (const [key, element] of entries) value.set(reviveInto(key, done), reviveInto(element, done))
  } else if (types.isSet(value)) {
    const elements = Array.from(value)
    value.clear()
    for (const element of elements) value.add(reviveInto(element, done))
  } else if (Object.getPrototypeOf(value) === Object.prototype) {
    for (const key of Object.keys(value)) define(value, key, reviveInto((value as Record<string, unknown>)[key], done))
  }
  return value
}

const reviveMarked = (value: Marked, done: Map<object, unknown>): unknown => {
  if (value[mark] === "object") {
    const object = value.object
    done.set(value, object)
    for (const key of Object.keys(object)) {
      define(object, key, reviveInto((object as Record<string, unknown>)[key], done))
    }
    return object
  }
  const error = reviveError(value.error)
  done.set(value, error.instance)
  error.fill((inner) => reviveInto(inner, done))
  return error.instance
}
