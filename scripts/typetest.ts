/**
 * Runs the type tests. tstyche needs the programming interface of TypeScript, which version 7 does not have; it would
 * download a version 6 by itself. One is installed already, for attw (see "overrides" in package.json): use that.
 */
import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { root, show } from "./commands.ts"

const ofAttwCli = createRequire(createRequire(import.meta.url).resolve("@arethetypeswrong/cli/package.json"))
const ofAttwCore = createRequire(ofAttwCli.resolve("@arethetypeswrong/core"))
const typescript = pathToFileURL(ofAttwCore.resolve("typescript")).href

if (existsSync(join(root, "typetest"))) {
  const ok = show("tstyche", process.argv.slice(2), { env: { TSTYCHE_TYPESCRIPT_MODULE: typescript } })
  process.exitCode = ok ? 0 : 1
} else {
  console.log("type tests: there are none")
}
