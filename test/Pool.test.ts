import { methods } from "./conformance/methods.ts"
import { suite } from "./conformance/PoolSuite.ts"

for (const method of methods) suite(method)
