/** Results as Markdown: a table per group. */
import { digits } from "./results.ts"
import type { Circumstances, ContenderResult, WorkloadResult } from "./results.ts"

const times = (value: number): string => `${value >= 100 ? value.toFixed(0) : value.toPrecision(3)}x`

const table = (workload: WorkloadResult, group: WorkloadResult["groups"][number]): string => {
  const rows = workload.contenders.filter((row) => row.group === group.name)
  const better = workload.better === "more" ? Math.max : Math.min
  const best = (roles: ReadonlyArray<ContenderResult["role"]>): number | undefined => {
    const medians = rows.flatMap(({ median, role }) => roles.includes(role) && median !== undefined ? [median] : [])
    return medians.length === 0 ? undefined : better(...medians)
  }
  const tuned = rows.some((row) => row.role === "tuned")
  const isReference = ({ name }: ContenderResult): boolean => name === group.reference
  const reference = rows.find(isReference) ?? workload.contenders.find(isReference)
  const columns: Array<readonly [title: string, against: number | undefined]> = []
  const defaults = best(["rival"])
  if (defaults !== undefined) columns.push([tuned ? "to the best rival at defaults" : "to the best rival", defaults])
  if (tuned) columns.push(["to the best rival, tuned or not", best(["rival", "tuned"])])
  if (reference?.median !== undefined) columns.push([`to ${reference.name}`, reference.median])
  const cells = (row: ContenderResult): ReadonlyArray<string> => {
    const name = row.role === "ours" ? `**${row.name}**` : row.name
    const { max, median, min } = row
    if (median === undefined || min === undefined || max === undefined) {
      return [name, "failed", "", ...columns.map(() => "")]
    }
    return [
      name,
      digits(median),
      `${digits(min)}..${digits(max)}`,
      ...columns.map(([, against]) =>
        against === undefined ? "" : times(workload.better === "more" ? median / against : against / median)
      )
    ]
  }
  const header = [group.name, `${workload.unit}, median`, "min..max", ...columns.map(([title]) => title)]
  const lines = [header, header.map((_, index) => index === 0 ? "--" : "--:"), ...rows.map(cells)]
  return lines.map((line) => `| ${line.join(" | ")} |`).join("\n")
}

export const describeCircumstances = ({ machine, rounds, versions }: Circumstances): string =>
  [
    `Machine: ${machine}.`,
    `${versions}.`,
    `${rounds} interleaved rounds, a fresh process for each contender in each; pools of 2. A ratio above 1x is faster.`
  ].join("\n")

export const describeWorkload = (workload: WorkloadResult): string => {
  const { about, contenders, groups, load, title } = workload
  const tables = groups.filter((group) => contenders.some((row) => row.group === group.name))
    .map((group) => table(workload, group))
  const notes = contenders.flatMap(({ group, name, notes }) => notes.map((note) => `- ${group}, ${name}: ${note}`))
  const machine = `Load average before ${load.before}, after ${load.after}.`
  return [`## ${title}`, about.join(" "), ...tables, notes.join("\n"), machine].filter((part) => part !== "")
    .join("\n\n")
}
