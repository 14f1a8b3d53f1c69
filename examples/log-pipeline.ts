/**
 * Three processes in a row: one reads a log, one parses its lines, one adds them up. Queues are between them, so each goes
 * as fast as the next one; how far the reader is comes through a pipe.
 *
 *     npm run example log-pipeline                  (makes a log of 20,000 lines in a temporary folder)
 *     npm run example log-pipeline /var/log/nginx/access.log
 */
import { NodeServices } from "@effect/platform-node"
import { Clock, Console, Effect, Fiber, Option, Stream, Terminal } from "effect"
import { createReadStream, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { Connection, Pipe, Process, ProgressBar, SharedQueue, StartMethod, Task } from "../src/index.ts"

const module = import.meta.url

/** A message costs as much as some hundred lines of work: so they travel in batches. */
type Lines = ReadonlyArray<string>
const batchSize = 500
/** How many batches may wait between two processes. */
const capacity = 16

// ---------------------------------------------------------------------------------------------------------------- read

interface Reading {
  readonly file: string
  readonly lines: SharedQueue.SharedQueue<Lines>
  /** How many bytes have been read. */
  readonly progress: Connection.Connection<number, never>
}

const read = Task.make("read", {
  module,
  handler: ({ file, lines, progress }: Reading) => {
    let bytes = 0
    const input = createReadStream(file).on("data", (chunk) => bytes += chunk.length)
    return Stream.fromAsyncIterable(createInterface({ input }), (cause) => new Error(`${file} was not read`, { cause }))
      .pipe(
        Stream.grouped(batchSize),
        Stream.tap(() => Connection.send(progress, bytes)),
        Stream.run(SharedQueue.toSink(lines)),
        // however it ends: the next one goes on waiting otherwise
        Effect.ensuring(Effect.ignore(SharedQueue.end(lines))),
        Effect.ensuring(Connection.close(progress))
      )
  }
})

// --------------------------------------------------------------------------------------------------------------- parse

interface Entry {
  readonly path: string
  readonly status: number
  readonly bytes: number
}

interface Parsed {
  readonly entries: ReadonlyArray<Entry>
  readonly malformed: number
}

/** `host ident user [time] "GET /path HTTP/1.1" status bytes` */
const pattern = /^\S+ \S+ \S+ \[[^\]]*\] "\S+ (\S+)[^"]*" (\d{3}) (\d+|-)/

const parseLine = (line: string): Entry | undefined => {
  const [, path, status, bytes] = pattern.exec(line) ?? []
  return path === undefined ? undefined : { path, status: Number(status), bytes: bytes === "-" ? 0 : Number(bytes) }
}

const parseLines = (lines: Lines): Parsed => {
  const entries = lines.map(parseLine).filter((entry) => entry !== undefined)
  return { entries, malformed: lines.length - entries.length }
}

interface Parsing {
  readonly lines: SharedQueue.SharedQueue<Lines>
  readonly parsed: SharedQueue.SharedQueue<Parsed>
}

const parse = Task.make("parse", {
  module,
  handler: ({ lines, parsed }: Parsing) =>
    SharedQueue.toStream(lines).pipe(
      Stream.map(parseLines),
      Stream.run(SharedQueue.toSink(parsed)),
      Effect.ensuring(Effect.ignore(SharedQueue.end(parsed)))
    )
})

// ----------------------------------------------------------------------------------------------------------- aggregate

interface Totals {
  readonly paths: Map<string, { requests: number; bytes: number }>
  requests: number
  errors: number
  malformed: number
}

const addTo = (totals: Totals, { entries, malformed }: Parsed): Totals => {
  for (const { bytes, path, status } of entries) {
    const ofPath = totals.paths.get(path) ?? { requests: 0, bytes: 0 }
    ofPath.requests++
    ofPath.bytes += bytes
    totals.paths.set(path, ofPath)
    if (status >= 400) totals.errors++
  }
  totals.requests += entries.length
  totals.malformed += malformed
  return totals
}

const aggregate = Task.make("aggregate", {
  module,
  handler: (parsed: SharedQueue.SharedQueue<Parsed>) =>
    Stream.runFold(
      SharedQueue.toStream(parsed),
      (): Totals => ({ paths: new Map(), requests: 0, errors: 0, malformed: 0 }),
      addTo
    )
})

// ------------------------------------------------------------------------------------------------------------- program

/** The same log each time. */
const makeLog = (lines: number): string => {
  let state = 1
  const random = (below: number): number => (state = Math.imul(state, 1103515245) + 12345 & 0x7fffffff) % below
  const paths = ["/", "/products", "/products/42", "/cart", "/login", "/images/logo.png"]
  return Array.from({ length: lines }, (_, i) => {
    if (i % 1000 === 999) return "-- the server was restarted --"
    const time = new Date(Date.UTC(2026, 0, 1) + 1000 * i).toISOString()
    const path = paths[Math.min(random(6), random(6))]!
    const status = random(50) === 0 ? 500 : random(20) === 0 ? 404 : 200
    return `10.0.0.${random(256)} - - [${time}] "GET ${path} HTTP/1.1" ${status} ${random(20_000)}`
  }).join("\n")
}

const temporaryLog = Effect.acquireRelease(
  Effect.sync(() => {
    const folder = mkdtempSync(join(tmpdir(), "log-"))
    writeFileSync(join(folder, "access.log"), makeLog(20_000))
    return folder
  }),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
).pipe(Effect.map((folder) => join(folder, "access.log")))

/** A line on a terminal; nothing where there is none. */
const draw = (progress: Connection.Connection<never, number>, total: number) =>
  Effect.gen(function*() {
    const terminal = yield* Terminal.Terminal
    const began = yield* Clock.currentTimeMillis
    yield* Stream.runForEach(Connection.toStream(progress), (done) =>
      Effect.gen(function*() {
        const columns = yield* terminal.columns
        if (columns < 40) return
        const rate = done / Math.max(1, (yield* Clock.currentTimeMillis) - began) * 1000
        const state = { submitted: total, done, failed: 0, rate, remaining: Option.none() }
        const line = ProgressBar.render(state, { label: "bytes", total, columns })
        yield* Effect.ignore(terminal.display(`\r${line}${done === total ? "\n" : ""}`))
      }))
  })

const main = Effect.gen(function*() {
  const file = process.argv[2] ?? (yield* temporaryLog)
  const lines = yield* SharedQueue.bounded<Lines>(capacity)
  const parsed = yield* SharedQueue.bounded<Parsed>(capacity)
  const [progress, reader] = yield* Pipe.simplex<number>()

  const stages = [
    yield* Process.start(read, { file, lines, progress: reader }),
    yield* Process.start(parse, { lines, parsed })
  ]
  const last = yield* Process.start(aggregate, parsed)
  const drawing = yield* Effect.forkChild(draw(progress, statSync(file).size))

  const totals = yield* Process.join(last)
  // whoever failed says so here
  yield* Effect.forEach(stages, (stage) => Process.join(stage))
  yield* Fiber.join(drawing)

  yield* Console.log(`${totals.requests} requests, ${totals.errors} errors, ${totals.malformed} lines are none`)
  const byRequests = [...totals.paths].sort(([, one], [, other]) => other.requests - one.requests)
  for (const [path, { bytes, requests }] of byRequests.slice(0, 10)) {
    const megabytes = (bytes / 1e6).toFixed(1)
    yield* Console.log(`${path.padEnd(20)} ${String(requests).padStart(7)} requests ${megabytes.padStart(8)} MB`)
  }
}).pipe(Effect.scoped, Effect.provide([StartMethod.layerConfig, NodeServices.layer]))

Process.runMain(main)
