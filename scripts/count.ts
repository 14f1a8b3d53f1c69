/**
 * `node scripts/count.ts REPORT` prints how many tests of a run passed and how many failed, from vitest's JSON report,
 * and below that each failure: its file, its name, the first lines of what it said.
 * A file that failed for another reason than its tests (it could not be loaded, a hook failed) counts as a failed test.
 */
import { readFileSync } from "node:fs"
import { relative } from "node:path"
import { stripVTControlCharacters } from "node:util"

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly testResults: ReadonlyArray<{
    readonly name: string
    readonly status: string
    readonly message: string
    readonly assertionResults: ReadonlyArray<{
      readonly status: string
      readonly fullName: string
      readonly failureMessages: ReadonlyArray<string>
    }>
  }>
}

const linesOfFailure = 6

const report = JSON.parse(readFileSync(process.argv[2]!, "utf8")) as Report
const failures: Array<string> = []
for (const file of report.testResults) {
  const failed = file.assertionResults.filter((test) => test.status === "failed")
    .map((test) => ({ name: test.fullName, message: test.failureMessages.join("\n") }))
  if (failed.length === 0 && file.status === "failed") failed.push({ name: "the file", message: file.message })
  for (const { message, name } of failed) {
    const lines = stripVTControlCharacters(message).split("\n").slice(0, linesOfFailure)
    failures.push([`${relative(process.cwd(), file.name)}: ${name}`, ...lines.map((line) => `    ${line}`)].join("\n"))
  }
}
console.log([`${report.numPassedTests} ${failures.length}`, ...failures].join("\n"))
