/** `node benchmark/run.ts [apply|map|start|skew ...] [--rounds N]`: tables on stdout, progress on stderr. */
import { parseArgs } from "node:util"
import { workload as apply } from "./apply.ts"
import { circumstances, runWorkload } from "./harness.ts"
import { workload as map } from "./map.ts"
import { workload as skew } from "./skew.ts"
import { workload as start } from "./start.ts"

const all = [apply, map, start, skew]

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "5" },
    only: { type: "string", default: "" }
  }
})

const rounds = Number(values.rounds)
const unknown = positionals.filter((name) => all.every((workload) => workload.name !== name))
if (!Number.isInteger(rounds) || rounds < 1 || unknown.length > 0) {
  const names = all.map((workload) => workload.name).join("|")
  process.stderr.write(`usage: node benchmark/run.ts [${names} ...] [--rounds N] [--only PART_OF_A_CONTENDER]\n`)
  process.exit(2)
}

process.stdout.write(`${circumstances(rounds)}\n`)
for (const workload of all) {
  if (positionals.length > 0 && !positionals.includes(workload.name)) continue
  const contenders = workload.contenders.filter((contender) => contender.name.includes(values.only))
  if (contenders.length === 0) continue
  process.stdout.write(`\n${await runWorkload({ ...workload, contenders }, rounds)}\n`)
}
