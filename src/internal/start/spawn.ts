/**
 * Children that are OS processes: a fresh Node that boots the runner. It talks over inherited socket pairs, so there is
 * no file and no address. The README beside this file draws the descriptors.
 */
import { Buffer } from "node:buffer"
import { spawn as spawnProcess } from "node:child_process"
import type { StdioOptions } from "node:child_process"
import { existsSync } from "node:fs"
import { constants } from "node:os"
import type { Readable, Writable } from "node:stream"
import { fileURLToPath } from "node:url"
import type { ExitStatus } from "../../ProcessError.ts"
import { fromStreams } from "../channel/socket.ts"
import { maxFrameBytes } from "../protocol/frames.ts"
import type { Boot, ToChild, ToParent } from "../protocol/messages.ts"
import { capture } from "./capture.ts"
import { defaultStartMillis, lastLines, launchChild, neverRan } from "./child.ts"
import { runnerUrl } from "./entry.ts"
import type { Body, Launcher } from "./Launcher.ts"

/** Plain data: a child starts its own children with the same. */
export interface SpawnOptions {
  readonly execPath?: string | undefined
  readonly execArgv?: ReadonlyArray<string> | undefined
  readonly env?: Record<string, string> | undefined
  readonly extendEnv?: Record<string, string> | undefined
  readonly cwd?: string | undefined
  readonly stdio?: "inherit" | "capture" | undefined
  readonly startMillis?: number | undefined
  readonly maxMessageBytes?: number | undefined
}

/** The value of these may begin with a dash. */
const takesCode = new Set(["-e", "--eval", "-p", "--print", "-pe"])
const own = /^(-e|--eval|-p|--print|-pe|-c|--check|-i|--interactive|--input-type|--inspect|--test|--watch|--run)(\b|$)/

/** The flags of this process that make sense for a child: not its script, its debugger, or its test runner. */
export const inheritedFlags = (flags: ReadonlyArray<string>): ReadonlyArray<string> => {
  const kept: Array<string> = []
  for (let i = 0; i < flags.length; i++) {
    const flag = flags[i]!
    if (!own.test(flag)) {
      kept.push(flag)
      continue
    }
    if (takesCode.has(flag)) i++
    // what stands apart from a flag that is left out is its value
    else while (i + 1 < flags.length && !flags[i + 1]!.startsWith("-")) i++
  }
  return kept
}

const environment = (options: SpawnOptions): NodeJS.ProcessEnv => {
  const { NODE_CHANNEL_FD: _channel, NODE_CHANNEL_SERIALIZATION_MODE: _mode, ...base } = options.env ?? process.env
  return { ...base, ...options.extendEnv }
}

const statusOf = (code: number | null, signal: NodeJS.Signals | null): ExitStatus =>
  signal === null
    ? { _tag: "Exited", code: code ?? 1 }
    : { _tag: "Signaled", signal, number: constants.signals[signal] }

/** The thread at the other end answers each byte with a number, in order. */
const askThrough = (alive: Readable & Writable): (question: "?" | "m", answer: (answer: number) => void) => void => {
  const waiting: Array<(answer: number) => void> = []
  let received = Buffer.alloc(0)
  alive.on("error", () => {})
  alive.on("data", (block: Buffer) => {
    received = Buffer.concat([received, block])
    while (received.length >= 8) {
      const answer = received.readDoubleLE(0)
      received = received.subarray(8)
      waiting.shift()?.(answer)
    }
  })
  return (question, answer) => {
    waiting.push(answer)
    if (!alive.destroyed) alive.write(question)
  }
}

const whyUnborn = ({ cwd, execPath }: SpawnOptions, cause: Error): string =>
  cwd !== undefined && !existsSync(cwd)
    ? `its working directory ${cwd} does not exist (option cwd).`
    : `${execPath ?? process.execPath} could not be started (option execPath): ${cause.message}`

/** The system had no descriptors left, or no processes: Node gives a child without streams. */
const unborn = (options: SpawnOptions, failed: Promise<Error>): Body => ({
  pid: 0,
  channel: {
    sharesMemory: false,
    transfers: false,
    post: () => {},
    listen: () => {},
    close: () => {}
  },
  onEnd: (listener) =>
    void failed.then((cause) => listener({ _tag: "Exited", code: neverRan }, whyUnborn(options, cause))),
  running: () => {},
  memory: () => {},
  kill: () => {},
  stdout: undefined,
  stderr: undefined
})

const makeBody = (options: SpawnOptions, boot: Boot): Body => {
  const limit = options.maxMessageBytes ?? maxFrameBytes
  const captured = options.stdio === "capture"
  const output = captured ? "pipe" : "inherit"
  // 3: to the child, 4: back, 5: open as long as this process lives
  const stdio: StdioOptions = ["ignore", output, output, "pipe", "pipe", "pipe"]
  const child = spawnProcess(
    options.execPath ?? process.execPath,
    [...options.execArgv ?? inheritedFlags(process.execArgv), fileURLToPath(runnerUrl("processMain")), String(limit)],
    { stdio, env: environment(options), ...(options.cwd === undefined ? {} : { cwd: options.cwd }) }
  )
  const failed = new Promise<Error>((resolve) => child.on("error", resolve))
  if (child.stdio === undefined) return unborn(options, failed)
  const [, stdout, stderr, toChild, fromChild, alive] = child.stdio as unknown as ReadonlyArray<Readable & Writable> // as asked for
  const ask = askThrough(alive!)
  const channel = fromStreams<ToChild, ToParent>(toChild!, fromChild!, limit)
  const errors = captured ? capture(stderr!, boot.once) : undefined
  let onEnd: ((status: ExitStatus, words: string) => void) | undefined
  let status: ExitStatus | undefined
  let failure = ""
  let drained = false

  const settle = (): void => {
    // the last report may still be in the socket when the exit is known: both have to be over
    if (status === undefined || !drained || onEnd === undefined) return
    const tell = onEnd
    onEnd = undefined
    alive!.destroy()
    tell(status, lastLines(failure === "" ? errors?.tail() ?? "" : failure))
  }

  void failed.then((cause) => {
    if (child.pid !== undefined) return // a signal that could not be sent: the child lives, or its exit is on the way
    failure = whyUnborn(options, cause)
    status = { _tag: "Exited", code: neverRan }
    drained = true
    settle()
  })
  child.once("exit", (code, signal) => {
    status = statusOf(code, signal)
    settle()
  })
  fromChild!.once("close", () => {
    drained = true
    settle()
  })

  return {
    pid: child.pid ?? 0,
    channel,
    onEnd: (listener) => {
      onEnd = listener
      settle()
    },
    running: (answer) => ask("?", (run) => answer(run < 0 ? undefined : run)),
    memory: (answer) => ask("m", answer),
    kill: (signal) => void child.kill(signal),
    stdout: captured ? capture(stdout!, boot.once) : undefined,
    stderr: errors
  }
}

export const spawn = (options: SpawnOptions): Launcher => ({
  name: "spawn",
  border: { sharesMemory: false },
  options,
  launch: (boot) => launchChild(boot, options.startMillis ?? defaultStartMillis, () => makeBody(options, boot))
})
