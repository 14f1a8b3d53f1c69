import { methods } from "./conformance/methods.ts"
import { suite } from "./conformance/ObserveSuite.ts"

for (const method of methods) suite(method)
