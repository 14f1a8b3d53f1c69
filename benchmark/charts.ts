/**
 * Draws results: `node benchmark/charts.ts FILE...` reads what `--json` has written, and writes `docs/charts/NAME.svg`
 * for each workload in it. A bar is a median, the line over its end is the range of the rounds.
 *
 * A picture has a background of its own, so that it can be read on any page, and is dark where the reader wants dark.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { digits } from "./results.ts"
import type { Circumstances, ContenderResult, Results, WorkloadResult } from "./results.ts"

const folder = new URL("../docs/charts/", import.meta.url)

const width = 860
const margin = 20
/** Where bars begin and the longest one ends; the names stand to the left, the figures to the right. */
const left = 290
const right = 740
const rowHeight = 24
const barHeight = 14
const charactersPerLine = 130

const style = `
  .card { fill: #ffffff; stroke: #d0d7de }
  text { fill: #1f2328; font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif }
  .title { font-size: 16px; font-weight: 600 }
  .group { font-weight: 600 }
  .quiet { fill: #59636e; font-size: 11px }
  .own { font-weight: 700; fill: #bc4c00 }
  .ours { fill: #e8590c }
  .rival { fill: #74899e }
  .tuned { fill: #9fb0c0 }
  .reference { fill: none; stroke: #74899e; stroke-dasharray: 3 2 }
  .range, .axis { stroke: #1f2328; stroke-width: 1.2 }
  .axis { opacity: 0.35 }
  @media (prefers-color-scheme: dark) {
    .card { fill: #151b23; stroke: #3d444d }
    text { fill: #f0f6fc }
    .quiet { fill: #9198a1 }
    .own { fill: #ff9a57 }
    .ours { fill: #f76707 }
    .rival { fill: #6e8195 }
    .tuned { fill: #4a5866 }
    .reference { stroke: #8b9bab }
    .range, .axis { stroke: #f0f6fc }
  }`

const escape = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

/** Names are Markdown: a picture has no code. */
const words = (text: string): string => escape(text.replaceAll("`", ""))

const text = (x: number, y: number, content: string, kind = "", anchor = "start"): string =>
  `<text x="${x}" y="${y}"${kind === "" ? "" : ` class="${kind}"`}${
    anchor === "start" ? "" : ` text-anchor="${anchor}"`
  }>${content}</text>`

const line = (x1: number, y1: number, x2: number, y2: number, kind: string): string =>
  `<line x1="${x1.toFixed(1)}" y1="${y1}" x2="${x2.toFixed(1)}" y2="${y2}" class="${kind}"/>`

interface Measured extends ContenderResult {
  readonly median: number
  readonly min: number
  readonly max: number
}

const isMeasured = (row: ContenderResult): row is Measured => row.median !== undefined

/** The greatest figure that has room. A wild round may leave the picture: its line then has no end. */
const scaleOf = (rows: ReadonlyArray<Measured>): number =>
  Math.min(Math.max(...rows.map((row) => row.max)), 1.5 * Math.max(...rows.map((row) => row.median)))

const drawRow = (row: Measured, y: number, top: number): ReadonlyArray<string> => {
  const place = (value: number): number => left + (right - left) * Math.min(1, value / top)
  const middle = y + barHeight / 2
  const bar = Math.max(1, place(row.median) - left)
  const ends = [row.min, ...(row.max <= top ? [row.max] : [])]
  return [
    text(left - 10, y + 12, words(row.name), row.role === "ours" ? "own" : "", "end"),
    `<rect x="${left}" y="${y}" width="${bar.toFixed(1)}" height="${barHeight}" rx="2" class="${row.role}"/>`,
    line(place(row.min), middle, place(row.max), middle, "range"),
    ...ends.map((end) => line(place(end), middle - 4, place(end), middle + 4, "range")),
    text(right + 12, y + 12, digits(row.median), row.role === "ours" ? "own" : "")
  ]
}

const wrap = (sentence: string): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (const word of sentence.split(" ")) {
    const last = lines.at(-1)
    if (last === undefined || last.length + word.length >= charactersPerLine) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines
}

/** The legend of the kinds of bars that are there. */
const legends: ReadonlyArray<readonly [role: ContenderResult["role"], says: string]> = [
  ["ours", "ours"],
  ["rival", "a rival"],
  ["tuned", "a rival, tuned"],
  ["reference", "for scale"]
]

const drawLegend = (rows: ReadonlyArray<ContenderResult>, y: number): ReadonlyArray<string> =>
  legends.filter(([role]) => rows.some((row) => row.role === role)).flatMap(([role, says], index) => {
    const x = margin + index * 110
    return [
      `<rect x="${x}" y="${y - 9}" width="12" height="10" rx="2" class="${role}"/>`,
      text(x + 18, y, says, "quiet")
    ]
  })

export const draw = (workload: WorkloadResult, { date, machine, rounds, versions }: Circumstances): string => {
  const { better, contenders, groups, title, unit } = workload
  const parts: Array<string> = [text(margin, 34, words(title), "title")]
  parts.push(text(margin, 54, `${escape(unit)}, ${better === "more" ? "longer" : "shorter"} is better`, "quiet"))
  let y = 66
  for (const group of groups) {
    const rows = contenders.filter((row) => row.group === group.name).filter(isMeasured)
      .sort((a, b) => better === "more" ? b.median - a.median : a.median - b.median)
    if (rows.length === 0) continue
    y += 22
    parts.push(text(margin, y, words(group.name), "group"))
    y += 10
    const top = scaleOf(rows)
    const begin = y
    for (const row of rows) {
      parts.push(...drawRow(row, y + (rowHeight - barHeight) / 2, top))
      y += rowHeight
    }
    parts.push(line(left, begin, left, y, "axis"))
  }
  y += 22
  parts.push(...drawLegend(contenders.filter(isMeasured), y))
  const said = `Medians and ranges of ${rounds} rounds, ${date}, ${machine}. ${versions}.`
  for (const part of wrap(said)) {
    y += 16
    parts.push(text(margin, y, escape(part), "quiet"))
  }
  const height = y + margin
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${words(title)}</title>`,
    `<style>${style}\n</style>`,
    `<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8" class="card"/>`,
    ...parts,
    "</svg>",
    ""
  ].join("\n")
}

export const writeCharts = ({ circumstances, workloads }: Results): void => {
  mkdirSync(folder, { recursive: true })
  for (const workload of workloads) {
    writeFileSync(new URL(`${workload.name}.svg`, folder), draw(workload, circumstances))
    process.stderr.write(`docs/charts/${workload.name}.svg\n`)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const files = process.argv.slice(2)
  if (files.length === 0) {
    process.stderr.write("usage: node benchmark/charts.ts FILE...\n")
    process.exit(2)
  }
  for (const file of files) writeCharts(JSON.parse(readFileSync(file, "utf8")) as Results)
}
