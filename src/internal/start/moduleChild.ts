/**
 * Children that run a module of the user's from its first line, for Effect's workers: a thread that talks over its
 * `parentPort`, or a process that talks over `process.send`. The options of the start methods mean the same as for their
 * own children.
 */
import type { ChildProcess } from "node:child_process"
import { statSync } from "node:fs"
import { isAbsolute } from "node:path"
import type { Readable } from "node:stream"
import { fileURLToPath } from "node:url"
import { Worker } from "node:worker_threads"
import type { Transferable } from "node:worker_threads"
import type { ExitStatus } from "../../ProcessError.ts"
import { stackOf } from "../codec/errors.ts"
import { capture } from "./capture.ts"
import { after, defaultStartMillis, lastLines, neverRan } from "./child.ts"
import type { Launcher } from "./Launcher.ts"
import { startNode, statusOf, whyUnborn } from "./node.ts"
import type { SpawnOptions } from "./node.ts"
import { workerOptions } from "./threads.ts"
import type { ThreadOptions } from "./threads.ts"

export interface ModuleChild {
  /** Of a process that was born. */
  readonly pid: number | undefined
  /** Throws what structured clone throws. A child that has ended hears nothing. */
  readonly post: (message: unknown, transfers?: ReadonlyArray<Transferable>) => void
  /** Receives the messages; those that came before are given first. `onBroken`: a message could not be read. */
  readonly listen: (onMessage: (message: unknown) => void, onBroken: (cause: unknown) => void) => void
  /** Called once, after the last message. At once where it has ended. `words` is what is known beyond the status. */
  readonly onEnd: (listener: (status: ExitStatus, words: string) => void) => void
  readonly kill: () => void
}

interface End {
  readonly status: ExitStatus
  readonly words: string
}

const living = new Set<object>()
/** Children from their start to their end. */
export const livingModuleChildren = (): number => living.size

/** What both kinds tell their user, who may come later. */
const makeInbox = () => {
  let listener:
    | { readonly onMessage: (message: unknown) => void; readonly onBroken: (cause: unknown) => void }
    | undefined
  let held: Array<() => void> = []
  let end: End | undefined
  const ends: Array<(status: ExitStatus, words: string) => void> = []
  const token = {}
  living.add(token)

  const tell = (one: () => void): void => {
    if (listener === undefined) held.push(one)
    else one()
  }
  return {
    message: (message: unknown): void => tell(() => listener?.onMessage(message)),
    broken: (cause: unknown): void => tell(() => listener?.onBroken(cause)),
    end: (status: ExitStatus, words: string): void => {
      if (end !== undefined) return
      end = { status, words: lastLines(words) }
      living.delete(token)
      for (const one of ends) one(end.status, end.words)
    },
    child: {
      listen: (onMessage, onBroken) => {
        listener = { onMessage, onBroken }
        const before = held
        held = []
        for (const one of before) one()
      },
      onEnd: (one) => {
        if (end === undefined) ends.push(one)
        else one(end.status, end.words)
      }
    } satisfies Pick<ModuleChild, "listen" | "onEnd">
  }
}

const startThread = (options: ThreadOptions, file: string): ModuleChild => {
  const worker = new Worker(file, workerOptions(options))
  const inbox = makeInbox()
  const captured = options.stdio === "capture"
  const stderr = captured ? capture(worker.stderr, false) : undefined
  if (captured) worker.stdout.resume()
  let error = ""
  worker.on("message", inbox.message)
  worker.on("messageerror", inbox.broken)
  worker.on("error", (cause) => {
    error = stackOf(cause)
  })
  worker.once("exit", (code) => inbox.end({ _tag: "Exited", code }, error === "" ? stderr?.tail() ?? "" : error))
  return {
    ...inbox.child,
    pid: undefined,
    post: (message, transfers) => worker.postMessage(message, transfers ?? []),
    kill: () => void worker.terminate()
  }
}

/** Between the end of a child and the end of its channel, in either order. */
const silenceMillis = 1000

/** Calls back when the child has ended and all it has sent has been read. */
const whenEnded = (
  child: ChildProcess,
  streams: ReadonlyArray<Readable>,
  then: (status: ExitStatus) => void
): void => {
  let status: ExitStatus | undefined
  let disconnected = false
  let open = streams.length
  let giveUp = (): void => {}
  const settle = (force: boolean): void => {
    if (status === undefined || !(force || disconnected && open === 0)) return
    giveUp()
    then(status)
  }
  child.once("exit", (code, signal) => {
    status = statusOf(code, signal)
    giveUp()
    // somebody else may hold its descriptors
    giveUp = after(silenceMillis, () => settle(true))
    settle(false)
  })
  child.once("disconnect", () => {
    disconnected = true
    // a child that can be heard no more is of no use
    if (status === undefined) giveUp = after(silenceMillis, () => void child.kill("SIGKILL"))
    settle(false)
  })
  for (const stream of streams) {
    stream.once("close", () => {
      open--
      settle(false)
    })
  }
}

const startProcess = (options: SpawnOptions, file: string): ModuleChild => {
  const captured = options.stdio === "capture"
  const output = captured ? "pipe" : "inherit"
  // 3: Node's channel, 4: the child's last words, 5: open as long as this process lives
  const child = startNode(options, "moduleMain", [file], [
    "ignore",
    output,
    output,
    "ipc",
    "pipe",
    "pipe"
  ])
  const inbox = makeInbox()
  child.on("error", (cause) => {
    // with a pid it is a signal that could not be sent
    if (child.pid === undefined) inbox.end({ _tag: "Exited", code: neverRan }, whyUnborn(options, cause))
  })
  const { pid } = child
  if (pid === undefined) return { ...inbox.child, pid, post: () => {}, kill: () => {} }

  const [, stdout, stderr, , said, alive] = child.stdio as unknown as ReadonlyArray<Readable> // as asked for
  const words = capture(said!, false)
  const errors = captured ? capture(stderr!, false) : undefined
  if (captured) stdout!.resume()
  alive!.on("error", () => {})
  child.on("message", inbox.message)
  whenEnded(child, captured ? [said!, stderr!] : [said!], (status) => {
    said!.destroy()
    alive!.destroy()
    const own = words.tail()
    inbox.end(status, own === "" ? errors?.tail() ?? "" : own)
  })
  return {
    ...inbox.child,
    pid,
    // with a callback, a channel that has closed meanwhile is no event: the end follows
    post: (message) => void child.send(message as object, () => {}), // anything that structured clone takes
    kill: () => void child.kill("SIGKILL")
  }
}

/** The absolute path of a module; throws what the user should read. */
export const moduleFile = (given: unknown): string => {
  const example = `Give the URL of a file, such as new URL("./worker.js", import.meta.url).`
  if (!(given instanceof URL) && typeof given !== "string") {
    throw new TypeError(
      `its module must be a URL or a path, but is ${given === null ? "null" : typeof given}. ${example}`
    )
  }
  const isPath = typeof given === "string" && isAbsolute(given)
  if (!isPath && URL.parse(String(given))?.protocol !== "file:") {
    throw new TypeError(`its module ${JSON.stringify(String(given))} is not the URL of a file. ${example}`)
  }
  const file = isPath ? given : fileURLToPath(given)
  if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) {
    throw new Error(`its module ${file} does not exist. ${example}`)
  }
  return file
}

export interface ModuleStarter {
  readonly start: (file: string) => ModuleChild
  readonly startMillis: number
}

/** With the options of a start method; undefined where it has no such children. */
export const moduleStarter = ({ name, options }: Pick<Launcher, "name" | "options">): ModuleStarter | undefined => {
  switch (name) {
    case "threads": {
      const own = options as ThreadOptions // what this launcher was made with
      return { start: (file) => startThread(own, file), startMillis: own.startMillis ?? defaultStartMillis }
    }
    case "spawn": {
      const own = options as SpawnOptions // what this launcher was made with
      return { start: (file) => startProcess(own, file), startMillis: own.startMillis ?? defaultStartMillis }
    }
    default:
      return undefined
  }
}
