/**
 * Who this process is, and whether the code that asks runs inside a task.
 */
import * as Context from "effect/Context"
import type { Identity, ParentIdentity } from "../protocol/messages.ts"

export interface ProcessIdentity {
  readonly identity: Identity
  readonly parent: ParentIdentity
  readonly pid: number
}

/** Set for the fiber of a task, in the process that runs it. */
export const CurrentProcess: Context.Reference<ProcessIdentity | undefined> = Context.Reference<
  ProcessIdentity | undefined
>(
  "effect-multiprocessing/CurrentProcess",
  { defaultValue: () => undefined }
)
