import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { importDefinitions } from "../../../src/internal/codec/imported.ts"
import { Process } from "../../../src/index.ts"

const fixture = (name: string): string => new URL(`../../fixtures/${name}`, import.meta.url).href

describe("a module that is imported for what it defines", () => {
  it("is not the main program, which goes on to be that", async () => {
    assert.isTrue(Process.isMain)
    const importing = importDefinitions(fixture("asksForMain.ts"))
    Process.runMain(Effect.die("the program of somebody else runs")) // as the module would do it
    await importing
    assert.isTrue(Process.isMain)
    const { wasMain } = await import("../../fixtures/asksForMain.ts")
    assert.isFalse(wasMain)
  })

  it("leaves nothing behind where it fails", async () => {
    const failure = await importDefinitions(fixture("isNotThere.ts")).then(() => undefined, (cause: unknown) => cause)
    assert.instanceOf(failure, Error)
    assert.isTrue(Process.isMain)
  })
})
