/**
 * Runs a workload: every contender in a fresh process of its own (an "arm"), round after round. The result is one
 * Markdown table per group. An arm gets its order as JSON in its first argument and prints one line, `{"ms": number}`.
 */
import { spawn, spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import * as os from "node:os"
import { fileURLToPath } from "node:url"
import { built } from "./ours.ts"
import type { Order } from "./orders.ts"

export interface Contender {
  readonly name: string
  readonly group: string
  /** Ratios are taken against rivals; a reference is only there for scale. */
  readonly role: "ours" | "rival" | "tuned" | "reference"
  /** A file in `arms/`. */
  readonly arm: string
  readonly order: Order
}

export interface Workload {
  readonly name: string
  readonly title: string
  /** What is done and what the clock covers: sentences, printed above the tables. */
  readonly about: ReadonlyArray<string>
  readonly unit: string
  readonly better: "more" | "less"
  /** From the milliseconds that an arm took to the figure in the table. */
  readonly figure: (ms: number) => number
  /** For one arm, from its start to its exit. */
  readonly limitMillis: number
  /** Groups in the order of their tables; `reference` names the contender, of any group, of a further ratio. */
  readonly groups: ReadonlyArray<{ readonly name: string; readonly reference?: string }>
  readonly contenders: ReadonlyArray<Contender>
}

type Outcome =
  | { readonly _tag: "Measured"; readonly ms: number; readonly farewell: string | undefined }
  | { readonly _tag: "Failed"; readonly why: string; readonly hung: boolean }

const root = fileURLToPath(new URL("../", import.meta.url))

const python = process.env["PYTHON"] ?? "python3"

/** How long an arm may take to leave after it has printed its result. */
const exitMillis = 10_000

const commandOf = (contender: Contender): ReadonlyArray<string> => {
  const file = fileURLToPath(new URL(`./arms/${contender.arm}`, import.meta.url))
  return [...(file.endsWith(".py") ? [python] : [process.execPath]), file, JSON.stringify(contender.order)]
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

const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

const digits = (value: number): string =>
  value >= 1_000 ? Math.round(value).toLocaleString("en-US") : value >= 100 ? value.toFixed(0) : value.toPrecision(3)

const times = (value: number): string => `${value >= 100 ? value.toFixed(0) : value.toPrecision(3)}x`

interface Row {
  readonly contender: Contender
  readonly figures: ReadonlyArray<number>
  readonly notes: ReadonlyArray<string>
}

const rowOf = (workload: Workload, contender: Contender, outcomes: ReadonlyArray<Outcome>): Row => {
  const figures = outcomes.flatMap((outcome) => outcome._tag === "Measured" ? [workload.figure(outcome.ms)] : [])
  const remarks = outcomes.flatMap((outcome) => {
    const remark = outcome._tag === "Measured" ? outcome.farewell : `failed: ${outcome.why}`
    return remark === undefined ? [] : [remark]
  })
  const notes = [...new Set(remarks)].map((remark) => {
    const count = remarks.filter((other) => other === remark).length
    return `- ${contender.group}, ${contender.name}: ${remark} (${count} of ${outcomes.length} runs)`
  })
  return { contender, figures, notes }
}

const table = (workload: Workload, group: Workload["groups"][number], all: ReadonlyArray<Row>): string => {
  const rows = all.filter((row) => row.contender.group === group.name)
  const better = workload.better === "more" ? Math.max : Math.min
  const best = (roles: ReadonlyArray<Contender["role"]>): number | undefined => {
    const medians = rows.filter((row) => roles.includes(row.contender.role) && row.figures.length > 0)
      .map((row) => median(row.figures))
    return medians.length === 0 ? undefined : better(...medians)
  }
  const tuned = rows.some((row) => row.contender.role === "tuned")
  const reference = all.find((row) => row.contender.name === group.reference)
  const columns: Array<readonly [title: string, against: number | undefined]> = []
  const defaults = best(["rival"])
  if (defaults !== undefined) columns.push([tuned ? "to the best rival at defaults" : "to the best rival", defaults])
  if (tuned) columns.push(["to the best rival, tuned or not", best(["rival", "tuned"])])
  if (reference !== undefined && reference.figures.length > 0) {
    columns.push([`to ${reference.contender.name}`, median(reference.figures)])
  }
  const cells = (row: Row): ReadonlyArray<string> => {
    const name = row.contender.role === "ours" ? `**${row.contender.name}**` : row.contender.name
    if (row.figures.length === 0) return [name, "failed", "", ...columns.map(() => "")]
    const middle = median(row.figures)
    return [
      name,
      digits(middle),
      `${digits(Math.min(...row.figures))}..${digits(Math.max(...row.figures))}`,
      ...columns.map(([, against]) =>
        against === undefined ? "" : times(workload.better === "more" ? middle / against : against / middle)
      )
    ]
  }
  const header = [group.name, `${workload.unit}, median`, "min..max", ...columns.map(([title]) => title)]
  const lines = [header, header.map((_, index) => index === 0 ? "--" : "--:"), ...rows.map(cells)]
  return lines.map((line) => `| ${line.join(" | ")} |`).join("\n")
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

/** Where the numbers come from: a table without this is not worth pasting. */
export const circumstances = (rounds: number): string => {
  const cpus = os.cpus()
  const cpu = cpus[0]?.model.trim() ?? "unknown CPU"
  const ours = `effect-multiprocessing ${versionOf("..")}`
  const from = built ? "`dist`" : "`src` (not the built package: its children start slower)"
  const packages = ["effect", "piscina", "tinypool", "workerpool", "poolifier"]
    .map((name) => `${name} ${versionOf(`../node_modules/${name}`)}`)
  return [
    `Machine: ${cpu}, ${cpus.length} cores, ${os.platform()} ${os.release()} ${os.arch()}.`,
    `Node ${process.versions.node}, ${pythonVersion()}, ${packages.join(", ")}; ${ours} from ${from}.`,
    `${rounds} interleaved rounds, a fresh process for each contender in each; pools of 2. A ratio above 1x is faster.`
  ].join("\n")
}

export const runWorkload = async (workload: Workload, rounds: number): Promise<string> => {
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
  const rows = contenders.map((contender) => rowOf(workload, contender, outcomes.get(contender) ?? []))
  const tables = workload.groups.filter((group) => rows.some((row) => row.contender.group === group.name))
    .map((group) => table(workload, group, rows))
  const notes = rows.flatMap((row) => row.notes).join("\n")
  const machine = `Load average before ${before}, after ${load()}.`
  return [`## ${workload.title}`, workload.about.join(" "), ...tables, notes, machine].filter((part) => part !== "")
    .join("\n\n")
}
