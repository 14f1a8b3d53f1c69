/**
 * A struct in a server: attributes by name, each of its type, and never of another one.
 */
import * as Effect from "effect/Effect"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import { ProcessError } from "../../ProcessError.ts"
import type { Task } from "../../Task.ts"
import { codecFailed } from "../codec/payload.ts"
import { definitionName, moduleUrl } from "../codec/registry.ts"
import { sameProxy } from "../handles/manager.ts"
import { perThread } from "../memory/perThread.ts"
import { foundOrImported } from "../manager/found.ts"
import type { Named } from "../manager/found.ts"
import { checkFresh } from "../manager/fresh.ts"
import { proxySchema } from "./coded.ts"
import { coderOf } from "./coder.ts"
import { failure } from "./failure.ts"
import { exclusively } from "./exclusively.ts"
import { ask } from "./service.ts"
import type { Made, ObjectOptions } from "./service.ts"
import { NamedTask, runTask } from "./task.ts"
import type { TaskName } from "./task.ts"

// ---------------------------------------------------------------------------------------------------- definitions

type AnyStruct = Schema.Struct<Schema.Struct.Fields>

/** By module and name. */
const structs = () => perThread("structs", () => new Map<string, AnyStruct>())

const keyOf = (module: string, name: string): string => `${module} ${name}`

const find = (name: Named): Effect.Effect<AnyStruct, ProcessError> =>
  foundOrImported(
    name,
    () => structs().get(keyOf(name.module, name.name)),
    () =>
      `The server of a manager finds no struct "${name.name}" in ${name.module}: is it defined there, by Manager.struct?`
  )

// ---------------------------------------------------------------------------------------------------- in the server

const value = Schema.Unknown
const error = ProcessError

export const namespaceGroup = RpcGroup.make(
  Rpc.make("get", { payload: Schema.String, success: value, error }),
  Rpc.make("set", { payload: Schema.Tuple([Schema.String, value]), error }),
  Rpc.make("setAll", { payload: value, error }),
  Rpc.make("all", { success: value, error }),
  Rpc.make("update", { payload: Schema.Tuple([Schema.String, NamedTask]), success: value, error: failure }),
  Rpc.make("updateAll", { payload: NamedTask, success: value, error: failure })
)

type Attributes = Readonly<Record<string, unknown>>

interface Initial extends Named {
  readonly values: unknown
}

const unknownAttribute = (what: string, schema: AnyStruct, attribute: string): ProcessError | undefined =>
  Object.hasOwn(schema.fields, attribute)
    ? undefined
    : codecFailed(what, "payload", new Error(`There is no attribute ${JSON.stringify(attribute)}.`))

/**
 * What is kept has been encoded: so it fits, also what a task has given, in all of its parts. Each task decodes it anew: one
 * that fails may have changed what it was given.
 */
export const makeNamespace = ({ module, name, values }: Initial) =>
  Effect.gen(function*() {
    const what = `namespace "${name}"`
    const alone = yield* exclusively
    const schema = yield* find({ module, name })
    const coder = coderOf(schema, what)
    let kept: Attributes
    const keep = (next: unknown) => Effect.map(coder.encode(next), (encoded) => kept = encoded as Attributes) // of a struct
    const set = (some: Attributes) => Effect.flatMap(coder.decode({ ...kept, ...some }), keep)
    const setSome = (some: Attributes) => {
      const unknown = Object.keys(some).map((attribute) => unknownAttribute(what, schema, attribute)).find(Boolean)
      return unknown === undefined ? Effect.asVoid(set(some)) : Effect.fail(unknown)
    }
    const decoded = Effect.suspend(() => coder.decode(kept)) as Effect.Effect<Attributes, ProcessError> // of a struct
    yield* Effect.flatMap(coder.decode(values), keep)
    return {
      get: (attribute: string) => Effect.sync(() => kept[attribute]),
      set: (attribute: string, next: unknown) => alone(() => setSome({ [attribute]: next })),
      setAll: (some: Attributes) => alone(() => setSome(some)),
      all: () => Effect.sync(() => kept),
      update: (attribute: string, task: TaskName) =>
        alone(() =>
          Effect.flatMap(decoded, (all) =>
            runTask(task, all[attribute]).pipe(
              Effect.flatMap((next) => Effect.flatMap(decoded, (others) => keep({ ...others, [attribute]: next }))),
              Effect.map((next) => next[attribute])
            ))
        ),
      updateAll: (task: TaskName) =>
        alone(() => Effect.flatMap(Effect.flatMap(decoded, (all) => runTask(task, all)), keep))
    }
  })

// ---------------------------------------------------------------------------------------------------- here

/**
 * A struct in a server: Python's `Namespace`, with types. Each change is one, also of several attributes, and nobody sees
 * it half done.
 *
 * - `get` and `all` give copies; `set` and `setAll` write one attribute, and several at once.
 * - `update` and `updateAll` run a task in the server, and nobody else changes the struct meanwhile. What it is given is
 *   decoded, so it sees classes where the schema has them.
 * - What does not fit the schema changes nothing: `CodecFailed`.
 *
 * @category models
 * @since 0.1.0
 */
export interface HostedNamespace<A> {
  readonly get: <K extends keyof A & string>(attribute: K) => Effect.Effect<A[K], ProcessError>
  readonly set: <K extends keyof A & string>(attribute: K, value: A[K]) => Effect.Effect<void, ProcessError>
  readonly setAll: (values: Partial<A>) => Effect.Effect<void, ProcessError>
  readonly all: () => Effect.Effect<A, ProcessError>
  readonly update: <K extends keyof A & string, E>(
    attribute: K,
    task: Task<A[K], A[K], E>
  ) => Effect.Effect<A[K], E | ProcessError>
  readonly updateAll: <E>(task: Task<A, A, E>) => Effect.Effect<A, E | ProcessError>
}

/**
 * The definition of a namespace, and the schema of its proxies: in the payload schema of a task it makes them decode what
 * they are given.
 *
 * @category models
 * @since 0.1.0
 */
export interface Struct<in out A> extends Schema.Codec<HostedNamespace<A>> {
  readonly "~effect-multiprocessing/Manager/Struct": (_: A) => A
}

const own = Symbol.for("effect-multiprocessing/Manager/struct")

interface Own extends Named {
  readonly schema: AnyStruct
}

const ownOf = (definition: object): Own => (definition as { readonly [own]: Own })[own] // made below

type Raw = HostedNamespace<Record<string, unknown>>

/** A proxy, with the schema of its struct. */
const typed = (raw: Raw, schema: AnyStruct, name: string): object => {
  const what = `namespace "${name}"`
  const whole = coderOf(schema, what)
  const coderFor = (attribute: string) => {
    const field = Object.hasOwn(schema.fields, attribute) ? schema.fields[attribute] : undefined
    if (field !== undefined) return coderOf(field, `${what}, ${attribute}`)
    throw new TypeError(
      `${what} has no attribute ${JSON.stringify(attribute)}: it has ${Object.keys(schema.fields).join(", ")}.`
    )
  }
  const read = (attribute: string, encoded: unknown) =>
    // an optional one that is not there
    encoded === undefined && SchemaAST.isOptional(schema.fields[attribute]!.ast)
      ? Effect.undefined
      : coderFor(attribute).decode(encoded)
  const encodeSome = (values: Attributes) =>
    Effect.map(
      Effect.forEach(Object.entries(values), ([attribute, one]) =>
        Effect.map(coderFor(attribute).encode(one), (encoded) => [attribute, encoded] as const)),
      Object.fromEntries
    )
  return sameProxy(raw, {
    get: (attribute: string) =>
      Effect.suspend(() => {
        coderFor(attribute)
        return Effect.flatMap(raw.get(attribute), (encoded) => read(attribute, encoded))
      }),
    set: (attribute: string, next: unknown) =>
      Effect.suspend(() => Effect.flatMap(coderFor(attribute).encode(next), (encoded) => raw.set(attribute, encoded))),
    setAll: (values: Attributes) => Effect.flatMap(Effect.suspend(() => encodeSome(values)), raw.setAll),
    all: () => Effect.flatMap(raw.all(), whole.decode),
    update: (attribute: string, task: Task<unknown, unknown>) =>
      Effect.suspend(() => {
        coderFor(attribute)
        return Effect.flatMap(raw.update(attribute, task), (encoded) => read(attribute, encoded))
      }),
    updateAll: (task: Task<Record<string, unknown>, Record<string, unknown>>) =>
      Effect.flatMap(raw.updateAll(task), whole.decode)
  })
}

/**
 * Defines what a {@link namespace} holds: by module and name, so that the server finds the schema and checks what it is given.
 *
 * **Gotchas**
 *
 * - The server imports the module. The schema needs no services, and encodes and decodes synchronously.
 * - A proxy that a process was sent knows no schema, unless the payload schema of the task says this one: without it, values
 *   arrive as they are encoded.
 *
 * @see {@link namespace} for an example
 * @category constructors
 * @since 0.1.0
 */
export const struct = <Fields extends Schema.Struct.Fields>(name: string, options: {
  readonly module: string | URL
  readonly schema: Schema.Struct<Fields>
}): Struct<Schema.Struct<Fields>["Type"]> => {
  const module = moduleUrl(options.module, `Manager.struct("${name}")`)
  const schema = options.schema as unknown as AnyStruct // erased: it says itself what it does
  checkFresh(`Manager.struct("${name}")`, "struct", module, definitionName(name, "Manager.struct"))
  structs().set(keyOf(module, name), schema)
  const proxies = proxySchema((raw) => typed(raw as Raw, schema, name)) // only such proxies are sent for it
  const value: Own = { module, name, schema }
  return Object.defineProperty(proxies, own, { value }) as unknown as Struct<Schema.Struct<Fields>["Type"]>
}

/**
 * A struct in the server of the objects, until the scope ends: Python's `manager.Namespace`.
 *
 * **Example** (Settings that children change)
 *
 * ```ts run
 * import { Console, Effect, Schema } from "effect"
 * import { Manager, Process, StartMethod, Task } from "effect-multiprocessing"
 *
 * const Settings = Manager.struct("Settings", {
 *   module: import.meta.url,
 *   schema: Schema.Struct({ limit: Schema.Int, since: Schema.Date })
 * })
 *
 * const double = Task.sync("double", { module: import.meta.url, handler: (n: number) => n * 2 })
 *
 * const doubles = Task.make("doubles", {
 *   module: import.meta.url,
 *   payload: Settings,
 *   handler: (settings: typeof Settings.Type) => settings.update("limit", double)
 * })
 *
 * const program = Effect.gen(function*() {
 *   const settings = yield* Manager.namespace(Settings, { limit: 10, since: new Date(0) })
 *   yield* Effect.flatMap(Process.start(doubles, settings), Process.join)
 *   yield* settings.set("since", new Date(86_400_000))
 *   yield* Console.log(yield* settings.get("limit"), (yield* settings.all()).since.getUTCDate())
 * }).pipe(Effect.scoped, Effect.provide(Manager.layerObjects()), Effect.provide(StartMethod.layerThreads))
 *
 * Process.runMain(program)
 * // => 20 2
 * ```
 *
 * @see {@link struct} for its definition
 * @category ready-made
 * @since 0.1.0
 */
export const namespace = <A>(
  definition: Struct<A>,
  values: NoInfer<A>,
  options?: ObjectOptions
): Made<HostedNamespace<A>> =>
  Effect.suspend(() => {
    const { module, name, schema } = ownOf(definition)
    // those of another struct are others
    const shared = options?.name === undefined ? undefined : `${options.name}, a ${name} of ${module}`
    return Effect.flatMap(coderOf(schema, `namespace "${name}"`).encode(values), (encoded) =>
      Effect.map(
        ask<Raw>("namespace", { module, name, values: encoded } satisfies Initial, { name: shared }),
        (raw) => typed(raw, schema, name) as HostedNamespace<A> // as the schema says
      ))
  })
