import { methods } from "./conformance/methods.ts"
import { suite } from "./conformance/PipeSuite.ts"

for (const method of methods) suite(method)
