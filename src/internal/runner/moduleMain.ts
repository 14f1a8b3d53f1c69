/**
 * What a spawned process boots that runs a module of the user's, for Effect's workers. That module speaks over Node's own
 * channel (`process.send`). Descriptor 4 takes the child's last words and ends when the parent does; so does 5, which the
 * watchdog reads.
 */
import { writeSync } from "node:fs"
import { enableCompileCache } from "node:module"
import { Socket } from "node:net"
import { pathToFileURL } from "node:url"
import { stackOf } from "../codec/errors.ts"
import { makeProgress, progressBytes } from "../protocol/progress.ts"
import { watchParent } from "./watchdog.ts"

/** What Effect's workers are asked to close with. */
const close = [1]
/** Within the watchdog's patience. */
const finalizersMillis = 500

// Ctrl-C reaches the whole group: the parent's scope decides what becomes of its children
process.on("SIGINT", () => {})

process.on("uncaughtExceptionMonitor", (cause) => {
  try {
    writeSync(4, stackOf(cause))
  } catch {
    // the parent is gone, or the text is too long: stderr has it
  }
})

// not the "disconnect" of the channel: whoever listens to it keeps the child alive
const parent = new Socket({ fd: 4, readable: true, writable: false })
parent.on("error", () => {})
parent.once("close", () => {
  process.emit("message", close, undefined)
  setTimeout(() => process.exit(1), finalizersMillis).unref()
})
parent.resume()
parent.unref()
watchParent(5, makeProgress(new SharedArrayBuffer(progressBytes)))

enableCompileCache?.()
process.argv.splice(1, 1) // now it is as if the module had been started
void import(pathToFileURL(process.argv[1]!).href)
