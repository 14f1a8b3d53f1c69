/**
 * Carries out what the dispatcher decides: launches, posts, timers, and the delivery of outcomes to the callers. It turns
 * what happens into events, one at a time.
 */
import type * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Closed, ProcessError, RestartLimitExceeded, StartFailed } from "../../ProcessError.ts"
import type { ExitStatus } from "../../ProcessError.ts"
import type { Place } from "../codec/causes.ts"
import type { TaskDefinition } from "../codec/registry.ts"
import { forsakeIn } from "../codec/values.ts"
import { Kind } from "../protocol/messages.ts"
import type { Boot, ToParent } from "../protocol/messages.ts"
import { makeBoot } from "../start/boot.ts"
import type { EncodedInitializer } from "../start/boot.ts"
import { after, afterInClock, describeStatus } from "../start/child.ts"
import { makeHandle, stopChild, workerExited } from "../start/handle.ts"
import type { Child, Launcher } from "../start/Launcher.ts"
import { makeEar } from "../start/observed.ts"
import type { Self } from "../start/tree.ts"
import { begin, makeState, transition } from "./dispatcher.ts"
import type { Block, Chunk, Command, Event, ItemFailure, JobOptions, State } from "./model.ts"
import * as Table from "./Table.ts"
import { addTime, makeTimes } from "./times.ts"
import type { Times } from "./times.ts"
import { askRunning, clearTimer, clearTimers, makeWorker, sendCancel, sendChunk } from "./worker.ts"
import type { Worker } from "./worker.ts"

/** What a dead worker leaves for the items that it held. */
export interface Death {
  readonly child: Child
  readonly status: ExitStatus
}

/** How the outcomes of a job reach its caller. Called in the order of the events; none may throw. */
export interface Sink {
  /** What the caller has around it. */
  readonly context: Context.Context<never>
  readonly onValues: (first: number, values: ArrayLike<unknown>, marked: boolean, worker: number) => void
  readonly onFailure: (index: number, failure: ItemFailure, worker: number) => void
  /** Nothing of the job runs any more. */
  readonly onSettled: () => void
  /** The pool has ended before the job. */
  readonly onAbandoned: (error: ProcessError) => void
  /** Room for so many more items. */
  readonly onPull: (count: number) => void
}

export interface EngineOptions {
  readonly name: string
  readonly processes: number
  readonly maxRestarts: number
  readonly restartMillis: number
  readonly graceMillis: number
  readonly maxTasks: number | undefined
  /** Bytes of memory after which a worker is replaced. */
  readonly maxMemory: number | undefined
  readonly idleMillis: number | undefined
  readonly launcher: Launcher
  readonly creator: Self
  readonly initializer: EncodedInitializer | undefined
  readonly context: Context.Context<never>
}

export interface Engine {
  readonly options: EngineOptions
  readonly state: State
  /** The time of items and of idle workers: an inline child lives in that of the program. */
  readonly after: typeof after
  readonly workers: Map<number, Worker>
  readonly sinks: Table.Table<Sink>
  readonly definitions: Array<TaskDefinition>
  readonly tasks: Map<string, number>
  readonly numbers: WeakMap<TaskDefinition, number>
  /** The options of calls that ask for nothing, by their task. */
  readonly singles: WeakMap<TaskDefinition, JobOptions>
  /** Events that wait for the transition in progress. */
  events: Array<Event>
  busy: boolean
  nextJob: number
  /** Why the pool ended, for the callers that come later. */
  closed: ProcessError | undefined
  /** Kill means: ask first. */
  gentle: boolean
  ended: boolean
  readonly endListeners: Array<() => void>
  /** Called after events. */
  readonly listeners: Set<() => void>
  readonly queueTimes: Times
  readonly runTimes: Times
  /** Called for every worker that came up, and for the first that did not, until all are up. */
  onStart: ((result: ProcessError | undefined) => void) | undefined
}

/** What stands behind a pool, hidden from its users. */
export const poolInternals = Symbol.for("effect-multiprocessing/Pool/internals")

export interface PoolInternals {
  readonly engine: Engine
}

export const engineOf = (pool: object): Engine =>
  (pool as { readonly [poolInternals]: PoolInternals })[poolInternals].engine // every pool has it

export const makeEngine = (options: EngineOptions): Engine => ({
  options,
  state: makeState(options),
  after: options.launcher.name === "inline" ? afterInClock(options.context) : after,
  workers: new Map(),
  sinks: Table.makeTable(),
  definitions: [],
  tasks: new Map(),
  numbers: new WeakMap(),
  singles: new WeakMap(),
  events: [],
  busy: false,
  nextJob: 1,
  closed: undefined,
  gentle: false,
  ended: false,
  endListeners: [],
  listeners: new Set(),
  queueTimes: makeTimes(),
  runTimes: makeTimes(),
  onStart: undefined
})

export const startEngine = (engine: Engine): void => begin(engine.state).forEach((command) => perform(engine, command))

// ---------------------------------------------------------------------------------------------------- events

export const dispatch = (engine: Engine, event: Event): void => {
  engine.events.push(event)
  handleEvents(engine)
}

const handleEvents = (engine: Engine): void => {
  if (engine.busy) return
  engine.busy = true
  const { events, state } = engine
  const commands: Array<Command> = []
  const defects: Array<unknown> = []
  let done = 0
  // a command may bring the next event: it waits here until this one is carried out
  for (let i = 0; i < events.length; i++) {
    const next = events[i]!
    try {
      transition(state, next, commands)
      while (done < commands.length) perform(engine, commands[done++]!)
    } catch (defect) {
      defects.push(defect) // a bug of ours; the events behind it are somebody's results
      done = commands.length
    }
    // the outcomes of what it held have been told by now
    if (next._tag === "WorkerExited" || next._tag === "LaunchFailed") engine.workers.delete(next.worker)
  }
  engine.events = []
  engine.busy = false
  if (engine.listeners.size > 0) engine.listeners.forEach((listener) => listener())
  if (defects.length > 0) throw defects[0]
}

const toEvent = (worker: number, message: ToParent): Event | undefined => {
  switch (message[0]) {
    case Kind.Started:
    case Kind.Loading:
      return { _tag: "Started", worker, run: message[1], index: message[2], loading: message[0] === Kind.Loading }
    case Kind.Successes:
      return {
        _tag: "Succeeded",
        worker,
        run: message[1],
        index: message[2],
        values: message[3],
        marked: message[4],
        millis: message[5]
      }
    case Kind.Failure:
      return {
        _tag: "Failed",
        worker,
        run: message[1],
        index: message[2],
        failure: { _tag: "Reported", detail: message[3] },
        millis: message[4]
      }
    case Kind.Cancelled:
      return { _tag: "Cancelled", worker, run: message[1] }
    case Kind.Returned:
      return { _tag: "Returned", worker, run: message[1], index: message[2] }
    case Kind.Outgrown:
      return { _tag: "Outgrown", worker }
    default:
      return undefined
  }
}

// ---------------------------------------------------------------------------------------------------- commands

/** Where an item of a task ran. */
export const placeOf = (engine: Engine, { module, name }: TaskDefinition, worker: number): Place => {
  const child = engine.workers.get(worker)?.child
  return { task: name, module, worker: child?.boot.identity.name ?? engine.options.name, pid: child?.pid ?? 0 }
}

const perform = (engine: Engine, command: Command): void => {
  switch (command._tag) {
    case "Deliver":
      return Table.get(engine.sinks, command.job)?.onValues(
        command.first,
        command.values,
        command.marked,
        command.worker
      )
    case "DeliverFailure":
      return Table.get(engine.sinks, command.job)?.onFailure(command.index, command.failure, command.worker)
    case "Settled":
      return Table.remove(engine.sinks, command.job)?.onSettled()
    case "Abandoned":
      return Table.remove(engine.sinks, command.job)?.onAbandoned(engine.closed ?? closedError(engine, "is closed:"))
    case "Send":
      return send(engine, command.worker, command.chunk)
    case "Pull":
      return Table.get(engine.sinks, command.job)?.onPull(command.count)
    case "Launch":
      return launch(engine, command.worker)
    case "Broken":
      return broken(engine, command.restarts, command.detail)
    case "Ended":
      engine.ended = true
      for (const listener of engine.endListeners.splice(0)) listener()
      return
    default: {
      const worker = engine.workers.get(command.worker)
      if (worker !== undefined) performOn(engine, worker, command)
    }
  }
}

const send = (engine: Engine, id: number, chunk: Chunk): void => {
  const worker = engine.workers.get(id)
  if (worker === undefined) return
  const now = performance.now()
  if (chunk.at !== undefined) addTime(engine.queueTimes, now - chunk.at, chunk.items.length)
  // it has nothing else to do
  if (engine.state.workers.get(id)?.chunks[0] === chunk) worker.runningSince = now
  sendChunk(worker, chunk, engine.definitions[chunk.job.options.task]!)
}

type WorkerCommand = Extract<Command, { readonly worker: number }>

const performOn = (
  engine: Engine,
  worker: Worker,
  command: Exclude<WorkerCommand, { readonly _tag: "Deliver" | "DeliverFailure" | "Launch" | "Send" }>
): void => {
  switch (command._tag) {
    case "Cancel":
      sendCancel(worker, command.run)
      return awaitAnswer(engine, worker, command.run)
    case "AskAgain":
      return void worker.graces.set(
        command.run,
        after(graceOf(engine), () => ask(engine, worker, command.run, command.late))
      )
    case "CancelEnded":
      return clearTimer(worker.graces, command.run)
    case "StartTimer": {
      const { index, millis, run } = command
      clearTimer(worker.limits, run)
      worker.limits.set(
        run,
        engine.after(millis, () => dispatch(engine, { _tag: "TimeElapsed", worker: worker.id, run, index }))
      )
      return
    }
    case "StopTimer":
      return clearTimer(worker.limits, command.run)
    case "StartIdle":
      worker.idleTimer = engine.after(
        command.millis,
        () => dispatch(engine, { _tag: "IdleElapsed", worker: worker.id })
      )
      return
    case "Kill":
      return kill(engine, worker)
    case "CloseWorker":
      return close(engine, worker)
  }
}

/**
 * A child that reads its messages has answered by then. One that has not, and is in another run, is most likely in one long item
 * of it, and reads the Cancel before it begins anything else.
 */
const answerMillis = 20

/** Never at once: a child in another run would be let go, and could begin this one before it reads the Cancel. */
const graceOf = ({ options }: Engine): number => Math.max(options.graceMillis, 2 * answerMillis)

const ask = (engine: Engine, worker: Worker, run: number, late: boolean): void =>
  askRunning(
    worker,
    run,
    late,
    (running, isKnown) => dispatch(engine, { _tag: "Answered", worker: worker.id, run, running, isKnown, late })
  )

const awaitAnswer = (engine: Engine, worker: Worker, run: number): void => {
  const asked = [
    after(answerMillis, () => ask(engine, worker, run, false)),
    after(graceOf(engine), () => ask(engine, worker, run, true))
  ]
  worker.graces.set(run, () => asked.forEach((giveUp) => giveUp()))
}

/** At the end of the pool its finalizers have their time; one that leaves before that is not counted any more. */
const close = ({ options, state }: Engine, worker: Worker): void => {
  const { child } = worker
  if (child === undefined) return worker.launching.interruptUnsafe()
  child.channel.post([[Kind.Close]])
  if (state.status === "ended") return
  worker.leaveTimer = after(options.graceMillis, () => child.kill("SIGKILL"))
}

const kill = (engine: Engine, worker: Worker): void => {
  const { child } = worker
  if (child === undefined) worker.launching.interruptUnsafe()
  else if (engine.gentle) Effect.runFork(stopChild(child, engine.options.graceMillis))
  else child.kill("SIGKILL")
}

// ---------------------------------------------------------------------------------------------------- workers

const bootOf = (options: EngineOptions, worker: number): Boot =>
  makeBoot({ ...options, name: `${options.name}-worker-${worker}`, daemon: true, once: false })

const launch = (engine: Engine, id: number): void => {
  const { context, launcher } = engine.options
  const launching = Effect.runForkWith(context)(launcher.launch(bootOf(engine.options, id)))
  const worker = makeWorker(
    id,
    launching,
    (run, detail) => dispatch(engine, { _tag: "Unsent", worker: id, run, detail })
  )
  engine.workers.set(id, worker)
  launching.addObserver((exit) => {
    if (Exit.isSuccess(exit)) return attach(engine, worker, exit.value)
    const reason = exit.cause.reasons[0]
    const error = reason?._tag === "Fail" ? reason.error : undefined
    // interrupted: the pool is ending
    if (error === undefined && reason?._tag === "Interrupt") {
      return dispatch(engine, {
        _tag: "WorkerExited",
        worker: id,
        detail: undefined,
        now: performance.now(),
        last: "none"
      })
    }
    const detail = error ?? launchDefect(engine, reason)
    engine.onStart?.(detail)
    dispatch(engine, { _tag: "LaunchFailed", worker: id, detail, now: performance.now() })
  })
}

/** A bug of a launch ends it as its failure would: nobody may wait for that worker. */
const launchDefect = ({ options }: Engine, reason: Cause.Reason<ProcessError> | undefined): ProcessError =>
  new ProcessError({
    reason: new StartFailed({
      startMethod: options.launcher.name,
      message: `${options.name}: a worker could not be launched.`,
      cause: reason?._tag === "Die" ? reason.defect : reason
    })
  })

const noteTime = ({ runTimes }: Engine, worker: Worker, message: ToParent): void => {
  if (message[0] === Kind.Successes) addTime(runTimes, message[5] / message[3].length, message[3].length)
  else if (message[0] === Kind.Failure) addTime(runTimes, message[4], 1)
  else if (message[0] !== Kind.Started && message[0] !== Kind.Cancelled) return
  worker.runningSince = performance.now()
}

/** The events of a bundle, as those of its messages would be. */
const addSuccesses = (
  { events, runTimes }: Engine,
  worker: number,
  [, marked, runs, values, times]: Extract<ToParent, readonly [typeof Kind.RunSuccesses, ...ReadonlyArray<unknown>]>
): void => {
  for (let i = 0; i < runs.length; i++) {
    const millis = times[i]!
    addTime(runTimes, millis, 1)
    events.push({ _tag: "Succeeded", worker, run: runs[i]!, index: 0, values: [values[i]], marked, millis })
  }
}

/** That of the call whose run it is; of one that has ended, and outside of runs, the pool's. */
const contextOfRun = (engine: Engine, worker: number, run: number): Context.Context<never> => {
  const chunk = engine.state.workers.get(worker)?.chunks.find((one) => one.run === run)
  return (chunk === undefined ? undefined : Table.get(engine.sinks, chunk.job.id)?.context) ?? engine.options.context
}

/** A result that nobody takes any more may hold what somebody waits for. */
const mourn = (engine: Engine, worker: number, message: ToParent): void => {
  if (message[0] !== Kind.Successes || !message[4]) return
  const chunk = engine.state.workers.get(worker)?.chunks.find(({ run }) => run === message[1])
  if (chunk === undefined || chunk.cancelled || chunk.job.stopped) forsakeIn(message[3])
}

const attach = (engine: Engine, worker: Worker, child: Child): void => {
  worker.child = child
  worker.readyAt = performance.now()
  const ear = makeEar({ identity: child.boot.identity, pid: child.pid, role: "worker" })
  const contextOf = (run: number): Context.Context<never> => contextOfRun(engine, worker.id, run)
  child.onMessages((batch) => {
    for (let i = 0; i < batch.length; i++) {
      const message = batch[i]!
      if (message[0] === Kind.RunSuccesses) {
        addSuccesses(engine, worker.id, message)
        worker.runningSince = performance.now()
        handleEvents(engine)
        continue
      }
      mourn(engine, worker.id, message)
      const event = toEvent(worker.id, message)
      noteTime(engine, worker, message)
      if (event !== undefined) dispatch(engine, event)
      else ear.hear(message, contextOf)
    }
  })
  makeHandle({
    child,
    creator: engine.options.creator.path.join(":"),
    graceMillis: engine.options.graceMillis,
    outcomeAtExit: (status) =>
      status._tag === "Exited" && status.code === 0 ? Exit.void : Exit.fail(workerExited(child, status, undefined))
  })
  child.onExit((status) => {
    clearTimers(worker)
    ear.close()
    const detail: Death = { child, status }
    // one that was let go was up: its time was over before the others came up
    const wasLetGo = engine.state.workers.get(worker.id)?.status === "closing"
    if (engine.onStart !== undefined && !wasLetGo) engine.onStart(workerExited(child, status, undefined))
    dispatch(engine, {
      _tag: "WorkerExited",
      worker: worker.id,
      detail,
      now: performance.now(),
      last: child.lastItem()
    })
  })
  if (child.status() !== undefined) return
  const known = engine.state.workers.get(worker.id)
  // it was let go while it came up, and has won that race
  if (known === undefined || known.status !== "starting") return child.kill("SIGKILL")
  dispatch(engine, { _tag: "WorkerReady", worker: worker.id })
  engine.onStart?.(undefined)
}

// ---------------------------------------------------------------------------------------------------- the end

export const closedError = (engine: Engine, why: string): ProcessError =>
  new ProcessError({
    reason: new Closed({
      what: "Pool",
      message:
        `${engine.options.name} ${why} it takes no work. Make the pool in a scope that lives as long as its work.`
    })
  })

const broken = (engine: Engine, restarts: number, detail: unknown): void => {
  const { maxRestarts, name, restartMillis } = engine.options
  const death = detail as Death | ProcessError | undefined
  const last = death !== undefined && "child" in death
    ? `${death.child.boot.identity.name} (pid ${death.child.pid}) ${describeStatus(death.status)}`
    : death?.message ?? "unknown"
  engine.closed = new ProcessError({
    reason: new RestartLimitExceeded({
      restarts,
      message: `${name} has closed itself: more than ${maxRestarts} workers died within ${restartMillis} ms. ` +
        `The last: ${last}. Look at what ends them, or raise restartIntensity.`,
      ...(death instanceof ProcessError ? { cause: death } : {})
    })
  })
}

/** What a task's number is in this pool. */
export const taskNumber = (engine: Engine, definition: TaskDefinition): number => {
  const seen = engine.numbers.get(definition)
  if (seen !== undefined) return seen
  const number = numberByName(engine, definition)
  engine.numbers.set(definition, number)
  return number
}

/** A later definition of a name replaces the earlier one. */
const numberByName = (engine: Engine, definition: TaskDefinition): number => {
  const key = `${definition.module}\n${definition.name}`
  const known = engine.tasks.get(key)
  if (known !== undefined) {
    engine.definitions[known] = definition
    return known
  }
  const number = engine.definitions.push(definition) - 1
  engine.tasks.set(key, number)
  return number
}

/** Hands a job to the pool; its number is for {@link interruptJob}. */
export const submit = (
  engine: Engine,
  sink: Sink,
  options: JobOptions,
  blocks: ReadonlyArray<Block>,
  complete: boolean
): number => {
  const job = engine.nextJob++
  Table.set(engine.sinks, job, sink)
  dispatch(engine, { _tag: "Submitted", job, options, blocks, complete })
  return job
}

/** Completes when nothing of the job runs any more. */
export const interruptJob = (engine: Engine, job: number): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const sink = Table.get(engine.sinks, job)
    if (sink === undefined) return resume(Effect.void)
    const done = (): void => resume(Effect.void)
    Table.set(engine.sinks, job, {
      context: sink.context,
      onValues: () => {},
      onFailure: () => {},
      onPull: () => {},
      onSettled: done,
      onAbandoned: done
    })
    dispatch(engine, { _tag: "Interrupted", job })
  })

export const awaitEnd = (engine: Engine): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (engine.ended) return resume(Effect.void)
    engine.endListeners.push(() => resume(Effect.void))
  })
