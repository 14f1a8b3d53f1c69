/**
 * The leak guard: a test that leaves a child of ours (a thread, a process, one that was never ready), or a child process of
 * this process, fails.
 */
import { Effect } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { afterEach, beforeAll } from "vitest"
import { livingBodies } from "../src/internal/start/child.ts"
import { livingModuleChildren } from "../src/internal/start/moduleChild.ts"
import * as Process from "../src/Process.ts"

/** The children of this process by /proc; elsewhere only our own register is looked at. */
const childProcesses = (): ReadonlyArray<string> => {
  const found: Array<string> = []
  let entries: ReadonlyArray<string>
  try {
    entries = readdirSync("/proc")
  } catch {
    return found
  }
  for (const entry of entries) {
    if (!/^\d+$/.test(entry)) continue
    try {
      const status = readFileSync(`/proc/${entry}/status`, "utf8")
      if (!new RegExp(`^PPid:\\s+${process.pid}$`, "m").test(status)) continue
      found.push(`${entry} ${readFileSync(`/proc/${entry}/cmdline`, "utf8").replaceAll("\0", " ").trim()}`)
    } catch {
      // it has ended meanwhile
    }
  }
  return found
}

let before = new Set<string>()

beforeAll(() => {
  before = new Set(childProcesses())
})

afterEach(async (context) => {
  const ours = await Effect.runPromise(Process.activeChildren)
  const bodies = livingBodies()
  const workers = livingModuleChildren()
  const leaked = [
    ...(workers > 0 ? [`${workers} of a WorkerPlatform`] : []),
    ...(bodies > ours.length ? [`${bodies - ours.length} that were never ready`] : []),
    ...ours.map((child) => `${child.name} (pid ${child.pid})`),
    ...childProcesses().filter((child) => !before.has(child))
  ]
  if (leaked.length > 0) throw new Error(`"${context.task.name}" left children behind: ${leaked.join("; ")}`)
})
