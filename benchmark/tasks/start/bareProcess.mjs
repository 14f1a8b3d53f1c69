import { whoami } from "./whoami.mjs"

process.on("message", () => process.send(whoami()))
