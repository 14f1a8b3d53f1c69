/** What a run may leave behind: children, threads, file handles, memory. */
import { Effect, Schedule } from "effect"
import type { Scope } from "effect"
import { ChildProcess } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { stat } from "node:fs/promises"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { livingBodies } from "../../src/internal/start/child.ts"

/** Where it cannot be known, it is empty. */
const entries = (folder: string): ReadonlyArray<string> => {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

const textOf = (file: string): string => {
  try {
    return readFileSync(file, "utf8")
  } catch {
    return "" // it has ended meanwhile
  }
}

/** The processes that this one, or another, has started, also those that are not up yet. */
export const childPids = (of: number | "self" = "self"): ReadonlyArray<number> =>
  entries(`/proc/${of}/task`).flatMap((thread) =>
    textOf(`/proc/${of}/task/${thread}/children`).split(" ").filter((pid) => pid !== "").map(Number)
  )

/** The processes with this in their environment: children, and children of children that have lost their parent. */
const marked = (mark: string): ReadonlyArray<string> =>
  entries("/proc")
    .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
    .filter((pid) => textOf(`/proc/${pid}/environ`).split("\0").includes(mark))

/** Who, in this process, has sent signals to its children: where the call stands, by pid. */
export const watchKills: Effect.Effect<ReadonlyMap<number, string>, never, Scope.Scope> = Effect.gen(function*() {
  const kills = new Map<number, string>()
  const { kill } = ChildProcess.prototype
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      ChildProcess.prototype.kill = function(signal) {
        kills.set(this.pid ?? 0, `${String(signal)} at ${new Error("here").stack}`)
        return kill.call(this, signal)
      }
    }),
    () =>
      Effect.sync(() => {
        ChildProcess.prototype.kill = kill
      })
  )
  return kills
})

export interface Surroundings {
  readonly bodies: number
  readonly children: number
  readonly marked: number
  readonly threads: number
  readonly files: number
  /** What keeps this process alive, by its kind. */
  readonly resources: Readonly<Record<string, number>>
}

/** The name and the value of a variable that all children inherit. */
export const markOf = (seed: number): readonly [string, string] => ["CHAOS_MARK", `${process.pid}-${seed}`]

export const look = (mark: readonly [string, string]): Surroundings => {
  const resources: Record<string, number> = {}
  for (const kind of process.getActiveResourcesInfo()) {
    // of the test runner's own timers there are now more and now less
    if (kind !== "Timeout" && kind !== "Immediate") resources[kind] = (resources[kind] ?? 0) + 1
  }
  return {
    bodies: livingBodies(),
    children: childPids().length,
    marked: marked(mark.join("=")).length,
    threads: entries("/proc/self/task").length,
    files: entries("/proc/self/fd").length,
    resources
  }
}

type Counts = Omit<Surroundings, "resources">

/** What has grown by more than it may. */
const grownBy = (allowed: Counts, before: Surroundings, now: Surroundings): ReadonlyArray<string> =>
  (Object.keys(allowed) as ReadonlyArray<keyof Counts>) // it is these
    .filter((name) => now[name] > before[name] + allowed[name])
    .map((name) => `${name} ${before[name]} -> ${now[name]}`)

/** What a pool may have now and not at another time: workers come and go. One that is lost with each fault is more. */
const changing: Counts = { bodies: 6, children: 6, marked: 6, threads: 24, files: 60 }

/** What has grown from one rest to the next. */
export const grown = (before: Surroundings, now: Surroundings): ReadonlyArray<string> => grownBy(changing, before, now)

const nothing: Counts = { bodies: 0, children: 0, marked: 0, threads: 0, files: 0 }

/** What is there that was not there before. */
const more = (before: Surroundings, now: Surroundings): ReadonlyArray<string> => {
  const kinds = Object.entries(now.resources).filter(([kind, count]) => count > (before.resources[kind] ?? 0))
  return [
    ...grownBy(nothing, before, now),
    ...kinds.map(([kind, count]) => `${kind} ${before.resources[kind] ?? 0} -> ${count}`)
  ]
}

/** Orphans have 2 seconds to leave; the machine may be busy. */
const patience = { schedule: Schedule.spaced("50 millis"), times: 200 }

/** What is left behind in the end. */
export const leftBehind = (
  mark: readonly [string, string],
  before: Surroundings
): Effect.Effect<ReadonlyArray<string>> =>
  Effect.suspend(() => {
    const left = more(before, look(mark))
    return left.length === 0 ? Effect.succeed(left) : Effect.fail(left)
  }).pipe(Effect.retry(patience), Effect.catch(Effect.succeed))

// ---------------------------------------------------------------------------------------------------- memory

export interface Memory {
  readonly heap: number
  readonly buffers: number
}

setFlagsFromString("--expose-gc")
const collectGarbage = runInNewContext("gc") as () => void

/** A turn of the event loop: what is released in callbacks is released then. */
const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))

/** What is in use when all garbage is collected. */
export const memoryInUse: Effect.Effect<Memory> = Effect.gen(function*() {
  for (let i = 0; i < 4; i++) {
    collectGarbage()
    yield* turn
  }
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return { heap: heapUsed, buffers: arrayBuffers }
})

/** The threads that Node starts with the first file that it reads are there before they are counted. */
export const warmUp = Effect.promise(() => Promise.all(Array.from({ length: 8 }, () => stat("."))))
