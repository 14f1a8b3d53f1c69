import { kinds } from "./conformance/ListenerSuite.ts"
import { suite as objectsSuite } from "./conformance/ManagerObjectsSuite.ts"
import { aloneSuite, suite as remoteSuite } from "./conformance/ManagerRemoteSuite.ts"
import { suite } from "./conformance/ManagerSuite.ts"
import { methods } from "./conformance/methods.ts"

for (const method of methods) suite(method)
for (const method of methods) objectsSuite(method)
for (const kind of kinds) aloneSuite(kind)
for (const method of methods) remoteSuite(method)
