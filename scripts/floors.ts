/**
 * The house has floors: imports go down, or sideways without a circle. This reads every import of `src` and fails on one
 * that goes up, on a circle, on a barrel, on a Node built-in out of place, on a heavy import in the runner, and on a file
 * that has grown too long.
 */
import { isBuiltin } from "node:module"
import { posix } from "node:path"
import { conclude } from "./commands.ts"
import { readModules } from "./imports.ts"
import type { Import, Module } from "./imports.ts"

/** A public module by its name, which also stands for a folder of that name beside it; an internal folder by its path. */
const floors: Record<string, number> = {
  ProcessError: 0,
  "internal/memory": 0,
  "internal/protocol": 0,
  Task: 1,
  Initializer: 1,
  SharedMemory: 1,
  "internal/codec": 1,
  "internal/channel": 1,
  "internal/hub": 1,
  "internal/handles": 1,
  "internal/line": 1,
  "internal/listener": 1,
  "internal/manager": 1,
  "internal/sync": 1,
  Connection: 2,
  Pipe: 2,
  Listener: 2,
  SharedValue: 2,
  SharedArray: 2,
  SharedLock: 2,
  SharedSemaphore: 2,
  SharedEvent: 2,
  SharedCondition: 2,
  SharedBarrier: 2,
  SharedQueue: 2,
  StartMethod: 3,
  "internal/fork": 3,
  "internal/runner": 3,
  "internal/start": 3,
  Faults: 4,
  Process: 4,
  WorkerPlatform: 4,
  Pool: 5,
  Manager: 5,
  "internal/pool": 5,
  "internal/ready": 5,
  ClusterPool: 6,
  ProgressBar: 6,
  index: 7
}

/** Imported when the first task needs effect. */
const loadedLate = new Set(["internal/runner/effects.ts", "internal/runner/observer.ts"])
const mayUseNode =
  /^(?:internal\/(?:channel|codec|protocol|start|fork|runner|memory|hub|handles|line|listener|manager)\/|Listener(?:\.ts$|\/))/
const startMethodFile = /^internal\/start\/(?:inline|threads|spawn|forkServer|fork)\.ts$/

const placeOf = (file: string): string => {
  const [first, second] = file.split("/")
  return first === "internal" ? `internal/${second}` : first!.replace(/\.ts$/, "")
}

const floorOf = (file: string): number | undefined => floors[placeOf(file)]

const resolve = (from: string, specifier: string): string | undefined =>
  specifier.startsWith(".") ? posix.join(posix.dirname(from), specifier) : undefined

type Rule = (module: Module, imported: Import, target: string | undefined) => string | undefined

const goesDown: Rule = ({ file }, _, target) => {
  const from = floorOf(file)
  const to = target === undefined ? undefined : floorOf(target)
  return from !== undefined && to !== undefined && to > from
    ? `goes up from floor ${from} (${placeOf(file)}) to floor ${to} (${placeOf(target!)})`
    : undefined
}

const endsInTs: Rule = (_, __, target) =>
  target !== undefined && !target.endsWith(".ts") ? `has no ".ts" ending` : undefined

const noBarrel: Rule = (_, { specifier }, target) => {
  if (target !== undefined && posix.basename(target) === "index.ts") return "is an index, which nobody in src imports"
  if (specifier.startsWith("effect-multiprocessing")) return "is this package: import the file"
  if (specifier === "effect" || /^@effect\/platform-node(?:\/index)?$/.test(specifier)) {
    return `is an index: import the module that is meant, such as "${specifier.replace(/\/index$/, "")}/${
      specifier === "effect" ? "Effect" : "NodeRuntime"
    }"`
  }
  // effect/cluster, effect/http and the like are indexes of folders; modules begin with a capital letter
  return /^effect\/(?:[a-z][\w-]*\/)*[a-z][\w-]*$/.test(specifier) ? "is an index of a folder of effect" : undefined
}

/** Types of Node may be named everywhere: they vanish. */
const nodeInItsPlace: Rule = ({ file }, { kind, specifier }) =>
  kind !== "type" && isBuiltin(specifier) && !mayUseNode.test(file)
    ? "is a Node built-in, out of place here"
    : undefined

const isHeavy = ({ kind, specifier }: Import): boolean =>
  kind === "static" && /^(?:@effect\/|effect(?:\/|$))/.test(specifier)

const lightRunner: Rule = ({ file }, imported) =>
  isHeavy(imported) && file.startsWith("internal/runner/") && !loadedLate.has(file)
    ? "is imported by the runner, which must start without effect: move it behind effects.ts"
    : undefined

const rules: ReadonlyArray<Rule> = [goesDown, endsInTs, noBarrel, nodeInItsPlace, lightRunner]

const aboutImports = (module: Module): ReadonlyArray<string> =>
  module.imports.flatMap((imported) =>
    rules.flatMap((rule) => {
      const problem = rule(module, imported, resolve(module.file, imported.specifier))
      return problem === undefined ? [] : [`src/${module.file}:${imported.line}: "${imported.specifier}" ${problem}`]
    })
  )

const aboutFile = ({ file, linesOfCode }: Module): ReadonlyArray<string> => {
  const limit = startMethodFile.test(file) ? 150 : 600
  return [
    ...(floorOf(file) === undefined ? [`src/${file}: "${placeOf(file)}" has no floor in scripts/floors.ts`] : []),
    ...(linesOfCode > limit ? [`src/${file}: ${linesOfCode} lines of code, the limit is ${limit}`] : [])
  ]
}

/** Each circle once, written from its first file by name. Dynamic imports count too: they are imports.*/
const circles = (modules: ReadonlyArray<Module>): ReadonlyArray<string> => {
  const next = new Map(modules.map((module) => [
    module.file,
    new Set(
      module.imports.flatMap(({ specifier }) => resolve(module.file, specifier) ?? [])
    )
  ]))
  const found = new Set<string>()
  const done = new Set<string>()
  const walk = (file: string, path: ReadonlyArray<string>): void => {
    const at = path.indexOf(file)
    if (at >= 0) {
      const circle = path.slice(at)
      const start = circle.indexOf(circle.toSorted()[0]!)
      const turned = [...circle.slice(start), ...circle.slice(0, start)]
      found.add([...turned, turned[0]].map((name) => `src/${name}`).join(" -> "))
      return
    }
    if (done.has(file)) return
    for (const target of next.get(file) ?? []) walk(target, [...path, file])
    done.add(file)
  }
  for (const { file } of modules) walk(file, [])
  return Array.from(found, (circle) => `a circle: ${circle}`)
}

/** What a child boots must not reach effect through others either: the shortest way there is told. */
const heavyBoots = (modules: ReadonlyArray<Module>): ReadonlyArray<string> => {
  const byFile = new Map(modules.map((module) => [module.file, module]))
  return ["processMain", "threadMain", "moduleMain"].map((name) => `internal/runner/${name}.ts`).flatMap((boot) => {
    const ways = new Map([[boot, [boot]]])
    for (const [file, way] of ways) {
      for (const imported of byFile.get(file)?.imports ?? []) {
        const target = resolve(file, imported.specifier)
        if (target !== undefined && imported.kind === "static" && !ways.has(target)) ways.set(target, [...way, target])
        if (isHeavy(imported) && !file.startsWith("internal/runner/")) {
          return [
            `${
              way.map((name) => `src/${name}`).join(" -> ")
            } -> "${imported.specifier}": a child boots this, without effect`
          ]
        }
      }
    }
    return []
  })
}

const modules = readModules()
const imports = modules.reduce((sum, module) => sum + module.imports.length, 0)
conclude(
  [...modules.flatMap(aboutFile), ...modules.flatMap(aboutImports), ...circles(modules), ...heavyBoots(modules)],
  `floors: ${imports} imports of ${modules.length} files go down or sideways`
)
