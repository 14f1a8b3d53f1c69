/**
 * What a fork server boots. It loads modules, and then makes copies of itself; each goes on here, as a child of the program.
 * Descriptor 3 takes requests, 4 records.
 */
import { writeSync } from "node:fs"
import { enableCompileCache } from "node:module"
import { pathToFileURL } from "node:url"
import { fromDescriptors } from "../channel/socket.ts"
import { stackOf, wordsOf } from "../codec/errors.ts"
import { serverFlags } from "../fork/flags.ts"
import type { CopyOrder } from "../fork/order.ts"
import { refusalRecord } from "../fork/records.ts"
import { native } from "../memory/native.ts"
import type { ForkOrder } from "../memory/native.ts"
import { openWord } from "../memory/words.ts"
import { runChild } from "./child.ts"
import { setChildGlobal } from "./childGlobal.ts"
import { probe } from "./probe.ts"
import { forgetFlags, prepareRebirth } from "./rebirth.ts"

interface ServerOptions {
  readonly preload: ReadonlyArray<string>
}

const control = 3
const events = 4
/** After the time that a copy gives its finalizers when the program is gone; its own children need as long after that. */
const graceMillis = 1000

// Ctrl-C reaches the whole group: the program's scope decides what becomes of its children
process.on("SIGINT", () => {})

const [json] = process.argv.splice(2)
const { preload } = JSON.parse(json!) as ServerOptions

/** What is loaded here runs in children: `Process.isMain` is false for it, and it may start no processes. */
const becomeServer = (): void =>
  setChildGlobal({
    boot: {
      identity: { name: "ForkServer", path: [], daemon: true, startMethod: "forkserver" },
      parent: { name: "MainProcess", pid: process.ppid },
      startOptions: undefined,
      initializer: undefined,
      once: false,
      maxMemory: undefined,
      logLevel: "Info"
    },
    pid: process.pid,
    notice: () => {}
  })

/** A name as it would be imported by a file in the program's directory. */
const urlOf = (specifier: string): string =>
  import.meta.resolve(specifier, pathToFileURL(`${process.cwd()}/program.js`).href)

const load = async (): Promise<string | undefined> => {
  enableCompileCache?.()
  // what a child loads when its first task needs it
  await Promise.all([import("./effects.ts"), import("../handles/openers.ts"), import("../start/launchers.ts")])
  for (const specifier of preload) {
    try {
      await import(urlOf(specifier))
    } catch (cause) {
      return `"${specifier}" could not be preloaded:\n${stackOf(cause)}`
    }
  }
  return undefined
}

const beChild = ({ bytes, fds }: ForkOrder): void => {
  const order = JSON.parse(bytes.toString()) as CopyOrder
  if (order._tag === "Probe") return probe()
  const [input, output] = fds
  const word = openWord(order.word)
  if (word === undefined) throw new Error("the memory that its parent shares with it could not be mapped")
  Atomics.store(word.words, word.isUsed, 1)
  runChild({
    channel: fromDescriptors(input!, output!, order.maxMessageBytes),
    progress: word.words,
    memory: () => process.memoryUsage.rss(),
    stop: () => process.kill(process.pid, "SIGTERM"),
    onUserCode: () => undefined
  })
}

const refuse = (kind: "Failed" | "Unsafe", message: string): void => {
  writeSync(events, refusalRecord(kind, message))
  process.exit(1)
}

const serve = (): void => {
  const addon = native()!
  const { become } = prepareRebirth(addon.exitNow)
  forgetFlags(serverFlags)
  let order: ForkOrder
  try {
    order = addon.serveForks(control, events, graceMillis)
  } catch (cause) {
    return refuse("Unsafe", wordsOf(cause))
  }
  // ------ from here on this is a copy
  become()
  beChild(order)
}

becomeServer()
void load().then((failure) => {
  if (failure !== undefined) {
    return refuse("Failed", failure)
  }
  // not within a promise's job: a copy must begin with none that waits
  setImmediate(serve)
})
