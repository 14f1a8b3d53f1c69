/** Which outcomes a call may have. What is not said here is not allowed. */
import { Cause, Exit } from "effect"
import { ProcessError } from "../../src/index.ts"
import { answerOf } from "../fixtures/chaos.ts"
import type { CallPlan, ItemPlan, PoolName } from "./plan.ts"
import { isCrash, isEndless, wideMillis } from "./plan.ts"

/** What became of a call. */
export interface Report {
  readonly exit: Exit.Exit<unknown, unknown>
  /** What its stream has given so far. */
  readonly delivered: ReadonlyArray<unknown>
  /** Was it given up before its end? */
  readonly stopped: boolean
}

/** What is known of the surroundings of a call. */
export type Method = "threads" | "spawn" | "forkserver"

export interface Facts {
  readonly method: Method
  readonly processes: number
  /** Processes that were killed from outside, also those that were just about to end. */
  readonly killed: ReadonlySet<number>
  /** Which item a worker's death has failed: at most one. */
  readonly blamed: Map<string, number>
  timeouts: number
  /** Pools that were ended while they had work. */
  ended: ReadonlySet<PoolName>
}

/** What is wrong; nothing is wrong where it is undefined. */
type Verdict = string | undefined

const show = (value: unknown): string => {
  const text = typeof value === "string"
    ? JSON.stringify(value)
    : Exit.isExit(value)
    ? String(value)
    : inspectJson(value)
  return text.length > 600 ? `${text.slice(0, 600)}...` : text
}

const inspectJson = (value: unknown): string =>
  value instanceof Uint8Array ? `${value.length} bytes` : JSON.stringify(value) ?? String(value)

// ---------------------------------------------------------------------------------------------------- values

/** The text of a text item; a part of it is there once for all. */
const filler = "chaos ".repeat(1 << 20)

export const textOf = ({ id, size }: ItemPlan): string => `${id} ${filler.slice(0, size)}`

/** The bytes of an item: its number, its code, and a pattern of its own. */
export const bytesOf = ({ id, kind, size }: ItemPlan): Uint8Array => {
  const bytes = new Uint8Array(Math.max(64, size)).fill(id & 0xff)
  const view = new DataView(bytes.buffer)
  view.setFloat64(0, id)
  view.setUint32(8, kind === "exits" ? size : 0)
  return bytes
}

export const wordOf = ({ id, kind }: ItemPlan): string => `${kind} ${id}`

const sameBytes = (value: unknown, item: ItemPlan): boolean => {
  const expected = bytesOf(item)
  new DataView(expected.buffer).setFloat64(0, answerOf(item.id))
  return value instanceof Uint8Array && Buffer.from(expected.buffer).equals(value)
}

/** Is this the answer to this item, and to no other? */
const isAnswer = ({ task }: CallPlan, item: ItemPlan, value: unknown): boolean => {
  switch (task) {
    case "moves":
      return item.kind === "ok" && sameBytes(value, item)
    case "reads":
      return item.kind === "ok" && value === wordOf(item)
    case "nests":
      return Array.isArray(value) && value.length === item.size &&
        value.every((one, i) => one === answerOf(item.id + i))
    default:
      break
  }
  switch (item.kind) {
    case "ok":
    case "slow":
    case "busy":
    case "exitsOnce":
      return value === answerOf(item.id)
    case "text":
      return value === `${textOf(item)}#${item.id}`
    case "bytes":
      return sameBytes(value, item)
    default:
      return false
  }
}

// ---------------------------------------------------------------------------------------------------- failures

/** May it crash its worker, and fail for that? */
const mayFailOfCrash = ({ method }: Facts, { retries }: CallPlan, { kind }: ItemPlan): boolean =>
  // another try may have been used up by a kill from outside
  isCrash(kind) && (kind !== "exitsOnce" || retries === 0 || method !== "threads")

const exitedWrongly = (facts: Facts, plan: CallPlan, item: ItemPlan, reason: ProcessError.WorkerExited): Verdict => {
  const { status } = reason
  if (status._tag === "Signaled") {
    return status.signal === "SIGKILL" && facts.killed.has(reason.pid) ? undefined : "nobody has killed its worker"
  }
  if (!mayFailOfCrash(facts, plan, item)) return "it ends no worker, and fails for the end of one"
  const code = item.kind === "uncaught" ? 1 : item.size
  return status.code === code ? undefined : `its worker ends with code ${code}`
}

/** With these a value does not cross. */
const phases: Partial<Record<ItemPlan["kind"], ProcessError.CodecFailed["phase"]>> = {
  unsendable: "success",
  unsendableError: "error",
  unpostable: "payload",
  unreadable: "payload",
  unreadableResult: "success"
}

const borderVerdict = (facts: Facts, plan: CallPlan, item: ItemPlan, reason: ProcessError.Reason): Verdict => {
  switch (reason._tag) {
    case "WorkerExited":
      return exitedWrongly(facts, plan, item, reason)
    case "TimedOut":
      return plan.timeoutMillis !== undefined && plan.timeoutMillis < wideMillis &&
          reason.limitMillis === plan.timeoutMillis && reason.task === plan.task
        ? undefined
        : "it has no such time limit"
    case "CodecFailed":
      return phases[item.kind] === reason.phase ? undefined : "its values can cross"
    case "Closed":
      return facts.ended.has(plan.pool) ? undefined : "nobody has ended its pool"
    default:
      return `it cannot fail with ${reason._tag}`
  }
}

/** Is this what this item does? */
const itemVerdict = (facts: Facts, plan: CallPlan, item: ItemPlan, exit: Exit.Exit<unknown, unknown>): Verdict => {
  if (Exit.isSuccess(exit)) return isAnswer(plan, item, exit.value) ? undefined : "this is not its answer"
  const [reason, ...others] = exit.cause.reasons
  if (reason === undefined || others.length > 0) return "a failure has one reason"
  switch (reason._tag) {
    case "Fail": {
      const { error } = reason
      if (ProcessError.isProcessError(error)) return borderVerdict(facts, plan, item, error.reason)
      const { _tag, id } = error as { readonly _tag: unknown; readonly id: unknown }
      return item.kind === "fails" && _tag === "Refused" && id === item.id ? undefined : "this is not its failure"
    }
    case "Die": {
      const { defect } = reason
      const own = defect instanceof RangeError && defect.message === `bug ${item.id}`
      return item.kind === "throws" && own ? undefined : "this is not its defect"
    }
    case "Interrupt":
      return "nobody has interrupted it"
  }
}

/** A worker runs one item at a time: its death fails no more than that one. */
const noteDeath = (facts: Facts, plan: CallPlan, exit: Exit.Exit<unknown, unknown>): Verdict => {
  if (Exit.isSuccess(exit)) return undefined
  const [reason] = exit.cause.reasons
  if (reason?._tag !== "Fail" || !ProcessError.isProcessError(reason.error)) return undefined
  const border = reason.error.reason
  if (border._tag === "TimedOut") facts.timeouts++
  if (border._tag !== "WorkerExited") return undefined
  const worker = border.message.split(" ", 1)[0]!
  const count = (facts.blamed.get(worker) ?? 0) + 1
  facts.blamed.set(worker, count)
  if (border.task !== plan.task) return `its task is not "${border.task}"`
  return count === 1 ? undefined : `the end of ${worker} fails ${count} items`
}

// ---------------------------------------------------------------------------------------------------- calls

/** One item alone, or one of them. */
const someItem = (
  facts: Facts,
  plan: CallPlan,
  items: ReadonlyArray<ItemPlan>,
  exit: Exit.Exit<unknown, unknown>
): Verdict => {
  const [first, ...others] = items.map((item) => itemVerdict(facts, plan, item, exit))
  if (items.length === 0) return `no item is left for ${show(exit)}`
  if (first !== undefined && others.every((one) => one !== undefined)) {
    return `${first}: ${show(exit)}`
  }
  return noteDeath(facts, plan, exit)
}

const values = (facts: Facts, plan: CallPlan, results: ReadonlyArray<unknown>): Verdict => {
  for (const [i, value] of results.entries()) {
    const item = plan.items[i]
    if (item === undefined) return `more results than items: ${show(value)}`
    const verdict = itemVerdict(facts, plan, item, Exit.succeed(value))
    if (verdict !== undefined) return `item ${i} (${item.kind} ${item.id}): ${verdict}: ${show(value)}`
  }
  return undefined
}

const isDry = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) && exit.cause.reasons.length === 1 && exit.cause.reasons[0]!._tag === "Fail" &&
  exit.cause.reasons[0]!.error === "dry"

const mapVerdict = (facts: Facts, plan: CallPlan, { exit }: Report): Verdict => {
  if (isDry(exit)) return plan.source === "dry" ? undefined : "its source does not fail"
  if (Exit.isFailure(exit)) return someItem(facts, plan, plan.items, exit)
  if (plan.source === "dry") return "its source fails"
  const results = exit.value as ReadonlyArray<unknown>
  return results.length === plan.items.length
    ? values(facts, plan, results)
    : `${results.length} results of ${plan.items.length} items`
}

/** Of the results that were given: each once, and in their order where that is promised. */
const deliveredVerdict = (facts: Facts, plan: CallPlan, delivered: ReadonlyArray<unknown>): Verdict => {
  if (plan.call === "imapExit") {
    for (const [i, exit] of (delivered as ReadonlyArray<Exit.Exit<unknown, unknown>>).entries()) {
      const item = plan.items[i]
      const verdict = item === undefined ? "there is no such item" : someItem(facts, plan, [item], exit)
      if (verdict !== undefined) return `item ${i} (${item?.kind} ${item?.id}): ${verdict}: ${show(exit)}`
    }
    return undefined
  }
  if (plan.call === "imap") return values(facts, plan, delivered)
  const { strange } = match(plan, delivered)
  return strange.length === 0 ? undefined : `nobody's answer, or the second: ${show(strange[0])}`
}

/** Finds the item of each answer; an item has one answer. */
const match = (
  plan: CallPlan,
  delivered: ReadonlyArray<unknown>
): { readonly left: ReadonlyArray<ItemPlan>; readonly strange: ReadonlyArray<unknown> } => {
  const left = new Set(plan.items)
  const strange = delivered.filter((value) => {
    for (const item of left) {
      if (isAnswer(plan, item, value)) return !left.delete(item)
    }
    return true
  })
  return { left: Array.from(left), strange }
}

const streamVerdict = (facts: Facts, plan: CallPlan, { delivered, exit }: Report): Verdict => {
  const { call, items, source, take = Infinity } = plan
  if (delivered.length > take) return `${delivered.length} results, of which ${take} were taken`
  const all = delivered.length === items.length
  if (isDry(exit)) {
    return source === "dry" && all
      ? undefined
      : `its source does not fail after ${delivered.length} items`
  }
  if (Exit.isSuccess(exit)) {
    if (delivered.length === take) return undefined
    return all && source !== "dry" ? undefined : `it has ended after ${delivered.length} of ${items.length} results`
  }
  switch (call) {
    case "imap":
      return someItem(facts, plan, items.slice(delivered.length, delivered.length + 1), exit)
    case "imapUnordered":
      return someItem(facts, plan, match(plan, delivered).left, exit)
    default:
      return `it does not fail for an item: ${show(exit)}`
  }
}

/** Each of its workers answers; it dies with any of them. */
const broadcastVerdict = (facts: Facts, plan: CallPlan, { exit }: Report): Verdict => {
  if (Exit.isSuccess(exit)) {
    const results = exit.value as ReadonlyArray<{ readonly id: number; readonly worker: string }>
    if (!results.every(({ id }) => id === plan.items[0]!.id)) return `these are not its answers: ${show(results)}`
    const workers = new Set(results.map(({ worker }) => worker)).size
    if (workers !== results.length) return "a worker has answered twice"
    return workers === facts.processes ? undefined : `${workers} workers have answered`
  }
  for (const reason of exit.cause.reasons) {
    if (reason._tag !== "Fail" || !ProcessError.isProcessError(reason.error)) {
      return `it fails only with a worker: ${show(exit)}`
    }
    const { _tag } = reason.error.reason
    // a process may be killed while it comes up
    if (_tag === "WorkerExited" || (_tag === "StartFailed" && facts.method !== "threads")) continue
    return `it cannot fail with ${_tag}`
  }
  return undefined
}

/** Its pool was ended before it. */
const isClosed = (exit: Exit.Exit<unknown, unknown>): boolean => {
  if (Exit.isSuccess(exit)) return false
  const [reason] = exit.cause.reasons
  return reason?._tag === "Fail" && ProcessError.isProcessError(reason.error) && reason.error.reason._tag === "Closed"
}

/** It may have been given up while it failed. */
const withoutInterrupts = (exit: Exit.Exit<unknown, unknown>): Exit.Exit<unknown, unknown> =>
  Exit.isSuccess(exit)
    ? exit
    : Exit.failCause(Cause.fromReasons(exit.cause.reasons.filter(({ _tag }) => _tag !== "Interrupt")))

/** What is wrong with the outcome of a call. */
export const judge = (facts: Facts, plan: CallPlan, given: Report): Verdict => {
  const streams = plan.call.startsWith("imap")
  const wrong = streams ? deliveredVerdict(facts, plan, given.delivered) : undefined
  if (wrong !== undefined) return wrong
  if (Exit.isFailure(given.exit) && Cause.hasInterruptsOnly(given.exit.cause)) {
    return given.stopped ? undefined : "nobody has interrupted it"
  }
  const exit = given.stopped ? withoutInterrupts(given.exit) : given.exit
  const report = { ...given, exit }
  if (plan.call !== "imapExit" && isClosed(exit) && facts.ended.has(plan.pool)) return undefined
  switch (plan.call) {
    case "broadcast":
      return broadcastVerdict(facts, plan, report)
    case "map":
      return mapVerdict(facts, plan, report)
    case "apply":
    case "applyAsync":
      return Exit.isSuccess(exit) && isEndless(plan.items[0]!.kind)
        ? "it cannot end by itself"
        : someItem(facts, plan, plan.items, exit)
    default:
      return streamVerdict(facts, plan, report)
  }
}

/** How often workers may die of the items of a call. */
export const deathsOf = ({ items, retries }: CallPlan): number =>
  items.filter(({ kind }) => isCrash(kind)).length * (1 + retries)
