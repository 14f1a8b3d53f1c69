/**
 * The child's side of the protocol: takes runs, runs their items one after the other, reports. It knows nothing of Effect:
 * tasks that return Effects, schemas and initializers are handed to `effects.ts`, which is imported when the first of
 * them comes.
 */
import type { Clock } from "effect/Clock"
import type { Channel } from "../channel/Channel.ts"
import { wordsOf } from "../codec/errors.ts"
import { findInitializer, findTask, namesOf } from "../codec/registry.ts"
import type { TaskDefinition } from "../codec/registry.ts"
import { handlesIn, open, prepareLossy, revive } from "../codec/values.ts"
import { beforeLeaving, hasMethods, inHousehold, installedOpeners, installOpeners } from "../handles/handle.ts"
import type { Household } from "../handles/handle.ts"
import { flagAnnounce, flagMarked, flagReturns, Kind } from "../protocol/messages.ts"
import type { Boot, Crossed, EncodedReason, ToChild, ToParent } from "../protocol/messages.ts"
import { enter, idle } from "../protocol/progress.ts"
import type { EffectRuntime, Launchers, RunningItem } from "./effects.ts"
import { border, importFailure, notDefined, reasonOf } from "./refusals.ts"
import { makeReports } from "./reports.ts"
import { knownTask, measure } from "./runs.ts"
import type { KnownTask, Run } from "./runs.ts"
import { nowMillis } from "./time.ts"

export interface SessionHost {
  readonly channel: Channel<ToParent, ToChild>
  readonly pid: number
  /** How a task's own start method is loaded, when it is first used. */
  readonly launchers: () => Promise<Launchers>
  /** Ends the child. For a thread or a process this does not return. */
  readonly exit: (code: number) => void
  /** Calls back when the system has taken what the child has written to its stdout and stderr. */
  readonly whenWritten: (then: () => void) => void
  /** Ends the child as a termination from outside would. */
  readonly stop: () => void
  /** Where the number of the run is noted that has the word, or -1: others read it while this thread computes. */
  progress: Int32Array
  /** Those others are the parent itself, also when this child has ended. */
  isRead: boolean
  /** Bytes that the child uses now. */
  readonly memory: () => number
  /** Called when the boot message has been read. */
  readonly onBoot: (boot: Boot) => void
  /** Called once, before anything of the user runs. */
  readonly onUserCode: (boot: Boot) => void
  /** Called before much code is loaded. */
  readonly onMuchCode: () => void
  /** Where the child is its parent: the clock of that. */
  readonly clock?: Clock | undefined
  readonly household?: Household | undefined
}

export interface Session {
  /** Reports what has not been reported, and what runs: called when the child is about to end. */
  readonly lastReport: () => void
  readonly notice: (text: string) => void
}

/** How long finalizers may take when the parent is gone. */
const orphanMillis = 500
/** A run of guessed size that has taken this long gives back what it has not begun: four times what was meant. */
const returnMillis = 8
/** How often the memory is measured, at most. */
const weighMillis = 50
/** A synchronous stretch this long lets the event loop turn, so that a Cancel can be read. */
const stretchMillis = 5

export const startSession = (host: SessionHost): Session => {
  const { channel } = host
  const tasks = new Map<number, KnownTask>()
  const queue: Array<Run> = []
  /** What its parent can read need not be said. */
  const isSilent = (): boolean => host.isRead && boot?.announces !== true
  /** A time is measured from the start of some. */
  const announces = (run: Run): boolean => !isSilent() || (run.flags & flagAnnounce) !== 0
  const reports = makeReports(channel, announces)
  let stretchBegan = 0
  let boot: Boot | undefined
  let effects: EffectRuntime | undefined
  let running: RunningItem | undefined
  /** The number of the wait that holds the queue (an import, an item that suspended, a turn of the loop), or none. */
  let waiting = 0
  let waits = 0
  let memoryLimit: number | undefined
  let weighedAt = 0
  let hasRun = false
  let ended = false

  // ------------------------------------------------------------------ running

  /** Runs what is queued until it is empty or something is waited for. */
  const pump = (): void => {
    if (waiting !== 0 || ended) return
    stretchBegan = nowMillis()
    let now = stretchBegan
    while (queue.length > 0) {
      const run = queue[0]!
      weigh(now)
      if (run.cancelled || run.index >= run.items.length) {
        queue.shift()
        if (run.cancelled) {
          reports.fail()
          reports.say([Kind.Cancelled, run.id])
        }
        if (boot?.once === true) return endAfterRun()
        continue
      }
      if (now - stretchBegan > stretchMillis) {
        reports.flush()
        const resume = wait()
        // two turns: the first may come before the loop has looked for messages
        setImmediate(() => setImmediate(resume))
        return
      }
      if (isOverdue(run, now)) {
        queue.shift()
        reports.say([Kind.Returned, run.id, run.index])
        continue
      }
      if (!enter(host.progress, run.id, run.index)) break
      const definition = run.task.definition
      if (definition === undefined) return resolve(run)
      const plain = definition.kind === "sync" && definition.payload === undefined && definition.success === undefined
      if (!plain && effects?.isLoaded(definition) !== true) return loadEffects(run, definition)
      if (run.index === 0 && run.items.length > 1) run.beganAt = now
      hasRun = true
      if ((run.flags & flagMarked) !== 0) {
        if (installedOpeners() === undefined) return load(run, requireOpeners)
        if (!hasMethods() && hasProxy(run)) return load(run, requireMethods)
        if (!openItem(run)) continue
      }
      if (reports.announce(run, now, stretchBegan)) now = nowMillis()
      if (plain) now = runSync(run, definition.handler, now)
      else if (runEffect(run, definition, effects!, now)) now = nowMillis()
      else return
    }
    enter(host.progress, idle)
    if (memoryLimit !== undefined && hasRun) weighSoon()
    reports.flush()
  }

  const isOverdue = ({ beganAt, flags, index }: Run, now: number): boolean =>
    index > 0 && (flags & flagReturns) !== 0 && now - beganAt > returnMillis

  /** Says when too much memory is used, once. */
  const weigh = (now: number): void => {
    // one that has run nothing is as large as any other
    if (memoryLimit === undefined || !hasRun || now < weighedAt + weighMillis) return
    weighedAt = now
    const bytes = host.memory()
    if (bytes <= memoryLimit) return
    memoryLimit = undefined
    reports.say([Kind.Outgrown, bytes])
  }

  let isWeighingSoon = false
  /** What it has grown by with its last items is seen too. */
  const weighSoon = (): void => {
    if (isWeighingSoon) return
    isWeighingSoon = true
    setTimeout(() => {
      isWeighingSoon = false
      if (ended) return
      weigh(nowMillis())
      reports.flush()
    }, weighMillis).unref()
  }

  /** Holds the queue until the returned function is called; a wait that was given up meanwhile resumes nothing. */
  const wait = (): () => void => {
    const mine = waiting = ++waits
    return () => {
      if (waiting !== mine) return
      waiting = 0
      pump()
    }
  }

  /** Puts back what the next item's payload had to be rewritten for; where that fails the item has failed. */
  const openItem = (run: Run): boolean => {
    const items = run.items as Array<unknown> // ours since it has crossed
    try {
      items[run.index] = inHousehold(host.household, () => revive(items[run.index]))
      return true
    } catch (cause) {
      reports.failure(run, border(reasonOf(cause, "payload", `task "${run.task.name}"`)))
      return false
    }
  }

  /** Returns the time when it ended. */
  const runSync = (run: Run, handler: (payload: unknown) => unknown, began: number): number => {
    let value: unknown
    try {
      value = handler(run.items[run.index])
    } catch (cause) {
      const ended = nowMillis()
      reports.failure(run, { _tag: "Cause", reasons: [["die", prepareLossy(cause, channel)]] }, ended - began)
      return ended
    }
    const ended = nowMillis()
    measure(run.task, ended - began)
    reports.success(run, value, ended - began)
    return ended
  }

  /** `true` when the item ended at once; else the queue waits for it. */
  const runEffect = (run: Run, definition: TaskDefinition, runtime: EffectRuntime, began: number): boolean => {
    let done = false
    let resume: (() => void) | undefined
    const item = runtime.run(definition, run.items[run.index], run, (outcome) => {
      done = true
      running = undefined
      if (ended) return // the child is ending: `shutdown` waits for this item and reports the rest
      const millis = nowMillis() - began
      measure(run.task, millis)
      if (outcome._tag === "Success") {
        reports.move(outcome.transfers)
        reports.success(run, outcome.value, millis)
      } else {
        reports.failure(run, outcome.failure, millis)
      }
      resume?.()
    })
    if (done) return true
    running = item
    resume = wait()
    // it takes its time after all: its parent has to know that it runs
    if (announces(run)) reports.tell([Kind.Started, run.id, run.index])
    else reports.flush()
    return false
  }

  const failAll = (run: Run, reason: EncodedReason): void => {
    while (run.index < run.items.length) reports.failure(run, border(reason))
  }

  /** Finds the task in this process, or imports its module. The table comes first: a test runner may have it already. */
  const resolve = (run: Run): void => {
    const { module, name } = run.task
    const found = findTask(module, name)
    if (found !== undefined) {
      run.task.definition = found
      return pump()
    }
    if (run.task.usesEffect) host.onMuchCode()
    const resume = waitForCode(run)
    import(module).then(
      () => {
        run.task.definition = findTask(module, name)
        if (run.task.definition === undefined) failAll(run, notDefined(module, name))
      },
      (cause) => failAll(run, importFailure(module, name, cause))
    ).then(resume)
  }

  /** The item counts as begun, should this child die now, but its time does not run. */
  const waitForCode = (run: Run): () => void => {
    if (isSilent()) reports.flush()
    else reports.tell([Kind.Loading, run.id, run.index])
    return wait()
  }

  const loadEffects = (run: Run, definition: TaskDefinition): void => {
    const resume = waitForCode(run)
    requireEffects().then((runtime) => runtime.load(definition)).then(resume, (cause) => {
      failAll(run, {
        _tag: "StartFailed",
        message: `task "${run.task.name}" needs effect, which could not be imported: ${wordsOf(cause)}`,
        cause: prepareLossy(cause, { sharesMemory: false })
      })
      resume()
    })
  }

  const hasProxy = ({ index, items }: Run): boolean => handlesIn(items[index]).some(({ name }) => name === "Manager")

  /** What its handles need. */
  const load = (run: Run, required: () => Promise<unknown>): void => {
    const resume = waitForCode(run)
    required().then(resume, (cause) => {
      failAll(run, importFailure(run.task.module, run.task.name, cause))
      resume()
    })
  }

  const requireOpeners = async (): Promise<void> => {
    if (installedOpeners() === undefined) installOpeners((await import("../handles/openers.ts")).openHandle)
  }

  const requireMethods = () => import("../manager/travel.ts")

  const requireEffects = async (): Promise<EffectRuntime> => {
    const module = await import("./effects.ts")
    return effects ??= module.makeRuntime(boot!, channel, host, reports.tellSoon)
  }

  // ------------------------------------------------------------------ the parent's messages

  const cancel = (id: number): void => {
    const at = queue.findIndex((run) => run.id === id)
    if (at < 0) {
      // it has ended: the report and the request crossed
      return reports.tell([Kind.Cancelled, id])
    }
    queue[at]!.cancelled = true
    if (at > 0) return
    // its outcome is reported when its finalizers have run, and then `pump` drops the rest
    if (running !== undefined) return running.interrupt()
    // what it waits for (an import that never ends?) is given up
    waiting = 0
    pump()
  }

  const add = (id: number, task: KnownTask, items: Run["items"], flags: number, ambient: Run["ambient"]): void => {
    queue.push({ id, task, items, flags, ambient, index: 0, cancelled: false, beganAt: 0 })
  }

  const onMessage = (message: ToChild): void => {
    switch (message[0]) {
      case Kind.Boot:
        boot = message[1]
        memoryLimit = boot.maxMemory
        host.onBoot(boot)
        return ready(boot)
      case Kind.Define:
        tasks.set(message[1], knownTask(message))
        return
      case Kind.Run:
        return add(message[1], tasks.get(message[2])!, message[3], message[4], message[5])
      case Kind.Runs: {
        const [, task, flags, runs, items] = message
        const known = tasks.get(task)!
        for (let i = 0; i < runs.length; i++) add(runs[i]!, known, [items[i]], flags, undefined)
        return
      }
      case Kind.Cancel:
        return cancel(message[1])
      case Kind.Close:
        return shutdown(() => leave(0))
      case Kind.Stop:
        return shutdown(() => host.whenWritten(host.stop))
    }
  }

  const ready = (boot: Boot): void => {
    if (boot.initializer === undefined && host.clock === undefined) {
      reports.tell([Kind.Ready, host.pid])
      return host.onUserCode(boot)
    }
    host.onUserCode(boot)
    host.onMuchCode()
    const resume = wait()
    prepareEffects(boot).then((reason) => {
      reports.tell(reason === undefined ? [Kind.Ready, host.pid] : [Kind.BootFailed, reason])
      if (reason === undefined) resume()
      else shutdown(() => host.whenWritten(() => host.exit(1)))
    })
  }

  /** In another's time nothing may take time of its own later: what is loaded when it is first used is loaded now. */
  const prepareEffects = async ({ initializer }: Boot): Promise<EncodedReason | undefined> => {
    if (host.clock !== undefined) await (await requireEffects()).loadAll()
    return initializer === undefined ? undefined : await buildInitializer(initializer)
  }

  const openInitial = (name: string, payload: Crossed): { readonly value: unknown } | EncodedReason => {
    try {
      return { value: inHousehold(host.household, () => open(payload)) }
    } catch (cause) {
      return reasonOf(cause, "payload", `initializer "${name}"`)
    }
  }

  const buildInitializer = async (
    initializer: NonNullable<Boot["initializer"]>
  ): Promise<EncodedReason | undefined> => {
    const { module, name, payload } = initializer
    try {
      if (findInitializer(module, name) === undefined) await import(module)
      const definition = findInitializer(module, name)
      if (definition === undefined) {
        const names = namesOf("initializer", module).map((known) => JSON.stringify(known)).join(", ")
        return {
          _tag: "StartFailed",
          message: `initializer "${name}" is not defined by ${module}, which defines ${names === "" ? "none" : names}.`
        }
      }
      const runtime = await requireEffects()
      if (payload.marked) await requireOpeners()
      const opened = openInitial(name, payload)
      if ("_tag" in opened) return opened
      const failure = await runtime.initialize(definition, opened.value)
      return failure === undefined ? undefined : {
        _tag: "StartFailed",
        message: `initializer "${name}" of ${module} failed: ${failure.message}`,
        cause: failure.cause
      }
    } catch (cause) {
      return {
        _tag: "StartFailed",
        message: `initializer "${name}": its module ${module} could not be imported: ${wordsOf(cause)}`,
        cause: prepareLossy(cause, { sharesMemory: false })
      }
    }
  }

  // ------------------------------------------------------------------ the end

  const leave = (code: number): void => beforeLeaving(() => host.whenWritten(() => host.exit(code)))

  /** A process ends with its only run: 0 after success, 1 after a failure. */
  const endAfterRun = (): void => {
    reports.flush()
    const code = reports.hasFailed() ? 1 : 0
    shutdown(() => leave(code))
  }

  /** Interrupts what runs, releases the initializer, and then ends the child. */
  const shutdown = (end: () => void): void => {
    if (ended) return
    ended = true
    const finish = (): void => {
      reports.flush()
      end()
    }
    const release = (): void => {
      if (effects === undefined) finish()
      else effects.close().then(finish, finish)
    }
    if (running === undefined) release()
    else running.interrupt(release)
  }

  /** Nobody is left to report to: finalizers have a moment, then the child goes. */
  const orphaned = (): void => {
    if (ended) return
    const impatient = setTimeout(() => host.exit(1), orphanMillis)
    shutdown(() => {
      clearTimeout(impatient)
      host.exit(1)
    })
  }

  channel.listen((batch) => {
    for (let i = 0; i < batch.length; i++) onMessage(batch[i]!)
    pump()
  }, orphaned)

  return {
    lastReport: () => {
      const run = queue[0]
      const hasBegun = run !== undefined && run.index < run.items.length && (waiting === 0 || running !== undefined)
      if (hasBegun && !isSilent()) {
        reports.say([Kind.Started, run.id, run.index])
      }
      reports.flush()
    },
    notice: (text) => {
      reports.tell([Kind.Notice, text])
    }
  }
}
