/**
 * Keeps the documentation true: every fence of README.md, docs/ and the doc comments of the public modules (and of the rooms
 * from which they take what they export) is a module of its own. Fences in `ts` are type-checked; fences in `ts run` and `js run` are run as well, and what they print is
 * compared with their `// =>` lines, one line each, in order (`ts run unordered`: in any order). A run fence without such
 * a line must only end well. `ts nocheck` is for fragments. With `file=NAME.ts` a fence is a file of that name, which the
 * others can import as `./NAME.ts`.
 *
 * `node scripts/docs.ts [PART_OF_A_PATH ...]` looks at some files only.
 */
import { globSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs"
import { join, relative } from "node:path"
import { capture, conclude, root } from "./commands.ts"

const parent = join(root, ".docs-run")
/** Inside the checkout, where packages are found; one for each run of this script, so that two do not meet. */
const folder = join(parent, String(process.pid))
const limitMillis = 60_000

interface Fence {
  /** The document, relative to the checkout. */
  readonly file: string
  /** The line of the opening fence, from 1. */
  readonly line: number
  readonly language: "ts" | "js"
  readonly flags: ReadonlySet<string>
  readonly code: ReadonlyArray<string>
}

const documents = (): ReadonlyArray<string> => {
  const parts = process.argv.slice(2)
  return globSync(["README.md", "docs/**/*.md", "src/*.ts", "src/internal/ready/*.ts"], { cwd: root })
    .map((file) => file.replaceAll("\\", "/"))
    .filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
    .toSorted()
}

/** In a list or a doc comment every line of a fence begins as its first line does. */
const fencesOf = (file: string): ReadonlyArray<Fence> => {
  const lines = readFileSync(join(root, file), "utf8").split("\n")
  const opening = file.endsWith(".ts") ? /^(\s*\* ?)(`{3,})(\w*)(.*)$/ : /^(\s*)(`{3,})(\w*)(.*)$/
  const fences: Array<Fence> = []
  for (let i = 0; i < lines.length; i++) {
    const match = opening.exec(lines[i]!)
    if (match === null) continue
    const [, prefix, ticks, language, flags] = match as unknown as [string, string, string, string, string]
    const start = i
    const code: Array<string> = []
    for (i++; i < lines.length && lines[i]!.trimEnd() !== prefix + ticks; i++) {
      const line = lines[i]!
      code.push(line.startsWith(prefix) ? line.slice(prefix.length) : line.slice(prefix.trimEnd().length).trimStart())
    }
    if (language !== "ts" && language !== "js") continue
    fences.push({
      file,
      line: start + 1,
      language,
      flags: new Set(flags.split(/\s+/).filter((flag) => flag !== "")),
      code
    })
  }
  return fences
}

const isRun = ({ flags }: Fence): boolean => flags.has("run")
const isChecked = ({ flags, language }: Fence): boolean => language === "ts" && !flags.has("nocheck")
const placeOf = ({ file, line }: Fence): string => `${file}:${line}`
const nameOf = ({ file, flags, language, line }: Fence): string =>
  Array.from(flags).find((flag) => flag.startsWith("file="))?.slice("file=".length) ??
    `${file.replaceAll(/[^\w]+/g, "-")}-${line}.${language === "ts" ? "ts" : "mjs"}`
const pathOf = (fence: Fence): string => join(folder, nameOf(fence))

/** Written at the lines where the fence stands, so that messages and stacks name the lines of the document. */
const write = (fence: Fence): void => {
  const code = fence.code.join("\n")
    .replaceAll(/(["'])effect-multiprocessing\1/g, `"../../src/index.ts"`)
    .replaceAll(/(["'])effect-multiprocessing\/([\w/]+)\1/g, `"../../src/$2.ts"`)
  writeFileSync(pathOf(fence), `${"\n".repeat(fence.line)}${code}\n`)
}

/** A message of the compiler about a file of ours is about a fence: say which. */
const typeCheck = async (fences: ReadonlyArray<Fence>): Promise<ReadonlyArray<string>> => {
  if (fences.length === 0) return []
  const config = {
    extends: "../../tsconfig.json",
    // an example need not use all that it shows
    compilerOptions: { noUnusedLocals: false, noUnusedParameters: false },
    files: fences.map((fence) => relative(folder, pathOf(fence))),
    include: []
  }
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config))
  const { ok, status, stdout } = await capture("tsc", [
    "--noEmit",
    "--pretty",
    "false",
    "-p",
    join(folder, "tsconfig.json")
  ])
  if (ok) return []
  const byName = new Map(fences.map((fence) => [relative(root, pathOf(fence)).replaceAll("\\", "/"), fence]))
  const problems: Array<string> = []
  for (const line of stdout.split("\n")) {
    const [, name, at, message] = /^(.+?)\((\d+),\d+\): (.*)$/.exec(line) ?? []
    const fence = byName.get(name ?? "")
    if (fence !== undefined) problems.push(`${fence.file}:${at}: ${message}`)
    // further lines of a message are indented
    else if (line.startsWith(" ") && problems.length > 0) problems[problems.length - 1] += `\n${line}`
    else if (line.trim() !== "") problems.push(line)
  }
  return problems.length > 0 ? problems : [`the fences could not be type-checked: ${status}`]
}

const expectedOf = ({ code }: Fence): ReadonlyArray<string> =>
  code.flatMap((line) => {
    const match = /\/\/ => ?(.*)$/.exec(line)
    return match === null ? [] : [match[1]!.trimEnd()]
  })

const indent = (text: string): string => text.replaceAll(/^/gm, "    ")

const compare = (fence: Fence, stdout: string): ReadonlyArray<string> => {
  const expected = expectedOf(fence)
  if (expected.length === 0) return []
  const got = stdout.trimEnd() === "" ? [] : stdout.trimEnd().split("\n").map((line) => line.trimEnd())
  const order = (lines: ReadonlyArray<string>): string =>
    (fence.flags.has("unordered") ? lines.toSorted() : lines).join("\n")
  if (order(expected) === order(got)) return []
  return [
    `${placeOf(fence)}: prints something else\n  expected\n${indent(expected.join("\n"))}\n  got\n${
      indent(got.join("\n"))
    }`
  ]
}

const run = async (fence: Fence): Promise<ReadonlyArray<string>> => {
  const { ok, status, stderr, stdout } = await capture(process.execPath, [pathOf(fence)], { limitMillis })
  if (ok) return compare(fence, stdout)
  return [`${placeOf(fence)}: ${status}\n  stdout\n${indent(stdout.trimEnd())}\n  stderr\n${indent(stderr.trimEnd())}`]
}

const fences = documents().flatMap(fencesOf)
mkdirSync(folder, { recursive: true })
try {
  for (const fence of fences) write(fence)
  const problems = [...await typeCheck(fences.filter(isChecked))]
  for (const fence of fences.filter(isRun)) problems.push(...await run(fence))
  const count = `${fences.filter(isChecked).length} fences type-check, ${fences.filter(isRun).length} run`
  conclude(problems, `docs: ${count}`)
} finally {
  rmSync(folder, { recursive: true, force: true })
  if (readdirSync(parent).length === 0) rmdirSync(parent)
}
