/**
 * The weight that every worker of the start-up workload carries: the Task module. It is required and not imported,
 * because which file it is (built or source) is known only now, and an `await` at the top would keep some pools from
 * loading the module in one go. This folder is JavaScript on purpose: the first TypeScript file costs a thread or
 * process about as much as the whole start of a bare one.
 */
import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import { threadId } from "node:worker_threads"

const wanted = process.env.BENCHMARK_OURS
const dist = new URL("../../../dist/index.js", import.meta.url)
const built = wanted === "dist" || (wanted !== "src" && existsSync(dist))

export const Task = createRequire(import.meta.url)(built ? "../../../dist/Task.js" : "../../../src/Task.ts")

export const whoami = () => `${process.pid}.${threadId}`
