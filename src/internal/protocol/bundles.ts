/**
 * Runs of one item come by the hundred thousand, and what a message costs is its parts: neighbours that are alike travel as
 * one message of flat arrays. Whoever says them lets the last message grow, whoever listens takes it apart; nobody else
 * sees it.
 */
import { Kind } from "./messages.ts"
import type { ToChild, ToParent } from "./messages.ts"

type Runs = [typeof Kind.Runs, number, number, Array<number>, Array<unknown>]
type RunSuccesses = [typeof Kind.RunSuccesses, boolean, Array<number>, Array<unknown>, Array<number>]

/** Says a run of one item: with the last message where that is alike, else as one that can grow. */
export const addRun = (
  outbox: Array<ToChild>,
  task: number,
  flags: number,
  run: number,
  item: unknown
): void => {
  const last = outbox[outbox.length - 1]
  if (last !== undefined && last[0] === Kind.Runs && last[1] === task && last[2] === flags) {
    const growing = last as Runs // ours until it is posted
    growing[3].push(run)
    growing[4].push(item)
  } else {
    outbox.push([Kind.Runs, task, flags, [run], [item]])
  }
}

/** Says the only result of a run. */
export const addRunSuccess = (
  outbox: Array<ToParent>,
  marked: boolean,
  run: number,
  value: unknown,
  millis: number
): void => {
  const last = outbox[outbox.length - 1]
  if (last !== undefined && last[0] === Kind.RunSuccesses && last[1] === marked) {
    const growing = last as RunSuccesses // ours until it is posted
    growing[2].push(run)
    growing[3].push(value)
    growing[4].push(millis)
  } else {
    outbox.push([Kind.RunSuccesses, marked, [run], [value], [millis]])
  }
}

/** Hands over each message of a batch, those of a bundle one by one. */
export const eachToChild = (batch: ReadonlyArray<ToChild>, hear: (message: ToChild) => void): void => {
  for (const message of batch) {
    if (message[0] !== Kind.Runs) hear(message)
    else {
      const [, task, flags, runs, items] = message
      for (let i = 0; i < runs.length; i++) hear([Kind.Run, runs[i]!, task, [items[i]], flags])
    }
  }
}

/** A batch without bundles. */
export const unbundle = (batch: ReadonlyArray<ToParent>): ReadonlyArray<ToParent> =>
  batch.flatMap((message): ReadonlyArray<ToParent> => {
    if (message[0] !== Kind.RunSuccesses) return [message]
    const [, marked, runs, values, millis] = message
    return runs.map((run, i): ToParent => [Kind.Successes, run, 0, [values[i]], marked, millis[i]!])
  })
