/**
 * Builds `dist`: tsc emits every module with its declarations, then the three files that a child boots are replaced by
 * bundles. A child starts in a fraction of the time when it loads one small file, and it must not load `effect` before a
 * task needs it: a bundle that imports it, or has grown, fails the build.
 */
import { build } from "esbuild"
import type { Metafile, Plugin } from "esbuild"
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { isBuiltin } from "node:module"
import { dirname, join, relative, resolve } from "node:path"
import { conclude, root, show } from "./commands.ts"

const source = join(root, "src")
const target = join(root, "dist")
const runner = join("internal", "runner")
const entryPoints = ["processMain", "threadMain", "moduleMain", "forkServerMain"]
const maxBytes = 66 * 1024

/** A dynamic import stays one: it leads to the module that tsc has emitted, as seen from the bundle. */
const keepDynamicImports: Plugin = {
  name: "keep-dynamic-imports",
  setup: ({ onResolve }) => {
    onResolve({ filter: /^\.\.?\// }, (args) => {
      if (args.kind !== "dynamic-import") return undefined
      const file = relative(join(source, runner), resolve(args.resolveDir, args.path)).replaceAll("\\", "/")
      return { path: (file.startsWith(".") ? file : `./${file}`).replace(/\.ts$/, ".js"), external: true }
    })
  }
}

const builtinImport = /^import \{ (.+) \} from "(node:[^"]+)";$/gm

/**
 * An import of a module of Node gives all of its names, so that Node reads each once: that of `node:fs` alone loads streams,
 * promises and readline, and takes a child longer than all else of its start. Asked for as an object, only what is used is read.
 */
const withoutFacades = (code: string): string =>
  code.replace(
    builtinImport,
    (_, names: string, module: string) =>
      `const { ${names.replaceAll(" as ", ": ")} } = process.getBuiltinModule("${module}");`
  )

const bundle = async (name: string): Promise<ReadonlyArray<string>> => {
  const input = join(source, runner, `${name}.ts`)
  const output = join(target, runner, `${name}.js`)
  if (!existsSync(input)) return [`${relative(root, input)}: the runner's entry point is missing`]
  const { metafile, outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [input],
    outfile: output,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node22",
    packages: "external",
    metafile: true,
    write: false,
    logLevel: "warning",
    // the checkout's path aliases must not pull sources in
    tsconfigRaw: {},
    plugins: [keepDynamicImports]
  })
  const code = withoutFacades(outputFiles[0]!.text)
  writeFileSync(output, code)
  const left = [...code.matchAll(/^import .*/gm)].map(([line]) =>
    `${relative(root, output)}: has "${line}", not by its names`
  )
  return [...left, ...inspect(relative(root, output), metafile)]
}

/** What the bundle imports, and how large it is. */
const inspect = (name: string, metafile: Metafile): ReadonlyArray<string> => {
  const [, result] = Object.entries(metafile.outputs)[0]!
  const problems: Array<string> = []
  const heavy = result.imports.filter(({ kind, path }) => kind !== "dynamic-import" && !isBuiltin(path))
  for (const { path } of heavy) {
    const importers = Object.entries(metafile.inputs)
      .filter(([, input]) => input.imports.some((imported) => imported.path === path))
      .map(([file]) => file)
    problems.push(`${name}: must not import "${path}" statically (${importers.join(", ")})`)
  }
  for (const { path } of result.imports.filter(({ kind, path }) => kind === "dynamic-import" && path.startsWith("."))) {
    if (!existsSync(join(root, dirname(name), path))) problems.push(`${name}: imports "${path}", which is not built`)
  }
  if (result.bytes > maxBytes) problems.push(`${name}: ${result.bytes} bytes, the limit is ${maxBytes}`)
  const lazy = result.imports.filter(({ kind }) => kind === "dynamic-import").map(({ path }) => path)
  console.log(`${name}: ${result.bytes} bytes${lazy.length === 0 ? "" : `, later ${lazy.join(", ")}`}`)
  return problems
}

/** tsc rewrites the endings of imports, but not of URLs: such a string would name a file that is not in the package. */
const lostUrls = (): ReadonlyArray<string> =>
  readdirSync(target, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".js")).flatMap((file) =>
    Array.from(
      readFileSync(join(target, file), "utf8").matchAll(/^(?!\s*(?:\*|\/\/)).*new URL\(\s*(["'`]\.[^"'`]*\.ts["'`])/gm),
      ([, url]) => `dist/${file}: new URL(${url}, ...) names a source file`
    )
  )

rmSync(target, { recursive: true, force: true })
if (show("tsc", ["--project", "tsconfig.build.json"])) {
  const problems = (await Promise.all(entryPoints.map(bundle))).flat()
  conclude([...problems, ...lostUrls()], "built dist")
} else {
  process.exitCode = 1
}
