/**
 * A fork server as the program sees it that has started it: a process that makes a copy of itself on request.
 */
import type { Buffer } from "node:buffer"
import type { ChildProcess } from "node:child_process"
import type { Socket } from "node:net"
import { constants } from "node:os"
import { getSystemErrorName } from "node:util"
import type { ExitStatus } from "../../ProcessError.ts"
import { native, whyAbsent } from "../memory/native.ts"
import type { Native } from "../memory/native.ts"
import { after, describeStatus, neverRan } from "../start/child.ts"
import { makeEnding } from "../start/ending.ts"
import { inheritedFlags, startNode, statusOf, whyUnborn } from "../start/node.ts"
import type { SpawnOptions } from "../start/node.ts"
import { serverFlags } from "./flags.ts"
import { forkRequest, idOf, killRequest, makeRecordReader } from "./records.ts"
import { decodeStatus } from "./status.ts"
import type { ServerRecord } from "./records.ts"

export interface ForkServerOptions extends Omit<SpawnOptions, "execPath"> {
  /** Specifiers or URLs of modules that the server loads. */
  readonly preload: ReadonlyArray<string>
}

/** A copy of the server. */
export interface Forked {
  readonly pid: number
  /** Nothing where it has ended: its pid cannot have become another's. */
  readonly kill: (signal: "SIGTERM" | "SIGKILL") => void
  /** Called once; at once where it has ended. `words`: what is known beyond its status. */
  readonly onEnd: (listener: (status: ExitStatus, words: string) => void) => void
}

export interface ForkServer {
  readonly isUp: () => boolean
  /** `order` is what the copy is told; the descriptors are copied to it, and stay the caller's. */
  readonly fork: (order: unknown, fds: ReadonlyArray<number>) => Promise<Forked>
  /**
   * Resolves when the server has ended. Where copies live it resolves at once, and the server ends with the last of them,
   * whose end is told then.
   */
  readonly close: () => Promise<void>
}

/** Why there can be no fork server here; `undefined` when there can. */
export const whyUnavailable = (): string | undefined => {
  const addon = native()
  const why = addon === undefined || !addon.canShare ? whyAbsent() : addon.whyNoFork()
  return why === "" ? undefined : why
}

/** There is no server, and this is all that is to be said of it; its cause is an error of a module. */
export class NoServer extends Error {}
/** Of this process, or of this system, a copy would not live. */
export class CannotFork extends NoServer {}

/** Rejects with an Error that says why there is none, and has then left no process. It is given up when `signal` says so. */
export const startForkServer = async (
  options: ForkServerOptions,
  startMillis: number,
  signal: AbortSignal
): Promise<ForkServer> => {
  const addon = native()!
  const [control, theirs] = addon.socketPair(true)
  let child: ChildProcess
  try {
    child = startServerProcess(options, theirs)
  } catch (cause) {
    addon.closeDescriptor(control)
    throw cause
  } finally {
    addon.closeDescriptor(theirs)
  }
  const server = makeServer(addon, child, control, startMillis)
  const failure = await firstFailure(options, child, server, startMillis, signal)
  if (failure === undefined) {
    server.release()
    return server
  }
  child.kill("SIGKILL")
  await server.ended
  throw failure
}

/**
 * Where copies are captured the server has pipes, too: a terminal that it had opened would be under another number in a copy.
 * What it says itself is passed on.
 */
const startServerProcess = (options: ForkServerOptions, control: number): ChildProcess => {
  const output = options.stdio === "capture" ? "pipe" : "inherit"
  const child = startNode(
    { ...options, execArgv: [...options.execArgv ?? inheritedFlags(process.execArgv), ...serverFlags] },
    "forkServerMain",
    [JSON.stringify({ preload: options.preload })],
    // 3: requests, 4: records
    ["ignore", output, output, control, "pipe"]
  )
  passOn(child.stdout as Socket | null, process.stdout)
  passOn(child.stderr as Socket | null, process.stderr)
  return child
}

const passOn = (from: Socket | null, to: NodeJS.WriteStream): void => {
  from?.on("error", () => {}) // a reset is an end
  from?.on("data", (block: Buffer) => to.write(block))
  from?.unref()
}

/** Why it is not ready; `undefined` when it is. */
const firstFailure = (
  options: ForkServerOptions,
  child: ChildProcess,
  server: Server,
  startMillis: number,
  signal: AbortSignal
): Promise<Error | undefined> =>
  new Promise((resolve) => {
    const fail = (message: string): void => resolve(new NoServer(message))
    const giveUp = (): void => fail("it was given up.")
    signal.addEventListener("abort", giveUp)
    const deadline = setTimeout(
      () =>
        fail(
          `it was not ready within ${startMillis} ms${
            whileLoading(server)
          }, and was killed. To wait longer, raise startTimeout.`
        ),
      startMillis
    )
    child.on("error", (cause) => fail(whyUnborn(options, cause)))
    void server.ended.then((status) => fail(`it ${describeStatus(status)} before it was ready${whileLoading(server)}.`))
    void server.firstWord.then((word) => {
      if (word._tag === "Ready") return resolve(undefined)
      const { message, stack } = word
      const cause = stack === undefined ? {} : { cause: Object.assign(new Error(message), { stack }) }
      resolve(word._tag === "Unsafe" ? new CannotFork(message) : new NoServer(message, cause))
    })
    const clear = (): void => {
      clearTimeout(deadline)
      signal.removeEventListener("abort", giveUp)
    }
    void server.ended.then(clear)
    void server.firstWord.then(clear)
  })

const whileLoading = ({ loading }: Server): string => {
  const module = loading()
  return module === undefined ? "" : `, while it loaded ${JSON.stringify(module)}`
}

type FirstWord = Extract<ServerRecord, { readonly _tag: "Ready" | "Failed" | "Unsafe" }>

interface Server extends ForkServer {
  readonly firstWord: Promise<FirstWord>
  /** The module that it has told of last. */
  readonly loading: () => string | undefined
  readonly ended: Promise<ExitStatus>
  /** From now on only copies keep this program alive. */
  readonly release: () => void
}

/** What has been asked for and has not ended. */
interface Copy {
  readonly born: PromiseWithResolvers<Forked>
  readonly ended: Array<(status: ExitStatus, words: string) => void>
  status: ExitStatus | undefined
  words: string
  /** Nobody waits for it any more: it is killed when it is born. */
  isGivenUp: boolean
}

/** How long a server that has nothing left to do may take to end: one that is stopped does not. */
const leaveMillis = 5000

/** The kernel ends the copies of a server that dies. */
const endedWithServer: ExitStatus = { _tag: "Signaled", signal: "SIGKILL", number: constants.signals.SIGKILL }

const makeServer = (addon: Native, child: ChildProcess, control: number, startMillis: number): Server => {
  const events = child.stdio?.[4] as Socket | undefined // as asked for; none where the system had none left
  const copies = new Map<number, Copy>()
  /** Requests for which the socket had no room: each record says that one was read. */
  const held: Array<readonly [request: Buffer, fds: ReadonlyArray<number>]> = []
  const firstWord = Promise.withResolvers<FirstWord>()
  const ended = Promise.withResolvers<ExitStatus>()
  let loading: string | undefined
  let lastId = 0
  let isOpen = true
  let isReleased = false
  let isLeaving = false

  const closeControl = (): void => {
    if (isOpen) addon.closeDescriptor(control)
    isOpen = false
    held.length = 0
  }
  const send = (request: Buffer, fds: ReadonlyArray<number>): void => {
    if (held.length > 0 || !hand(request, fds)) held.push([request, fds])
  }
  const sendHeld = (): void => {
    while (held.length > 0 && hand(...held[0]!)) held.shift()
  }
  /** False when there is no room now. A server that does not read any more has died: its end is told to all that wait. */
  const hand = (request: Buffer, fds: ReadonlyArray<number>): boolean => {
    try {
      return addon.sendPacket(control, request, fds)
    } catch (cause) {
      if (isGone(cause)) return true
      throw cause
    }
  }
  const keepAlive = (): void => {
    if (!isReleased) return
    if (copies.size > 0) events?.ref()
    else events?.unref()
  }
  const end = (id: number, copy: Copy, status: ExitStatus, words: string): void => {
    copies.delete(id)
    const tell = (): void => {
      copy.status = status
      copy.words = words
      for (const listener of copy.ended) listener(status, words)
    }
    if (isLeaving && copies.size === 0 && isOpen) {
      void leave().then(tell)
    } else {
      keepAlive()
      tell()
    }
  }
  const leave = (): Promise<unknown> => {
    child.ref()
    closeControl()
    void ended.promise.then(after(leaveMillis, () => child.kill("SIGKILL")))
    return ended.promise
  }
  const giveUp = (id: number, copy: Copy): void => {
    copy.isGivenUp = true
    const index = held.findIndex(([request]) => idOf(request) === id)
    if (index >= 0) {
      held.splice(index, 1)
      copies.delete(id)
      keepAlive()
    }
    copy.born.reject(
      new NoServer(
        `the fork server (pid ${child.pid}) did not answer within ${startMillis} ms: is it stopped? To wait longer, raise startTimeout.`
      )
    )
  }
  const forkedAs = (id: number, pid: number, copy: Copy): Forked => ({
    pid,
    kill: (signal) => {
      if (copy.status === undefined && isOpen) send(killRequest(id, constants.signals[signal]), [])
    },
    onEnd: (listener) => copy.status === undefined ? void copy.ended.push(listener) : listener(copy.status, copy.words)
  })
  const onRecord = (record: ServerRecord): void => {
    if (record._tag === "Heard") return sendHeld()
    if (record._tag === "Loading") return void (loading = record.message === "" ? undefined : record.message)
    if (record._tag !== "Forked" && record._tag !== "Exited") return firstWord.resolve(record)
    const copy = copies.get(record.id)
    if (copy === undefined) return
    if (record._tag === "Exited") {
      end(record.id, copy, decodeStatus(record.status), "")
      return sendHeld()
    }
    if (record.error === 0) {
      const forked = forkedAs(record.id, record.pid, copy)
      if (copy.isGivenUp) forked.kill("SIGKILL")
      copy.born.resolve(forked)
    } else {
      copies.delete(record.id)
      keepAlive()
      copy.born.reject(
        new NoServer(
          `the system refused to copy the fork server (pid ${child.pid}): fork failed (${nameOfError(record.error)}).`
        )
      )
    }
    sendHeld()
  }

  const read = makeRecordReader(onRecord)
  events?.on("data", read)
  events?.on("error", () => {}) // a reset is an end
  void ended.promise.then((status) => {
    closeControl()
    const why = new NoServer(`the fork server (pid ${child.pid}) ${describeStatus(status)}.`)
    for (const [id, copy] of copies) {
      copy.born.reject(why)
      end(id, copy, endedWithServer, `It ended with its fork server: ${why.message}`)
    }
  })
  whenOver(child, events, ended.resolve)

  return {
    firstWord: firstWord.promise,
    loading: () => loading,
    ended: ended.promise,
    isUp: () => isOpen,
    release: () => {
      isReleased = true
      child.unref()
      keepAlive()
    },
    fork: async (order, fds): Promise<Forked> => {
      if (!isOpen) throw new NoServer(`the fork server (pid ${child.pid}) has ended.`) // its descriptor may be another's by now
      const copy: Copy = { born: Promise.withResolvers(), ended: [], status: undefined, words: "", isGivenUp: false }
      const id = ++lastId
      copies.set(id, copy)
      keepAlive()
      try {
        send(forkRequest(id, order), fds)
      } catch (cause) {
        copies.delete(id)
        keepAlive()
        throw cause
      }
      const endDeadline = after(startMillis, () => giveUp(id, copy))
      return copy.born.promise.finally(endDeadline)
    },
    close: async () => {
      isLeaving = true
      if (copies.size === 0) await leave()
    }
  }
}

/** When its last record has been read, too. */
const whenOver = (child: ChildProcess, events: Socket | undefined, then: (status: ExitStatus) => void): void => {
  if (child.pid === undefined || events === undefined) {
    child.once("error", () => then({ _tag: "Exited", code: neverRan }))
    return
  }
  const ending = makeEnding({ words: () => "", release: () => {} })
  ending.onEnd(then)
  child.once("exit", (code, signal) => ending.ended(statusOf(code, signal)))
  events.once("close", ending.drained)
}

const isGone = (cause: unknown): boolean => {
  const { code } = cause as { readonly code?: unknown }
  return code === "EPIPE" || code === "ECONNRESET"
}

const nameOfError = (number: number): string => {
  try {
    return getSystemErrorName(-number)
  } catch {
    return `error ${number}`
  }
}
