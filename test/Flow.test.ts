import { suite } from "./conformance/FlowSuite.ts"
import { methods } from "./conformance/methods.ts"

for (const method of methods) suite(method)
