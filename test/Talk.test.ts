import { methods } from "./conformance/methods.ts"
import { suite } from "./conformance/TalkSuite.ts"

for (const method of methods) suite(method)
