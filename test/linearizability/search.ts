/**
 * Is a concurrent history linearizable: can each operation be given one moment between its call and its answer, so that all
 * of them, one after the other, are what a sequential model allows?
 *
 * The search is that of J. M. Wing and C. Gong, "Testing and Verifying Concurrent Objects", J. Parallel Distrib. Comput. 17
 * (1993): take, as the next one, any operation that was called before all open ones had answered; go back where the model
 * does not allow its answer. What has been in vain is remembered, as G. Lowe proposes in "Testing for Linearizability",
 * Concurrency Computat.: Pract. Exper. 29 (2017): the same operations done and the same state need not be tried twice. A
 * history is linearizable where that of each object is (M. P. Herlihy and J. M. Wing, "Linearizability: A Correctness
 * Condition for Concurrent Objects", ACM TOPLAS 12 (1990)), so each object, and each key of a map, is searched alone.
 */
import { isDeepStrictEqual } from "node:util"

/** What one client did. Times are of one clock. */
export interface Operation<Call> {
  readonly client: number
  readonly call: Call
  readonly answer: unknown
  readonly called: bigint
  readonly answered: bigint
}

/** What an object does when it is alone with one caller. */
export interface Model<State, Call> {
  readonly initial: State
  /** The next state, and the answer; undefined where the operation has to wait in this state. */
  readonly step: (state: State, call: Call) => readonly [State, unknown] | undefined
  /** Does it change nothing, in any state? */
  readonly isRead: (call: Call) => boolean
  /** The same for the same states. */
  readonly keyOf: (state: State) => string
}

/** The operations done are all before `from`, and those of `beyond`. */
interface Done {
  readonly from: number
  readonly beyond: ReadonlyArray<number>
}

interface Node<State> extends Done {
  readonly state: State
  /** How this node was come to. */
  readonly via: number
  readonly steps: ReadonlyArray<readonly [at: number, state: State]>
  next: number
}

const byCall = <Call>(a: Operation<Call>, b: Operation<Call>): number =>
  a.called < b.called ? -1 : a.called > b.called ? 1 : 0

/** Those that no open one has preceded. */
const candidatesOf = <Call>(history: ReadonlyArray<Operation<Call>>, { beyond, from }: Done): ReadonlyArray<number> => {
  const candidates: Array<number> = []
  let firstAnswer: bigint | undefined
  for (let at = from; at < history.length; at++) {
    if (beyond.includes(at)) continue
    const { answered, called } = history[at]!
    if (firstAnswer !== undefined && called > firstAnswer) break
    candidates.push(at)
    if (firstAnswer === undefined || answered < firstAnswer) firstAnswer = answered
  }
  return candidates
}

/** What may come next. What only reads may as well come at once, and then nothing else needs to be tried. */
const stepsFrom = <State, Call>(
  { isRead, step }: Model<State, Call>,
  history: ReadonlyArray<Operation<Call>>,
  done: Done,
  state: State
): Node<State>["steps"] => {
  const steps: Array<readonly [number, State]> = []
  for (const at of candidatesOf(history, done)) {
    const { answer, call } = history[at]!
    const stepped = step(state, call)
    if (stepped === undefined || !isDeepStrictEqual(stepped[1], answer)) continue
    if (isRead(call)) return [[at, state]]
    steps.push([at, stepped[0]])
  }
  return steps
}

const doneWith = ({ beyond, from }: Done, at: number): Done => {
  const done = new Set(beyond).add(at)
  let first = from
  while (done.delete(first)) first++
  return { from: first, beyond: [...done].sort((a, b) => a - b) }
}

/** An order that the model allows; undefined where there is none. */
export const linearize = <State, Call>(
  model: Model<State, Call>,
  operations: ReadonlyArray<Operation<Call>>
): ReadonlyArray<Operation<Call>> | undefined => {
  const history = [...operations].sort(byCall)
  const seen = new Set<string>()
  const nodeOf = (done: Done, state: State, via: number): Node<State> => ({
    ...done,
    state,
    via,
    steps: stepsFrom(model, history, done, state),
    next: 0
  })
  const path = [nodeOf({ from: 0, beyond: [] }, model.initial, -1)]
  while (path.length <= history.length) {
    const node = path.at(-1)
    if (node === undefined) return undefined
    const step = node.steps[node.next++]
    if (step === undefined) {
      path.pop()
      continue
    }
    const done = doneWith(node, step[0])
    const key = `${done.from} ${done.beyond.join()} ${model.keyOf(step[1])}`
    if (seen.has(key)) continue
    seen.add(key)
    path.push(nodeOf(done, step[1], step[0]))
  }
  return path.slice(1).map(({ via }) => history[via]!)
}

/** How many pairs of them were under way at once. */
export const overlaps = (operations: ReadonlyArray<Operation<unknown>>): number => {
  const history = [...operations].sort(byCall)
  return history.reduce(
    (sum, one, at) => sum + history.slice(at + 1).filter((other) => other.called < one.answered).length,
    0
  )
}

/** For a message: one operation in each line, by its call. */
export const showHistory = (operations: ReadonlyArray<Operation<unknown>>): string => {
  const start = operations.reduce((least, { called }) => called < least ? called : least, operations[0]?.called ?? 0n)
  return [...operations].sort(byCall).map(({ answer, answered, call, called, client }) =>
    `${called - start}..${answered - start} client ${client}: ${JSON.stringify(call)} -> ${JSON.stringify(answer)}`
  ).join("\n")
}
