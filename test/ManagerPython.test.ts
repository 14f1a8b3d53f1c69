import { aloneSuite, suite } from "./conformance/ManagerPythonSuite.ts"
import { methods } from "./conformance/methods.ts"

for (const method of methods) suite(method)
aloneSuite()
