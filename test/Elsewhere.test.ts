import { methods } from "./conformance/methods.ts"
import { suite } from "./conformance/ElsewhereSuite.ts"

for (const method of methods) suite(method)
