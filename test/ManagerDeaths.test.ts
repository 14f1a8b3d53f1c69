import { suite } from "./conformance/ManagerDeathsSuite.ts"
import { methods } from "./conformance/methods.ts"

for (const method of methods) suite(method)
