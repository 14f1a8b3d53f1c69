import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

const source = fileURLToPath(new URL("./src/", import.meta.url))

/** Where a machine-readable report goes, when one is wanted beside the usual output. */
const report = process.env["TEST_REPORT"]

export default defineConfig({
  resolve: {
    alias: [
      { find: /^effect-multiprocessing$/, replacement: `${source}index.ts` },
      { find: /^effect-multiprocessing\/(.+)$/, replacement: `${source}$1.ts` }
    ]
  },
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/setup.ts"],
    // the tests start processes and threads themselves: a test file must own a real process
    pool: "forks",
    // many tests wait for children, so two files at once are faster also on two cores
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    reporters: report === undefined ? ["default"] : ["default", ["json", { outputFile: report }]]
  }
})
