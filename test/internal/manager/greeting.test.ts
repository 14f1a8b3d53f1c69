/** What a client finds different of a server whose module has another version. */
import { assert, describe, it } from "@effect/vitest"
import * as T from "../../fixtures/wire.ts"
import { findDefinition } from "../../../src/internal/manager/definition.ts"
import type { Definition } from "../../../src/internal/manager/definition.ts"
import { differences, presenceOf } from "../../../src/internal/manager/greeting.ts"

const definitionOf = ({ module, name }: { readonly module: string; readonly name: string }): Definition =>
  findDefinition(module, name)!

describe("the greeting of a manager", () => {
  it("tells each method that is not the same", () => {
    const found = differences(definitionOf(T.wires), presenceOf(definitionOf(T.otherWires)))
    for (
      const difference of [
        "it has no \"count\"",
        "\"get\" gives a stream there, and a value here",
        "it has \"rename\", which is not known here",
        "it has no objects \"Drawer\""
      ]
    ) assert.include(found, difference)
  })

  it("finds nothing where they are the same", () => {
    assert.deepStrictEqual(differences(definitionOf(T.wires), presenceOf(definitionOf(T.wires))), [])
  })
})
