import { afterAll, afterEach, assert, describe, it } from "@effect/vitest"
import { Buffer } from "node:buffer"
import { spawn, spawnSync } from "node:child_process"
import type { ChildProcess, StdioOptions } from "node:child_process"
import {
  closeSync,
  copyFileSync,
  cpSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { createServer } from "node:net"
import type { Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Worker } from "node:worker_threads"
import { native, whyAbsent } from "../../../src/internal/memory/native.ts"
import type { Native, NativeError } from "../../../src/internal/memory/native.ts"
import { count } from "./nativeChild.ts"

const childFile = fileURLToPath(new URL("nativeChild.ts", import.meta.url))
/** The one that looks for the addon, with what it imports. */
const loaderFiles = ["native.ts", "perThread.ts"]
const hasCompiler = process.platform === "linux" && spawnSync("cc", ["--version"]).status === 0
const isOff = process.env["EFFECT_MULTIPROCESSING_NATIVE"] === "off"
const folder = mkdtempSync(join(tmpdir(), "native-"))

const started = new Set<ChildProcess>()

afterAll(() => rmSync(folder, { recursive: true, force: true }))

// what a failed test has left would hold the run
afterEach(() => {
  for (const child of started) child.kill("SIGKILL")
  started.clear()
})

/** What a child tells, line by line; the end of the lines is the end of all who can write them. */
interface Told {
  readonly child: ChildProcess
  readonly lines: Array<string>
  readonly until: (line: string) => Promise<void>
  readonly ended: Promise<void>
}

const bounded = <A>(what: string, promise: Promise<A>): Promise<A> => {
  let timer: NodeJS.Timeout
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing within 15 seconds`)), 15_000)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

const listen = (child: ChildProcess): Told => {
  started.add(child)
  const lines: Array<string> = []
  const waiting = new Set<() => void>()
  let text = ""
  child.stdout!.setEncoding("utf8").on("data", (block: string) => {
    const parts = (text + block).split("\n")
    text = parts.pop()!
    lines.push(...parts)
    for (const check of waiting) check()
  })
  const ended = bounded("the end of the child", new Promise<void>((resolve) => child.on("close", () => resolve())))
  // each test waits for it, but not always before something else has failed
  ended.catch(() => {})
  const until = (line: string): Promise<void> => {
    const there = new Promise<void>((resolve) => {
      const check = (): void => lines.includes(line) ? resolve() : undefined
      waiting.add(check)
      check()
    })
    return bounded(`"${line}"`, there).catch((error: unknown) => {
      throw new Error(`${String(error)}, but: ${lines.join(", ")}`)
    })
  }
  return { child, lines, until, ended }
}

const start = (
  args: ReadonlyArray<string | number>,
  options: { readonly env?: Record<string, string>; readonly stdio?: StdioOptions } = {}
): Told =>
  listen(spawn(process.execPath, ["--expose-gc", childFile, ...args.map(String)], {
    env: { ...process.env, ...options.env },
    stdio: options.stdio ?? ["pipe", "pipe", "inherit"]
  }))

/** All that a child tells until it ends by itself. */
const told = async (args: ReadonlyArray<string | number>, env: Record<string, string> = {}) => {
  const { ended, lines } = start(args, { env })
  await ended
  return lines
}

const inThread = (workerData: unknown): { readonly worker: Worker; readonly answer: Promise<unknown> } => {
  const worker = new Worker(childFile, { workerData })
  return {
    worker,
    answer: bounded(
      "a thread's answer",
      new Promise((resolve, reject) => worker.on("message", resolve).on("error", reject))
    )
  }
}

const failure = (call: () => unknown): NativeError => {
  try {
    call()
  } catch (error) {
    return error as NativeError
  }
  throw new Error("it did not fail")
}

const addon = native() as Native

describe("the native addon", () => {
  it.skipIf(!hasCompiler || isOff)("is there where a compiler is", () => {
    assert.isDefined(native(), whyAbsent())
  })

  it("says why it is absent, and what to do", async () => {
    assert.deepStrictEqual(await told(["absent"], { EFFECT_MULTIPROCESSING_NATIVE: "off" }), [
      "absent the native addon is switched off: unset EFFECT_MULTIPROCESSING_NATIVE"
    ])
    if (process.platform !== "linux") return

    const place = join(folder, "package")
    const prebuilt = join(place, "prebuilds", `linux-${process.arch}`)
    const manifest = { name: "effect-multiprocessing", type: "module", exports: { "./package.json": "./package.json" } }
    const code = `import { native, whyAbsent } from "./native.ts"; console.log(native() === undefined, whyAbsent())`
    mkdirSync(join(place, "src"), { recursive: true })
    mkdirSync(prebuilt, { recursive: true })
    writeFileSync(join(place, "package.json"), JSON.stringify(manifest))
    for (const name of loaderFiles) {
      copyFileSync(
        fileURLToPath(new URL(`../../../src/internal/memory/${name}`, import.meta.url)),
        join(place, "src", name)
      )
    }
    writeFileSync(join(place, "src", "main.ts"), code)
    const env = { ...process.env, EFFECT_MULTIPROCESSING_NATIVE: "" }
    const run = () => spawnSync(process.execPath, [join(place, "src", "main.ts")], { encoding: "utf8", env }).stdout
    assert.match(
      run(),
      /^true there is no prebuilds\/linux-\w+\/effect-multiprocessing.node: .* "npm run build:native"/
    )
    writeFileSync(join(prebuilt, "effect-multiprocessing.node"), "not a library")
    assert.match(run(), /^true the native addon could not be loaded: .*effect-multiprocessing.node/)

    // where it lies in the package nobody has to find that by its name
    const nameless = join(folder, "nameless")
    const deep = join(nameless, "src", "internal", "memory")
    mkdirSync(deep, { recursive: true })
    cpSync(join(place, "src"), deep, { recursive: true })
    cpSync(join(place, "prebuilds"), join(nameless, "prebuilds"), { recursive: true })
    writeFileSync(join(nameless, "package.json"), JSON.stringify({ type: "module" }))
    const there = spawnSync(process.execPath, [join(deep, "main.ts")], { encoding: "utf8", env }).stdout
    assert.match(there, /^true the native addon could not be loaded: .*nameless.*effect-multiprocessing.node/)
  })
})

describe.skipIf(addon?.canShare !== true)("a segment", () => {
  const size = 1 << 16

  it("is the same bytes in another process and in a thread, and atomic operations on it are exact", async () => {
    const fd = addon.createSegment(size)
    const buffer = addon.mapSegment(fd, size)
    assert.instanceOf(buffer, SharedArrayBuffer)
    assert.strictEqual(buffer.byteLength, size)
    const times = 100_000
    const child = start(["count", size, times, 1], { stdio: ["ignore", "pipe", "inherit", fd] })
    const { answer, worker } = inThread({ buffer, times, who: 2 })
    count(buffer, times, 3)
    await child.until("counted")
    Atomics.store(new Int32Array(buffer), 8, 1)
    Atomics.notify(new Int32Array(buffer), 8)
    assert.strictEqual(await answer, "woken")
    await worker.terminate()
    await child.ended
    addon.closeDescriptor(fd)
    assert.strictEqual(new Int32Array(buffer)[0], 3 * times)
    assert.strictEqual(new BigInt64Array(buffer)[1], 3n * BigInt(times))
    assert.deepStrictEqual([...new Uint8Array(buffer, 16, 4)], [0, 1, 2, 3])
  })

  it("begins as zeros and may be larger than the machine's memory", () => {
    const large = 2 ** 40
    const fd = addon.createSegment(large)
    const last = new Uint8Array(addon.mapSegment(fd, large), large - 8)
    addon.closeDescriptor(fd)
    assert.deepStrictEqual([...last], [0, 0, 0, 0, 0, 0, 0, 0])
    last[7] = 1
    assert.strictEqual(last[7], 1)
  })

  it("cannot change its size", () => {
    const fd = addon.createSegment(size)
    for (const other of [0, size - 1, size + 1]) {
      assert.strictEqual(failure(() => ftruncateSync(fd, other)).code, "EPERM")
    }
    addon.closeDescriptor(fd)
  })

  it("is refused when it could go from under its readers", () => {
    const before = addon.liveMappings()
    const fd = addon.createSegment(size)
    const tooSmall = failure(() => addon.mapSegment(fd, size + 1))
    assert.strictEqual(tooSmall.code, "ERR_TOO_SMALL")
    assert.strictEqual(tooSmall.message, "mapSegment: the segment has 65536 bytes, 65537 were asked for")
    addon.closeDescriptor(fd)
    assert.strictEqual(failure(() => addon.closeDescriptor(fd)).code, "EBADF")
    const closed = failure(() => addon.mapSegment(fd, size))
    assert.deepStrictEqual([closed.code, closed.syscall], ["EBADF", "fcntl"])
    assert.strictEqual(closed.message, "mapSegment: fcntl failed: Bad file descriptor (EBADF)")

    const file = openSync(join(folder, "file"), "w+")
    ftruncateSync(file, size)
    assert.strictEqual(failure(() => addon.mapSegment(file, size)).code, "ERR_NOT_SEALED")
    closeSync(file)
    assert.strictEqual(addon.liveMappings(), before)
  })

  it("can be mapped in several threads that load the addon at the same time", async () => {
    const threads = [1, 2, 3, 4].map(() => inThread("own"))
    assert.deepStrictEqual(
      await Promise.all(threads.map(({ answer }) => answer)),
      Array.from({ length: 4 }, () => addon.version)
    )
    await Promise.all(threads.map(({ worker }) => worker.terminate()))
  })

  it("is unmapped when nobody refers to it any more", async () => {
    assert.deepStrictEqual(await told(["collect"]), ["live 20", "unmapped true"])
  })

  it("counts as memory: the collector runs before thousands of unused mappings pile up", async () => {
    const [most] = await told(["churn"])
    assert.isBelow(Number(most), 1000)
  })

  it("outlives the thread that mapped it, and is unmapped after it", async () => {
    assert.deepStrictEqual(await told(["outlive"]), ["reads 42 mapped 1", "let go true", "live 0"])
  })
})

describe.skipIf(addon === undefined)("the addon's functions", () => {
  it("refuse every argument that is not what they need", () => {
    const fd = addon.createSegment(4096)
    const garbage: ReadonlyArray<unknown> = [undefined, null, "1", {}, [], true, 1n, Symbol("x"), () => 1]
    const numbers = [NaN, Infinity, -Infinity, -1, 0.5, 2 ** 41, 2 ** 63, 2 ** 64, Number.MAX_VALUE]
    const calls: ReadonlyArray<(value: never) => unknown> = [
      addon.createSegment,
      ...(addon.canShare ? [(value: never) => addon.mapSegment(fd, value)] : []),
      (value: never) => addon.mapSegment(value, 4096),
      addon.closeDescriptor,
      addon.peerOf,
      (value: never) => addon.dieWithParent(value, 1),
      addon.reap,
      addon.exitNow,
      (value: never) => addon.serveForks(value, 0, 0),
      (value: never) => addon.forkSelf([value]),
      (value: never) => addon.sendPacket(value, Buffer.from("x"), [])
    ]
    for (const call of calls) {
      for (const value of garbage) assert.instanceOf(failure(() => call(value as never)), TypeError)
      for (const value of numbers) assert.instanceOf(failure(() => call(value as never)), RangeError)
      assert.instanceOf(failure(() => (call as () => unknown)()), TypeError)
    }
    for (const value of garbage.filter((value) => !Array.isArray(value))) {
      assert.instanceOf(failure(() => addon.forkSelf(value as never)), TypeError)
      if (typeof value !== "boolean") assert.instanceOf(failure(() => addon.socketPair(value as never)), TypeError)
      assert.instanceOf(failure(() => addon.sendPacket(0, value as never, [])), TypeError)
      assert.instanceOf(failure(() => addon.sendPacket(0, Buffer.from("x"), value as never)), TypeError)
    }
    assert.instanceOf(failure(() => addon.sendPacket(0, Buffer.alloc(16_385), [])), TypeError)
    assert.instanceOf(failure(() => addon.forkSelf(Array.from({ length: 9 }, () => 0))), TypeError)
    for (const value of [NaN, -1, Infinity]) {
      assert.instanceOf(failure(() => addon.dieWithParent(process.ppid, value)), RangeError)
    }
    assert.strictEqual(
      failure(() => addon.createSegment(0)).message,
      "createSegment: size must be a whole number from 1 to 1099511627776, it is 0"
    )
    addon.closeDescriptor(fd)
  })

  it("say which system call failed, and how", () => {
    const fd = addon.createSegment(4096)
    const error = failure(() => addon.peerOf(fd))
    assert.instanceOf(error, Error)
    assert.deepStrictEqual([error.code, error.syscall], ["ENOTSOCK", "getsockopt"])
    assert.strictEqual(error.message, "peerOf: getsockopt failed: Socket operation on non-socket (ENOTSOCK)")
    addon.closeDescriptor(fd)
  })

  it("know the process at the other end of a unix socket", async () => {
    const path = join(folder, "socket")
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(path, resolve))
    const connected = new Promise<Socket>((resolve) => server.once("connection", resolve))
    const { child, ended, until } = start(["connect", path])
    const socket = await bounded("a connection", connected)
    // Node has no public way to the descriptor of a socket
    const { fd } = (socket as unknown as { readonly _handle: { readonly fd: number } })._handle
    assert.deepStrictEqual(addon.peerOf(fd), {
      pid: child.pid!,
      uid: process.getuid!(),
      gid: process.getgid!()
    })
    await until(`pid ${child.pid}`)
    socket.end()
    server.close()
    await ended
  })

  it("refuse a socket that is not connected to a process", async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const { fd } = (server as unknown as { readonly _handle: { readonly fd: number } })._handle
    assert.strictEqual(failure(() => addon.peerOf(fd)).code, "ENOTCONN")
    server.close()
  })
})

describe.skipIf(addon === undefined)("dieWithParent", () => {
  const orphanAfter = async (mode: string, grace: number) => {
    const family = start(["parent", mode, grace])
    await family.until("armed true")
    const killed = performance.now()
    family.child.kill("SIGKILL")
    // the orphan holds the other end of the output
    await family.ended
    return { seconds: (performance.now() - killed) / 1000, lines: family.lines }
  }

  it("ends an orphan that computes, when its time is over and not before", async () => {
    const { seconds } = await orphanAfter("spin", 1)
    assert.isAbove(seconds, 0.9)
    assert.isBelow(seconds, 2)
  })

  it("ends an orphan at once when it has no time", async () => {
    assert.isBelow((await orphanAfter("spin", 0)).seconds, 1)
  })

  it("lets an orphan leave by itself", async () => {
    const { lines, seconds } = await orphanAfter("leave", 10)
    assert.deepStrictEqual(lines, ["armed true", "left"])
    assert.isBelow(seconds, 5)
  })

  it("does not mistake the end of the parent's thread for the end of the parent", async () => {
    const family = start(["parentThread", "answer", 0])
    await family.until("armed true")
    family.child.kill("SIGUSR2")
    await family.until("thread ended")
    family.child.stdin!.write("hello\n")
    await family.until("got hello")
    family.child.kill("SIGKILL")
    await family.ended
  })

  it("says that the parent has died already", () => {
    assert.isFalse(addon.dieWithParent(2 ** 31 - 1, 5))
  })

  it("is refused on another thread than the main one, with which the request would end", async () => {
    const { answer, worker } = inThread("dieWithParent")
    assert.strictEqual(await answer, "ERR_NOT_MAIN_THREAD")
    await worker.terminate()
  })
})
