/**
 * Children that are threads of this process (`node:worker_threads`). Each has a message port of its own, so that a task
 * may use the thread's `parentPort` as it likes.
 */
import type { Readable } from "node:stream"
import { MessageChannel, Worker } from "node:worker_threads"
import type { ResourceLimits, WorkerOptions } from "node:worker_threads"
import type { ExitStatus } from "../../ProcessError.ts"
import { fromMessagePort } from "../channel/messagePort.ts"
import { stackOf } from "../codec/errors.ts"
import type { Boot, ToChild, ToParent } from "../protocol/messages.ts"
import { condemn, lastItem, makeProgress, progressBytes, runIn } from "../protocol/progress.ts"
import { capture } from "./capture.ts"
import { defaultStartMillis, lastLines, launchChild } from "./child.ts"
import { runnerUrl } from "./entry.ts"
import type { Body, Launcher } from "./Launcher.ts"

/** Plain data: a thread starts its own children with the same. */
export interface ThreadOptions {
  readonly resourceLimits?: ResourceLimits | undefined
  readonly env?: Record<string, string> | undefined
  readonly execArgv?: ReadonlyArray<string> | undefined
  readonly stdio?: "inherit" | "capture" | undefined
  readonly startMillis?: number | undefined
}

export const workerOptions = (options: ThreadOptions): WorkerOptions => {
  const captured = options.stdio === "capture"
  return {
    stdout: captured,
    stderr: captured,
    ...(options.execArgv === undefined ? {} : { execArgv: [...options.execArgv] }),
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.resourceLimits === undefined ? {} : { resourceLimits: options.resourceLimits })
  }
}

const forwarded = new WeakSet<Readable>()
let isWatching = false

/** When the program's stdout or stderr breaks, Node leaves what threads write to it unread, and they would wait for it. */
const readAnyway = ({ stderr, stdout }: Worker): void => {
  forwarded.add(stdout).add(stderr)
  if (isWatching) return
  isWatching = true
  const onUnpipe = (source: Readable): void => {
    if (forwarded.has(source)) source.resume()
  }
  process.stdout.on("unpipe", onUnpipe)
  process.stderr.on("unpipe", onUnpipe)
}

const makeBody = (options: ThreadOptions, boot: Boot): Body => {
  const { port1, port2 } = new MessageChannel()
  const progress = makeProgress(new SharedArrayBuffer(progressBytes))
  const captured = options.stdio === "capture"
  const worker = new Worker(runnerUrl("threadMain"), {
    name: boot.identity.name,
    workerData: { port: port2, progress },
    transferList: [port2],
    ...workerOptions(options)
  })
  if (!captured) readAnyway(worker)
  const channel = fromMessagePort<ToChild, ToParent>(port1)
  const stderr = captured ? capture(worker.stderr, boot.once) : undefined
  let error = ""
  worker.on("error", (cause) => {
    error = stackOf(cause)
  })
  let onEnd: ((status: ExitStatus, words: string) => void) | undefined
  worker.once("exit", (code) => {
    // its last reports may still lie in the port's queue
    channel.drain()
    onEnd?.({ _tag: "Exited", code }, lastLines(error === "" ? stderr?.tail() ?? "" : error))
  })
  return {
    pid: process.pid,
    channel,
    onEnd: (listener) => {
      onEnd = listener
    },
    running: (answer) => answer(runIn(progress)),
    condemn: (run, answer) => answer(condemn(progress, run)),
    lastItem: () => lastItem(progress),
    memory: (answer) => {
      worker.getHeapStatistics().then(
        (heap) => answer(heap.used_heap_size + heap.external_memory),
        () => answer(undefined)
      )
    },
    kill: () => void worker.terminate(),
    stdout: captured ? capture(worker.stdout, boot.once) : undefined,
    stderr
  }
}

export const threads = (options: ThreadOptions): Launcher => ({
  name: "threads",
  border: { sharesMemory: true },
  options,
  launch: (boot) => launchChild(boot, options.startMillis ?? defaultStartMillis, () => makeBody(options, boot))
})
