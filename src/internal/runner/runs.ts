/**
 * What a child has been given to run.
 */
import type { TaskDefinition } from "../codec/registry.ts"
import { flagAnnounce } from "../protocol/messages.ts"
import type { Ambient, Kind, ToChild } from "../protocol/messages.ts"

export interface KnownTask {
  readonly module: string
  readonly name: string
  /** Its module imports effect, so that loading it is worth a cache. */
  readonly usesEffect: boolean
  definition: TaskDefinition | undefined
  /** Mean run time of an item in milliseconds, and of how many. */
  mean: number
  samples: number
}

type Define = Extract<ToChild, readonly [typeof Kind.Define, ...ReadonlyArray<unknown>]>

export const knownTask = ([, , module, name, usesEffect]: Define): KnownTask => ({
  module,
  name,
  usesEffect,
  definition: undefined,
  mean: 0,
  samples: 0
})

export interface Run {
  readonly id: number
  readonly task: KnownTask
  readonly items: ArrayLike<unknown>
  readonly flags: number
  readonly ambient: Ambient | undefined
  index: number
  cancelled: boolean
  /** When the first of its items began, where there are others. */
  beganAt: number
}

/** Items this cheap are reported together; before a dearer one all is reported, and that it runs, where its parent cannot read it. */
const cheapMillis = 0.05
/** How many items of a task count as dear before its cost is believed. */
const trialItems = 16

export const isCheap = ({ flags, task }: Run): boolean =>
  task.samples >= trialItems && task.mean < cheapMillis && (flags & flagAnnounce) === 0

/** Notes how long an item of the task ran. */
export const measure = (task: KnownTask, millis: number): void => {
  task.samples++
  task.mean = task.samples === 1 ? millis : task.mean * 0.7 + millis * 0.3
}
