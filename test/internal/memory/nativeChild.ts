/**
 * What the tests of the addon run in processes and threads of their own: `node nativeChild.ts MODE ARGUMENT...`. A child
 * tells what it has reached in lines of its output.
 */
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { connect } from "node:net"
import { createInterface } from "node:readline"
import { setImmediate } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { isMainThread, parentPort, threadId, Worker, workerData } from "node:worker_threads"
import { native, whyAbsent } from "../../../src/internal/memory/native.ts"

/** Of the segments here: two words that all count in, then one byte for each that took part. */
export const count = (buffer: SharedArrayBuffer, times: number, who: number): void => {
  const word = new Int32Array(buffer, 0, 1)
  const long = new BigInt64Array(buffer, 8, 1)
  for (let i = 0; i < times; i++) {
    Atomics.add(word, 0, 1)
    Atomics.add(long, 0, 1n)
  }
  new Uint8Array(buffer)[16 + who] = who
}

const self = fileURLToPath(import.meta.url)
const tell = (...words: ReadonlyArray<unknown>): void => void process.stdout.write(`${words.join(" ")}\n`)
const addon = () => native()!

/** A new segment, held by its mapping alone. */
const mapNew = (size: number): SharedArrayBuffer => {
  const fd = addon().createSegment(size)
  const buffer = addon().mapSegment(fd, size)
  addon().closeDescriptor(fd)
  return buffer
}

/** Collects until there is so little, or it has not come about in many tries. Finalizers run between turns of the loop. */
const collectUntil = async (there: () => boolean): Promise<boolean> => {
  for (let i = 0; i < 200 && !there(); i++) {
    // what a WeakRef has shown stays until the end of the turn
    await setImmediate()
    globalThis.gc!()
    await setImmediate()
  }
  return there()
}

/** How many mappings of segments the kernel knows. */
const mapped = (): number => readFileSync("/proc/self/maps", "utf8").split("/memfd:effect-multiprocessing").length - 1

/** Hands on what a thread has posted when the thread has ended. */
const inThread = (mode: string, use: (message: unknown) => void): Promise<void> =>
  new Promise((resolve, reject) => {
    const messages: Array<unknown> = []
    const worker = new Worker(self, { workerData: mode })
    worker.on("message", (message) => messages.push(message))
    worker.on("error", reject)
    worker.on("exit", () => {
      use(messages.pop())
      resolve()
    })
  })

const modes: Record<string, (...args: ReadonlyArray<string>) => unknown> = {
  /** Counts in the segment that is descriptor 3. */
  count: (size, times, who) => {
    count(addon().mapSegment(3, Number(size)), Number(times), Number(who))
    tell("counted")
  },

  /** Keeps many mappings, then lets them go. */
  collect: async () => {
    const buffers = Array.from({ length: 20 }, () => mapNew(1 << 20))
    tell("live", addon().liveMappings())
    buffers.length = 0
    tell("unmapped", await collectUntil(() => addon().liveMappings() === 0))
  },

  /** Maps again and again without asking for a collection. */
  churn: async () => {
    const fd = addon().createSegment(1 << 20)
    let most = 0
    for (let i = 0; i < 3000; i++) {
      addon().mapSegment(fd, 1 << 20)
      most = Math.max(most, addon().liveMappings())
      if (i % 10 === 0) await setImmediate()
    }
    tell(most)
  },

  /** Only a thread loads the addon; it ends before its buffer goes. */
  outlive: async () => {
    await inThread(
      "give",
      (buffer) => tell("reads", new Uint8Array(buffer as SharedArrayBuffer)[5], "mapped", mapped())
    )
    tell("let go", await collectUntil(() => mapped() === 0))
    tell("live", addon().liveMappings())
  },

  /** Tells its pid to a unix socket, and stays until that closes. */
  connect: (path) => {
    const socket = connect(path!)
    socket.on("connect", () => tell("pid", process.pid))
    socket.resume()
  },

  absent: () => tell(native() === undefined ? "absent" : "there", whyAbsent()),

  /** Starts the other mode as its child, which shares its output and lives as long as it may. */
  parent: (mode, grace) => {
    spawn(process.execPath, [self, mode!, grace!, String(process.pid)], { stdio: ["pipe", "inherit", "inherit"] })
    setInterval(() => {}, 60_000)
  },

  /** Starts the other mode from a thread, with its own input, and ends the thread when it gets a signal. */
  parentThread: (mode, grace) => {
    const code = `
      const { spawn } = require("node:child_process")
      const { workerData } = require("node:worker_threads")
      spawn(process.execPath, workerData, { stdio: [0, 1, 2] })`
    const worker = new Worker(code, { eval: true, workerData: [self, mode, grace, String(process.pid)] })
    process.on("SIGUSR2", () => void worker.terminate().then(() => tell("thread ended")))
    setInterval(() => {}, 60_000)
  },

  spin: (grace, parent) => {
    tell("armed", addon().dieWithParent(Number(parent), Number(grace)))
    for (;;);
  },

  /** Has something to clean up when its parent is gone. */
  leave: (grace, parent) => {
    process.stdin.on("end", () => {
      tell("left")
      process.exit(0)
    }).resume()
    tell("armed", addon().dieWithParent(Number(parent), Number(grace)))
  },

  answer: (grace, parent) => {
    createInterface({ input: process.stdin }).on("line", (line) => tell("got", line))
    tell("armed", addon().dieWithParent(Number(parent), Number(grace)))
  }
}

const threadModes: Record<string, () => void> = {
  give: () => {
    const buffer = mapNew(1 << 16)
    new Uint8Array(buffer)[5] = 42
    parentPort!.postMessage(buffer)
  },

  /** Maps on its own, side by side with other threads that load the addon. */
  own: () => {
    new Int32Array(mapNew(1 << 12))[0] = threadId
    parentPort!.postMessage(addon().version)
  },

  dieWithParent: () => {
    try {
      addon().dieWithParent(process.ppid, 1)
    } catch (error) {
      parentPort!.postMessage((error as NodeJS.ErrnoException).code)
    }
  }
}

interface Shared {
  readonly buffer: SharedArrayBuffer
  readonly times: number
  readonly who: number
}

/** In a thread that a test started the data says what to do; a main thread has its arguments. */
const run = async (): Promise<void> => {
  if (isMainThread) {
    const [mode, ...args] = process.argv.slice(2)
    await modes[mode!]!(...args)
  } else if (typeof workerData === "string") {
    threadModes[workerData]!()
  } else {
    const { buffer, times, who } = workerData as Shared
    count(buffer, times, who)
    // wakes up in the other thread: both have the same mapping
    Atomics.wait(new Int32Array(buffer), 8, 0)
    parentPort!.postMessage("woken")
  }
}

if (process.argv[1] === self || !isMainThread) await run()
