import { suite as historiesSuite } from "./conformance/ManagerHistoriesSuite.ts"
import { suite } from "./conformance/ManagerModelSuite.ts"
import { methods } from "./conformance/methods.ts"

for (const method of methods) historiesSuite(method)
for (const method of methods) suite(method)
