import { methods } from "./conformance/methods.ts"
import { suite } from "./conformance/QueueSuite.ts"

for (const method of methods) suite(method)
