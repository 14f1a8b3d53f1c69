/**
 * How a process of Node is started with the options of spawn, and what it means that it ended or was never born.
 */
import { spawn } from "node:child_process"
import type { ChildProcess, StdioOptions } from "node:child_process"
import { existsSync } from "node:fs"
import { constants } from "node:os"
import { fileURLToPath } from "node:url"
import type { ExitStatus } from "../../ProcessError.ts"
import { runnerUrl } from "./entry.ts"
import type { RunnerName } from "./entry.ts"

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

/** A Node with these options that runs a file of the runner. */
export const startNode = (
  options: SpawnOptions,
  name: RunnerName,
  args: ReadonlyArray<string>,
  stdio: StdioOptions
): ChildProcess =>
  spawn(
    options.execPath ?? process.execPath,
    [...options.execArgv ?? inheritedFlags(process.execArgv), fileURLToPath(runnerUrl(name)), ...args],
    {
      stdio,
      // for a child with "ipc": structured clone, not JSON
      serialization: "advanced",
      env: environment(options),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd })
    }
  )

export const statusOf = (code: number | null, signal: NodeJS.Signals | null): ExitStatus =>
  signal === null
    ? { _tag: "Exited", code: code ?? 1 }
    : { _tag: "Signaled", signal, number: constants.signals[signal] }

export const whyUnborn = ({ cwd, execPath }: SpawnOptions, cause: Error): string =>
  cwd !== undefined && !existsSync(cwd)
    ? `its working directory ${cwd} does not exist (option cwd).`
    : `${execPath ?? process.execPath} could not be started (option execPath): ${cause.message}`
