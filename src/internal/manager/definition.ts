/**
 * What modules say of the objects that can live in a server: their names, and the methods that cross.
 */
import type * as Context from "effect/Context"
import type * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSchema from "effect/rpc/RpcSchema"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import { Closed, ProcessError } from "../../ProcessError.ts"
import { perThread } from "../memory/perThread.ts"

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
}

const sample = new ProcessError({ reason: new Closed({ what: "Manager", message: "" }) })

/** What a schema of a hosted object stands for. */
const hostedBy = new WeakMap<object, Definition>()

export const setHosted = (schema: object, definition: Definition): void => void hostedBy.set(schema, definition)

const isTuple = ({ ast }: Schema.Top): boolean =>
  SchemaAST.isArrays(ast) && ast.elements.length > 0 && ast.rest.length === 0

const methodOf = (rpc: Rpc.AnyWithProps): Method => ({
  tag: rpc._tag,
  isStream: RpcSchema.isStreamSchema(rpc.successSchema),
  isSpread: isTuple(rpc.payloadSchema),
  payload: rpc.payloadSchema as unknown as AnyCodec, // `Manager.make` says so
  admits: Schema.is(Rpc.exitSchema(rpc as never).error as Schema.Codec<unknown>)(sample), // what effect/rpc itself asks
  hosted: hostedBy.get(rpc.successSchema)
})

/** What is sent for an object that stays in the server. */
export interface Leased {
  readonly object: number
}

/**
 * Payloads are made ready by the proxy, and opened by the server: both know the method, and what is given away by a call
 * that fails.
 */
export const crossedPayload: Schema.Top = Schema.Any.annotate({ identifier: "Crossed" })

/** A method that gives an object is a stream on the wire: it lasts as long as the lease. */
const onWire = (rpc: Rpc.AnyWithProps): Rpc.Any =>
  (hostedBy.has(rpc.successSchema)
    ? Rpc.make(rpc._tag, {
      payload: crossedPayload,
      success: Schema.Any,
      error: rpc.errorSchema as Schema.Top,
      stream: true
    })
    : (rpc as unknown as Rpc.Rpc<string>).setPayload(crossedPayload)) as unknown as Rpc.Any // whatever its types are

/** Holds an object that somebody else was given. */
export const leaseGroup = RpcGroup.make(
  Rpc.make("lease", { payload: Schema.Number, success: Schema.Any, stream: true })
)

export const define = (
  name: string,
  module: string,
  methods: RpcGroup.RpcGroup<Rpc.Any>,
  server: Server | undefined
): Definition => {
  const named = methods.prefix(`${name}.`) as unknown as RpcGroup.RpcGroup<Rpc.Any> // names on the wire have no types
  const rpcs = Array.from(
    methods.requests.keys(),
    // every Rpc has them
    (method) => [method, named.requests.get(`${name}.${method}`)! as unknown as Rpc.AnyWithProps] as const
  )
  const definition: Definition = {
    name,
    module,
    group: RpcGroup.make(...rpcs.map(([, rpc]) => onWire(rpc))),
    methods: new Map(rpcs.map(([method, rpc]) => [method, methodOf(rpc)])),
    server
  }
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

const keyOf = (module: string, name: string): string => `${module} ${name}`

const definitions = () => perThread("managers", () => new Map<string, Definition>())

export const findDefinition = (module: string, name: string): Definition | undefined =>
  definitions().get(keyOf(module, name))
