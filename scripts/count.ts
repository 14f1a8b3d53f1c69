/**
 * `node scripts/count.ts REPORT` prints how many tests of a run passed and how many failed, from vitest's JSON report.
 * A file that failed for another reason than its tests (it could not be loaded, a hook failed) counts as a failed test.
 */
import { readFileSync } from "node:fs"

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly testResults: ReadonlyArray<{
    readonly status: string
    readonly assertionResults: ReadonlyArray<{ readonly status: string }>
  }>
}

const report = JSON.parse(readFileSync(process.argv[2]!, "utf8")) as Report
const broken = report.testResults.filter((file) =>
  file.status === "failed" && file.assertionResults.every((test) => test.status !== "failed")
)
console.log(report.numPassedTests, report.numFailedTests + broken.length)
