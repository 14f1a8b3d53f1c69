/**
 * A child process at the other end of a socket channel: it sends back what it is sent, and obeys a few words. It imports
 * what a spawned child's runner does, with the same descriptors.
 */
import { writeSync } from "node:fs"
import { fromDescriptors } from "../../../src/internal/channel/socket.ts"

const limit = Number(process.argv[2])
const channel = fromDescriptors<unknown, unknown>(3, 4, limit, { waitsForFirst: process.argv[3] === "waits" })
let isListening = false

const obey = (message: unknown): void => {
  switch (message) {
    case "exit":
      for (let i = 0; i < 100; i++) channel.post([i, "x".repeat(2000)])
      return process.exit(7)
    case "kill":
      for (let i = 0; i < 100; i++) channel.post([i, "x".repeat(2000)])
      process.kill(process.pid, "SIGKILL")
      return
    case "when":
      return channel.post([isListening ? "later" : "at once"])
    case "garbage":
      writeSync(4, Buffer.alloc(16, 0xff))
      return
    case "refuse":
      try {
        return channel.post(["x".repeat(limit)])
      } catch (cause) {
        return channel.post([(cause as { readonly _tag: string })._tag])
      }
    default:
      return channel.post([message])
  }
}

channel.listen((batch) => batch.forEach(obey), () => process.exit(0))
isListening = true
