/** `npm run example NAME` runs examples/NAME.ts; without a name it lists them. Further arguments go to the example. */
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { root, show } from "./commands.ts"

const folder = join(root, "examples")
const [name, ...rest] = process.argv.slice(2)
const file = join(folder, `${name}.ts`)

if (name !== undefined && existsSync(file)) {
  process.exitCode = show(process.execPath, [file, ...rest]) ? 0 : 1
} else {
  const names = existsSync(folder)
    ? readdirSync(folder).filter((entry) => entry.endsWith(".ts")).map((entry) => entry.slice(0, -".ts".length))
    : []
  if (name !== undefined) console.error(`There is no example "${name}".`)
  console.error(`usage: npm run example NAME\n\n${names.map((entry) => `  ${entry}`).join("\n")}`)
  process.exitCode = name === undefined ? 0 : 1
}
