/**
 * Runs of one item come by the hundred thousand, and what a message costs is its parts: neighbours that are alike travel as
 * one message of flat arrays. Whoever posts bundles them, whoever listens takes them apart; nobody else sees them.
 */
import { Kind } from "./messages.ts"
import type { ToChild, ToParent } from "./messages.ts"

type Run = Extract<ToChild, readonly [typeof Kind.Run, ...ReadonlyArray<unknown>]>
type Successes = Extract<ToParent, readonly [typeof Kind.Successes, ...ReadonlyArray<unknown>]>

const isSingleRun = (message: ToChild | undefined): message is Run =>
  message !== undefined && message[0] === Kind.Run && message[3].length === 1 && message[5] === undefined

const isSingleSuccess = (message: ToParent | undefined): message is Successes =>
  message !== undefined && message[0] === Kind.Successes && message[3].length === 1 && message[2] === 0

/** What is joined is at least so many: fewer are not worth the arrays. */
const fewest = 2

/** Calls `join` with each range of neighbours that are alike, and copies the rest. */
const bundle = <A>(
  messages: ReadonlyArray<A>,
  begins: (message: A) => boolean,
  isAlike: (first: A, message: A) => boolean,
  join: (from: number, to: number) => A
): ReadonlyArray<A> => {
  if (messages.length < fewest) return messages
  const out: Array<A> = []
  for (let i = 0; i < messages.length;) {
    const first = messages[i]!
    let end = i + 1
    if (begins(first)) { while (end < messages.length && isAlike(first, messages[end]!)) end++ }
    if (end - i >= fewest) out.push(join(i, end))
    else out.push(first)
    i = end
  }
  return out
}

export const bundleRuns = (messages: ReadonlyArray<ToChild>): ReadonlyArray<ToChild> =>
  bundle<ToChild>(
    messages,
    isSingleRun,
    (first, message) => isSingleRun(message) && message[2] === first[2] && message[4] === (first as Run)[4],
    (from, to) => {
      const [, , task, , flags] = messages[from] as Run
      const runs: Array<number> = []
      const items: Array<unknown> = []
      for (let i = from; i < to; i++) {
        const run = messages[i] as Run
        runs.push(run[1])
        items.push(run[3][0])
      }
      return [Kind.Runs, task, flags, runs, items]
    }
  )

export const bundleSuccesses = (messages: ReadonlyArray<ToParent>): ReadonlyArray<ToParent> =>
  bundle<ToParent>(
    messages,
    isSingleSuccess,
    (first, message) => isSingleSuccess(message) && message[4] === (first as Successes)[4],
    (from, to) => {
      const marked = (messages[from] as Successes)[4]
      const runs: Array<number> = []
      const values: Array<unknown> = []
      const millis: Array<number> = []
      for (let i = from; i < to; i++) {
        const success = messages[i] as Successes
        runs.push(success[1])
        values.push(success[3][0])
        millis.push(success[5])
      }
      return [Kind.RunSuccesses, marked, runs, values, millis]
    }
  )

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
export const unbundle = (batch: ReadonlyArray<ToParent>): ReadonlyArray<ToParent> => {
  if (!batch.some((message) => message[0] === Kind.RunSuccesses)) return batch
  return batch.flatMap((message): ReadonlyArray<ToParent> => {
    if (message[0] !== Kind.RunSuccesses) return [message]
    const [, marked, runs, values, millis] = message
    return runs.map((run, i): ToParent => [Kind.Successes, run, 0, [values[i]], marked, millis[i]!])
  })
}
