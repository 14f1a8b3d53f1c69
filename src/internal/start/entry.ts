import { availableParallelism } from "node:os"

/**
 * Where the runner lies that a child boots. In the built package it is one bundled file; beside the sources it is a
 * TypeScript file, which Node strips.
 */
export const runnerUrl = (name: "processMain" | "threadMain"): URL => {
  const extension = import.meta.url.endsWith(".ts") ? ".ts" : ".js"
  return new URL(`../runner/${name}${extension}`, import.meta.url)
}

/** How many workers a pool has by default: the processors that this process may use. */
export const availableProcesses = (): number => availableParallelism()
