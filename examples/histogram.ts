/**
 * How often each byte occurs in a large file, counted by all workers of a pool into one shared array, in two ways.
 *
 *     npm run example histogram
 *     npm run example histogram 500     (megabytes; the file is made in a temporary folder)
 */
import { Console, Effect } from "effect"
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Pool, Process, SharedArray, StartMethod, Task } from "../src/index.ts"

const megabyte = 2 ** 20

interface Part {
  readonly file: string
  readonly from: number
  readonly to: number
  /** 256 counts. One of 32 bits wraps above 4 GB. */
  readonly counts: SharedArray.SharedArray<"uint32">
}

/** The bytes of a part, a megabyte at a time. */
const readPart = ({ file, from, to }: Part, use: (bytes: Uint8Array) => void): void => {
  const buffer = new Uint8Array(megabyte)
  const fd = openSync(file, "r")
  try {
    for (let at = from; at < to;) {
      const read = readSync(fd, buffer, 0, Math.min(buffer.length, to - at), at)
      if (read === 0) throw new Error(`${file} ends before byte ${to}`)
      use(buffer.subarray(0, read))
      at += read
    }
  } finally {
    closeSync(fd)
  }
}

/** Nobody else sees the worker's own counts, so they need no atomic step; what is shared is changed 256 times a part. */
const countThenAdd = Task.sync("countThenAdd", {
  module: import.meta.url,
  handler: (part: Part): void => {
    const own = new Uint32Array(256)
    readPart(part, (bytes) => {
      for (let i = 0; i < bytes.length; i++) own[bytes[i]!]!++
    })
    const counts = SharedArray.view(part.counts)
    own.forEach((count, byte) => Atomics.add(counts, byte, count))
  }
})

/** As correct, and slower: an atomic step for every byte, on cells that all workers change. */
const addEachByte = Task.sync("addEachByte", {
  module: import.meta.url,
  handler: (part: Part): void => {
    const counts = SharedArray.view(part.counts)
    readPart(part, (bytes) => {
      for (let i = 0; i < bytes.length; i++) Atomics.add(counts, bytes[i]!, 1)
    })
  }
})

/** The same file each time, in which small bytes are frequent. */
const makeFile = (file: string, megabytes: number): void => {
  let state = 1
  const random = (): number => (state = Math.imul(state, 1103515245) + 12345 & 0x7fffffff) >>> 16 & 0xff
  const block = Uint8Array.from({ length: megabyte }, () => random() * random() >>> 8)
  const fd = openSync(file, "w")
  for (let i = 0; i < megabytes; i++) writeSync(fd, block)
  closeSync(fd)
}

const temporaryFile = (megabytes: number) =>
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "histogram-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  ).pipe(
    Effect.map((folder) => join(folder, "bytes")),
    Effect.tap((file) => Effect.sync(() => makeFile(file, megabytes)))
  )

/** Four megabytes make a part: enough work for a message, and enough parts for all workers. */
const partsOf = (file: string, size: number, counts: Part["counts"]): ReadonlyArray<Part> => {
  const partSize = 4 * megabyte
  return Array.from({ length: Math.ceil(size / partSize) }, (_, i) => ({
    file,
    from: i * partSize,
    to: Math.min(size, (i + 1) * partSize),
    counts
  }))
}

const main = Effect.gen(function*() {
  const megabytes = Number(process.argv[2] ?? 64)
  const size = megabytes * megabyte
  const file = yield* temporaryFile(megabytes)
  const pool = yield* Pool.make()

  const histogram = (task: typeof countThenAdd) =>
    Effect.gen(function*() {
      const counts = yield* SharedArray.make("uint32", 256)
      const began = performance.now()
      yield* Pool.map(pool, task, partsOf(file, size, counts))
      const millis = Math.round(performance.now() - began)
      yield* Console.log(`${task.name}: ${millis} ms`)
      return yield* SharedArray.toArray(counts)
    })

  // the workers load this module before the clock runs
  yield* Pool.broadcast(pool, countThenAdd, { file, from: 0, to: 0, counts: yield* SharedArray.make("uint32", 256) })
  const counts = yield* histogram(countThenAdd)
  const again = yield* histogram(addEachByte)

  yield* Console.log("same counts:", counts.every((count, byte) => count === again[byte]))
  yield* Console.log("all bytes counted:", counts.reduce((sum, count) => sum + count, 0) === size)
  for (let first = 0; first < 256; first += 32) {
    const share = counts.slice(first, first + 32).reduce((sum, count) => sum + count, 0) / size
    const bytes = `${first}..${first + 31}`.padEnd(8)
    yield* Console.log(`${bytes} ${(100 * share).toFixed(1).padStart(4)} % ${"#".repeat(Math.round(100 * share))}`)
  }
}).pipe(Effect.scoped, Effect.provide(StartMethod.layerConfig))

Process.runMain(main)
