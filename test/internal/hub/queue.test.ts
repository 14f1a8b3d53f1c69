import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { bundle, numberAt, takeIn } from "../../../src/internal/hub/bundle.ts"
import { hasEnded, makeQueueObject, noCell } from "../../../src/internal/hub/queue.ts"
import type { Answer } from "../../../src/internal/hub/queue.ts"
import { noteUsed, tallyCells } from "../../../src/internal/memory/tally.ts"
import type { OwnTally } from "../../../src/internal/memory/tally.ts"
import { drive } from "./drive.ts"
import type { Driver, Question } from "./drive.ts"

type Item = readonly [number: number, value: number]

const parcels = (values: ReadonlyArray<number>) => bundle({ tags: 0, contents: values.map((n) => Uint8Array.of(n)) })
const itemsIn = (answer: unknown): ReadonlyArray<Item> | null => {
  if (answer === null) return null
  const { contents, numbers } = takeIn(answer as Exclude<Answer, null>)
  return contents.map((content, i) => [numberAt(numbers, i), (content as Uint8Array)[0]!])
}
const itemsOf = (question: Question): ReadonlyArray<Item> | null => itemsIn(question.answer())
const valuesOf = (question: Question): ReadonlyArray<number> | null =>
  itemsOf(question)?.map(([, value]) => value) ?? null
const numbersOf = (question: Question): ReadonlyArray<number> => itemsOf(question)!.map(([number]) => number)

/** Its reference is the tally itself: all are in this process. */
const makeTally = (): OwnTally => {
  const words = new Int32Array(new SharedArrayBuffer(8 * tallyCells))
  return { words, place: { words } as never, release: () => {} }
}

const make = (capacity = Infinity): Driver => drive(makeQueueObject(capacity, makeTally))

const offer = (queue: Driver, slot: number, ...values: ReadonlyArray<number>): Question =>
  queue.ask(slot, "offer", parcels(values))

const take = (queue: Driver, slot: number, most = 1): Question => queue.ask(slot, "take", [most, noCell])

const accept = (queue: Driver, question: Question): void => {
  for (const number of numbersOf(question)) queue.ask(question.slot, "taken", number)
}

/** All that is left, by somebody who takes them one by one. */
const drain = (queue: Driver, slot: number): ReadonlyArray<number> => {
  const all: Array<number> = []
  while (true) {
    const question = queue.ask(slot, "poll")
    const values = valuesOf(question)
    if (values === null || values.length === 0) return all
    all.push(...values)
    accept(queue, question)
  }
}

// ---------------------------------------------------------------------------------------------------- the model

type Step =
  | { readonly does: "offer" | "take" | "takeNoting"; readonly slot: number; readonly count: number }
  | { readonly does: "poll" | "done" | "join" | "die"; readonly slot: number }
  | { readonly does: "withdraw" | "acknowledge" | "giveBack" | "retract" | "cross"; readonly index: number }
  | { readonly does: "end" }

const slot = fc.integer({ min: 1, max: 3 })
const count = fc.integer({ min: 1, max: 3 })
const index = fc.nat(5)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ does: fc.constantFrom("offer" as const, "take" as const), slot, count }) },
  { weight: 6, arbitrary: fc.record({ does: fc.constant("takeNoting" as const), slot, count }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("cross" as const), index }) },
  {
    weight: 4,
    arbitrary: fc.record({ does: fc.constantFrom("poll" as const, "done" as const, "join" as const), slot })
  },
  { weight: 6, arbitrary: fc.record({ does: fc.constantFrom("acknowledge" as const, "giveBack" as const), index }) },
  { weight: 4, arbitrary: fc.record({ does: fc.constantFrom("withdraw" as const, "retract" as const), index }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant("die" as const), slot }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("end" as const) }) }
)

interface Asked {
  readonly kind: "offer" | "take" | "join"
  readonly slot: number
  readonly most: number
  readonly values: Array<number>
}

/** Nobody: of what was taken by a process that died. */
const nobody = 0

/** The values that were accepted count up, so a value says where its place is. */
const makeModel = (capacity: number) => {
  const queue: Array<number> = []
  const onTheWay = new Map<number, number>()
  /** Of the slot that took it, for each that is not done. */
  const taken: Array<number> = []
  let open: ReadonlyArray<Asked> = []
  let isEnded = false
  let unfinished = 0
  const answers = new Map<Asked, unknown>()

  const answer = (asked: Asked, value: unknown): void => {
    open = open.filter((other) => other !== asked)
    answers.set(asked, value)
  }
  const waiting = (kind: Asked["kind"]): ReadonlyArray<Asked> => open.filter((asked) => asked.kind === kind)
  const size = (): number => queue.length + onTheWay.size
  const pick = (slot: number, most: number): ReadonlyArray<number> => {
    const picked = queue.splice(0, most)
    for (const value of picked) onTheWay.set(value, slot)
    return picked
  }
  const lost = (): number => taken.filter((slot) => slot === nobody).length
  const join = (): void => {
    if (unfinished <= lost()) { for (const joiner of waiting("join")) answer(joiner, unfinished) }
  }
  const accepted: Array<number> = []
  const acceptAll = (): void => {
    for (const asked of waiting("offer")) {
      if (isEnded) {
        answer(asked, hasEnded)
        continue
      }
      while (asked.values.length > 0 && size() < capacity) {
        const value = asked.values.shift()!
        accepted.push(value)
        queue.push(accepted.length - 1)
        unfinished++
      }
      if (asked.values.length > 0) return
      answer(asked, accepted.length)
    }
  }
  const settle = (): void => {
    acceptAll()
    for (const asked of waiting("take")) {
      const share = Math.ceil(queue.length / waiting("take").length)
      if (queue.length > 0) answer(asked, pick(asked.slot, Math.min(asked.most, share)))
      else if (isEnded && size() === 0) answer(asked, null)
    }
    join()
  }
  const comeBack = (place: number): void => {
    onTheWay.delete(place)
    queue.push(place)
    queue.sort((a, b) => a - b)
  }
  const forget = (slot: number): boolean => {
    const at = taken.lastIndexOf(slot)
    if (at >= 0) taken.splice(at, 1)
    return at >= 0
  }

  return {
    answers,
    accepted,
    size,
    unfinished: () => unfinished,
    onTheWay: (): ReadonlyArray<readonly [place: number, slot: number]> => [...onTheWay],
    ask: (asked: Asked): void => {
      open = [...open, asked]
      settle()
    },
    poll: (slot: number): ReadonlyArray<number> | null => {
      const free = queue.length > waiting("take").length
      return free ? pick(slot, 1) : isEnded && size() === 0 ? null : []
    },
    leave: (asked: Asked): void => {
      open = open.filter((other) => other !== asked)
      settle()
    },
    acknowledge: (place: number): void => {
      taken.push(onTheWay.get(place)!)
      onTheWay.delete(place)
      settle()
    },
    giveBack: (places: ReadonlyArray<number>): void => {
      for (const place of places) comeBack(place)
      settle()
    },
    retract: (place: number): boolean => {
      const at = queue.indexOf(place)
      if (at < 0) return false
      queue.splice(at, 1)
      unfinished--
      settle()
      return true
    },
    done: (slot: number): boolean => {
      if (unfinished <= queue.length) return false
      unfinished--
      if (!forget(slot) && !forget(nobody)) forget(taken[0] ?? nobody)
      join()
      return true
    },
    end: (): void => {
      isEnded = true
      settle()
    },
    die: (slot: number): void => {
      for (const asked of open.filter((one) => one.slot === slot)) {
        if (answers.has(asked)) continue
        open = open.filter((other) => other !== asked)
        settle()
      }
      for (const [place, to] of onTheWay) if (to === slot) comeBack(place)
      for (const [at, by] of taken.entries()) if (by === slot) taken[at] = nobody
      join()
      settle()
    }
  }
}

// ---------------------------------------------------------------------------------------------------- both together

/** What was handed out with a cell, to be noted there in this order. */
interface Handing {
  readonly slot: number
  readonly cell: number
  readonly tally: OwnTally
  readonly question: Question
  /** Undefined until it is answered. */
  places: ReadonlyArray<number> | undefined
  used: number
  /** The answer crossed with the withdrawal: it will be given back, and the cell may be used for another. */
  isCrossed: boolean
}

interface Both {
  handings: ReadonlyArray<Handing>
  readonly queue: Driver
  readonly model: ReturnType<typeof makeModel>
  readonly questions: Map<Question, Asked>
  /** The values that somebody has, each with who it is. */
  readonly had: Array<readonly [value: number, slot: number]>
  readonly retracted: Array<number>
  offered: number
}

/** What the model says was handed out: numbers count from one. */
const expected = ({ accepted }: Both["model"], places: ReadonlyArray<number>): ReadonlyArray<Item> =>
  places.map((place) => [place + 1, accepted[place]!])

/** Those of its places that are neither used nor given back. */
const openPlaces = ({ model }: Both, { places, slot, used }: Handing): ReadonlyArray<number> => {
  const onTheWay = model.onTheWay()
  return (places ?? []).slice(used).filter((place) => onTheWay.some(([at, to]) => at === place && to === slot))
}

const takeNoting = (both: Both, slot: number, count: number): void => {
  const tally = both.queue.ask(slot, "tally").answer() as OwnTally | null
  const isFree = (cell: number): boolean =>
    !both.handings.some((one) => one.slot === slot && one.cell === cell && !one.isCrossed)
  const cell = tally === null ? noCell : Array.from({ length: tallyCells }, (_, i) => i).find(isFree) ?? noCell
  const question = begin(both, { kind: "take", slot, most: count, values: [] }, "take", [count, cell])
  if (tally === null || cell === noCell) return
  both.handings = [...both.handings, { slot, cell, tally, question, places: undefined, used: 0, isCrossed: false }]
}

/** Those that are through make room; it happens after each step. */
const tidy = (both: Both): void => {
  for (const handing of both.handings) {
    if (handing.places !== undefined || !handing.question.isAnswered()) continue
    handing.places = itemsOf(handing.question)?.map(([number]) => number - 1) ?? []
  }
  both.handings = both.handings.filter((handing) => handing.question.isOpen() || openPlaces(both, handing).length > 0)
}

const begin = (both: Both, asked: Asked, operation: string, argument: unknown): Question => {
  const question = both.queue.ask(asked.slot, operation, argument)
  both.questions.set(question, asked)
  both.model.ask(asked)
  return question
}

const ask = (both: Both, step: Step): void => {
  const { model, queue } = both
  if ("index" in step) {
    undo(both, step)
  } else if (step.does === "offer") {
    const values = Array.from({ length: step.count }, () => both.offered++)
    begin(both, { kind: "offer", slot: step.slot, most: 0, values: [...values] }, "offer", parcels(values))
  } else if (step.does === "take") {
    begin(both, { kind: "take", slot: step.slot, most: step.count, values: [] }, "take", [step.count, noCell])
  } else if (step.does === "takeNoting") {
    takeNoting(both, step.slot, step.count)
  } else if (step.does === "join") {
    begin(both, { kind: "join", slot: step.slot, most: 0, values: [] }, "join", undefined)
  } else if (step.does === "poll") {
    const places = model.poll(step.slot)
    const handed = itemsOf(queue.ask(step.slot, "poll"))
    assert.deepStrictEqual(handed, places === null ? null : expected(model, places))
  } else if (step.does === "done") {
    assert.strictEqual(queue.ask(step.slot, "done").answer(), model.done(step.slot))
  } else if (step.does === "end") {
    queue.ask(1, "end")
    model.end()
  } else if (step.does === "die") {
    queue.kill(step.slot)
    model.die(step.slot)
    both.handings = both.handings.filter((handing) => handing.slot !== step.slot)
    // some may be answered while others of the process are withdrawn: it does not hear that
    for (const question of both.questions.keys()) if (question.slot === step.slot) both.questions.delete(question)
  }
}

const undo = (both: Both, { does, index }: Extract<Step, { readonly index: number }>): void => {
  const { model, queue } = both
  const onTheWay = model.onTheWay()
  if (does === "withdraw") {
    const question = queue.open()[index]
    if (question === undefined) return
    question.withdraw()
    model.leave(both.questions.get(question)!)
    both.questions.delete(question)
  } else if (does === "retract") {
    const place = model.accepted.length - 1 - index
    if (place < 0) return
    queue.ask(1, "retract", place + 1)
    if (model.retract(place)) both.retracted.push(model.accepted[place]!)
  } else if (does === "cross") {
    const handing = both.handings[index]
    if (handing?.used === 0 && handing.places !== undefined) handing.isCrossed = true
  } else if (onTheWay.length > 0) {
    const [place, slot] = onTheWay[index % onTheWay.length]!
    const handing = both.handings.find((one) => one.slot === slot && openPlaces(both, one).includes(place))
    if (handing === undefined) tell(both, does, place, slot)
    else if (does === "giveBack" || handing.isCrossed) giveBackAll(both, handing)
    else note(both, handing)
  }
}

const tell = ({ had, model, queue }: Both, does: "acknowledge" | "giveBack", place: number, slot: number): void => {
  // somebody else's word does not count
  queue.ask(slot + 1, "taken", place + 1)
  queue.ask(slot + 1, "back", [place + 1])
  if (does === "giveBack") {
    queue.ask(slot, "back", [place + 1])
    model.giveBack([place])
  } else {
    queue.ask(slot, "taken", place + 1)
    had.push([model.accepted[place]!, slot])
    model.acknowledge(place)
  }
}

const giveBackAll = (both: Both, handing: Handing): void => {
  const places = openPlaces(both, handing)
  both.handings = both.handings.filter((other) => other !== handing)
  both.queue.ask(handing.slot, "back", places.map((place) => place + 1))
  both.model.giveBack(places)
}

/** The next in its order. The hub is told where it wants to be, and has to find it by itself elsewhere. */
const note = ({ had, model, queue }: Both, handing: Handing): void => {
  const { cell, places, slot, tally } = handing
  const place = places![handing.used++]!
  if (noteUsed(tally, cell, handing.used)) queue.ask(slot, "taken", place + 1)
  had.push([model.accepted[place]!, slot])
  model.acknowledge(place)
}

const compareSizes = ({ model, queue }: Both, capacity: number): void => {
  const size = queue.ask(9, "size").answer() as number
  assert.strictEqual(size, model.size())
  assert.isAtMost(size, capacity)
}

const compare = ({ model, questions }: Both): void => {
  for (const [question, asked] of questions) {
    assert.strictEqual(question.isAnswered(), model.answers.has(asked), asked.kind)
    if (!question.isAnswered()) continue
    const answer = model.answers.get(asked)
    const wanted = asked.kind === "take" && answer !== null
      ? expected(model, answer as ReadonlyArray<number>)
      : answer
    assert.deepStrictEqual(asked.kind === "take" ? itemsOf(question) : question.answer(), wanted)
  }
}

const follow = (capacity: number, steps: ReadonlyArray<Step>): void => {
  const both: Both = {
    handings: [],
    queue: make(capacity),
    model: makeModel(capacity),
    questions: new Map(),
    had: [],
    retracted: [],
    offered: 0
  }
  for (const step of steps) {
    ask(both, step)
    compare(both)
    // what was noted is found there: mostly, so that some is first found when its process has died
    if (step.does !== "acknowledge") compareSizes(both, capacity)
    tidy(both)
  }
  // all die with what they have not acknowledged, and a stranger takes what is left
  ask(both, { does: "end" })
  compare(both)
  compareSizes(both, capacity)
  for (const slot of [1, 2, 3]) ask(both, { does: "die", slot })
  assert.deepStrictEqual(both.queue.open(), [], "everybody is told at the end")
  const left = drain(both.queue, 9)
  const gone = [...both.had.map(([value]) => value), ...both.retracted, ...left]
  assert.deepStrictEqual(gone.toSorted((a, b) => a - b), both.model.accepted.toSorted((a, b) => a - b))
  assert.deepStrictEqual(
    left,
    both.model.accepted.filter((value) => left.includes(value)),
    "in the order of their places"
  )
  assert.isNull(valuesOf(take(both.queue, 9)))
}

describe("the queue of a hub", () => {
  it("does what a model does, loses nothing and doubles nothing, under every order of what may happen", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(1, 2, 3, Infinity),
        fc.array(step, { maxLength: 40, size: "max" }),
        follow
      ),
      { numRuns: 3000 }
    )
  })

  it("what was on its way to a process that dies returns to its place", () => {
    const queue = make()
    offer(queue, 2, 1, 2, 3, 4)
    const [first, second] = [take(queue, 3, 2), take(queue, 4)]
    assert.deepStrictEqual([valuesOf(first), valuesOf(second)], [[1, 2], [3]])
    queue.ask(3, "taken", numbersOf(first)[0])
    queue.ask(4, "back", numbersOf(second))
    queue.kill(3)
    assert.deepStrictEqual(drain(queue, 5), [2, 3, 4])
  })

  it("what a process has noted as used is taken, also when it dies before anybody has looked", () => {
    const queue = make()
    offer(queue, 2, 1, 2, 3, 4)
    const tally = queue.ask(3, "tally").answer() as OwnTally
    const first = queue.ask(3, "take", [3, 5])
    assert.deepStrictEqual(valuesOf(first), [1, 2, 3])
    assert.isFalse(noteUsed(tally, 5, 1))
    queue.kill(3)
    assert.deepStrictEqual(drain(queue, 5), [2, 3, 4])
  })

  it("who notes what it uses is asked to say it, too, when somebody waits for that", () => {
    const queue = make(2)
    offer(queue, 2, 1, 2)
    const tally = queue.ask(3, "tally").answer() as OwnTally
    const numbers = numbersOf(queue.ask(3, "take", [2, 0]))
    assert.isFalse(noteUsed(tally, 0, 1))
    assert.isTrue(offer(queue, 2, 3).isAnswered(), "there is room, which nobody has said")
    const waiting = offer(queue, 2, 4)
    assert.isTrue(waiting.isOpen())
    assert.isTrue(noteUsed(tally, 0, 2))
    queue.ask(3, "taken", numbers[1])
    assert.isTrue(waiting.isAnswered())
  })

  it("what is on its way takes up room", () => {
    const queue = make(1)
    const waiting = take(queue, 2)
    assert.isTrue(offer(queue, 3, 1).isAnswered())
    const next = offer(queue, 3, 2)
    assert.isTrue(next.isOpen())
    accept(queue, waiting)
    assert.isTrue(next.isAnswered())
  })

  it("a producer that is withdrawn or dies while it waits adds nothing, and lets those behind it go", () => {
    const queue = make(2)
    offer(queue, 2, 1)
    const many = offer(queue, 3, 2, 3, 4)
    const one = offer(queue, 4, 5)
    const other = offer(queue, 5, 6)
    queue.kill(4)
    many.withdraw()
    assert.isTrue(one.isOpen() === false && one.isAnswered() === false && other.isOpen())
    assert.deepStrictEqual(drain(queue, 6), [1, 2, 6])
  })

  it("takers who wait share what comes", () => {
    const queue = make()
    const takers = [take(queue, 2, 9), take(queue, 3, 9), take(queue, 4, 9)]
    offer(queue, 5, 1, 2, 3, 4, 5, 6, 7)
    assert.deepStrictEqual(takers.map(valuesOf), [[1, 2, 3], [4, 5], [6, 7]])
  })

  it("large items are handed out one by one, small ones together", () => {
    const queue = make()
    const large = new Uint8Array(200_000)
    queue.ask(2, "offer", bundle({ tags: 0, contents: [large, large, Uint8Array.of(1)] }))
    assert.deepStrictEqual([numbersOf(take(queue, 3, 9)).length, numbersOf(take(queue, 3, 9)).length], [1, 2])
  })

  it("who takes from a queue that has ended waits while something is on its way that could come back", () => {
    const queue = make()
    offer(queue, 2, 1)
    const first = take(queue, 3)
    queue.ask(2, "end")
    const [second, third] = [take(queue, 4), take(queue, 5)]
    assert.isTrue(second.isOpen() && third.isOpen())
    assert.deepStrictEqual(valuesOf(queue.ask(6, "poll")), [])
    queue.kill(3)
    assert.deepStrictEqual([valuesOf(first), valuesOf(second)], [[1], [1]])
    accept(queue, second)
    assert.isTrue(third.isAnswered())
    assert.isNull(valuesOf(third))
    assert.isNull(valuesOf(queue.ask(6, "poll")))
    assert.strictEqual(offer(queue, 2, 2).answer(), hasEnded)
  })

  it("who joins is told when all is done, or when all that is left went with a process that died", () => {
    const queue = make()
    assert.strictEqual(queue.ask(1, "join").answer(), 0)
    offer(queue, 2, 1, 2)
    const join = queue.ask(1, "join")
    accept(queue, take(queue, 3, 2))
    assert.isTrue(queue.ask(3, "done").answer() as boolean)
    assert.isTrue(join.isOpen())
    queue.kill(3)
    assert.strictEqual(join.answer(), 1)
    assert.strictEqual(queue.ask(1, "join").answer(), 1)
    assert.isTrue(queue.ask(4, "done").answer() as boolean)
    assert.strictEqual(queue.ask(1, "join").answer(), 0)
    assert.isFalse(queue.ask(4, "done").answer() as boolean)
  })

  it("serves a long row that answers each other without a deep stack, and lets others have their turn", async () => {
    const object = makeQueueObject(1)()
    const peer = { slot: 1, pid: 1 }
    const rounds = 20_000
    let received = 0
    const turn = () => new Promise((resolve) => setImmediate(resolve))
    const takeOn = (): void => {
      object.call(peer, "take", [1, noCell], (answer) => {
        object.call(peer, "taken", itemsIn(answer)![0]![0], () => {})
        if (++received < rounds) takeOn()
      })
    }
    const offerOn = (): void => {
      object.call(peer, "offer", parcels([1]), () => {
        if (received < rounds) offerOn()
      })
    }
    takeOn()
    offerOn()
    assert.isBelow(received, rounds)
    for (let turns = 0; turns < rounds; turns++) await turn()
    assert.strictEqual(received, rounds)
  })
})
