/**
 * What a fork server loads before it makes copies: one module after the other, each with a look at what it leaves behind.
 */
import { readdirSync, readlinkSync } from "node:fs"
import { fileURLToPath, pathToFileURL } from "node:url"
import { isError, stackOf, wordsOf } from "../codec/errors.ts"

/** Why it is no server. */
export interface Refusal {
  readonly message: string
  readonly stack: string | undefined
}

const settleMillis = 1000
const lookMillis = 5

/** Node's names for what a loop waits for. */
const names: Readonly<Record<string, string>> = {
  FSEventWrap: "a watched file",
  HTTPINCOMINGMESSAGE: "a connection",
  PipeServerWrap: "a server that listens",
  PipeWrap: "a connection",
  ProcessWrap: "a child process",
  StatWatcher: "a watched file",
  TCPServerWrap: "a server that listens",
  TCPSocketWrap: "a connection",
  UDPWrap: "a UDP socket"
}

/** They run in each copy as they would have run here. */
const mayStay = new Set(["Immediate", "Timeout"])

const openSockets = (): ReadonlySet<string> => {
  const sockets = new Set<string>()
  for (const fd of readdirSync("/proc/self/fd")) {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`)
      if (target.startsWith("socket:")) sockets.add(target)
    } catch {
      // it was the folder's own
    }
  }
  return sockets
}

/** What was open before anything was loaded. */
interface Before {
  readonly active: ReadonlyArray<string>
  readonly sockets: ReadonlySet<string>
}

const openNow = (): Before => {
  // they are open from their first use on
  void process.stdout
  void process.stderr
  return { active: process.getActiveResourcesInfo(), sockets: openSockets() }
}

const leftOpen = (before: Before): ReadonlyArray<string> => {
  const known = [...before.active]
  const active = process.getActiveResourcesInfo().filter((name) => {
    const at = known.indexOf(name)
    if (at >= 0) known.splice(at, 1)
    return at < 0 && !mayStay.has(name)
  })
  if (active.length > 0) return [...new Set(active.map((name) => names[name] ?? name))]
  // nothing waits for these: a connection that is kept for the next request, say
  return [...openSockets()].some((socket) => !before.sockets.has(socket)) ? ["a socket"] : []
}

/** What is on its way has a moment. */
const whatStays = async (before: Before): Promise<ReadonlyArray<string>> => {
  const deadline = performance.now() + settleMillis
  for (;;) {
    const open = leftOpen(before)
    if (open.length === 0 || performance.now() > deadline) return open
    await new Promise((resolve) => setTimeout(resolve, lookMillis))
  }
}

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
const whyNotFound = (specifier: string, { code, url }: NotFound, message: string): string | undefined => {
  if (code !== "ERR_MODULE_NOT_FOUND") return undefined
  if (url === undefined && message.endsWith("/program.js")) {
    return `there is no package of that name in ${process.cwd()} or above. A file is named by its URL, or by a path that begins with "./".`
  }
  return url !== undefined && url === urlOf(specifier) ? `there is no file ${fileURLToPath(url)}.` : undefined
}

const whyFailed = (specifier: string, cause: unknown): Refusal => {
  const message = wordsOf(cause)
  const absence = isError(cause) ? whyNotFound(specifier, cause, message) : undefined
  return absence === undefined
    ? { message: said(specifier, message), stack: stackOf(cause) }
    : { message: said(specifier, absence), stack: undefined }
}

/** `refuse` does not return. */
export const preloadAll = async (
  specifiers: ReadonlyArray<string>,
  tell: (specifier: string) => void,
  refuse: (why: Refusal) => void
): Promise<void> => {
  let current = ""
  let uncaught: unknown
  let isStuck = false
  const onUncaught = (cause: unknown): void => {
    uncaught = cause
  }
  const onStuck = (): void => {
    isStuck = true
  }
  const onExit = (code: number): void => {
    if (uncaught !== undefined) {
      return refuse({ message: said(current, `an uncaught error: ${wordsOf(uncaught)}`), stack: stackOf(uncaught) })
    }
    const why = isStuck
      ? "it awaits something at its top level that nothing can bring about any more."
      : `it ended the fork server, with code ${code}.`
    refuse({ message: said(current, why), stack: undefined })
  }
  const before = openNow()
  process.on("uncaughtExceptionMonitor", onUncaught)
  process.on("beforeExit", onStuck)
  process.on("exit", onExit)
  try {
    for (const specifier of specifiers) {
      tell(current = specifier)
      await import(urlOf(specifier))
      const open = await whatStays(before)
      if (open.length > 0) {
        process.off("exit", onExit)
        const why = `its import has ended, and leaves open ${open.join(", ")}, which all copies would share. ` +
          "Open it in a task or in an initializer, or close it before."
        return refuse({ message: said(specifier, why), stack: undefined })
      }
    }
  } catch (cause) {
    process.off("exit", onExit)
    return refuse(whyFailed(current, cause))
  }
  process.off("uncaughtExceptionMonitor", onUncaught)
  process.off("beforeExit", onStuck)
  process.off("exit", onExit)
}
