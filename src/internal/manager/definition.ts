/**
 * What modules say of the objects that can live in a server: their names, and the methods that cross.
 */
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSchema from "effect/rpc/RpcSchema"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import type * as Stream from "effect/Stream"
import { Closed, ProcessError } from "../../ProcessError.ts"
import { perThread } from "../memory/perThread.ts"
import { checkFresh } from "./fresh.ts"
import { hostedInside, hostedOf } from "./hosted.ts"

/** How methods are called on the wire. */
export interface Send {
  readonly effect: (method: string, payload: unknown) => Effect.Effect<unknown, unknown>
  readonly stream: (method: string, payload: unknown) => Stream.Stream<unknown, unknown>
}

/** What a proxy does for a call, before and after it is sent; undefined where there is nothing to do. Not for methods that give objects. */
export type Around = (
  method: string,
  payload: unknown,
  send: Send
) => Effect.Effect<unknown, unknown> | Stream.Stream<unknown, unknown> | undefined

/** The types of the methods, of the service and of the layer are erased here. */
export interface Definition {
  readonly name: string
  readonly module: string
  /** As they are called on the wire: `Counters.add`. */
  readonly group: RpcGroup.RpcGroup<Rpc.Any>
  /** By their own names. */
  readonly methods: ReadonlyMap<string, Method>
  /** Where a server of its own can be started. */
  readonly server: Server | undefined
  readonly around: Around | undefined
  /** It keeps what it is given, so nothing may move into it. */
  readonly keeps: boolean
}

export interface Server {
  readonly service: Context.Key<unknown, unknown>
  readonly layer: Layer.Layer<unknown, unknown, never>
}

/** What schemas of methods are here: their types are erased, and they need no services. */
export type AnyCodec = Schema.Codec<unknown, unknown>

export interface Method {
  /** On the wire. */
  readonly tag: string
  readonly isStream: boolean
  /** Its payload is a tuple: it is called with the elements. */
  readonly isSpread: boolean
  readonly payload: AnyCodec
  /** May it fail with a ProcessError? */
  readonly admits: boolean
  /** Of the object that it gives, which stays in the server. */
  readonly hosted: Definition | undefined
  /** What it gives goes back where nobody has received it. */
  readonly isHandedOver: boolean
}

const sample = new ProcessError({ reason: new Closed({ what: "Manager", message: "" }) })

/** `Service` says it of the types: so many elements, and at least one. */
const isTuple = (ast: SchemaAST.AST): boolean =>
  SchemaAST.isUnion(ast)
    ? ast.types.length > 0 && ast.types.every(isTuple)
    : SchemaAST.isArrays(ast) && ast.rest.length === 0 && ast.elements.length > 0 &&
      ast.elements[0]!.context?.isOptional !== true

const handedOver = new WeakSet<object>()

/** What a method gives with it is somebody's, once: in the server it is a `Handed`. */
export const handOver = (schema: Schema.Codec<unknown>): Schema.Codec<unknown> => {
  const own = schema.annotate({})
  handedOver.add(own)
  return own
}

/** What was taken out for somebody. */
export interface Handed {
  readonly value: unknown
  /** Nobody has received it. */
  readonly putBack: () => void
}

const methodOf = (rpc: Rpc.AnyWithProps): Method => ({
  tag: rpc._tag,
  isStream: RpcSchema.isStreamSchema(rpc.successSchema),
  isSpread: isTuple(rpc.payloadSchema.ast),
  payload: rpc.payloadSchema as unknown as AnyCodec, // `Manager.make` says so
  admits: Schema.is(Rpc.exitSchema(rpc as never).error as Schema.Codec<unknown>)(sample), // what effect/rpc itself asks
  hosted: hostedOf(rpc.successSchema.ast) as Definition | undefined, // such are set
  isHandedOver: handedOver.has(rpc.successSchema)
})

/** What is sent for an object that stays in the server. */
export interface Leased {
  readonly object: number
  /** The same for all objects that are one and the same in the server: it is asked for by name, say. */
  readonly identity: number
  /** Who holds it by this: whoever has lost its connection comes back as that. */
  readonly holder: number
  /** For so long it may be away. */
  readonly leaseMillis: number
}

/**
 * Payloads are made ready by the proxy, and opened by the server: both know the method, and what is given away by a call
 * that fails.
 */
export const crossedPayload: Schema.Top = Schema.Any.annotate({ identifier: "Crossed" })

/**
 * A method that gives an object is a stream on the wire: it lasts as long as the lease. One that hands over what it gives
 * lasts until the client has it.
 */
const onWire = (rpc: Rpc.AnyWithProps): Rpc.Any => {
  const isHosted = hostedOf(rpc.successSchema.ast) !== undefined
  return (isHosted || handedOver.has(rpc.successSchema)
    ? Rpc.make(rpc._tag, {
      payload: crossedPayload,
      success: isHosted ? Schema.Any : rpc.successSchema as Schema.Top,
      error: rpc.errorSchema as Schema.Top,
      stream: true
    })
    : (rpc as unknown as Rpc.Rpc<string>).setPayload(crossedPayload)) as unknown as Rpc.Any // whatever its types are
}

/** `lease` holds an object that somebody else was given; `retract` says that what is handed over is not wanted any more. */
export const leaseGroup = RpcGroup.make(
  Rpc.make("retract", { payload: Schema.Number }),
  Rpc.make("lease", {
    payload: Schema.Struct({ object: Schema.Number, holder: Schema.UndefinedOr(Schema.Number) }),
    success: Schema.Any,
    stream: true
  })
)

export const define = (
  name: string,
  module: string,
  methods: RpcGroup.RpcGroup<Rpc.Any>,
  server: Server | undefined,
  { around, keeps = false }: { readonly around?: Around | undefined; readonly keeps?: boolean } = {}
): Definition => {
  const what = `Manager.${server === undefined ? "hosted" : "make"}("${name}")`
  checkFresh(what, "object", module, name)
  const named = methods.prefix(`${name}.`) as unknown as RpcGroup.RpcGroup<Rpc.Any> // names on the wire have no types
  const rpcs = Array.from(
    methods.requests.keys(),
    // every Rpc has them
    (method) => [method, named.requests.get(`${name}.${method}`)! as unknown as Rpc.AnyWithProps] as const
  )
  for (const [method, rpc] of rpcs) checkWhole(what, method, rpc)
  const definition: Definition = {
    name,
    module,
    group: RpcGroup.make(...rpcs.map(([, rpc]) => onWire(rpc))),
    methods: new Map(rpcs.map(([method, rpc]) => [method, methodOf(rpc)])),
    server,
    around,
    keeps
  }
  checkNames(what, definition)
  definitions().set(keyOf(module, name), definition)
  return definition
}

/** It, and those of all objects that its methods give. */
export const reachable = (definition: Definition, found = new Set<Definition>()): ReadonlySet<Definition> => {
  if (found.has(definition)) return found
  found.add(definition)
  for (const { hosted } of definition.methods.values()) if (hosted !== undefined) reachable(hosted, found)
  return found
}

// ---------------------------------------------------------------------------------------------------- mistakes

/** What is inside of something else is copied, and no object stays in the server for it. */
const checkWhole = (what: string, method: string, { errorSchema, successSchema }: Rpc.AnyWithProps): void => {
  const inside = RpcSchema.isStreamSchema(successSchema)
    ? hostedInside(successSchema.success.ast, "success", true)
    : hostedInside(successSchema.ast, "success", false)
  const found = inside ?? hostedInside(errorSchema.ast, "error", true)
  if (found === undefined) return
  throw new TypeError(
    `${what}: the method "${method}" has the hosted "${found.name}" in ${found.path}. A hosted object is all that a method ` +
      "gives, and no part of anything: give it by a method of its own."
  )
}

/** Methods are called by the names of their objects. */
const checkNames = (what: string, definition: Definition): void => {
  const modules = new Map<string, string>()
  for (const { module, name } of reachable(definition)) {
    const other = modules.get(name) ?? module
    modules.set(name, module)
    if (other === module) continue
    throw new TypeError(
      `${what}: two of the objects that it gives are called "${name}", one in ${other} and one in ${module}. Give one of ` +
        "them another name."
    )
  }
}

// ---------------------------------------------------------------------------------------------------- all that there are

const keyOf = (module: string, name: string): string => `${module} ${name}`

const definitions = () => perThread("managers", () => new Map<string, Definition>())

export const findDefinition = (module: string, name: string): Definition | undefined =>
  definitions().get(keyOf(module, name))
