/**
 * The leak guard: a test that leaves a child of ours (a thread, a process, one that was never ready), or a child process of
 * this process, fails; and one that leaves a segment of shared memory open, the door of a hub, the name of a block, or the
 * folder of a private listener. A file that leaves what keeps its process alive (a timer, a socket, a server) fails, too.
 */
import { Effect } from "effect"
import { readdirSync, readFileSync, readlinkSync } from "node:fs"
import { afterAll, afterEach, beforeAll } from "vitest"
import { livingBodies } from "../src/internal/start/child.ts"
import { livingModuleChildren } from "../src/internal/start/moduleChild.ts"
import { ownPlaces } from "../src/internal/listener/address.ts"
import * as Process from "../src/Process.ts"
import { closeServer, hasServer } from "./conformance/methods.ts"

interface Running {
  readonly pid: number
  readonly command: string
  readonly isServer: boolean
}

const isRunning = (pid: number, parents: ReadonlyArray<number>): Running | undefined => {
  try {
    const [, parent] = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))!
    if (!parents.includes(Number(parent))) return undefined
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim()
    return { pid, command, isServer: Number(parent) === process.pid && command.includes("forkServerMain") }
  } catch {
    return undefined // it has ended meanwhile
  }
}

const runningUnder = (parents: ReadonlyArray<number>): ReadonlyArray<Running> =>
  readdirSync("/proc").filter((entry) => /^\d+$/.test(entry)).flatMap((entry) =>
    isRunning(Number(entry), parents) ?? []
  )

/**
 * The children of this process by /proc, and those of fork servers; elsewhere only our own register is looked at. The server
 * that all laws of a file share is none.
 */
const childProcesses = (): ReadonlyArray<string> => {
  if (process.platform !== "linux") return []
  const children = runningUnder([process.pid])
  const servers = children.filter(({ isServer }) => isServer)
  const copies = servers.length === 0 ? [] : runningUnder(servers.map(({ pid }) => pid))
  const isShared = hasServer() && servers.length === 1
  return [...children.filter(({ isServer }) => !(isServer && isShared)), ...copies]
    .map(({ command, pid }) => `${pid} ${command}`)
}

/** The socket that listens at each private name of this package, by its inode. */
const doors = (): ReadonlyMap<string, string> => {
  const found = new Map<string, string>()
  for (const line of readFileSync("/proc/net/unix", "utf8").split("\n")) {
    const [, , , flags, , , inode, path] = line.split(/\s+/)
    if (flags === "00010000" && path?.startsWith("@effect-multiprocessing-")) found.set(`socket:[${inode}]`, path)
  }
  return found
}

/** What this process keeps open for others, by /proc: names where it listens, and segments. */
const keptOpen = (): ReadonlyArray<string> => {
  let names: ReadonlyMap<string, string>
  try {
    names = doors()
  } catch {
    return [] // not on Linux
  }
  const targets = readdirSync("/proc/self/fd").map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return "" // the one that the folder was read with
    }
  })
  const segments = targets.filter((target) => target.startsWith("/memfd:effect-multiprocessing")).length
  return [
    ...targets.flatMap((target) => names.get(target) ?? []).map((name) => `it listens at ${name}`),
    // the one that new cells come into stays
    ...(segments > 1 ? [`${segments} segments are open`] : [])
  ]
}

/** A socket that is closed says so a turn later: what is left when there has been time for that. */
const settled = async (look: () => ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
  const deadline = performance.now() + 1000
  while (look().length > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5))
  return look()
}

/** Private listeners, which are files: also where there is no /proc. */
const places = (): ReadonlyArray<string> => ownPlaces().map((path) => `the folder of ${path} is there`)

/** What keeps this process alive, by kind. */
const holders = (): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  return counts
}

/** The runner has some, too, and as many at the end as at the beginning. */
const watched = ["TCPSocketWrap", "TCPServerWrap", "PipeWrap", "ProcessWrap", "MessagePort", "FSEventWrap"]

const heldSince = (first: ReadonlyMap<string, number>) => (): ReadonlyArray<string> => {
  const now = holders()
  // its timers end soon
  return ["Timeout", ...watched].flatMap((kind) => {
    const more = (now.get(kind) ?? 0) - (kind === "Timeout" ? 0 : first.get(kind) ?? 0)
    return more > 0 ? [`${more} ${kind}`] : []
  })
}

let before = new Set<string>()
let held = heldSince(new Map())

beforeAll(() => {
  before = new Set(childProcesses())
  held = heldSince(holders())
})

afterAll(async () => {
  await Effect.runPromise(closeServer)
  const left = childProcesses().filter((child) => !before.has(child))
  if (left.length > 0) throw new Error(`the file left children behind: ${left.join("; ")}`)
  const holding = await settled(held)
  if (holding.length > 0) throw new Error(`the file left behind what keeps its process alive: ${holding.join("; ")}`)
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
  const open = await settled(() => [...keptOpen(), ...places()])
  if (open.length > 0) throw new Error(`"${context.task.name}" left something open: ${open.join("; ")}`)
})
