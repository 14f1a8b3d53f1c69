import { once, suite as aloneSuite } from "./conformance/ListenerAloneSuite.ts"
import { kinds, suite } from "./conformance/ListenerSuite.ts"
import { methods } from "./conformance/methods.ts"

once()
for (const kind of kinds) aloneSuite(kind)
for (const method of methods) suite(method)
