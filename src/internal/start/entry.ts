import { availableParallelism } from "node:os"

/** What a child can boot: the session of a process or a thread, or a module of the user's. */
export type RunnerName = "processMain" | "threadMain" | "moduleMain" | "forkServerMain"

/**
 * Where the runner lies that a child boots. In the built package it is one bundled file; beside the sources it is a
 * TypeScript file, which Node strips.
 */
export const runnerUrl = (name: RunnerName): URL => {
  const extension = import.meta.url.endsWith(".ts") ? ".ts" : ".js"
  return new URL(`../runner/${name}${extension}`, import.meta.url)
}

/** How many workers a pool has by default: the processors that this process may use. */
export const availableProcesses = (): number => availableParallelism()
