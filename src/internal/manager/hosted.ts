/**
 * Schemas of objects that stay in a server: an annotation says whose they are, so that annotated ones are the same.
 */
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"

/** A definition, as far as it matters here. */
export interface Named {
  readonly name: string
}

const key = "~effect-multiprocessing/Manager/hosted"

export const hostedSchema = (definition: Named): Schema.Codec<object> =>
  Schema.declare((u: unknown): u is object => typeof u === "object" && u !== null, { [key]: definition })

/** Undefined where it is the schema of something else. */
export const hostedOf = (ast: SchemaAST.AST): Named | undefined =>
  SchemaAST.isDeclaration(ast) ? ast.annotations?.[key] as Named | undefined : undefined // set above

interface Part {
  readonly at: string
  readonly ast: SchemaAST.AST
}

const partsOf = (ast: SchemaAST.AST): ReadonlyArray<Part> => {
  switch (ast._tag) {
    case "Arrays":
      return [...ast.elements, ...ast.rest].map((ast, i) => ({ at: `[${i}]`, ast }))
    case "Objects":
      return [
        ...ast.propertySignatures.map(({ name, type }) => ({ at: `.${String(name)}`, ast: type })),
        ...ast.indexSignatures.map(({ type }) => ({ at: "[string]", ast: type }))
      ]
    case "Union":
      return ast.types.map((ast) => ({ at: "", ast }))
    case "Declaration":
      return ast.typeParameters.map((ast) => ({ at: ".value", ast }))
    default:
      return []
  }
}

/** Where one is, and whose; as a whole it does not count, unless `orWhole`. Recursive schemas are not looked into. */
export const hostedInside = (
  ast: SchemaAST.AST,
  path: string,
  orWhole: boolean
): { readonly name: string; readonly path: string } | undefined => {
  const own = hostedOf(ast)
  if (own !== undefined) return orWhole ? { name: own.name, path } : undefined
  for (const part of partsOf(ast)) {
    const found = hostedInside(part.ast, path + part.at, true)
    if (found !== undefined) return found
  }
  return undefined
}
