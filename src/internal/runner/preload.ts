/**
 * What a fork server loads before it makes copies: one module after the other, each with a look at what it leaves behind.
 */
import { readdirSync, readlinkSync } from "node:fs"
import { setImmediate, setTimeout } from "node:timers/promises"
import { fileURLToPath, pathToFileURL } from "node:url"
import { isError, stackOf, wordsOf } from "../codec/errors.ts"
import { timers } from "./probe.ts"

/** Why it is no server. */
export interface Refusal {
  readonly message: string
  readonly stack: string | undefined
}

export interface PreloadOptions {
  readonly specifiers: ReadonlyArray<string>
  /** What speaks of a thread that copies would lack; empty where there is none. */
  readonly foreignThread: () => string
  /** Called before each is loaded, and with an empty name after the last. */
  readonly onLoading: (specifier: string) => void
  /** Does not return. */
  readonly refuse: (why: Refusal) => void
}

// ---------------------------------------------------------------------------------------------------- what is open

/** What this process waits for, and its sockets, which it need not wait for. */
interface Open {
  readonly active: ReadonlyArray<string>
  readonly sockets: ReadonlySet<string>
}

const settleMillis = 1000
const lookMillis = 5

/** By Node's names. */
const names: Readonly<Record<string, string>> = {
  FSEventWrap: "a watched file",
  MessagePort: "a port that is listened to (MessageChannel, BroadcastChannel)",
  PipeServerWrap: "a server that listens",
  PipeWrap: "a connection",
  ProcessWrap: "a child process",
  StatWatcher: "a watched file",
  TCPServerWrap: "a server that listens",
  TCPSocketWrap: "a connection",
  UDPWrap: "a UDP socket"
}

const socketsOf = (fds: ReadonlyArray<string>): ReadonlySet<string> => {
  const sockets = new Set<string>()
  for (const fd of fds) {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`)
      if (target.startsWith("socket:")) sockets.add(target)
    } catch {
      // it was the folder's own
    }
  }
  return sockets
}

const openNow = (): Open => {
  // they are open from their first use on
  void process.stdout
  void process.stderr
  return { active: process.getActiveResourcesInfo(), sockets: socketsOf(readdirSync("/proc/self/fd")) }
}

const leftSince = (before: Open): ReadonlyArray<string> => {
  const now = openNow()
  const known = [...before.active]
  const active = now.active.filter((name) => {
    const at = known.indexOf(name)
    if (at >= 0) known.splice(at, 1)
    return at < 0 && !timers.has(name)
  })
  if (active.length > 0) return [...new Set(active.map((name) => names[name] ?? name))]
  const isMore = [...now.sockets].some((socket) => !before.sockets.has(socket))
  return isMore ? ["a socket that nothing waits for (fetch keeps its connections for a while)"] : []
}

/** What was begun in the last turn is open now; what is on its way to its end has a moment. */
const whatStays = async (before: Open): Promise<ReadonlyArray<string>> => {
  await setImmediate()
  await setImmediate()
  const deadline = performance.now() + settleMillis
  for (;;) {
    const left = leftSince(before)
    if (left.length === 0 || performance.now() > deadline) return left
    await setTimeout(lookMillis)
  }
}

// ---------------------------------------------------------------------------------------------------- messages

/** A name as it would be imported by a file in the program's directory. */
const urlOf = (specifier: string): string =>
  import.meta.resolve(specifier, pathToFileURL(`${process.cwd()}/program.js`).href)

const said = (specifier: string, why: string): string => `${JSON.stringify(specifier)} could not be preloaded: ${why}`

/** As Node throws it. */
interface NotFound extends Error {
  readonly code?: unknown
  readonly url?: string
}

/** Undefined where it is another module that could not be found. */
const whyNotFound = (specifier: string, { code, message, url }: NotFound): string | undefined => {
  if (code !== "ERR_MODULE_NOT_FOUND") return undefined
  if (url === undefined && message.endsWith("/program.js")) {
    return `there is no package of that name in ${process.cwd()} or above. A file is named by its URL, or by a path that begins with "./".`
  }
  return url !== undefined && url === urlOf(specifier) ? `there is no file ${fileURLToPath(url)}.` : undefined
}

const whyFailed = (specifier: string, cause: unknown): Refusal => {
  if (!isError(cause)) return { message: said(specifier, `it has thrown ${wordsOf(cause)}.`), stack: undefined }
  const absence = whyNotFound(specifier, cause)
  return absence === undefined
    ? { message: said(specifier, wordsOf(cause)), stack: stackOf(cause) }
    : { message: said(specifier, absence), stack: undefined }
}

const whyOpen = (left: ReadonlyArray<string>): string =>
  `this is open after its import: ${left.join(", ")}. Copies would share it, or would never end. ` +
  "Open it in a task or in an initializer, or close it before."

const refusal = (message: string): Refusal => ({ message, stack: undefined })

// ---------------------------------------------------------------------------------------------------- loading

/** Tells why the process ends while something is loaded. What is given stops that. */
const watchEnd = (loading: () => string, refuse: PreloadOptions["refuse"]): () => void => {
  let uncaught: { readonly cause: unknown } | undefined
  let isStuck = false
  const onUncaught = (cause: unknown): void => {
    uncaught = { cause }
    // somebody has handled it, if the loop goes on
    void setImmediate().then(() => uncaught = undefined)
  }
  const onStuck = (): void => {
    isStuck = true
  }
  const onExit = (code: number): void => {
    if (uncaught !== undefined) {
      const { cause } = uncaught
      const why = `meanwhile this was thrown, and nobody caught it: ${wordsOf(cause)}`
      return refuse({ message: said(loading(), why), stack: stackOf(cause) })
    }
    const why = isStuck
      ? "it awaits something at its top level that nothing can bring about any more."
      : `the fork server was ended meanwhile, with code ${code}.`
    refuse(refusal(said(loading(), why)))
  }
  process.on("uncaughtExceptionMonitor", onUncaught)
  process.on("beforeExit", onStuck)
  process.on("exit", onExit)
  return () => {
    process.off("uncaughtExceptionMonitor", onUncaught)
    process.off("beforeExit", onStuck)
    process.off("exit", onExit)
  }
}

const loadOne = async (specifier: string, before: Open, foreignThread: () => string): Promise<Refusal | undefined> => {
  try {
    await import(urlOf(specifier))
  } catch (cause) {
    return whyFailed(specifier, cause)
  }
  const left = await whatStays(before)
  if (left.length > 0) return refusal(said(specifier, whyOpen(left)))
  const thread = foreignThread()
  return thread === ""
    ? undefined
    : refusal(said(specifier, `${thread}. Start threads in a task or in an initializer.`))
}

/** Gives a look at what has been opened since then by any of them. */
export const preloadAll = async (
  { foreignThread, onLoading, refuse, specifiers }: PreloadOptions
): Promise<() => Refusal | undefined> => {
  let loading = ""
  const before = openNow()
  const stopWatching = watchEnd(() => loading, refuse)
  for (const specifier of specifiers) {
    onLoading(loading = specifier)
    const why = await loadOne(specifier, before, foreignThread)
    if (why === undefined) continue
    stopWatching()
    refuse(why)
  }
  stopWatching()
  onLoading("")
  return () => {
    const left = leftSince(before)
    return left.length === 0 ? undefined : refusal(`Of what was preloaded, ${whyOpen(left)}`)
  }
}
