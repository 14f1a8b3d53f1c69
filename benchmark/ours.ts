/**
 * The library as its users get it: the built package where there is one, else the sources. `BENCHMARK_OURS=src` or
 * `dist` decides otherwise. Only the small Task module is loaded at once: task modules import this file too.
 */
import { existsSync } from "node:fs"

const wanted = process.env["BENCHMARK_OURS"]

const dist = new URL("../dist/index.js", import.meta.url)

export const built: boolean = wanted === "dist" || (wanted !== "src" && existsSync(dist))

const locate = (module: string): string => built ? `../dist/${module}.js` : `../src/${module}.ts`

export const Task: typeof import("../src/Task.ts") = await import(locate("Task"))

export const load = (): Promise<typeof import("../src/index.ts")> => import(locate("index"))
