/**
 * Checks the package as its users get it: packs it, looks into the tarball, lints it, installs it into an empty project,
 * and there runs one program per start method, in JavaScript and in TypeScript, with the native addon and without it, and
 * type-checks it.
 */
import {
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { capture, conclude, root } from "./commands.ts"
import type { Output } from "./commands.ts"

interface Manifest {
  readonly name: string
  readonly version: string
  readonly devDependencies: Record<string, string>
}

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest
const folder = realpathSync(mkdtempSync(join(tmpdir(), "effect-multiprocessing-package-")))
const project = join(folder, "project")
const tarball = join(folder, `${manifest.name}-${manifest.version}.tgz`)
const problems: Array<string> = []

/** Adds a problem with all that the program wrote, and passes the output on. */
const expectOk = (what: string, output: Output): Output => {
  if (!output.ok) problems.push(`${what}: ${output.status}\n${output.stdout}${output.stderr}`.trimEnd())
  return output
}

const listTarball = async (): Promise<ReadonlyArray<string>> => {
  const { stdout } = expectOk("tar", await capture("tar", ["-tzf", tarball]))
  return stdout.split("\n").filter((file) => file !== "").map((file) => file.replace(/^package\//, ""))
}

/** What was built of the addon; nothing on a machine without a compiler. */
const prebuilds = (): ReadonlyArray<string> =>
  globSync("prebuilds/*/*.node", { cwd: root }).map((file) => file.replaceAll("\\", "/"))

/** What must be in the tarball, and what must not. */
const checkContents = (files: ReadonlyArray<string>): void => {
  for (const file of files) {
    if (/\.[cm]?tsx?$/.test(file) && !/\.d\.[cm]?ts$/.test(file)) problems.push(`${file}: a source file in the tarball`)
  }
  for (const file of ["package.json", "README.md", "LICENSE", "dist/index.js", "dist/index.d.ts", ...prebuilds()]) {
    if (!files.includes(file)) problems.push(`${file}: not in the tarball`)
  }
}

/** attw looks at no file behind a pattern of "exports" unless it is told which ones there are. */
const publicModules = (files: ReadonlyArray<string>): ReadonlyArray<string> =>
  files.flatMap((file) => /^dist\/(\w+)\.js$/.exec(file)?.[1] ?? []).filter((name) => name !== "index")

const lint = async (files: ReadonlyArray<string>): Promise<void> => {
  expectOk("publint", await capture("publint", [tarball, "--strict"]))
  expectOk(
    "attw",
    await capture("attw", [
      tarball,
      "--profile",
      "esm-only",
      "--format",
      "ascii",
      "--entrypoints",
      ".",
      ...publicModules(files)
    ])
  )
}

const layers = { inline: "layerInline", threads: "layerThreads", spawn: "layerSpawn" }

const program = (layer: string, language: "js" | "ts"): string => `
import { Effect } from "effect"
import { Pool, Process, StartMethod, Task } from "${manifest.name}"
import { sync } from "${manifest.name}/Task"

const square = Task.sync("square", { module: import.meta.url, handler: (x${
  language === "ts" ? ": number" : ""
}) => x * x })
export const negate = sync("negate", { module: import.meta.url, handler: (x${
  language === "ts" ? ": number" : ""
}) => -x })

Process.runMain(
  Effect.gen(function*() {
    const pool = yield* Pool.make({ processes: 2 })
    const squares${language === "ts" ? ": Array<number>" : ""} = yield* Pool.map(pool, square, [1, 2, 3])
    console.log(JSON.stringify(squares))
  }).pipe(Effect.scoped, Effect.provide(StartMethod.${layer}))
)
`

const install = async (): Promise<boolean> => {
  mkdirSync(project)
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "project", version: "1.0.0", type: "commonjs" }))
  const peers = ["effect", "@effect/platform-node"].map((name) => `${name}@${manifest.devDependencies[name]}`)
  const flags = ["--prefer-offline", "--no-audit", "--no-fund", "--loglevel", "error"]
  return expectOk("npm install", await capture("npm", ["install", ...flags, tarball, ...peers], { cwd: project })).ok
}

const runPrograms = async (): Promise<void> => {
  for (const [name, layer] of Object.entries(layers)) {
    for (const language of ["js", "ts"] as const) {
      const file = `${name}.m${language}`
      writeFileSync(join(project, file), program(layer, language))
      const { ok, stdout } = expectOk(file, await capture("node", [file], { cwd: project, limitMillis: 60_000 }))
      if (ok && stdout.trim() !== "[1,4,9]") {
        problems.push(`${file}: prints ${JSON.stringify(stdout)}, expected [1,4,9]`)
      }
    }
  }
}

const expectPrinted = async (what: string, args: ReadonlyArray<string>, expected: RegExp): Promise<void> => {
  const { ok, stdout } = expectOk(what, await capture("node", args, { cwd: project, limitMillis: 60_000 }))
  if (ok && !expected.test(stdout.trim())) {
    problems.push(`${what}: prints ${JSON.stringify(stdout)}, expected ${expected}`)
  }
}

/** The addon is found from its module and from where the bundles are, is loaded once, and may be missing. */
const runNative = async (): Promise<void> => {
  const dist = join(project, "node_modules", manifest.name, "dist")
  copyFileSync(join(dist, "internal", "memory", "native.js"), join(dist, "internal", "runner", "nativeCopy.js"))
  copyFileSync(join(dist, "internal", "memory", "perThread.js"), join(dist, "internal", "runner", "perThread.js"))
  writeFileSync(
    join(project, "native.mjs"),
    `if (process.argv[2] === "off") process.env.EFFECT_MULTIPROCESSING_NATIVE = "off"
     const folder = "./node_modules/${manifest.name}/dist/internal/"
     const copy = await import(folder + "runner/nativeCopy.js")
     const module = await import(folder + "memory/native.js")
     console.log(copy.native() === module.native(), module.native() !== undefined, module.whyAbsent())`
  )
  const prebuilt = join(dist, "..", "prebuilds", `${process.platform}-${process.arch}`)
  if (existsSync(prebuilt)) await expectPrinted("the addon", ["native.mjs"], /^true true$/)
  await expectPrinted("the addon switched off", ["native.mjs", "off"], /^true false .*EFFECT_MULTIPROCESSING_NATIVE/)
  rmSync(prebuilt, { recursive: true, force: true })
  await expectPrinted("the addon deleted", ["native.mjs"], /^true false \S/)
  for (const name of Object.keys(layers)) {
    await expectPrinted(`${name}.mjs without the addon`, [`${name}.mjs`], /^\[1,4,9\]$/)
  }
}

/** The programs of the README, word for word, as somebody runs them who knows nothing else. */
const runReadme = async (): Promise<void> => {
  const readme = readFileSync(join(root, "README.md"), "utf8")
  for (const language of ["js", "ts"] as const) {
    const fence = new RegExp(`^\`\`\`${language} run\\n([^]*?)^\`\`\`$`, "m").exec(readme)?.[1]
    if (fence === undefined) {
      problems.push(`README.md: no \`\`\`${language} run fence, the first program in ${language}`)
      continue
    }
    const file = `readme.m${language}`
    const expected = Array.from(fence.matchAll(/^\/\/ => (.*)$/gm), ([, line]) => line).join("\n")
    writeFileSync(join(project, file), fence)
    const { ok, stdout } = expectOk(file, await capture("node", [file], { cwd: project, limitMillis: 60_000 }))
    if (ok && stdout.trim() !== expected) {
      problems.push(`${file}: prints ${JSON.stringify(stdout)}, expected ${JSON.stringify(expected)}`)
    }
  }
}

/** With the checkout's compiler and types of Node, everything else as a user has it. */
const typeCheck = async (): Promise<void> => {
  const compilerOptions = {
    module: "NodeNext",
    target: "ES2023",
    strict: true,
    noEmit: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
    types: ["node"],
    typeRoots: [join(root, "node_modules", "@types")]
  }
  const files = [...Object.keys(layers).map((name) => `${name}.mts`), "readme.mts"]
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files }))
  expectOk("type-check of the programs", await capture("tsc", ["--pretty", "false", "-p", "."], { cwd: project }))
}

const checkPackage = async (): Promise<void> => {
  if (!expectOk("build", await capture(process.execPath, [join(root, "scripts", "build.ts")])).ok) return
  expectOk("build:native", await capture(process.execPath, [join(root, "scripts", "native.ts")]))
  const pack = ["pack", "--ignore-scripts", "--loglevel", "error", "--pack-destination", folder]
  if (!expectOk("npm pack", await capture("npm", pack)).ok) return
  const files = await listTarball()
  checkContents(files)
  await lint(files)
  if (!await install()) return
  await runPrograms()
  await runReadme()
  await typeCheck()
  await runNative()
}

try {
  await checkPackage()
  conclude(problems, `package: ${Object.keys(layers).join(", ")} run from the tarball, with the addon and without`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
