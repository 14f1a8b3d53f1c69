/**
 * What a copy of this process does: it takes runs, runs their items, reports, as any child. But its event loop does not
 * turn, for what would turn there is the original's. So it waits for messages in `read`, and an item that has to wait for
 * something else fails and says so.
 */
import { Buffer } from "node:buffer"
import { readSync } from "node:fs"
import { findInitializer, findTask, namesOf } from "../codec/registry.ts"
import { valueCodec } from "../codec/schema.ts"
import { open, revive } from "../codec/values.ts"
import type { Border } from "../codec/values.ts"
import type { Channel } from "../channel/Channel.ts"
import { decodeBody, makeFrameReader } from "../protocol/frames.ts"
import { flagMarked, Kind } from "../protocol/messages.ts"
import type { Boot, EncodedReason, ToChild, ToParent } from "../protocol/messages.ts"
import { enter, idle } from "../protocol/progress.ts"
import { makeRuntime } from "../runner/effects.ts"
import type { EffectRuntime, ItemOutcome } from "../runner/effects.ts"
import { border, notDefined, reasonOf } from "../runner/refusals.ts"
import { makeReports } from "../runner/reports.ts"
import { knownTask, measure } from "../runner/runs.ts"
import type { KnownTask, Run } from "../runner/runs.ts"
import { closures } from "./closures.ts"
import { makeTurns } from "./turns.ts"

export interface CopyHost {
  /** Where it is read. */
  readonly input: number
  readonly limit: number
  readonly channel: Channel<ToParent, ToChild>
  readonly pid: number
  readonly progress: Int32Array
  readonly onBoot: (boot: Boot, notice: (text: string) => void) => void
  readonly exit: (code: number) => never
  readonly stop: () => void
}

const readBytes = 64 * 1024

/** Blocks until something comes; the end is that of the original. */
const readMessages = (input: number, limit: number, onMessages: (messages: ReadonlyArray<ToChild>) => void): void => {
  const reader = makeFrameReader(limit)
  for (;;) {
    const block = reader.room() ?? Buffer.allocUnsafeSlow(readBytes)
    const count = readSync(input, block)
    if (count === 0) return
    reader.push(Buffer.from(block.buffer, block.byteOffset, count), (body, attachments) => {
      onMessages(decodeBody(body, attachments) as ReadonlyArray<ToChild>) // of our own code
    })
  }
}

const suspended = (module: string, task: string): EncodedReason => ({
  _tag: "StartMethodUnavailable",
  message:
    `${
      module === closures ? task : `task "${task}"`
    } waits for something (a timer, a promise, an import, a message), which the start method "fork" cannot: ` +
    `its children are copies whose event loop does not turn. ${
      module === closures
        ? "Do what waits before Process.forkSync or after it, or make a Task of it for another start method."
        : "Use StartMethod.layerForkServer or StartMethod.layerSpawn for it."
    }`
})

const cannotImport = (module: string, task: string): EncodedReason => ({
  _tag: "TaskNotFound",
  module,
  task,
  message:
    `task "${task}": its module ${module} is not loaded, and a copy of this process can load nothing more: import it first.`
})

/** Never returns. */
export const runCopy = (host: CopyHost): never => {
  const { channel } = host
  const turns = makeTurns()
  const tasks = new Map<number, KnownTask>()
  const reports = makeReports(channel, () => true)
  const crossing: Border = { sharesMemory: false }
  let boot: Boot
  let runtime: EffectRuntime

  const initialize = (): EncodedReason | undefined => {
    const { initializer } = boot
    if (initializer === undefined) return undefined
    const definition = findInitializer(initializer.module, initializer.name)
    if (definition === undefined) return cannotImport(initializer.module, initializer.name)
    let payload: unknown
    try {
      payload = open(initializer.payload)
    } catch (cause) {
      return reasonOf(cause, "payload", `initializer "${initializer.name}"`)
    }
    return runtime.initializeNow(definition, payload, turns.takeAll)
  }

  const ready = (): void => {
    host.onBoot(boot, (text) => reports.tell([Kind.Notice, text]))
    runtime = makeRuntime(boot, crossing, {
      pid: host.pid,
      launchers: () => Promise.reject(new Error("a copy of a process starts no children")),
      synchronous: { scheduler: turns.scheduler, valueCodec }
    }, reports.say)
    const reason = initialize()
    if (reason === undefined) return reports.tell([Kind.Ready, host.pid])
    reports.tell([Kind.BootFailed, reason])
    host.exit(1)
  }

  const runItem = (run: Run): void => {
    const { definition, module, name } = run.task
    if (definition === undefined) {
      const isLoaded = namesOf("task", module).length > 0
      return reports.failure(run, border(isLoaded ? notDefined(module, name) : cannotImport(module, name)))
    }
    const items = run.items as Array<unknown>
    if ((run.flags & flagMarked) !== 0) {
      try {
        items[run.index] = revive(items[run.index])
      } catch (cause) {
        return reports.failure(run, border(reasonOf(cause, "payload", `task "${name}"`)))
      }
    }
    reports.tell([Kind.Started, run.id, run.index])
    const began = performance.now()
    let outcome: ItemOutcome | undefined
    const item = runtime.run(definition, items[run.index], run, (one) => {
      outcome ??= one
    })
    turns.takeAll()
    const millis = performance.now() - began
    measure(run.task, millis)
    if (outcome === undefined) {
      outcome = { _tag: "Failure", failure: border(suspended(module, name)) }
      item.interrupt()
      turns.takeAll()
    }
    if (outcome._tag === "Success") reports.success(run, outcome.value, millis)
    else reports.failure(run, outcome.failure, millis)
  }

  const runAll = (id: number, task: KnownTask, items: Run["items"], flags: number, ambient: Run["ambient"]): void => {
    task.definition ??= findTask(task.module, task.name)
    const run: Run = { id, task, items, flags, ambient, index: 0, cancelled: false, beganAt: 0 }
    while (run.index < items.length) {
      if (!enter(host.progress, id, run.index)) return
      runItem(run)
    }
    enter(host.progress, idle)
    reports.flush()
    if (boot.once) leave(reports.hasFailed() ? 1 : 0)
  }

  const leave = (code: number): void => {
    runtime.closeNow(turns.takeAll)
    reports.flush()
    host.exit(code)
  }

  const onMessage = (message: ToChild): void => {
    switch (message[0]) {
      case Kind.Boot:
        boot = message[1]
        return ready()
      case Kind.Define:
        return void tasks.set(message[1], knownTask(message))
      case Kind.Run:
        return runAll(message[1], tasks.get(message[2])!, message[3], message[4], message[5])
      case Kind.Runs: {
        const [, task, flags, runs, items] = message
        for (let i = 0; i < runs.length; i++) runAll(runs[i]!, tasks.get(task)!, [items[i]], flags, undefined)
        return
      }
      case Kind.Cancel:
        return reports.tell([Kind.Cancelled, message[1]]) // it has ended: nothing is read while something runs
      case Kind.Close:
        return leave(0)
      case Kind.Stop:
        runtime.closeNow(turns.takeAll)
        reports.flush()
        return host.stop()
    }
  }

  readMessages(host.input, host.limit, (messages) => messages.forEach(onMessage))
  return host.exit(1)
}
