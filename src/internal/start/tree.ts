/**
 * The tree of processes as this process sees it: who it is itself, what its children are called, and which of them live.
 */
import * as Effect from "effect/Effect"
import { ProcessError, StartFailed } from "../../ProcessError.ts"
import type { Identity, ParentIdentity } from "../protocol/messages.ts"
import { childGlobal } from "../runner/childGlobal.ts"
import { CurrentProcess } from "./identity.ts"

/** Who asks: the main program, or the task that runs in this fiber. */
export interface Self {
  readonly name: string
  readonly pid: number
  readonly path: ReadonlyArray<number>
  readonly daemon: boolean
  readonly startMethod: Identity["startMethod"] | "main"
  readonly parent: ParentIdentity | undefined
  /** The code that asks runs in a child, but not in a task: at the top level of a module, that is. */
  readonly outsideTask: boolean
}

const main: Omit<Self, "pid"> = {
  name: "MainProcess",
  path: [],
  daemon: false,
  startMethod: "main",
  parent: undefined,
  outsideTask: false
}

export const self: Effect.Effect<Self> = Effect.map(CurrentProcess, (current): Self => {
  if (current !== undefined) {
    return { ...current.identity, pid: current.pid, parent: current.parent, outsideTask: false }
  }
  const child = childGlobal()
  return child === undefined
    ? { ...main, pid: process.pid }
    : { ...child.boot.identity, pid: child.pid, parent: child.boot.parent, outsideTask: true }
})

/**
 * Who starts a child. A child that loads a program file whose top level starts processes must not start a tree of them, so
 * that is refused, and its parent is told why.
 */
export const creator = (what: string, startMethod: string): Effect.Effect<Self, ProcessError> =>
  Effect.flatMap(self, (me) => {
    if (!me.outsideTask) return Effect.succeed(me)
    const message =
      `${what} was called in the child ${me.name} outside of a task: the child loads the module of its task, ` +
      `and the top level of that module starts processes again. Keep the program out of the children:\n\n` +
      `    Process.runMain(program)   // runs in the main process only\n\n` +
      `or: if (Process.isMain) { ... }`
    childGlobal()?.notice(message)
    return Effect.fail(new ProcessError({ reason: new StartFailed({ startMethod, message }) }))
  })

const counters = new Map<string, number>()

/** The place of the next child of a process in the tree, and what Python would call it: `Process-2:1`. */
export const nextPath = (path: ReadonlyArray<number>): ReadonlyArray<number> => {
  const key = path.join(":")
  const count = (counters.get(key) ?? 0) + 1
  counters.set(key, count)
  return [...path, count]
}
