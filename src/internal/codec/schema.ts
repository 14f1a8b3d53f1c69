/**
 * Schemas at the border: a value is encoded with its schema on one side and decoded with it on the other.
 *
 * What a schema encodes to may still hold values that structured clone would take apart: an `Option`, a `Duration`, a
 * `DateTime`. Their declarations say how to write them as plain data, and {@link plainForm} uses that. What structured
 * clone carries as it is (dates, bytes, maps, errors, big integers) stays as it is: nothing goes through JSON.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Transferable from "effect/workers/Transferable"

export interface ValueCodec {
  /** Adds to `transfers` the buffers that the schema marks. The failure is a message for the user. */
  readonly encode: (value: unknown, transfers: Array<ArrayBuffer>) => Exit.Exit<unknown, string>
  readonly decode: (value: unknown) => Exit.Exit<unknown, string>
}

const declarations = (names: ReadonlyArray<string>): ReadonlySet<unknown> =>
  new Set(names.map((name) => `effect/schema/${name}`))

/** Declarations that structured clone carries with their meaning; the containers, where it carries their elements. */
const cloneable = declarations(["Error", "RegExp", "Date", "Uint8Array"])
const containers = declarations(["ReadonlyMap", "ReadonlySet"])

const idOf = (ast: SchemaAST.Declaration): unknown =>
  (ast.annotations?.representation as { readonly id?: unknown } | undefined)?.id

const isCloneable = (ast: SchemaAST.Declaration): boolean =>
  cloneable.has(idOf(ast)) ||
  (containers.has(idOf(ast)) && ast.typeParameters.every((parameter) => plainForm(parameter) === parameter))

/** The same node with another encoding or context; the nodes are immutable data with methods. */
const copy = (ast: SchemaAST.AST, changes: Partial<SchemaAST.AST>): SchemaAST.AST =>
  Object.assign(Object.create(Object.getPrototypeOf(ast) as object) as SchemaAST.AST, ast, changes)

const mark = "~effect-multiprocessing/plain"

/** In a union the plain form of one member could be taken for another: a URL's is text. So it says what it is. */
const named = (name: string, form: SchemaAST.AST): SchemaAST.Link =>
  new SchemaAST.Link(
    new SchemaAST.Objects(
      [
        new SchemaAST.PropertySignature(mark, new SchemaAST.Literal(name)),
        new SchemaAST.PropertySignature("value", form)
      ],
      []
    ),
    SchemaTransformation.transform({
      decode: ({ value }: { readonly value: unknown }) => value,
      encode: (value) => ({ [mark]: name, value })
    })
  )

const encodeDeclaration = (ast: SchemaAST.Declaration): SchemaAST.AST => {
  const write = ast.annotations?.toCodec ?? ast.annotations?.toCodecJson
  if (typeof write !== "function" || isCloneable(ast)) return ast
  const link = write(ast.typeParameters.map((parameter) => Schema.make(parameter))) as SchemaAST.Link | undefined
  // whatever it is, it crosses as it is: what Transferable marks
  if (link === undefined || SchemaAST.isAny(link.to)) return ast
  const form = plainForm(link.to)
  const { to, transformation } = named(String(idOf(ast) ?? ast.annotations?.expected ?? "declaration"), form)
  // an optional field stays optional in its plain form
  const target = ast.context === undefined ? to : copy(to, { context: ast.context })
  return copy(ast, {
    encoding: [
      new SchemaAST.Link(SchemaAST.toType(form), link.transformation),
      new SchemaAST.Link(target, transformation)
    ]
  })
}

const forms = new WeakMap<SchemaAST.AST, SchemaAST.AST>()

/** The codec from an encoded side to plain data; the same node where nothing has to change. */
const plainForm = (ast: SchemaAST.AST): SchemaAST.AST => {
  const known = forms.get(ast)
  if (known !== undefined) return known
  const form = makePlainForm(ast)
  forms.set(ast, form)
  return form
}

const makePlainForm = (ast: SchemaAST.AST): SchemaAST.AST => {
  if (ast.encoding !== undefined) return ast
  switch (ast._tag) {
    case "Declaration":
      return encodeDeclaration(ast)
    case "Arrays": {
      const elements = SchemaAST.mapOrSame(ast.elements, plainForm)
      const rest = SchemaAST.mapOrSame(ast.rest, plainForm)
      return elements === ast.elements && rest === ast.rest
        ? ast
        : new SchemaAST.Arrays(ast.isMutable, elements, rest, ast.annotations, ast.checks, undefined, ast.context)
    }
    case "Objects": {
      const properties = SchemaAST.mapOrSame(ast.propertySignatures, (property) => {
        const type = plainForm(property.type)
        return type === property.type ? property : new SchemaAST.PropertySignature(property.name, type)
      })
      const indexes = SchemaAST.mapOrSame(ast.indexSignatures, (index) => {
        const type = plainForm(index.type)
        return type === index.type ? index : new SchemaAST.IndexSignature(index.parameter, type)
      })
      return properties === ast.propertySignatures && indexes === ast.indexSignatures
        ? ast
        : new SchemaAST.Objects(properties, indexes, ast.annotations, ast.checks, undefined, ast.context)
    }
    case "Union": {
      const types = SchemaAST.mapOrSame(ast.types, plainForm)
      return types === ast.types
        ? ast
        : new SchemaAST.Union(types, ast.options, ast.annotations, ast.checks, undefined, ast.context)
    }
    case "Suspend":
      // a recursive schema: its inside is known only when it is used
      return new SchemaAST.Suspend(() => plainForm(ast.thunk()), ast.annotations, undefined, undefined, ast.context)
    default:
      return ast
  }
}

type Parser = (value: unknown) => Effect.Effect<unknown, unknown>

const encoderOf = (schema: Schema.Codec<unknown, unknown>): Parser => SchemaParser.encodeUnknownEffect(schema) as Parser
const decoderOf = (schema: Schema.Codec<unknown, unknown>): Parser => SchemaParser.decodeUnknownEffect(schema) as Parser

const sayIssue = (error: unknown): string =>
  SchemaIssue.isIssue(error)
    ? new Schema.SchemaError(error).message
    : error instanceof Error
    ? error.message
    : String(error)

const settle = (exit: Exit.Exit<unknown, unknown>): Exit.Exit<unknown, string> => {
  if (Exit.isSuccess(exit)) return Exit.succeed(exit.value)
  const reason = exit.cause.reasons[0]
  if (reason?._tag === "Fail") return Exit.fail(sayIssue(reason.error))
  const defect = reason?._tag === "Die" ? reason.defect : reason
  const asynchronous = defect instanceof Error && defect.name === "AsyncFiberError"
  return Exit.fail(
    asynchronous
      ? "its schema works asynchronously, and values cross synchronously: decode it in the task's handler instead."
      : sayIssue(defect)
  )
}

const run = (parser: Parser, value: unknown): Exit.Exit<unknown, unknown> => {
  const effect = parser(value)
  return Exit.isExit(effect) ? effect : Effect.runSyncExit(effect)
}

const runCollecting = (
  parser: Parser,
  value: unknown,
  transfers: Array<ArrayBuffer>
): Exit.Exit<unknown, unknown> => {
  const effect = parser(value)
  if (Exit.isExit(effect)) return effect
  const exit = runCollector(effect)
  for (const transfer of collector.clearUnsafe()) {
    if (transfer instanceof ArrayBuffer) transfers.push(transfer)
  }
  return exit
}

/** One for all: what collects in it is taken out before anything else can run. */
const collector = Transferable.makeCollectorUnsafe()
const runCollector = Effect.runSyncExitWith(Context.make(Transferable.Collector, collector))

const makeCodec = (schema: Schema.Codec<unknown, unknown>): ValueCodec => {
  const encodedSide = SchemaAST.toEncoded(schema.ast)
  const form = plainForm(encodedSide)
  const encode = encoderOf(schema)
  const decode = decoderOf(schema)
  if (form === encodedSide) {
    return {
      encode: (value, transfers) => settle(runCollecting(encode, value, transfers)),
      decode: (value) => settle(run(decode, value))
    }
  }
  const plain = Schema.make<Schema.Codec<unknown, unknown>>(form)
  const encodePlain = encoderOf(plain)
  const decodePlain = decoderOf(plain)
  return {
    encode: (value, transfers) => {
      const encoded = runCollecting(encode, value, transfers)
      return settle(Exit.isSuccess(encoded) ? run(encodePlain, encoded.value) : encoded)
    },
    decode: (value) => {
      const encoded = run(decodePlain, value)
      return settle(Exit.isSuccess(encoded) ? run(decode, encoded.value) : encoded)
    }
  }
}

const codecs = new WeakMap<object, ValueCodec>()

export const valueCodec = (schema: Schema.Codec<unknown, unknown>): ValueCodec => {
  const known = codecs.get(schema)
  if (known !== undefined) return known
  const codec = makeCodec(schema)
  codecs.set(schema, codec)
  return codec
}
