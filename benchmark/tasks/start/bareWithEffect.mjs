import { Effect } from "effect"
import { whoami } from "./whoami.mjs"

process.on("message", () => process.send(Effect.runSync(Effect.sync(whoami))))
