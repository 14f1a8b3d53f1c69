/**
 * Every schedule of a lock: processes that take and give it, one compare-and-exchange at a time, die and change their minds
 * at any moment, and the hub of the owner, one atomic step of the real object at a time.
 *
 * A state is plain data, so that it can be remembered. What runs (the generators, the hub's object) is made again from it for
 * each step: a generator by sending it what it was sent before, the object by letting its waiters arrive again.
 */
import { assert } from "@effect/vitest"
import type { HubObject, Peer } from "../../../src/internal/hub/link.ts"
import { makeLockObject } from "../../../src/internal/hub/lock.ts"
import {
  abandonedBy,
  contended,
  give,
  holderOf,
  isHeld,
  run,
  take,
  takeAgain,
  unknownProcess
} from "../../../src/internal/memory/lockWord.ts"
import type { Steps } from "../../../src/internal/memory/lockWord.ts"

export interface Plan {
  /** How often each process takes it. */
  readonly rounds: ReadonlyArray<number>
  /** How many may die, and how many waits may be interrupted, in one schedule. */
  readonly deaths: number
  readonly interruptions: number
}

/** What is said between a process and the hub; a process that has died says nothing more than `"end"`. */
type Message =
  | readonly ["wait" | "withdraw", request: number]
  | readonly ["give" | "end"]
  | readonly ["granted" | "withdrawn", request: number]

type At = "taking" | "asking" | "waiting" | "inside" | "giving" | "telling" | "done" | "dead"

interface Actor {
  at: At
  /** Where it goes on when it has given. */
  after: At
  rounds: number
  /** What the generator that runs has been sent. */
  sent: Array<number>
  request: number
  /** Withdrawn, and not heard of since. */
  withdrawn: Array<number>
  outbox: Array<Message>
  inbox: Array<Message>
}

interface Waiting {
  readonly who: number
  readonly request: number
}

interface State {
  word: number
  /** Who died while holding it, as the word beside it says. */
  mark: number
  actors: Array<Actor>
  /** At the hub, and at its door. */
  queue: Array<Waiting>
  open: Array<Waiting>
  left: Array<number>
  /** What the hub is at, and what its atomic steps have found. */
  busy: { readonly who: number; readonly message: Message; found: Array<number> } | undefined
  /** Somebody has died inside. */
  broken: boolean
  /** Who has died and was named by the word then, or later. */
  heirless: Array<number>
  deaths: number
  interruptions: number
}

interface Move {
  readonly name: string
  /** Nothing has to die, or to be interrupted. */
  readonly isOptional: boolean
  readonly next: State
}

const slotOf = (who: number): number => who + 2
const pidOf = (who: number): number => who + 1000
const peerOf = (who: number): Peer => ({ slot: slotOf(who), pid: pidOf(who) })

const start = (plan: Plan): State => ({
  word: 0,
  mark: 0,
  actors: plan.rounds.map((rounds) => ({
    at: "taking",
    after: "done",
    rounds,
    sent: [],
    request: 0,
    withdrawn: [],
    outbox: [],
    inbox: []
  })),
  queue: [],
  open: [],
  left: [],
  busy: undefined,
  broken: false,
  heirless: [],
  deaths: 0,
  interruptions: 0
})

const copyOf = (state: State): State => ({
  ...state,
  actors: state.actors.map((actor) => ({
    ...actor,
    sent: [...actor.sent],
    withdrawn: [...actor.withdrawn],
    outbox: [...actor.outbox],
    inbox: [...actor.inbox]
  })),
  queue: [...state.queue],
  open: [...state.open],
  left: [...state.left],
  heirless: [...state.heirless],
  busy: state.busy === undefined ? undefined : { ...state.busy, found: [...state.busy.found] }
})

const same = (a: Waiting, b: Waiting): boolean => a.who === b.who && a.request === b.request

// ---------------------------------------------------------------------------------------------------- a process

/** One exchange of a generator; what it returns when that was the last. */
const stepOf = <A>(state: State, actor: Actor, steps: Steps<A>): A | undefined => {
  let step = steps.next(0)
  for (const found of actor.sent) step = steps.next(found)
  assert.isFalse(step.done)
  const [expected, next] = step.value as readonly [number, number]
  const found = state.word
  if (found === expected) state.word = next
  step = steps.next(found)
  actor.sent = step.done === true ? [] : [...actor.sent, found]
  return step.done === true ? step.value : undefined
}

const endRound = (actor: Actor): void => {
  actor.rounds--
  actor.at = actor.rounds === 0 ? "done" : "taking"
}

/** The laws of whoever thinks that it holds the lock. */
const enter = (state: State, who: number): void => {
  const others = state.actors.filter((actor, index) => index !== who && isInside(actor))
  assert.isEmpty(others, "two hold it")
  assert.strictEqual(holderOf(state.word), slotOf(who), "the word names another holder")
  assert.isTrue(!state.broken || state.mark !== 0, "a holder has died inside, and the next one is not told")
  state.actors[who]!.at = "inside"
}

const isInside = ({ at }: Actor): boolean => at === "inside"

const goOn = (state: State, who: number): void => {
  const actor = state.actors[who]!
  switch (actor.at) {
    case "taking": {
      const outcome = stepOf(state, actor, take(slotOf(who)))
      if (outcome === "held") enter(state, who)
      else if (outcome === "wait") actor.at = "asking"
      return
    }
    case "asking":
      actor.outbox.push(["wait", ++actor.request])
      actor.at = "waiting"
      return
    case "inside":
      endRound(actor)
      actor.after = actor.at
      actor.at = "giving"
      return
    case "giving": {
      const outcome = stepOf(state, actor, give(slotOf(who)))
      if (outcome !== undefined) actor.at = outcome === "tell" ? "telling" : actor.after
      return
    }
    case "telling":
      actor.outbox.push(["give"])
      actor.at = actor.after
      return
    default:
      throw new Error(`nothing to do at ${actor.at}`)
  }
}

/** It has given the lock, the hub has not given it on, and it wants it once more. */
const takeOnceMore = (state: State, who: number): void => {
  if (stepOf(state, state.actors[who]!, takeAgain(slotOf(who))) === true) enter(state, who)
}

const isIdleAt = ({ word }: State, who: number): boolean => holderOf(word) === slotOf(who) && !isHeld(word)

const hear = (state: State, who: number): void => {
  const actor = state.actors[who]!
  const [word, request] = actor.inbox.shift()!
  if (actor.at === "waiting" && request === actor.request) {
    assert.strictEqual(word, "granted", "it waits, and is told that it does not")
    return enter(state, who)
  }
  assert.include(actor.withdrawn, request, "an answer without a question")
  actor.withdrawn = actor.withdrawn.filter((one) => one !== request)
  if (word === "granted") {
    // it had crossed: what nobody wants is given back
    actor.after = actor.at
    actor.at = "giving"
  }
}

const interrupt = (state: State, who: number): void => {
  const actor = state.actors[who]!
  actor.outbox.push(["withdraw", actor.request])
  actor.withdrawn.push(actor.request)
  endRound(actor)
  state.interruptions++
}

const die = (state: State, who: number): void => {
  const actor = state.actors[who]!
  if (isInside(actor)) state.broken = true
  Object.assign(actor, { at: "dead", after: "dead", sent: [], withdrawn: [], inbox: [], rounds: 0 })
  actor.outbox.push(["end"])
  state.deaths++
}

// ---------------------------------------------------------------------------------------------------- the hub

const probe: Peer = { slot: 99, pid: 99 }
const paused: unique symbol = Symbol("paused")

interface Hub {
  readonly object: HubObject
  readonly words: Int32Array
  /** Whoever has been given the lock since it was last looked at. */
  readonly granted: Array<Waiting>
  readonly ask: (waiting: Waiting) => void
  readonly withdraw: (waiting: Waiting) => void
}

const makeHub = (state: State): Hub => {
  const words = new Int32Array(4)
  words[0] = probe.slot | contended
  const granted: Array<Waiting> = []
  const withdrawals = new Map<string, (() => void) | undefined>()
  let isAlive = (_: number): boolean => true
  const object = makeLockObject(words, "poison")((slot) => isAlive(slot))
  const ask = (waiting: Waiting): void => {
    const withdraw = object.call(peerOf(waiting.who), "wait", undefined, () => void granted.push(waiting))
    withdrawals.set(JSON.stringify(waiting), withdraw)
  }
  state.queue.forEach(ask)
  assert.isEmpty(granted, "it is held")
  isAlive = (slot) => !state.left.some((who) => slotOf(who) === slot)
  return { object, words, granted, ask, withdraw: (waiting) => withdrawals.get(JSON.stringify(waiting))?.() }
}

/** Who waits in the object: it is asked for the lock until nobody is left. It is not used after that. */
const drain = ({ granted, object, words }: Hub): Array<Waiting> => {
  const queue: Array<Waiting> = []
  while (queue.length <= 10) {
    granted.length = 0
    words[0] = probe.slot | contended
    run(give(probe.slot), words)
    object.call(probe, "give", undefined, () => {})
    if (granted.length === 0) return queue
    queue.push(granted[0]!)
  }
  throw new Error("the queue has no end")
}

interface Stepping {
  readonly state: State
  readonly found: Array<number>
  at: number
  hasStepped: boolean
}

/** What the hub's object does on shared bytes while this is set is done to a state, and stops after one step. */
let running: Stepping | undefined

const step = (stepping: Stepping, action: (state: State) => number): number => {
  if (stepping.at < stepping.found.length) return stepping.found[stepping.at++]!
  if (stepping.hasStepped) throw paused // no error: nobody sees it
  stepping.hasStepped = true
  stepping.at++
  stepping.found.push(action(stepping.state))
  return stepping.found.at(-1)!
}

const names = ["word", "mark"] as const
const real = { load: Atomics.load, store: Atomics.store, compareExchange: Atomics.compareExchange }

const stepwise = {
  load: (words: Int32Array, index: number) =>
    running === undefined ? real.load(words, index) : step(running, (state) => state[names[index]!]),
  store: (words: Int32Array, index: number, value: number) =>
    running === undefined
      ? real.store(words, index, value)
      : step(running, (state) => (state[names[index]!] = value)),
  compareExchange: (words: Int32Array, index: number, expected: number, next: number) =>
    running === undefined
      ? real.compareExchange(words, index, expected, next)
      : step(running, (state) => {
        const before = state[names[index]!]
        if (before === expected) state[names[index]!] = next
        return before
      })
}

/** Lets the code run up to its next atomic step. Says whether it has ended. */
const runStepwise = (state: State, found: Array<number>, code: () => void): boolean => {
  running = { state, found, at: 0, hasStepped: false }
  try {
    code()
    return true
  } catch (cause) {
    if (cause !== paused) throw cause
    return false
  } finally {
    running = undefined
  }
}

/** What the server of the hub does with a message, without its sockets. */
const serve = (hub: Hub, who: number, message: Message, open: ReadonlyArray<Waiting>): void => {
  switch (message[0]) {
    case "wait":
      return hub.ask({ who, request: message[1] })
    case "give":
      return void hub.object.call(peerOf(who), "give", undefined, () => {})
    case "withdraw":
      if (open.some((one) => same(one, { who, request: message[1] }))) hub.withdraw({ who, request: message[1] })
      return
    case "end":
      for (const waiting of open) if (waiting.who === who) hub.withdraw(waiting)
      return hub.object.gone(peerOf(who))
  }
}

const answer = (state: State, waiting: Waiting, word: "granted" | "withdrawn"): void => {
  if (!state.open.some((one) => same(one, waiting))) return
  state.open = state.open.filter((one) => !same(one, waiting))
  const actor = state.actors[waiting.who]!
  if (actor.at !== "dead") actor.inbox.push([word, waiting.request])
}

/** First come, first served. */
const checkTurn = (before: ReadonlyArray<Waiting>, who: number, message: Message, granted: ReadonlyArray<Waiting>) => {
  if (granted.length === 0) return
  assert.lengthOf(granted, 1, "more than one is let in")
  if (message[0] === "wait") assert.isEmpty(before, "a newcomer overtakes those who wait")
  else assert.deepEqual(granted[0], before.find((one) => message[0] === "give" || one.who !== who))
}

const hubStep = (state: State, who: number): void => {
  state.busy ??= begin(state, who)
  const { found, message } = state.busy
  const hub = makeHub(state)
  if (!runStepwise(state, found, () => serve(hub, who, message, state.open))) return
  state.busy = undefined
  const granted = [...hub.granted]
  checkTurn(state.queue, who, message, granted)
  state.queue = drain(hub)
  for (const waiting of granted) answer(state, waiting, "granted")
  if (message[0] === "withdraw") answer(state, { who, request: message[1] }, "withdrawn")
  if (message[0] === "end") state.open = state.open.filter((one) => one.who !== who)
}

const begin = (state: State, who: number): NonNullable<State["busy"]> => {
  const message = state.actors[who]!.outbox.shift()!
  if (message[0] === "wait") state.open.push({ who, request: message[1] })
  if (message[0] === "end") state.left.push(who)
  return { who, message, found: [] }
}

// ---------------------------------------------------------------------------------------------------- all schedules

/** A process hears nothing in the middle of its own atomic steps. */
const listens = ({ at, sent }: Actor): boolean =>
  (at === "taking" && sent.length === 0) || at === "waiting" || at === "inside" || at === "done"

const movesOf = (state: State, plan: Plan): ReadonlyArray<Move> => {
  const moves: Array<Move> = []
  const add = (name: string, who: number, change: (next: State, who: number) => void, isOptional = false): void => {
    const next = copyOf(state)
    change(next, who)
    noteDead(next)
    moves.push({ name: `${who} ${name}`, isOptional, next })
  }
  state.actors.forEach((actor, who) => {
    const { at, inbox, outbox } = actor
    const isServed = state.busy === undefined ? outbox.length > 0 : state.busy.who === who
    if (isServed) add("at the hub", who, hubStep)
    if (at === "dead") return
    if (at !== "waiting" && at !== "done") add(at, who, goOn)
    if (at === "taking" && actor.sent.length === 0 && isIdleAt(state, who)) add("takes it again", who, takeOnceMore)
    if (inbox.length > 0 && listens(actor)) add("hears", who, hear)
    if (at === "waiting" && state.interruptions < plan.interruptions) add("is interrupted", who, interrupt, true)
    if (state.deaths < plan.deaths && (at !== "done" || inbox.length > 0)) add("dies", who, die, true)
  })
  return moves
}

/** Nobody can move any more. */
const checkEnd = (state: State): void => {
  for (const { at } of state.actors) assert.include(["done", "dead"], at, "somebody waits for ever")
  assert.isEmpty(state.queue)
  assert.isEmpty(state.open)
  assert.strictEqual(state.word, 0, "nobody is left, and the lock is not free")
}

/** Nobody is said to have died holding it but those who did. */
const checkMark = ({ actors, heirless, mark }: State): void => {
  const by = abandonedBy(mark)
  if (by === undefined) return
  const told = by === unknownProcess ? heirless.at(-1) : by - pidOf(0)
  assert.isTrue(
    told !== undefined && heirless.includes(told) && actors[told]?.at === "dead",
    "it did not die holding it"
  )
}

const noteDead = (state: State): void => {
  state.actors.forEach(({ at }, who) => {
    if (at === "dead" && holderOf(state.word) === slotOf(who) && !state.heirless.includes(who)) state.heirless.push(who)
  })
}

/** Goes through all of them; how many states there are. A law that is broken says by which schedule. */
export const explore = (plan: Plan): { readonly states: number; readonly ends: number } => {
  const seen = new Set<string>()
  const path: Array<string> = []
  let ends = 0
  const visit = (state: State): void => {
    const key = JSON.stringify(state)
    if (seen.has(key)) return
    seen.add(key)
    checkMark(state)
    const moves = movesOf(state, plan)
    if (moves.every(({ isOptional }) => isOptional)) {
      checkEnd(state)
      ends++
    }
    for (const { name, next } of moves) {
      path.push(name)
      visit(next)
      path.pop()
    }
  }
  Object.assign(Atomics, stepwise)
  try {
    visit(start(plan))
  } catch (cause) {
    throw new Error(`${String(cause)}, after: ${path.join(", ")}`, { cause })
  } finally {
    Object.assign(Atomics, real)
  }
  return { states: seen.size, ends }
}
