/** Reads the modules of `src` and their imports, as TypeScript sees them. */
import { join, relative } from "node:path"
import type { Node, SourceFile } from "typescript/unstable/ast"
import { SyntaxKind } from "typescript/unstable/ast"
import { isCallExpression, isExportDeclaration, isImportDeclaration, isStringLiteral } from "typescript/unstable/ast/is"
import { API } from "typescript/unstable/sync"
import { root } from "./commands.ts"

export interface Import {
  readonly specifier: string
  readonly kind: "static" | "type" | "dynamic"
  readonly line: number
}

export interface Module {
  /** Relative to `src`, with forward slashes. */
  readonly file: string
  readonly imports: ReadonlyArray<Import>
  /** Lines that hold code: blank lines and comments apart. */
  readonly linesOfCode: number
}

/** `import type`, and `import { type A, type B }` where nothing else is imported, vanish from the emitted code. */
const isTypeOnly = (declaration: Node): boolean => {
  if (isExportDeclaration(declaration)) return declaration.isTypeOnly
  if (!isImportDeclaration(declaration) || declaration.importClause === undefined) return false
  return declaration.importClause.phaseModifier === SyntaxKind.TypeKeyword
}

const kindOf = (literal: Node): Import["kind"] => {
  const parent = literal.parent
  if (isCallExpression(parent)) return "dynamic"
  // what is neither a declaration nor a call is `import("x").T` in a type
  if (!isImportDeclaration(parent) && !isExportDeclaration(parent)) return "type"
  return isTypeOnly(parent) ? "type" : "static"
}

/** Every token marks the lines it covers; what no token covers is blank or a comment. */
const countLines = (sourceFile: SourceFile): number => {
  const lines = new Set<number>()
  const lineAt = (position: number): number => sourceFile.getLineAndCharacterOfPosition(position).line
  const visit = (node: Node): void => {
    let hasChildren = false
    node.forEachChild((child) => {
      hasChildren = true
      visit(child)
      return undefined
    })
    const first = lineAt(node.getStart(sourceFile))
    const last = lineAt(node.end)
    lines.add(first)
    lines.add(last)
    if (!hasChildren) { for (let line = first; line < last; line++) lines.add(line) }
  }
  for (const statement of sourceFile.statements) visit(statement)
  return lines.size
}

/** A module of Node that is imported when it is needed, without waiting for it. */
const askedFor = /\bgetBuiltinModule\("([^"]+)"\)/g

export const readModules = (): ReadonlyArray<Module> => {
  const api = new API({ cwd: root })
  try {
    const config = join(root, "tsconfig.build.json")
    const project = api.updateSnapshot({ openProjects: [config] }).getProject(config)
    if (project === undefined) throw new Error(`${config} could not be opened`)
    const source = join(root, "src")
    return project.program.getSourceFileNames()
      .map((name) => ({ name, file: relative(source, name).replaceAll("\\", "/") }))
      .filter(({ file }) => !file.startsWith("../"))
      .map(({ file, name }) => {
        const sourceFile = project.program.getSourceFile(name)!
        const lineOf = (position: number): number => sourceFile.getLineAndCharacterOfPosition(position).line + 1
        return {
          file,
          linesOfCode: countLines(sourceFile),
          imports: [
            ...sourceFile.imports.filter(isStringLiteral).map((literal) => ({
              specifier: literal.text,
              kind: kindOf(literal),
              line: lineOf(literal.getStart(sourceFile))
            })),
            ...Array.from(sourceFile.text.matchAll(askedFor), ({ 1: specifier, index }) => ({
              specifier: specifier!,
              kind: "dynamic" as const,
              line: lineOf(index)
            }))
          ]
        }
      })
      .toSorted((a, b) => a.file < b.file ? -1 : 1)
  } finally {
    api.close()
  }
}
