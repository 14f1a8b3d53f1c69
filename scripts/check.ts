/** Runs every check, also after one has failed, and says at the end which ones did. */
import { root, show } from "./commands.ts"

const names = ["types", "typetest", "lint", "format", "floors", "docs", "package"]
const failed: Array<string> = []

for (const name of names) {
  console.log(`\n--- ${name}`)
  if (!show("npm", ["run", "--silent", `check:${name}`], { cwd: root })) failed.push(name)
}

console.log(
  `\n${names.length - failed.length} checks passed, ${failed.length} failed${
    failed.length === 0 ? "" : `: ${failed.join(", ")}`
  }`
)
process.exitCode = failed.length === 0 ? 0 : 1
