/**
 * Why an item fails that has not run, or whose outcome cannot cross: in the user's words.
 */
import { wordsOf } from "../codec/errors.ts"
import { whyNot } from "../codec/reasons.ts"
import type { Phase } from "../codec/reasons.ts"
import { namesOf } from "../codec/registry.ts"
import { prepareLossy } from "../codec/values.ts"
import type { EncodedFailure, EncodedReason } from "../protocol/messages.ts"

export const reasonOf = (cause: unknown, phase: Phase, what: string): EncodedReason => {
  const why = whyNot(what, phase, cause)
  if (why._tag !== "CodecFailed") return why
  const { message } = why
  return why.cause === undefined
    ? { _tag: "CodecFailed", phase, message }
    : { _tag: "CodecFailed", phase, message, cause: prepareLossy(why.cause, { sharesMemory: false }) }
}

export const border = (reason: EncodedReason): EncodedFailure => ({ _tag: "Border", reason })

/** Why `import` of a task's module failed, in the user's words. */
export const importFailure = (module: string, task: string, cause: unknown): EncodedReason => {
  const text = wordsOf(cause)
  const hint = /\.(test|spec)\.[cm]?[jt]sx?$/.test(module) || text.includes("Vitest failed to")
    ? ". A test file cannot be loaded outside its test runner: put the task into a file of its own."
    : ""
  return {
    _tag: "TaskNotFound",
    module,
    task,
    message: `task "${task}": its module ${module} could not be imported: ${text}${hint}`,
    cause: prepareLossy(cause, { sharesMemory: false })
  }
}

export const notDefined = (module: string, task: string): EncodedReason => {
  const names = namesOf("task", module)
  const known = names.length === 0
    ? "it defines no task. Does it call Task.make or Task.sync with `module: import.meta.url`?"
    : `it defines ${names.map((name) => JSON.stringify(name)).join(", ")}.`
  return { _tag: "TaskNotFound", module, task, message: `task "${task}" is not defined by ${module}: ${known}` }
}
