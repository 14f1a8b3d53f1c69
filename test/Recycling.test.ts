import { methods } from "./conformance/methods.ts"
import { suite } from "./conformance/RecyclingSuite.ts"

for (const method of methods) suite(method)
