import { kinds } from "./conformance/ListenerSuite.ts"
import { suite as objectsSuite } from "./conformance/ManagerObjectsSuite.ts"
import { aloneSuite, suite as remoteSuite } from "./conformance/ManagerRemoteSuite.ts"
import { suite } from "./conformance/ManagerSuite.ts"
import { aloneSuite as wireAloneSuite, heldSuite, suite as wireSuite } from "./conformance/ManagerWireSuite.ts"
import { methods } from "./conformance/methods.ts"

for (const method of methods) suite(method)
for (const method of methods) objectsSuite(method)
for (const kind of kinds) aloneSuite(kind)
for (const method of methods) remoteSuite(method)
for (const method of methods) wireSuite(method)
for (const kind of kinds) wireAloneSuite(kind)
heldSuite()
