/**
 * Who this process is, and whether the code that asks runs inside a task.
 */
import * as Context from "effect/Context"
import type { Boot, Identity, ParentIdentity } from "../protocol/messages.ts"

export interface ProcessIdentity {
  readonly identity: Identity
  readonly parent: ParentIdentity
  readonly pid: number
}

/** Set for the fiber of a task, in the process that runs it. */
export const CurrentProcess: Context.Reference<ProcessIdentity | undefined> = Context.Reference(
  "effect-multiprocessing/CurrentProcess",
  { defaultValue: () => undefined }
)

/** What the runner of a child leaves for the modules of this package, however often they are evaluated there. */
export interface ChildGlobal {
  readonly boot: Boot
  readonly pid: number
  /** Tells the parent what is wrong with the program. */
  readonly notice: (text: string) => void
}

const key = Symbol.for("effect-multiprocessing/child")
const holder = globalThis as { [key]?: ChildGlobal }

/** Only in a child (not inline): what it was told at boot. */
export const childGlobal = (): ChildGlobal | undefined => holder[key]
