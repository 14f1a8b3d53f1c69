/**
 * A launcher whose children fail as they are told: what a child says is held back, cut, or late, and the child is killed.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { ProcessError, StartFailed } from "../../ProcessError.ts"
import type { ExitStatus } from "../../ProcessError.ts"
import { eachToChild, unbundle } from "../protocol/bundles.ts"
import { Kind } from "../protocol/messages.ts"
import type { ToChild, ToParent } from "../protocol/messages.ts"
import type { LastItem } from "../protocol/progress.ts"
import type { Child, Launcher } from "./Launcher.ts"

export interface FaultOptions {
  readonly crash: ReadonlySet<number>
  /** Milliseconds, by item. */
  readonly delay: ReadonlyMap<number, number>
  readonly refuseStart: ReadonlySet<number>
}

export interface Faults {
  readonly options: FaultOptions
  /** Items handed out, and children started. */
  items: number
  children: number
}

export const makeFaults = (options: FaultOptions): Faults => ({ options, items: 0, children: 0 })

export const withFaults = (below: Launcher, faults: Faults): Launcher => ({
  ...below,
  launch: (boot) =>
    Effect.suspend(() => {
      const number = ++faults.children
      if (!faults.options.refuseStart.has(number)) {
        return Effect.contextWith((context: Context.Context<never>) =>
          Effect.map(below.launch({ ...boot, announces: true }), (child) => faulty(child, faults, context))
        )
      }
      return Effect.fail(
        new ProcessError({
          reason: new StartFailed({
            startMethod: below.name,
            message:
              `${boot.identity.name} (${below.name}) did not start: Faults.layer refuses the start of child ${number}.`
          })
        })
      )
    })
})

/** Where the items of a run begin in the count of all items. */
type Firsts = Map<number, number>

/** The reports of one child, with its faults. */
const faulty = (child: Child, faults: Faults, context: Context.Context<never>): Child => {
  const firsts: Firsts = new Map()
  const held: Array<() => void> = []
  let late = false
  /** It has ended: what it has said is not held back any more, so that nobody waits for the end of a delay. */
  let over = false
  /** It was killed for that, as far as its parent is told. */
  let crashedIn: Exclude<LastItem, "none">
  let listener: (batch: ReadonlyArray<ToParent>) => void = () => {}

  /** Now, or when what is late has come. */
  const inOrder = (then: () => void): void => {
    if (late) held.push(then)
    else then()
  }

  const hold = (millis: number): void => {
    late = true
    Effect.runForkWith(context)(Effect.sleep(millis)).addObserver(() => {
      late = false
      release()
    })
  }
  /** What comes next may be late in its turn. */
  const release = (): void => {
    while (true) {
      const next = late ? undefined : held.shift()
      if (next === undefined) return
      next()
    }
  }

  const hear = (message: ToParent): void => {
    if (crashedIn !== undefined) return
    const begun = itemsOf(message, firsts)
    for (const item of begun) {
      if (!faults.options.crash.has(item)) continue
      const { before, started } = until(message as About, item - begun[0]!) // others are about no item
      crashedIn = { run: started[1], index: started[2] }
      listener([...before, started])
      return child.kill("SIGKILL")
    }
    const wait = isReport(message) ? Math.max(0, ...begun.map((item) => faults.options.delay.get(item) ?? 0)) : 0
    if (wait === 0 || over) return listener([message])
    hold(wait)
    held.unshift(() => listener([message]))
  }

  return {
    ...child,
    lastItem: () => crashedIn ?? child.lastItem(),
    channel: {
      ...child.channel,
      post: (batch, transfers) => {
        child.channel.post(batch, transfers)
        // one that the serializer refuses is posted again, in parts
        for (const message of batch) count(message, faults, firsts)
      }
    },
    onMessages: (then) => {
      listener = then
      child.onMessages((batch) => unbundle(batch).forEach((message) => inOrder(() => hear(message))))
    },
    // its end comes after its last message
    onExit: (then: (status: ExitStatus) => void) =>
      child.onExit((status) => {
        over = true
        late = false
        release()
        then(status)
      })
  }
}

const count = (message: ToChild, faults: Faults, firsts: Firsts): void => {
  eachToChild([message], (one) => {
    if (one[0] !== Kind.Run) return
    firsts.set(one[1], faults.items + 1)
    faults.items += one[3].length
  })
}

type Started = Extract<ToParent, readonly [typeof Kind.Started, ...ReadonlyArray<unknown>]>

/** Messages about items. */
type About =
  | Started
  | Extract<ToParent, readonly [typeof Kind.Failure | typeof Kind.Successes, ...ReadonlyArray<unknown>]>

const isReport = (message: ToParent): boolean => message[0] === Kind.Successes || message[0] === Kind.Failure

/** The items that a message is about. */
const itemsOf = (message: ToParent, firsts: Firsts): ReadonlyArray<number> => {
  switch (message[0]) {
    case Kind.Started:
    case Kind.Failure: {
      const first = firsts.get(message[1])
      return first === undefined ? [] : [first + message[2]]
    }
    case Kind.Successes: {
      const first = firsts.get(message[1])
      return first === undefined ? [] : Array.from(message[3], (_, i) => first + message[2] + i)
    }
    default:
      return []
  }
}

/** What the child has said before the item with which it dies, and that it has begun that. */
const until = (
  message: About,
  done: number
): { readonly before: ReadonlyArray<ToParent>; readonly started: Started } => {
  if (message[0] !== Kind.Successes) return { before: [], started: [Kind.Started, message[1], message[2]] }
  const [, run, first, values, marked, millis] = message
  const some = Array.prototype.slice.call(values, 0, done)
  return {
    before: done === 0 ? [] : [[Kind.Successes, run, first, some, marked, millis * done / values.length]],
    started: [Kind.Started, run, first + done]
  }
}
