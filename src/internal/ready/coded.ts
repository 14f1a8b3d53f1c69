/**
 * Proxies whose values have schemas: what they are given is encoded, and what they give is decoded. The server keeps what is
 * encoded. A schema does not cross with its proxy.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import type { ProcessError } from "../../ProcessError.ts"
import { taskOf } from "../codec/registry.ts"
import { sameProxy } from "../handles/manager.ts"
import { coderIfAny, present } from "./coder.ts"
import type { AnySchema, Coder } from "./coder.ts"
import { codedTask } from "./task.ts"

// ---------------------------------------------------------------------------------------------------- shapes

export interface Schemas {
  readonly key?: AnySchema | undefined
  readonly value?: AnySchema | undefined
}

/** Of an object: how its keys and its values cross. */
interface Coders {
  readonly key: Coder
  readonly value: Coder
  /** As it is called in messages. */
  readonly what: string
}

type Code = (value: unknown) => Effect.Effect<unknown, ProcessError>

/** What a method takes, or gives: how it is encoded, and how it is decoded. */
interface Shape {
  readonly encode: (coders: Coders) => Code
  readonly decode: (coders: Coders) => Code
}

const plain: Shape = { encode: () => Effect.succeed, decode: () => Effect.succeed }
const key: Shape = { encode: ({ key }) => key.encode, decode: ({ key }) => key.decode }
const value: Shape = { encode: ({ value }) => value.encode, decode: ({ value }) => value.decode }

/** Undefined where there is none. */
const maybe: Shape = {
  encode: value.encode,
  decode: (coders) => (encoded) => encoded === undefined ? Effect.undefined : coders.value.decode(encoded)
}

const each = (code: Code): Code => (all) => Effect.forEach(all as ReadonlyArray<unknown>, code) // its type says so

const values: Shape = {
  encode: (coders) => each(coders.value.encode),
  decode: (coders) => each(coders.value.decode)
}

const pair = (first: Code, second: Code): Code => (both) => {
  const [one, other] = both as readonly [unknown, unknown] // an entry
  return Effect.all([first(one), second(other)])
}

const entries: Shape = {
  encode: ({ key, value }) => each(pair(key.encode, value.encode)),
  decode: ({ key, value }) => each(pair(key.decode, value.decode))
}

const task: Shape = {
  encode: ({ what }) => (task) => Effect.sync(() => codedTask(task as object, what)), // its type says so
  decode: plain.decode
}

interface Signature {
  readonly takes: ReadonlyArray<Shape>
  readonly gives: Shape
}

const method = (takes: ReadonlyArray<Shape>, gives: Shape = plain): Signature => ({ takes, gives })

// ---------------------------------------------------------------------------------------------------- kinds

/** Methods in which no value occurs are left out. `updateWith` of a ref is below. */
const signatures = {
  ref: {
    get: method([], value),
    set: method([value]),
    getAndSet: method([value], value),
    setAndGet: method([value], value),
    getAndUpdate: method([task], value),
    update: method([task], value)
  },
  map: {
    get: method([key], maybe),
    has: method([key]),
    set: method([key, value]),
    setAll: method([entries]),
    getOrSet: method([key, value], value),
    remove: method([key]),
    entries: method([], entries),
    update: method([key, task], value)
  },
  list: {
    get: method([plain], maybe),
    set: method([plain, value]),
    push: method([value]),
    pushAll: method([values]),
    pop: method([], maybe),
    shift: method([], maybe),
    insert: method([plain, value]),
    remove: method([plain], maybe),
    slice: method([plain, plain], values),
    values: method([], values),
    update: method([plain, task], maybe)
  },
  set: {
    add: method([value]),
    has: method([value]),
    remove: method([value]),
    values: method([], values)
  },
  queue: {
    offer: method([value]),
    take: method([], value),
    poll: method([], values)
  }
} satisfies Readonly<Record<string, Readonly<Record<string, Signature>>>>

export type CodedKind = keyof typeof signatures

type Methods = Readonly<Record<string, (...payload: ReadonlyArray<unknown>) => Effect.Effect<unknown, ProcessError>>>

const called = (raw: Methods, name: string, { gives, takes }: Signature, coders: Coders) =>
(
  ...payload: ReadonlyArray<unknown>
) =>
  Effect.forEach(takes, (shape, i) => shape.encode(coders)(payload[i])).pipe(
    Effect.flatMap((encoded) => raw[name]!(...encoded)),
    Effect.flatMap(gives.decode(coders))
  )

/** The schema of the argument is that of the task. */
const updateWith = (raw: Methods, coders: Coders) => (task: object, argument: unknown) =>
  Effect.suspend(() => {
    const coded = codedTask(task, coders.what)
    const { argument: schema } = (coded.payload as unknown as { readonly fields?: Record<string, AnySchema> }).fields ??
      {}
    return coderIfAny(schema, `task "${taskOf(task).name}"`).encode(argument).pipe(
      Effect.flatMap((encoded) => raw["updateWith"]!(coded, encoded)),
      Effect.flatMap(coders.value.decode)
    )
  })

const hasNone = ({ key, value }: Schemas): boolean => key === undefined && value === undefined

const codersOf = (kind: CodedKind, schemas: Schemas): Coders => {
  const what = `Manager.${kind}`
  const value = coderIfAny(schemas.value, what)
  const hasPlaces = schemas.value !== undefined && (kind === "map" || kind === "list")
  return { key: coderIfAny(schemas.key, what), value: hasPlaces ? present(value, what) : value, what }
}

/** Where there is no schema it is the proxy itself. */
export const coded = (kind: CodedKind, proxy: object, schemas: Schemas): object => {
  if (hasNone(schemas)) return proxy
  const coders = codersOf(kind, schemas)
  const raw = proxy as Methods // as its kind has them
  const methods = Object.entries<Signature>(signatures[kind])
    .map(([name, signature]) => [name, called(raw, name, signature, coders)] as const)
  return sameProxy(proxy, {
    ...Object.fromEntries(methods),
    ...(kind === "ref" ? { updateWith: updateWith(raw, coders) } : {})
  })
}

/** What an object holds at first. */
export const encodeFirst = (
  kind: CodedKind,
  initial: unknown,
  schemas: Schemas
): Effect.Effect<unknown, ProcessError> => {
  if (hasNone(schemas)) return Effect.succeed(initial)
  const coders = codersOf(kind, schemas)
  const shape = { ref: value, map: entries, list: values, set: values, queue: plain }[kind]
  return shape.encode(coders)(initial)
}

// ---------------------------------------------------------------------------------------------------- schemas of proxies

const anyObject = Schema.declare((u: unknown): u is object => typeof u === "object" && u !== null)

/** For payload schemas: what becomes of a proxy where it has come. */
export const proxySchema = (decode: (proxy: object) => object): Schema.Codec<object, object> =>
  anyObject.pipe(Schema.decodeTo(
    anyObject,
    SchemaTransformation.transform({ decode, encode: (proxy: object) => proxy })
  ))

/** One that decodes with these. */
export const codedSchema = (kind: CodedKind, schemas: Schemas): Schema.Codec<object, object> =>
  proxySchema((proxy) => coded(kind, proxy, schemas))
