/** Every program of `examples/`, as its readers run it: as a process of its own. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { crc32, inflateSync } from "node:zlib"
import { SharedMemory, StartMethod } from "../src/index.ts"

const root = fileURLToPath(new URL("../", import.meta.url))
const limitMillis = 25_000

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** Some process of the example's group was there when the example had ended. */
  readonly leftBehind: boolean
}

const signalGroup = (leader: number, signal: NodeJS.Signals | 0): boolean => {
  try {
    return process.kill(-leader, signal)
  } catch {
    return false // ESRCH: there is no process in the group
  }
}

/** `npm run example NAME ARGS`, without npm. It leads a process group, so that its children can be asked for. */
const runExample = (
  name: string,
  args: ReadonlyArray<string>,
  startMethod: string | undefined,
  nodeOptions = ""
): Effect.Effect<Ended, Error> =>
  Effect.callback<Ended, Error>((resume) => {
    const { MULTIPROCESSING_START_METHOD: _, ...inherited } = process.env
    // some versions of Node warn of the types that they strip
    const base = { ...inherited, NODE_OPTIONS: `--disable-warning=ExperimentalWarning ${nodeOptions}` }
    const child = spawn(process.execPath, [join(root, "scripts", "example.ts"), name, ...args], {
      cwd: root,
      detached: true,
      env: { ...base, ...(startMethod === undefined ? {} : { MULTIPROCESSING_START_METHOD: startMethod }) },
      stdio: ["ignore", "pipe", "pipe"]
    })
    const kill = (): void => {
      if (child.pid !== undefined) signalGroup(child.pid, "SIGKILL")
    }
    let stdout = ""
    let stderr = ""
    let leftBehind = false
    const timer = setTimeout(() => {
      kill()
      resume(Effect.fail(new Error(`${name} did not end within ${limitMillis} ms.\n${stdout}\n${stderr}`)))
    }, limitMillis)
    child.stdout.setEncoding("utf8").on("data", (text: string) => stdout += text)
    child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text)
    child.once("error", (error) => resume(Effect.fail(error)))
    child.once("exit", () => {
      leftBehind = signalGroup(child.pid!, 0)
    })
    // after the exit, and when nobody holds the pipes any more
    child.once("close", (code, signal) => {
      clearTimeout(timer)
      resume(Effect.succeed({ code, signal, stdout, stderr, leftBehind }))
    })
    return Effect.sync(() => {
      clearTimeout(timer)
      kill()
    })
  })

const linesOf = (text: string): ReadonlyArray<string> => text.trimEnd().split("\n")

/** What is said in which order is free where several processes, or threads, print. */
const sameLines = (stdout: string, expected: ReadonlyArray<string>): void =>
  assert.deepStrictEqual([...linesOf(stdout)].sort(), [...expected].sort())

const inWorker = (numbers: ReadonlyArray<number>): ReadonlyArray<string> => numbers.map((n) => `In worker with: ${n}`)

const factorials = [[5, "120"], [8, "40320"], [10, "3628800"], [15, "1307674368000"], [3, "6"], [6, "720"], [4, "24"]]

/** The pids of the workers that a pool's lines name. */
const checkPool = (lines: ReadonlyArray<string>, pool: string): ReadonlyArray<number> => {
  const found = lines.map((line) => /^(\d+)! = (\d+), by (\w+)-worker-\d+ \(pid (\d+)\)$/.exec(line))
  assert.deepStrictEqual(found.map((match) => [Number(match?.[1]), match?.[2]]), factorials)
  assert.isTrue(found.every((match) => match?.[3] === pool), `the names of the workers of ${pool}`)
  return found.map((match) => Number(match?.[4]))
}

/** The picture in a PNG file of one piece, without its filter bytes, which are all 0. */
const pixelsOf = (png: Buffer): { readonly width: number; readonly height: number; readonly pixels: Buffer } => {
  assert.strictEqual(png.subarray(1, 4).toString("latin1"), "PNG")
  const chunks = new Map<string, Buffer>()
  for (let at = 8; at < png.length;) {
    const length = png.readUInt32BE(at)
    const body = png.subarray(at + 4, at + 8 + length)
    assert.strictEqual(png.readUInt32BE(at + 8 + length), crc32(body))
    chunks.set(body.toString("latin1", 0, 4), body.subarray(4))
    at += length + 12
  }
  assert.deepStrictEqual([...chunks.keys()], ["IHDR", "IDAT", "IEND"])
  const [width, height] = [chunks.get("IHDR")!.readUInt32BE(0), chunks.get("IHDR")!.readUInt32BE(4)]
  const rows = inflateSync(chunks.get("IDAT")!)
  assert.strictEqual(rows.length, height * (width * 3 + 1))
  const pixels = Buffer.concat(
    Array.from({ length: height }, (_, row) => rows.subarray(row * (width * 3 + 1) + 1, (row + 1) * (width * 3 + 1)))
  )
  return { width, height, pixels }
}

type StartMethodName = "inline" | "threads" | "spawn"

interface Example {
  readonly args: (startMethod: StartMethodName) => ReadonlyArray<string>
  /** The program takes the start method that the environment names, or an argument; others have their own. */
  readonly startMethods: ReadonlyArray<StartMethodName> | "its own"
  readonly check: (stdout: string, startMethod: StartMethodName) => void
}

const noArguments = (): ReadonlyArray<string> => []
const hasForkServer = Effect.runSync(StartMethod.available).includes("forkserver")

const both: ReadonlyArray<StartMethodName> = ["threads", "spawn"]
/** What a program with shared memory runs on: where that reaches threads only, not on processes. */
const sharing: ReadonlyArray<StartMethodName> = SharedMemory.reach === "processes"
  ? ["inline", "threads", "spawn"]
  : ["inline", "threads"]

const pictureFile = (startMethod: StartMethodName): string =>
  join(tmpdir(), `mandelbrot-${process.pid}-${startMethod}.png`)

const examples: Record<string, Example> = {
  "three-processes": {
    args: () => ["10"],
    startMethods: both,
    check: (stdout) => {
      assert.match(stdout, /^Starting\n/)
      assert.match(stdout, /Done\n/)
      const printed = stdout.replace("Starting", "").replace("Done", "").replaceAll("\n", "")
      assert.strictEqual([...printed].sort().join(""), "A".repeat(10) + "B".repeat(10) + "C".repeat(10))
    }
  },
  "start-methods": {
    args: (startMethod) => [startMethod],
    startMethods: both,
    check: (stdout, startMethod) => {
      const rootPid = Number(/^Root application process id: (\d+)$/m.exec(stdout)?.[1])
      const pid = Number(/^process id: (\d+)$/m.exec(stdout)?.[1])
      assert.strictEqual(pid === rootPid, startMethod === "threads")
      sameLines(stdout, [
        "Starting",
        `Root application process id: ${rootPid}`,
        "module name: start-methods.ts",
        "main process: false",
        `start method: ${startMethod}`,
        `parent process: ${rootPid}`,
        `process id: ${pid}`,
        "AAAAAAAAAA",
        "Done"
      ])
    }
  },
  contexts: {
    args: noArguments,
    startMethods: "its own",
    check: (stdout) =>
      assert.deepStrictEqual(linesOf(stdout), [
        "spawn: in a process of its own",
        "threads: in the main process",
        `${hasForkServer ? "forkserver" : "spawn"}: in a process of its own`
      ])
  },
  "pool-map": {
    args: noArguments,
    startMethods: both,
    check: (stdout) => sameLines(stdout, [...inWorker([0, 1, 2, 3, 4, 5]), "[ 0, 1, 4, 9, 16, 25 ]"])
  },
  "pool-imap-unordered": {
    args: noArguments,
    startMethods: both,
    check: (stdout) => sameLines(stdout, [...inWorker([0, 1, 2, 3, 4, 5]), "0", "1", "4", "9", "16", "25"])
  },
  "pool-apply-async": {
    args: noArguments,
    startMethods: both,
    check: (stdout) => sameLines(stdout, [...inWorker([6, 4]), "Result from async: 36", "In collectResults: 16"])
  },
  "shared-state": {
    args: noArguments,
    startMethods: sharing,
    check: (stdout) =>
      assert.deepStrictEqual(linesOf(stdout), ["Starting", "3.1415927", "0 -1 -2 -3 -4 -5 -6 -7 -8 -9", "Done"])
  },
  histogram: {
    args: () => ["5"],
    startMethods: sharing,
    check: (stdout) => {
      const lines = linesOf(stdout)
      assert.match(lines[0]!, /^countThenAdd: \d+ ms$/)
      assert.match(lines[1]!, /^addEachByte: \d+ ms$/)
      assert.deepStrictEqual(lines.slice(2), [
        "same counts: true",
        "all bytes counted: true",
        `0..31    38.8 % ${"#".repeat(39)}`,
        `32..63   21.1 % ${"#".repeat(21)}`,
        `64..95   14.6 % ${"#".repeat(15)}`,
        `96..127  10.3 % ${"#".repeat(10)}`,
        `128..159  7.2 % ${"#".repeat(7)}`,
        `160..191  4.7 % ${"#".repeat(5)}`,
        `192..223  2.6 % ${"#".repeat(3)}`,
        `224..255  0.8 % #`
      ])
    }
  },
  mandelbrot: {
    args: (startMethod) => ["64", "48", pictureFile(startMethod)],
    startMethods: sharing,
    check: (stdout, startMethod) => {
      const file = pictureFile(startMethod)
      try {
        assert.strictEqual(stdout, `64 x 48 pixels, checksum 4983bed1: ${file}\n`)
        const { height, pixels, width } = pixelsOf(readFileSync(file))
        assert.deepStrictEqual([width, height, crc32(pixels).toString(16)], [64, 48, "4983bed1"])
      } finally {
        rmSync(file)
      }
    }
  },
  pipe: {
    args: () => ["10"],
    startMethods: both,
    check: (stdout) => {
      sameLines(stdout, [
        "Main - Starting, creating the Pipe",
        "Main - Setting up the process",
        "Main - Wait for a response from the child process",
        "Worker - started now sleeping",
        "Worker - sending data via Pipe",
        "Worker - closing worker end of connection",
        "hello",
        "Main - closing parent process end of connection",
        "Main - Done"
      ])
      assert.match(stdout, /^hello\n/m)
    }
  },
  listener: {
    args: noArguments,
    startMethods: "its own",
    check: (stdout) =>
      assert.deepStrictEqual(linesOf(stdout), [
        "Server - listening",
        "Server - a client has left",
        "Client - 2 words: two programs",
        "Client - 5 words: one key and one address",
        "Done"
      ])
  },
  "log-pipeline": {
    args: noArguments,
    startMethods: both,
    check: (stdout) =>
      assert.deepStrictEqual(linesOf(stdout), [
        "19980 requests, 1987 errors, 20 lines are none",
        "/                       6743 requests     67.1 MB",
        "/products/42            4482 requests     44.9 MB",
        "/products               4422 requests     43.9 MB",
        "/login                  2209 requests     22.1 MB",
        "/cart                   2124 requests     21.0 MB"
      ])
  },
  "word-count": {
    args: noArguments,
    startMethods: both,
    check: (stdout) => assert.deepStrictEqual(linesOf(stdout), ["6 times the", "4 times dog", "3 times fox"])
  },
  "rate-limiter": {
    args: () => ["5", "50"],
    startMethods: both,
    check: (stdout) =>
      assert.deepStrictEqual(linesOf(stdout), [
        "20 calls by 4 processes",
        "at most 5 in 50 ms: it took 4 windows"
      ])
  },
  "job-queue": {
    args: noArguments,
    startMethods: "its own",
    check: (stdout) =>
      assert.deepStrictEqual(linesOf(stdout), [
        ...[1, 2, 3, 4, 5, 6].map((n) => `${n} squared is ${n * n}`),
        "2 workers have ended"
      ])
  },
  factorials: {
    args: noArguments,
    startMethods: "its own",
    check: (stdout) => {
      const lines = linesOf(stdout)
      const mainPid = Number(/^main process: pid (\d+)$/.exec(lines[0]!)?.[1])
      const processes = checkPool(lines.slice(1, 8), "processes")
      assert.notInclude(processes, mainPid)
      assert.isAbove(new Set(processes).size, 1)
      assert.strictEqual(lines[8], "-1! is not defined")
      assert.isTrue(checkPool(lines.slice(9, 16), "threads").every((pid) => pid === mainPid))
      assert.strictEqual(lines[16], "-1! is not defined")
      assert.deepStrictEqual(lines.slice(17), ["[ 120n, 40320n, 3628800n, 1307674368000n, 6n, 720n, 24n ]"])
    }
  }
}

const run = (name: string, { args, check }: Example, startMethod: StartMethodName, environment: string | undefined) =>
  Effect.map(runExample(name, args(startMethod), environment), ({ code, leftBehind, signal, stderr, stdout }) => {
    assert.strictEqual(stderr, "")
    assert.deepStrictEqual([code, signal], [0, null], stdout)
    assert.isFalse(leftBehind, "a child of the example outlived it")
    check(stdout, startMethod)
  })

/** The program believes that its output is a terminal. */
const onTerminal = `--import=${new URL("./fixtures/preloads/terminal.ts", import.meta.url)}`

const withLog = (lines: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const folder = mkdtempSync(join(tmpdir(), "log-"))
      writeFileSync(join(folder, "some.log"), lines.map((line) => `${line}\n`).join(""))
      return folder
    }),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  ).pipe(Effect.map((folder) => join(folder, "some.log")))

describe("examples", () => {
  it("each file of examples/ is run here", () => {
    const names = readdirSync(join(root, "examples")).map((file) => file.replace(/\.ts$/, ""))
    assert.deepStrictEqual(names.sort(), Object.keys(examples).sort())
  })

  for (const startMethod of both) {
    it.live(`log-pipeline on ${startMethod} reads the log that it is given, and shows on a terminal how far it is`, () =>
      Effect.gen(function*() {
        const file = yield* withLog([
          ...Array.from(
            { length: 1500 },
            (_, i) => `10.0.0.1 - - [now] "GET /${i % 3} HTTP/1.1" ${i < 10 ? 500 : 200} 1000`
          ),
          "no line of a log"
        ])
        const { code, stderr, stdout } = yield* runExample("log-pipeline", [file], startMethod, onTerminal)
        assert.deepStrictEqual([code, stderr], [0, ""])
        const drawn = stdout.split("\r").slice(1)
        const size = statSync(file).size
        for (const line of drawn) assert.match(line, /^bytes \[#* *\] \d+\/\d+ \d+%/)
        const [last, ...rest] = linesOf(drawn.at(-1)!)
        assert.include(last, `] ${size}/${size} 100%`)
        assert.isBelow(last!.length, 80)
        assert.deepStrictEqual(rest, [
          "1500 requests, 10 errors, 1 lines are none",
          ...[0, 1, 2].map((path) => `/${path}                       500 requests      0.5 MB`)
        ])
      }).pipe(Effect.scoped))
  }

  for (const [name, example] of Object.entries(examples)) {
    if (example.startMethods === "its own") {
      it.live(`${name} prints what it should, and leaves no child`, () => run(name, example, "spawn", undefined))
    } else {
      for (const startMethod of example.startMethods) {
        it.live(`${name} on ${startMethod} prints what it should, and leaves no child`, () =>
          run(name, example, startMethod, startMethod))
      }
    }
  }
})
