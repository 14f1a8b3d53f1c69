import { methods } from "./conformance/methods.ts"
import { suite } from "./conformance/ProcessSuite.ts"

for (const method of methods) suite(method)
