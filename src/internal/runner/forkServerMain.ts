/**
 * What a fork server boots. It loads modules, and then makes copies of itself; each goes on here, as a child of the program.
 * Descriptor 3 takes requests, 4 records.
 */
import { writeSync } from "node:fs"
import { enableCompileCache } from "node:module"
import { fromDescriptors } from "../channel/socket.ts"
import { wordsOf } from "../codec/errors.ts"
import { serverFlags } from "../fork/flags.ts"
import type { CopyOrder } from "../fork/order.ts"
import { textRecord } from "../fork/records.ts"
import { native } from "../memory/native.ts"
import type { ForkOrder, Native } from "../memory/native.ts"
import { openWord } from "../memory/words.ts"
import { runChild } from "./child.ts"
import { setChildGlobal } from "./childGlobal.ts"
import type { Refusal } from "./preload.ts"
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

const say = (record: Uint8Array): void => {
  try {
    writeSync(events, record)
  } catch {
    process.exit(1) // nobody is left whom it could serve
  }
}

/** Gives a last look at what would be copied. */
const load = async (addon: Native): Promise<() => Refusal | undefined> => {
  enableCompileCache?.()
  // what a child loads when its first task needs it
  await Promise.all([import("./effects.ts"), import("../handles/openers.ts"), import("../start/launchers.ts")])
  const { preloadAll } = await import("./preload.ts") // no copy needs it
  // a debugger, or a loader of modules
  const thread = addon.foreignThread()
  if (thread !== "") refuse("Unsafe", { message: thread, stack: undefined })
  return preloadAll({
    specifiers: preload,
    foreignThread: addon.foreignThread,
    onLoading: (specifier) => say(textRecord("Loading", specifier)),
    refuse: (why) => refuse("Failed", why)
  })
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
    isRead: true,
    memory: () => process.memoryUsage.rss(),
    stop: () => process.kill(process.pid, "SIGTERM"),
    onUserCode: () => undefined
  })
}

const refuse = (kind: "Failed" | "Unsafe", { message, stack }: Refusal): void => {
  say(textRecord(kind, message, stack))
  process.exit(1)
}

const serve = (addon: Native): void => {
  const { become } = prepareRebirth(addon.exitNow)
  forgetFlags(serverFlags)
  let order: ForkOrder
  try {
    order = addon.serveForks(control, events, graceMillis)
  } catch (cause) {
    return refuse("Unsafe", { message: wordsOf(cause), stack: undefined })
  }
  // ------ from here on this is a copy
  become()
  beChild(order)
}

becomeServer()
const addon = native()!
void load(addon).then((look) =>
  // not within a promise's job: a copy must begin with none that waits
  setImmediate(() => {
    const why = look()
    if (why !== undefined) return refuse("Failed", why)
    serve(addon)
  })
)
