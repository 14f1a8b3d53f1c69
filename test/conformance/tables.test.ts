/** What `PYTHON-MANAGER.md` names is there: a law that gets another title leaves no row behind. */
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"

const folder = new URL("./", import.meta.url)
const textOf = (name: string): string => readFileSync(new URL(name, folder), "utf8")

const suites = globSync("*Suite.ts", { cwd: folder.pathname })

/** Of laws and of groups of laws; what is only known when they run is an ellipsis. */
const titles = suites.map(textOf).flatMap((source) =>
  [...source.matchAll(/\b(?:law|describe|it)\(\s*(["`])((?:\\.|(?!\1)[^\\])*)\1/g)].map(([, , title]) =>
    title!.replaceAll(/\$\{[^}]*\}/g, "...").replace(/,? *\(MANAGER_SEED=.*/, "").replaceAll(/\\(.)/g, "$1")
  )
)

/** An ellipsis stands for anything. */
const matching = (name: string, end: string): RegExp =>
  new RegExp(`^${name.split("...").map((part) => part.replaceAll(/[^\w ]/g, "\\$&")).join(".*")}${end}`)

/** The cells on the right. */
const cells = textOf("PYTHON-MANAGER.md").split("\n").filter((line) => line.startsWith("| ")).slice(2).map((line) =>
  line.replaceAll("\\|", "").split(" | ")[1]!
)

const namesIn = (pattern: RegExp): ReadonlyArray<string> =>
  cells.flatMap((cell) => [...cell.matchAll(pattern)].map(([, name]) => name!))

const missing = (names: ReadonlyArray<string>, end: string): ReadonlyArray<string> =>
  names.filter((name) => !titles.some((title) => matching(name, end).test(title)))

describe("the table of Python's managers", () => {
  it("names laws that there are", () => {
    // what has no space in it is code
    const laws = namesIn(/`([^`]+)`/g).filter((name) => name.includes(" "))
    assert.isAbove(laws.length, 50)
    assert.deepStrictEqual(missing(laws, "$"), [])
  })

  it("names groups of laws, and suites, that there are", () => {
    assert.deepStrictEqual(missing(namesIn(/\*([^*]+)\*/g), ""), [])
    const named = namesIn(/\b(\w+Suite)\b/g)
    assert.deepStrictEqual(named.filter((name) => !suites.includes(`${name}.ts`)), [])
  })

  it("puts what it names into backticks", () => {
    assert.deepStrictEqual(namesIn(/["“]([^"”]* [^"”]*)["”]/g), [])
  })
})
