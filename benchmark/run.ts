/** Runs workloads: tables on stdout, progress on stderr, and what else is asked for into files. */
import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { workload as apply } from "./apply.ts"
import { workload as cell } from "./cell.ts"
import { writeCharts } from "./charts.ts"
import { workload as child } from "./child.ts"
import { circumstancesOf, runWorkload } from "./harness.ts"
import { workload as inPlace } from "./inPlace.ts"
import { workload as map } from "./map.ts"
import { workload as payload } from "./payload.ts"
import { workload as pipe } from "./pipe.ts"
import { workload as manager } from "./manager.ts"
import { workload as queue } from "./queue.ts"
import type { WorkloadResult } from "./results.ts"
import { workload as skew } from "./skew.ts"
import { workload as start } from "./start.ts"
import { describeCircumstances, describeWorkload } from "./tables.ts"
import { workload as typed } from "./typed.ts"

const all = [apply, map, typed, skew, start, child, payload, inPlace, cell, pipe, queue, manager]

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "5" },
    only: { type: "string", default: "" },
    json: { type: "string" },
    charts: { type: "boolean", default: false }
  }
})

const rounds = Number(values.rounds)
const unknown = positionals.filter((name) => all.every((workload) => workload.name !== name))
if (!Number.isInteger(rounds) || rounds < 1 || unknown.length > 0) {
  const names = all.map((workload) => workload.name).join("|")
  const options = "[--rounds N] [--only PART_OF_A_CONTENDER] [--json FILE] [--charts]"
  process.stderr.write(`usage: node benchmark/run.ts [${names} ...] ${options}\n`)
  process.exit(2)
}

const circumstances = circumstancesOf(rounds)
const workloads: Array<WorkloadResult> = []

process.stdout.write(`${describeCircumstances(circumstances)}\n`)
for (const workload of all) {
  if (positionals.length > 0 && !positionals.includes(workload.name)) continue
  const contenders = workload.contenders.filter((contender) => contender.name.includes(values.only))
  if (contenders.length === 0) continue
  const result = await runWorkload({ ...workload, contenders }, rounds)
  workloads.push(result)
  process.stdout.write(`\n${describeWorkload(result)}\n`)
  // after each: a long run that is stopped has not been for nothing
  const results = { circumstances, workloads }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, undefined, 2)}\n`)
}

if (values.charts) writeCharts({ circumstances, workloads })
