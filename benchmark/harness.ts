/**
 * Runs a workload: every contender in a fresh process of its own (an "arm"), round after round. An arm gets its order as JSON in its first argument and prints one line, `{"ms": number}`.
 */
import { spawn, spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import * as os from "node:os"
import { fileURLToPath } from "node:url"
import { built } from "./ours.ts"
import type { Order } from "./orders.ts"
import { digits, median } from "./results.ts"
import type { Circumstances, ContenderResult, WorkloadResult } from "./results.ts"

export interface Contender {
  readonly name: string
  readonly group: string
  readonly role: ContenderResult["role"]
  /** A file in `arms/`. */
  readonly arm: string
  readonly order: Order
}

export interface Workload {
  readonly name: string
  readonly title: string
  /** What is done and what the clock covers: sentences, printed above the tables. */
  readonly about: WorkloadResult["about"]
  readonly unit: string
  readonly better: WorkloadResult["better"]
  /** From the milliseconds that an arm took to the figure in the table. */
  readonly figure: (ms: number) => number
  /** For one arm, from its start to its exit. */
  readonly limitMillis: number
  /** Groups in the order of their tables; `reference` names the contender, of the group or else of any, of a further ratio. */
  readonly groups: WorkloadResult["groups"]
  readonly contenders: ReadonlyArray<Contender>
}

type Outcome =
  | { readonly _tag: "Measured"; readonly ms: number; readonly farewell: string | undefined }
  | { readonly _tag: "Failed"; readonly why: string; readonly hung: boolean }

const root = fileURLToPath(new URL("../", import.meta.url))

const python = process.env["PYTHON"] ?? "python3"

/** Where each arm in JavaScript, and its children, leave a profile of what took their time. Profiled arms are slower. */
const profiles = process.env["BENCHMARK_PROFILES"]

/** How long an arm may take to leave after it has printed its result. */
const exitMillis = 10_000

const commandOf = (contender: Contender): ReadonlyArray<string> => {
  const file = fileURLToPath(new URL(`./arms/${contender.arm}`, import.meta.url))
  const profile = profiles === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profiles}`]
  return [...(file.endsWith(".py") ? [python] : [process.execPath, ...profile]), file, JSON.stringify(contender.order)]
}

let running: number | undefined

/** The arm leads a process group of its own, so that one signal also reaches the workers of a rival that hangs. */
const killGroup = (pid: number): void => {
  try {
    process.kill(process.platform === "win32" ? pid : -pid, "SIGKILL")
  } catch {
    // it has left by itself meanwhile
  }
}

for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  process.once(signal, () => {
    if (running !== undefined) killGroup(running)
    process.exit(code)
  })
}

const measuredMillis = (stdout: string): number | undefined => {
  for (const line of stdout.split("\n")) {
    if (!line.startsWith("{\"ms\"")) continue
    const result: { readonly ms?: unknown } = JSON.parse(line)
    if (typeof result.ms === "number") return result.ms
  }
  return undefined
}

/** The line of a stack or traceback that says most, without the path of this checkout. */
const complaint = (stderr: string): string => {
  const lines = stderr.replaceAll(root, "./").split("\n").map((line) => line.trim()).filter((line) => line !== "")
  const telling = lines.find((line) => /^[\w.]*(Error|Exception|Failure)\b/.test(line)) ?? lines.at(-1)
  return (telling ?? "no message").slice(0, 200)
}

const runArm = (contender: Contender, limitMillis: number): Promise<Outcome> =>
  new Promise((resolve) => {
    const [command = "", ...args] = commandOf(contender)
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], detached: process.platform !== "win32" })
    running = child.pid
    let stdout = ""
    let stderr = ""
    let overdue = false
    const giveUp = (): void => {
      overdue = true
      if (child.pid !== undefined) killGroup(child.pid)
    }
    let timer = setTimeout(giveUp, limitMillis)
    const settle = (outcome: Outcome): void => {
      clearTimeout(timer)
      running = undefined
      resolve(outcome)
    }
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text
      if (measuredMillis(stdout) === undefined) return
      clearTimeout(timer)
      timer = setTimeout(giveUp, exitMillis)
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text
    })
    child.on("error", (error) => settle({ _tag: "Failed", why: error.message, hung: false }))
    child.on("close", (code, signal) => {
      // what the arm left behind in its group must not disturb the next one
      if (child.pid !== undefined) killGroup(child.pid)
      const ms = measuredMillis(stdout)
      const end = signal ?? `exit code ${code}`
      if (ms === undefined) {
        const why = overdue ? `hangs: killed after ${limitMillis / 1_000} s` : `${complaint(stderr)} (${end})`
        settle({ _tag: "Failed", why, hung: overdue })
      } else {
        const farewell = overdue
          ? `did not exit within ${exitMillis / 1_000} s of its result`
          : code === 0
          ? undefined
          : `gave its result and then left with ${end}`
        settle({ _tag: "Measured", ms, farewell })
      }
    })
  })

const resultOf = (workload: Workload, contender: Contender, outcomes: ReadonlyArray<Outcome>): ContenderResult => {
  const figures = outcomes.flatMap((outcome) => outcome._tag === "Measured" ? [workload.figure(outcome.ms)] : [])
  const remarks = outcomes.flatMap((outcome) => {
    const remark = outcome._tag === "Measured" ? outcome.farewell : `failed: ${outcome.why}`
    return remark === undefined ? [] : [remark]
  })
  const notes = [...new Set(remarks)].map((remark) => {
    const count = remarks.filter((other) => other === remark).length
    return `${remark} (${count} of ${outcomes.length} runs)`
  })
  const { group, name, role } = contender
  return {
    group,
    name,
    role,
    figures,
    ...(figures.length === 0
      ? {}
      : { median: median(figures), min: Math.min(...figures), max: Math.max(...figures) }),
    notes
  }
}

const versionOf = (directory: string): string => {
  const text = readFileSync(new URL(`${directory}/package.json`, import.meta.url), "utf8")
  const manifest: { readonly version?: string } = JSON.parse(text)
  return manifest.version ?? "?"
}

const pythonVersion = (): string => {
  const asked = spawnSync(python, ["--version"], { encoding: "utf8" })
  return asked.status === 0 ? asked.stdout.trim() : "Python not found"
}

const load = (): string => os.loadavg().map((value) => value.toFixed(1)).join(" ")

export const circumstancesOf = (rounds: number): Circumstances => {
  const cpus = os.cpus()
  const cpu = cpus[0]?.model.trim() ?? "unknown CPU"
  const ours = `effect-multiprocessing ${versionOf("..")}`
  const from = built ? "dist" : "src (not the built package: its children start slower)"
  const packages = ["effect", "piscina", "tinypool", "workerpool", "poolifier"]
    .map((name) => `${name} ${versionOf(`../node_modules/${name}`)}`)
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpu}, ${cpus.length} cores, ${os.platform()} ${os.release()} ${os.arch()}`,
    versions: `Node ${process.versions.node}, ${pythonVersion()}, ${packages.join(", ")}; ${ours} from ${from}`,
    rounds
  }
}

export const runWorkload = async (workload: Workload, rounds: number): Promise<WorkloadResult> => {
  const { contenders } = workload
  const outcomes = new Map<Contender, Array<Outcome>>(contenders.map((contender) => [contender, []]))
  const before = load()
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < contenders.length; i++) {
      // each round starts with another contender: nobody always runs after the same neighbour's leftovers
      const contender = contenders[(i + round * Math.ceil(contenders.length / rounds)) % contenders.length]
      if (contender === undefined) continue
      const seen = outcomes.get(contender)
      // a rival that hangs does so in every round: two are enough to say it
      const hung = seen?.filter((outcome) => outcome._tag === "Failed" && outcome.hung).length ?? 0
      if (seen === undefined || hung >= 2) continue
      const outcome = await runArm(contender, workload.limitMillis)
      seen.push(outcome)
      const who = `${contender.group}: ${contender.name}`
      const result = outcome._tag === "Failed"
        ? outcome.why
        : `${digits(workload.figure(outcome.ms))} ${workload.unit}`
      process.stderr.write(`${workload.name} ${round + 1}/${rounds}  ${who}: ${result}\n`)
    }
  }
  const { about, better, groups, name, title, unit } = workload
  return {
    name,
    title,
    about,
    unit,
    better,
    groups,
    contenders: contenders.map((contender) => resultOf(workload, contender, outcomes.get(contender) ?? [])),
    load: { before, after: load() }
  }
}
