/**
 * What may cross, and how it is made ready: plain data goes by structured clone as it is; errors are rewritten, because
 * structured clone loses their `_tag`, their own fields and their class name, and handles, which say themselves what is
 * sent in their place.
 *
 * Effect-free: the runner in a child uses it too.
 */
import { Buffer } from "node:buffer"
import { inspect as inspectValue, types } from "node:util"
import type { EncodedError } from "./errors.ts"
import { crossing, installedForsake, installedOpeners } from "../handles/handle.ts"
import type { Border, Given, Handle } from "../handles/handle.ts"
import { isGone } from "../memory/gone.ts"
import { isUnreachable } from "../memory/unreachable.ts"
import { encodeError, errorParts, isError, readField, reviveError } from "./errors.ts"

export type { Border }

/** Thrown by {@link prepare}: which place in the value cannot cross, and why. */
export interface Uncrossable {
  readonly _tag: "Uncrossable"
  readonly handle: string | undefined
  readonly message: string
}

/**
 * What `prepare` gives: `marked` says that errors or handles (or look-alikes of our marks) were rewritten, so that it must
 * be revived.
 */
export interface Prepared {
  readonly value: unknown
  readonly marked: boolean
}

const mark = "~effect-multiprocessing/wire" as const
type Marked =
  | { readonly [mark]: "error"; readonly error: EncodedError }
  | { readonly [mark]: "object"; readonly object: object }
  | { readonly [mark]: "handle"; readonly name: string; readonly data: unknown }

/** Objects that carry this property are handles of this library that cannot cross; its value says what to do instead. */
export const notShareable = "~effect-multiprocessing/notShareable" as const

type Segment = string | number | { readonly at: string }

const isName = /^[A-Za-z_$][\w$]*$/

const renderSegment = (segment: Segment): string =>
  typeof segment === "object"
    ? segment.at
    : typeof segment === "number"
    ? `[${segment}]`
    : isName.test(segment)
    ? `.${segment}`
    : `[${JSON.stringify(segment)}]`

const renderPath = (root: string, path: ReadonlyArray<Segment>): string => root + path.map(renderSegment).join("")

interface Place {
  readonly root: string
  readonly path: Array<Segment>
}

const refuse = ({ path, root }: Place, what: string, advice: string, handle?: string): Uncrossable => ({
  _tag: "Uncrossable",
  handle,
  message: `${renderPath(root, path)} is ${what}, which cannot cross to another process. ${advice}`
})

export const isUncrossable = (u: unknown): u is Uncrossable =>
  typeof u === "object" && u !== null && (u as Uncrossable)._tag === "Uncrossable"

const isPrimitive = (value: unknown): boolean =>
  value === null || (typeof value !== "object" && typeof value !== "function" && typeof value !== "symbol")

/** What structured clone cannot carry, or carries as an empty object on some borders; `undefined` for the rest. */
const uncrossableKind = (
  value: unknown,
  border: Border
): { readonly what: string; readonly advice: string } | undefined => {
  if (typeof value === "function") {
    const name = value.name === "" ? "" : ` (${value.name})`
    return { what: `a function${name}`, advice: "Send data: what is to be done there is a Task." }
  }
  if (typeof value === "symbol" || types.isSymbolObject(value)) {
    return { what: `a symbol (${String(value.valueOf())})`, advice: "Send a string." }
  }
  const object = value as object
  if (types.isProxy(object)) return { what: "a Proxy", advice: "Send a copy of the data behind it." }
  if (types.isSharedArrayBuffer(bufferOf(object)) && !border.sharesMemory) {
    return {
      what: "backed by a SharedArrayBuffer",
      advice: "It reaches threads only: use StartMethod.layerThreads, or send a copy."
    }
  }
  if (Object.getPrototypeOf(object) === Object.prototype || isCarried(object)) return undefined
  const tag = Object.prototype.toString.call(object).slice(8, -1)
  return tag === "Object" ? undefined : { what: withArticle(tag), advice: "Send the data it stands for." }
}

const withArticle = (tag: string): string => {
  const noun = tag.endsWith("Generator") ? "generator" : tag
  return `${/^[AEIOU]/i.test(noun) ? "an" : "a"} ${noun}`
}

const bufferOf = (object: object): unknown => ArrayBuffer.isView(object) ? object.buffer : object

/** Built-in objects that structured clone carries with their meaning. */
const isCarried = (object: object): boolean =>
  Array.isArray(object) || isError(object) || ArrayBuffer.isView(object) || types.isAnyArrayBuffer(object) ||
  types.isMap(object) || types.isSet(object) || types.isDate(object) || types.isRegExp(object) ||
  (types.isBoxedPrimitive(object) && !types.isSymbolObject(object))

/** Objects without parts of their own that matter here. */
const isLeaf = (object: object): boolean =>
  ArrayBuffer.isView(object) || types.isAnyArrayBuffer(object) || types.isDate(object) || types.isRegExp(object) ||
  types.isBoxedPrimitive(object)

/** A small Buffer lies in a pool with others, and structured clone would carry the whole pool. */
const isPooled = (object: object): object is Buffer =>
  Buffer.isBuffer(object) && object.byteLength < object.buffer.byteLength

/** Above this length an array is asked for its keys: it may be nearly empty. Below the other, it may have names too. */
const longArray = 1_000_000
const shortArray = 4096

const visitArray = (array: ReadonlyArray<unknown>, visit: (segment: Segment, value: unknown) => void): void => {
  if (array.length > longArray || array.length < shortArray) {
    for (const key of Object.keys(array)) {
      const index = Number(key)
      visit(Number.isInteger(index) ? index : key, array[key as unknown as number])
    }
  } else {
    for (let i = 0; i < array.length; i++) visit(i, array[i])
  }
}

const keyName = (key: unknown, index: number): string =>
  typeof key === "string" ? JSON.stringify(key) : isPrimitive(key) ? String(key) : `key ${index}`

/** The parts of a container, each with its place. */
const visitParts = (object: object, visit: (segment: Segment, value: unknown) => void): void => {
  if (Array.isArray(object)) return visitArray(object, visit)
  if (types.isMap(object)) {
    let index = 0
    for (const [key, value] of object) {
      visit({ at: `.keys()[${index}]` }, key)
      visit({ at: `.get(${keyName(key, index++)})` }, value)
    }
    return
  }
  if (types.isSet(object)) {
    let index = 0
    for (const value of object) visit({ at: `.values()[${index++}]` }, value)
    return
  }
  if (isError(object)) {
    for (const key of errorParts(object)) visit(key, readField(object, key))
    return
  }
  for (const key of Object.keys(object)) visit(key, (object as Record<string, unknown>)[key])
}

/** A thread can write deeper than the main thread, with its smaller stack, can read. */
const deepest = 500

const tooDeep = (root: string): Uncrossable =>
  refuse({ root, path: [] }, `nested more than ${deepest} levels deep`, "Send it flat, as arrays or bytes.")

const isHandle = (object: object): object is Handle => crossing in object

const farAdvice =
  "It lives on this machine, and this goes over TCP, which may lead to another one: send it through a " +
  "listener with a path, or send the data that it holds."

/** Does the value have to be rewritten? Throws an `Uncrossable` for what cannot cross. */
const inspect = (value: unknown, border: Border, place: Place, seen: Set<object>): boolean => {
  if (isPrimitive(value)) return false
  const object = value as object
  if (seen.has(object)) return false
  const refused = uncrossableKind(value, border)
  if (refused !== undefined) throw refuse(place, refused.what, refused.advice)
  seen.add(object)
  if (isPooled(object)) return true
  if (isLeaf(object)) return false
  if (isHandle(object)) {
    const { name, refusal } = object[crossing]
    const advice = border.far === true ? farAdvice : refusal(border)
    if (advice !== undefined) throw refuse(place, `a ${name}`, advice, name)
    return true
  }
  if (notShareable in object) {
    const { advice, handle } = object[notShareable] as { readonly handle: string; readonly advice: string }
    throw refuse(place, `a ${handle}`, advice, handle)
  }
  let rewritten = isError(object) || mark in object
  visitParts(object, (segment, part) => {
    if (isPrimitive(part)) return
    if (place.path.push(segment) > deepest) throw tooDeep(place.root)
    if (inspect(part, border, place, seen)) rewritten = true
    place.path.pop()
  })
  return rewritten
}

/** What is gone, or cannot be reached, is called what the user calls it. */
const called = <A>(name: string, action: () => A): A => {
  try {
    return action()
  } catch (cause) {
    throw isGone(cause) || isUnreachable(cause) ? { ...cause, what: name } : cause
  }
}

interface Rewriting {
  readonly border: Border
  /** What stands for a value that cannot be rewritten as it is; the value itself otherwise. */
  readonly replace: (value: unknown, depth: number) => unknown
  readonly done: Map<object, unknown>
  readonly given: Array<Given>
}

/** Copies the containers of a value, and puts a mark where an error or a handle stands. Shared places and cycles stay shared. */
const rewrite = (value: unknown, rewriting: Rewriting, depth = 0): unknown => {
  const { border, done, given, replace } = rewriting
  const replaced = replace(value, depth)
  if (typeof replaced !== "object" || replaced === null) return replaced
  const object = replaced
  const before = done.get(object)
  if (before !== undefined) return before
  const inner = (part: unknown): unknown => rewrite(part, rewriting, depth + 1)
  if (isHandle(object)) {
    const { name, write } = object[crossing]
    const out = { [mark]: "handle", name, data: called(name, () => write(border, given)) } satisfies Marked
    done.set(object, out)
    return out
  }
  if (Array.isArray(object)) {
    const out: Array<unknown> = new Array(object.length)
    done.set(object, out)
    visitArray(object, (key, part) => define(out, String(key), inner(part)))
    return Object.hasOwn(object, mark) ? wrapObject(out) : out
  }
  if (isError(object)) {
    const out = { [mark]: "error", error: undefined as unknown as EncodedError } satisfies Record<string, unknown>
    done.set(object, out)
    out.error = encodeError(object, inner)
    return out
  }
  if (isPooled(object)) {
    const out = new Uint8Array(object)
    done.set(object, out)
    return out
  }
  if (isLeaf(object)) return object
  if (types.isMap(object)) {
    const out = new Map<unknown, unknown>()
    done.set(object, out)
    for (const [key, element] of object) out.set(inner(key), inner(element))
    return out
  }
  if (types.isSet(object)) {
    const out = new Set<unknown>()
    done.set(object, out)
    for (const element of object) out.add(inner(element))
    return out
  }
  const copy: Record<string, unknown> = {}
  const out = mark in object ? wrapObject(copy) : copy
  done.set(object, out)
  for (const key of Object.keys(object)) define(copy, key, inner((object as Record<string, unknown>)[key]))
  return out
}

/** An object that looks like one of our marks is wrapped, so that it is not taken for one. */
const wrapObject = (object: object): Marked => ({ [mark]: "object", object })

/** `__proto__` is a key like any other in structured clone. */
const define = (target: object, key: string, value: unknown): void => {
  if (key === "__proto__") {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
  } else {
    ;(target as Record<string, unknown>)[key] = value
  }
}

const plain = (value: unknown): Prepared => ({ value, marked: false })
const asItIs: Rewriting["replace"] = (value) => value

/**
 * Makes a value ready to cross, or throws an {@link Uncrossable} that names the place. `root` is what the value is
 * called in the message ("payload", "result", ...). Nothing is copied unless there is an error inside. What is used up by
 * that is added to `given`; where it throws nothing is.
 */
export const prepare = (value: unknown, border: Border, root: string, given: Array<Given> = []): Prepared => {
  if (isPrimitive(value)) return plain(value)
  const before = given.length
  try {
    return inspect(value, border, { root, path: [] }, new Set())
      ? { value: rewrite(value, { border, replace: asItIs, done: new Map(), given }), marked: true }
      : plain(value)
  } catch (cause) {
    for (const { restore } of given.splice(before)) restore()
    if (!isStackOverflow(cause)) throw cause
    throw tooDeep(root)
  }
}

const isStackOverflow = (cause: unknown): boolean => cause instanceof RangeError && cause.message.includes("call stack")

/** As {@link prepare}, for what must not be lost (a defect): what cannot cross becomes its description. */
export const prepareLossy = (value: unknown, border: Border): Prepared => {
  if (isPrimitive(value)) return plain(value)
  const lossy: Rewriting["replace"] = (part, depth) =>
    isPrimitive(part) ||
      (depth < deepest && uncrossableKind(part, border) === undefined && mayCross(part as object, border))
      ? part
      : describe(part)
  try {
    return { value: rewrite(value, { border, replace: lossy, done: new Map(), given: [] }), marked: true }
  } catch {
    // nested too deeply, or a getter that throws: what an error says of itself is kept
    return isError(value)
      ? { value: { [mark]: "error", error: encodeError(value, describe) } satisfies Marked, marked: true }
      : plain(describe(value))
  }
}

/** A log line uses nothing up. */
const mayCross = (object: object, border: Border): boolean =>
  isHandle(object)
    ? object[crossing].moves !== true && border.far !== true && object[crossing].refusal(border) === undefined
    : !(notShareable in object)

const describe = (value: unknown): unknown => {
  if (isPrimitive(value)) return value
  try {
    return inspectValue(value, { depth: 2 })
  } catch {
    return "a value that cannot be described"
  }
}

/**
 * Puts errors and handles back. Works in place: the value is our own copy. Throws a `Gone` where what a handle stands for
 * is gone, and an `Unreachable` where this process cannot open it.
 */
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
  if (value[mark] === "handle") {
    const open = installedOpeners()
    if (open === undefined) throw new Error(`Nothing here can open a ${value.name}.`)
    const handle = called(value.name, () => open(value.name, value.data))
    done.set(value, handle)
    return handle
  }
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

/** The handles in what has crossed and will not be opened. */
export const handlesIn = (value: unknown): ReadonlyArray<{ readonly name: string; readonly data: unknown }> => {
  const found: Array<{ readonly name: string; readonly data: unknown }> = []
  const seen = new Set<object>()
  const look = (part: unknown): void => {
    if (typeof part !== "object" || part === null || seen.has(part)) return
    seen.add(part)
    if (!(mark in part)) return visitParts(part, (_, inner) => look(inner))
    const marked = part as Marked
    if (marked[mark] === "handle") found.push({ name: marked.name, data: marked.data })
    else if (marked[mark] === "object") visitParts(marked.object, (_, inner) => look(inner))
    else {
      look(marked.error.cause)
      look(marked.error.errors)
      look(marked.error.fields)
    }
  }
  look(value)
  return found
}

/** What has crossed will not be opened: whoever has to know that is told. */
export const forsakeIn = (value: unknown): void => {
  const forsake = installedForsake()
  if (forsake === undefined) return
  for (const { data, name } of handlesIn(value)) forsake(name, data)
}

/** What has crossed, as it is to be used. */
export const open = ({ marked, value }: Prepared): unknown => marked ? revive(value) : value
