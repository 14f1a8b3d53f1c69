import { parentPort } from "node:worker_threads"
import { whoami } from "./whoami.mjs"

parentPort.on("message", () => parentPort.postMessage(whoami()))
