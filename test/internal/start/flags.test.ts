import { assert, describe, it } from "@effect/vitest"
import { inheritedFlags } from "../../../src/internal/start/node.ts"

/** Flags of a parent, and those that its child is started with. */
const kept: ReadonlyArray<readonly [what: string, flags: ReadonlyArray<string>, expected: ReadonlyArray<string>]> = [
  ["no flags", [], []],
  [
    "limits, conditions, imports and warnings are passed on",
    [
      "--max-old-space-size=512",
      "--conditions",
      "development",
      "--import",
      "tsx",
      "--no-warnings",
      "--require",
      "./a.cjs"
    ],
    [
      "--max-old-space-size=512",
      "--conditions",
      "development",
      "--import",
      "tsx",
      "--no-warnings",
      "--require",
      "./a.cjs"
    ]
  ],
  ["permissions and experimental features are passed on", [
    "--permission",
    "--allow-fs-read=*",
    "--experimental-vm-modules"
  ], [
    "--permission",
    "--allow-fs-read=*",
    "--experimental-vm-modules"
  ]],
  ["source maps are passed on", ["--enable-source-maps"], ["--enable-source-maps"]],
  ["a script given as text is not, nor is the text", ["-e", "console.log(1)", "--no-warnings"], ["--no-warnings"]],
  ["in its long form neither", ["--eval", "1", "--print", "2", "--no-warnings"], ["--no-warnings"]],
  ["nor with the text after an equals sign", ["--eval=1", "--no-warnings"], ["--no-warnings"]],
  ["nor printed", ["-p", "1 + 1", "-pe", "2"], []],
  ["the type of such a script is not passed on", ["--input-type=module", "--input-type", "commonjs"], []],
  ["a debugger is the parent's alone", ["--inspect", "--inspect-brk=9229", "--inspect-port=0", "--inspect-wait"], []],
  ["a watched program watches, its children do not", ["--watch", "--watch-path=src", "--watch-path", "lib"], []],
  ["a test runner's flags stay with it", ["--test", "--test-reporter=tap", "--test-only"], []],
  ["an interactive session and a check stay too", ["-i", "--interactive", "-c", "--check"], []],
  ["a flag whose value looks like one of those is passed on", ["--conditions", "test", "--title", "watch"], [
    "--conditions",
    "test",
    "--title",
    "watch"
  ]],
  ["flags that merely begin alike are passed on", [
    "--interpreted-frames-native-stack",
    "--import=./x.mjs",
    "-C",
    "dev"
  ], [
    "--interpreted-frames-native-stack",
    "--import=./x.mjs",
    "-C",
    "dev"
  ]]
]

describe("the flags of Node that a spawned child inherits", () => {
  for (const [what, flags, expected] of kept) {
    it(what, () => assert.deepStrictEqual(inheritedFlags(flags), expected))
  }

  it("values that stand apart go with the flag that is left out", () => {
    const flags = [
      "--test-reporter",
      "spec",
      "--test-name-pattern",
      "x",
      "--inspect-publish-uid",
      "http",
      "--no-warnings"
    ]
    assert.deepStrictEqual(inheritedFlags(flags), ["--no-warnings"])
  })

  it("the list itself is not changed", () => {
    const flags = Object.freeze(["-e", "1", "--no-warnings"])
    assert.deepStrictEqual(inheritedFlags(flags), ["--no-warnings"])
  })
})
