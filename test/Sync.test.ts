import { methods } from "./conformance/methods.ts"
import { suite } from "./conformance/SyncSuite.ts"

for (const method of methods) suite(method)
