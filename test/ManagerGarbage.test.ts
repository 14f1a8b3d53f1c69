import { kinds } from "./conformance/ListenerSuite.ts"
import { aloneSuite, suite } from "./conformance/ManagerGarbageSuite.ts"
import { methods } from "./conformance/methods.ts"

for (const kind of kinds) aloneSuite(kind)
for (const method of methods) suite(method)
