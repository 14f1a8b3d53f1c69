/**
 * Compiles the addon of `native/` into `prebuilds`, for this machine and, where a cross compiler is on the PATH, for the
 * other architecture. Its compiler is `cc`, or the one of the environment variable CC. Where there is none, or no Linux, it
 * says so and ends well: everything but shared memory between processes works without the addon.
 */
import { spawnSync } from "node:child_process"
import { existsSync, globSync, mkdirSync, renameSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { join, relative } from "node:path"
import { conclude, root } from "./commands.ts"

interface Target {
  readonly arch: string
  /** The name of the architecture in the names of compilers. */
  readonly machine: string
  readonly flags: ReadonlyArray<string>
}

const targets: ReadonlyArray<Target> = [
  { arch: "x64", machine: "x86_64", flags: [] },
  // atomics as calls would need a library of the compiler
  { arch: "arm64", machine: "aarch64", flags: ["-mno-outline-atomics"] }
]

/** Why these flags: native/README.md. */
const flags = [
  "-std=gnu11",
  "-O2",
  "-Wall",
  "-Wextra",
  "-Werror",
  "-fPIC",
  "-fvisibility=hidden",
  "-fno-stack-protector",
  "-U_FORTIFY_SOURCE",
  "-DNAPI_VERSION=8",
  "-shared",
  "-s",
  "-nostdlib",
  "-Wl,-z,now,-z,nodelete,-z,noexecstack,--build-id=none"
]

const require = createRequire(import.meta.url)

const headers = (): string | undefined => {
  try {
    return (require("node-api-headers") as { readonly include_dir: string }).include_dir
  } catch {
    // the headers that come with an installed Node
    const folder = join(process.execPath, "..", "..", "include", "node")
    return existsSync(join(folder, "node_api.h")) ? folder : undefined
  }
}

type Command = readonly [program: string, ...args: ReadonlyArray<string>]

const compilers = ({ arch, machine }: Target): ReadonlyArray<Command> => {
  if (arch !== process.arch) return [[`${machine}-linux-gnu-gcc`]]
  const [program, ...args] = (process.env["CC"] ?? "").split(/\s+/).filter((word) => word !== "")
  return program === undefined ? [["cc"], ["gcc"], ["clang"]] : [[program, ...args]]
}

const isThere = ([program, ...args]: Command): boolean =>
  spawnSync(program, [...args, "--version"], { stdio: "ignore" }).status === 0

/** A library that the file asks for may be missing on another machine: it must ask for none. */
const neededLibraries = (file: string): ReadonlyArray<string> => {
  const { status, stdout } = spawnSync("readelf", ["-d", file], { encoding: "utf8" })
  return status === 0 ? Array.from(stdout.matchAll(/\(NEEDED\).*\[(.*)\]/g), ([, name]) => name!) : []
}

/** Of a freshly compiled file: what is wrong with it. */
const inspect = (target: Target, file: string): ReadonlyArray<string> => {
  const needed = neededLibraries(file)
  if (needed.length > 0) return [`${target.arch}: the addon must not depend on ${needed.join(", ")}`]
  if (target.arch !== process.arch) return []
  try {
    require(file)
    return []
  } catch (error) {
    return [`${target.arch}: the addon does not load: ${String(error)}`]
  }
}

/** Beside its place first: a running process may have the old file mapped, which must not change under it. */
const compile = (target: Target, include: string, [program, ...args]: Command): ReadonlyArray<string> => {
  const folder = join(root, "prebuilds", `linux-${target.arch}`)
  const file = join(folder, "effect-multiprocessing.node")
  const fresh = join(folder, `.${process.pid}.node`)
  mkdirSync(folder, { recursive: true })
  const sources = globSync("native/*.c", { cwd: root }).toSorted()
  const { status } = spawnSync(
    program,
    [...args, ...flags, ...target.flags, "-isystem", include, ...sources, "-o", fresh],
    { cwd: root, stdio: "inherit" }
  )
  try {
    const problems = status === 0
      ? inspect(target, fresh)
      : [`${target.arch}: ${[program, ...args].join(" ")} failed, see above`]
    if (problems.length > 0) return problems
    renameSync(fresh, file)
    console.log(`built ${relative(root, file)} with ${[program, ...args].join(" ")}`)
    return []
  } finally {
    rmSync(fresh, { force: true })
  }
}

const buildTarget = (target: Target, include: string): ReadonlyArray<string> => {
  const compiler = compilers(target).find(isThere)
  if (compiler !== undefined) return compile(target, include, compiler)
  const tried = compilers(target).map((command) => command.join(" ")).join(", ")
  console.log(`skipped linux-${target.arch}: no compiler (looked for ${tried})`)
  return []
}

const build = (): ReadonlyArray<string> => {
  if (process.platform !== "linux") {
    console.log("skipped the native addon: it is for Linux")
    return []
  }
  const include = headers()
  if (include === undefined) {
    console.log("skipped the native addon: the package node-api-headers is not installed")
    return []
  }
  return targets.flatMap((target) => buildTarget(target, include))
}

conclude(build(), "native: done")
