/** Running other programs from the scripts. */
import { spawn, spawnSync } from "node:child_process"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"

/** The checkout. */
export const root: string = fileURLToPath(new URL("../", import.meta.url))

/** The checkout's own Node and tools come first, also when a script is started without npm. */
const environment = {
  ...process.env,
  PATH: `${join(root, "node_modules", ".bin")}${delimiter}${process.env["PATH"] ?? ""}`
}

export interface Output {
  readonly ok: boolean
  /** How it ended, for messages. */
  readonly status: string
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program, shows what it writes, and tells whether it succeeded. */
export const show = (
  command: string,
  args: ReadonlyArray<string>,
  options: { readonly cwd?: string; readonly env?: Record<string, string> } = {}
): boolean =>
  spawnSync(command, args, {
    cwd: options.cwd ?? root,
    env: { ...environment, ...options.env },
    stdio: "inherit"
  }).status === 0

/** Runs a program and keeps what it writes. After the time limit it is killed. */
export const capture = (
  command: string,
  args: ReadonlyArray<string>,
  options: { readonly cwd?: string; readonly limitMillis?: number } = {}
): Promise<Output> =>
  new Promise((resolve) => {
    const limitMillis = options.limitMillis ?? 600_000
    const child = spawn(command, args, {
      cwd: options.cwd ?? root,
      env: { ...environment, NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"]
    })
    let stdout = ""
    let stderr = ""
    let late = false
    const timer = setTimeout(() => {
      late = true
      child.kill("SIGKILL")
      // children of the child may hold the pipes open: they must not hold this program
      child.stdout.destroy()
      child.stderr.destroy()
    }, limitMillis)
    child.stdout.setEncoding("utf8").on("data", (text) => stdout += text)
    child.stderr.setEncoding("utf8").on("data", (text) => stderr += text)
    child.on("error", (error) => {
      clearTimeout(timer)
      resolve({ ok: false, status: error.message, stdout, stderr })
    })
    child.on("close", (code, signal) => {
      clearTimeout(timer)
      const status = late ? `no end within ${limitMillis / 1000} seconds` : signal ?? `exit code ${code}`
      resolve({ ok: code === 0, status, stdout, stderr })
    })
  })

/** Ends the script with a list of what is wrong, or with one line that all is well. */
export const conclude = (problems: ReadonlyArray<string>, fine: string): void => {
  if (problems.length === 0) {
    console.log(fine)
    return
  }
  for (const problem of problems) console.error(problem)
  console.error(`\n${problems.length} ${problems.length === 1 ? "problem" : "problems"}`)
  process.exitCode = 1
}
