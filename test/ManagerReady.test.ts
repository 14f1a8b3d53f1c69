import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { suite as conditionSuite } from "./conformance/ManagerConditionSuite.ts"
import { aloneSuite, suite as definitionSuite } from "./conformance/ManagerDefinitionSuite.ts"
import { suite as poolSuite, withoutStartMethod } from "./conformance/ManagerPoolSuite.ts"
import { suite as valuesSuite } from "./conformance/ManagerValuesSuite.ts"
import { methods } from "./conformance/methods.ts"

for (const method of methods) definitionSuite(method)
aloneSuite()
for (const method of methods) conditionSuite(method)
for (const method of methods) valuesSuite(method)
for (const method of methods) poolSuite(method)

it.live("a program that serves objects without a start method gives no pool", () =>
  Effect.map(withoutStartMethod, (reason) => assert.strictEqual(reason._tag, "StartMethodUnavailable")))
