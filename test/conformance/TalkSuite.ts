/**
 * The laws of pipes, queues and listeners about whoever is killed, computes or is interrupted meanwhile, and about what is
 * large, for every start method.
 */
import { assert, describe } from "@effect/vitest"
import { Effect, Fiber, Random } from "effect"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { freemem, tmpdir } from "node:os"
import { join } from "node:path"
import { Connection, Listener, Pipe, Process, SharedQueue } from "../../src/index.ts"
import * as T from "../fixtures/talk.ts"
import { bounded, numbers, reasonOf } from "./assertions.ts"
import { makeEvents } from "./events.ts"
import type { Events } from "./events.ts"
import { laws } from "./law.ts"
import type { Method } from "./methods.ts"

const daemon = { daemon: true }

const forked = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

interface Setting {
  readonly law: ReturnType<typeof laws>
  readonly method: Method
}

// ---------------------------------------------------------------------------------------------------- deaths

/**
 * The law says one second. A machine that does other things as well may take another one until the kill has arrived, and
 * until what came of it has been told.
 */
const withinASecond = bounded("it ends within a second of the death of the other side", 2)

/** What the calls at an end come to when the other one is gone: with its process, or with the pipe's maker. */
const outcomes: Readonly<Record<T.Wait, ReadonlyArray<unknown>>> = {
  receive: ["Done", "Closed"],
  poll: [false, "Closed"],
  send: ["Closed"]
}

const tellsOf = (events: Events, name: string, call: string): ReadonlyArray<string> =>
  events.seen().filter((text) => text.startsWith(`${name} ${call} `))

/** Completes when a child has told what came of all these calls. */
const toldOf = (events: Events, name: string, expected: Readonly<Record<string, ReadonlyArray<unknown>>>) =>
  Effect.forEach(
    Object.entries(expected),
    ([call, results]) =>
      Effect.raceAll(results.map((result) => events.until(`${name} ${call} ${String(result)}`))).pipe(
        Effect.tap(() => Effect.sync(() => assert.lengthOf(tellsOf(events, name, call), 1)))
      ),
    { concurrency: "unbounded", discard: true }
  )

const waitsHere = (ends: T.Ends) => Effect.forEach(T.allWaits, (wait) => forked(T.waits[wait](ends[wait])))

const toldHere = (fibers: ReadonlyArray<Fiber.Fiber<unknown>>) =>
  Effect.map(
    Fiber.joinAll(fibers),
    (results) => T.allWaits.forEach((wait, i) => assert.include(outcomes[wait], results[i], wait))
  )

const makeEnds = Effect.map(
  Effect.forEach(T.allWaits, () => Pipe.make<number>({ capacity: 1 })),
  (pipes) => {
    const side = (one: 0 | 1): T.Ends =>
      Object.fromEntries(T.allWaits.map((wait, i) => [wait, pipes[i]![one]])) as unknown as T.Ends // all are there
    return [side(0), side(1)] as const
  }
)

const deathsAtPipes = ({ law }: Setting, state: T.State): void => {
  law(
    `of a process that is ${state} ends the calls at the other ends of its pipes, here and in a sibling`,
    () =>
      Effect.gen(function*() {
        const events = yield* makeEvents
        const [mine, hers] = yield* makeEnds
        const [sibling, his] = yield* makeEnds
        const child = yield* Process.start(
          T.holdsEnds,
          { ends: [hers, his], state, name: "child", path: events.path },
          daemon
        )
        yield* Process.start(T.waitsAtPipes, { ends: sibling, name: "sibling", path: events.path }, daemon)
        const here = yield* waitsHere(mine)
        yield* Effect.all([events.until("child stays"), events.until("sibling waits")])
        yield* Process.kill(child)
        yield* withinASecond(Effect.andThen(toldHere(here), toldOf(events, "sibling", outcomes)))
      })
  )

  law(
    `of a pipe's maker that is ${state} ends the calls at the end that it had not kept, and at both where it had none`,
    () =>
      Effect.gen(function*() {
        const events = yield* makeEvents
        const [receiver, sender] = yield* Pipe.simplex<T.MadePipes>()
        const child = yield* Process.start(
          T.makesPipes,
          { end: sender, state, name: "maker", path: events.path },
          daemon
        )
        const { both: [mine, his], halves } = yield* Connection.receive(receiver).pipe(bounded("the ends"))
        yield* Process.start(T.waitsAtPipes, { ends: his, name: "sibling", path: events.path }, daemon)
        const here = [yield* waitsHere(halves), yield* waitsHere(mine)]
        yield* Effect.all([events.until("maker stays"), events.until("sibling waits")])
        yield* Process.kill(child)
        yield* withinASecond(Effect.andThen(Effect.forEach(here, toldHere), toldOf(events, "sibling", outcomes)))
      })
  )
}

const deathsAtQueues = ({ law }: Setting, state: T.State): void => {
  law(`of a queue's owner that is ${state} ends all calls on it, here and in a sibling`, () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const [receiver, sender] = yield* Pipe.simplex<T.Queues>()
      const owner = yield* Process.start(
        T.ownsQueues,
        { end: sender, state, name: "owner", path: events.path },
        daemon
      )
      const queues = yield* Connection.receive(receiver).pipe(bounded("the queues"))
      yield* Process.start(T.waitsAtQueues, { queues, name: "sibling", path: events.path }, daemon)
      const here = yield* Effect.forEach(T.allQueueWaits, (wait) => forked(T.queueWaits[wait](queues)))
      yield* Effect.all([events.until("owner stays"), events.until("sibling waits")])
      yield* Process.kill(owner)
      const closed = Object.fromEntries(T.allQueueWaits.map((wait) => [wait, ["Closed"]]))
      const results = yield* withinASecond(
        Effect.tap(Fiber.joinAll(here), () => toldOf(events, "sibling", closed))
      )
      assert.deepStrictEqual(results, T.allQueueWaits.map(() => "Closed"))
    }))
}

const deaths = (setting: Setting): void => {
  for (const state of ["idle", "computing"] as const) {
    deathsAtPipes(setting, state)
    deathsAtQueues(setting, state)
  }

  setting.law("of a consumer gives the others within a second what was on its way to it", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const queue = yield* SharedQueue.bounded<number>(4)
      const child = yield* Process.start(
        T.asksAndComputes,
        { queue, count: 4, name: "child", path: events.path },
        daemon
      )
      yield* events.until("child stays")
      yield* SharedQueue.offerAll(queue, numbers(4))
      yield* Process.start(T.takesOne, { queue, name: "sibling", path: events.path }, daemon)
      yield* events.until("sibling waits")
      const here = yield* forked(Effect.replicateEffect(SharedQueue.take(queue), 3))
      // there is no room before somebody has them
      const more = yield* forked(SharedQueue.offerAll(queue, [4, 5, 6, 7]))
      yield* Process.kill(child)
      const rest = yield* withinASecond(
        Effect.tap(Fiber.join(here), () => Effect.andThen(events.until("sibling take 0"), Fiber.join(more)))
      )
      assert.deepStrictEqual(rest, [1, 2, 3])
    }))
}

// ---------------------------------------------------------------------------------------------------- past the parent

/** Hears nothing and runs no fiber, until these files are there: then it gives true. */
const computesUntil = (paths: ReadonlyArray<string>, seconds: number): boolean => {
  const until = performance.now() + seconds * 1000
  const never = new Int32Array(new SharedArrayBuffer(4))
  while (performance.now() < until) {
    if (paths.every((path) => existsSync(path))) return true
    Atomics.wait(never, 0, 0, 2) // others need the processor
  }
  return false
}

const direct = ({ law }: Setting): void => {
  law(
    "two children stream to each other while their parent hears nothing: nothing goes through it",
    () =>
      Effect.gen(function*() {
        const events = yield* makeEvents
        const folder = yield* Effect.acquireRelease(
          Effect.sync(() => mkdtempSync(join(tmpdir(), "talk-"))),
          (path) => Effect.sync(() => rmSync(path, { recursive: true }))
        )
        const names = ["one", "two"] as const
        const count = 5000
        const pair = yield* Pipe.make<number>({ capacity: 50 })
        const gates = yield* Effect.forEach(names, () => Pipe.simplex<string>())
        yield* Effect.forEach(gates, ([, gate]) => Connection.send(gate, "wait"))
        const children = yield* Effect.forEach(names, (name, i) =>
          Process.start(
            T.streamsBothWays,
            { end: pair[i]!, go: gates[i]![0], count, folder, name, path: events.path },
            daemon
          ))
        for (const name of names) yield* events.until(`${name} talks`)
        yield* Effect.forEach(gates, ([, gate]) => Connection.send(gate, "go"))
        yield* T.turnOfLoop // it has left
        const isOver = computesUntil(names.map((name) => join(folder, name)), 10)
        assert.isTrue(isOver, "both have all while nothing is heard here")
        const sums = yield* bounded("both children ended")(Effect.forEach(children, Process.join))
        assert.deepStrictEqual(sums, names.map(() => count * (count - 1) / 2))
      })
  )
}

// ---------------------------------------------------------------------------------------------------- signals

const signals = ({ law }: Setting): void => {
  law("does not disturb whoever waits in receive, in accept, or in a send", () =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const [mine, hers] = yield* Pipe.make<unknown>()
      const child = yield* Process.start(T.bearsSignals, { end: hers, path: events.path }, daemon)
      const signalled = (place: string) =>
        Effect.andThen(events.until(place), Effect.sync(() => process.kill(child.pid, "SIGUSR2")))
      yield* signalled("receives")
      yield* Connection.send(mine, "message")
      const address = (yield* Connection.receive(mine).pipe(bounded("an address"))) as Listener.Address
      yield* signalled("accepts")
      const end = yield* Listener.connect<Uint8Array>(address, { authKey: T.authKey })
      yield* signalled("sends")
      assert.isTrue(T.areSamplesRight(yield* Connection.receive(end).pipe(bounded("a large message"))))
      const { heard, message } = yield* Process.join(child).pipe(bounded("the child ended"))
      assert.strictEqual(message, "message")
      assert.isAtLeast(heard, 1) // one that waits to be heard is one with the next
    }))
}

// ---------------------------------------------------------------------------------------------------- interruption

const sorted = (values: ReadonlyArray<number>): ReadonlyArray<number> => values.toSorted((a, b) => a - b)

type Receiver = Connection.Connection<never, number>

const interruption = ({ law }: Setting): void => {
  const count = 200
  const seed = 1

  const atPipes = (
    there: typeof T.receivesInterrupted,
    here: (end: Receiver) => Effect.Effect<ReadonlyArray<number>, unknown>
  ) =>
    Effect.gen(function*() {
      const [receiver, sender] = yield* Pipe.simplex<number>({ capacity: 4 })
      const child = yield* Process.start(there, { end: receiver, seed }, daemon)
      yield* T.trickle(count, (n) => Connection.send(sender, n))
      yield* Connection.close(sender)
      assert.deepStrictEqual(yield* Process.join(child), [...numbers(count)], "there")
      const [mine, theirs] = yield* Pipe.simplex<number>({ capacity: 4 })
      yield* Process.start(T.trickles, { end: theirs, count }, daemon)
      assert.deepStrictEqual(yield* here(mine).pipe(Random.withSeed(seed)), [...numbers(count)], "here")
    }).pipe(bounded("all messages", 20))

  law("of receive, at any moment, loses and doubles nothing", () => atPipes(T.receivesInterrupted, T.interruptsReceive))

  law(
    "of a stream of a pipe, at any moment, loses and doubles nothing",
    () => atPipes(T.streamsPipeInterrupted, T.interruptsPipeStream)
  )

  law("of streams of a queue, at any moment, loses and doubles nothing", () =>
    Effect.gen(function*() {
      const [far, near] = [yield* SharedQueue.bounded<number>(4), yield* SharedQueue.bounded<number>(4)]
      const offering = yield* Effect.forEach([far, near], (queue) =>
        forked(Effect.andThen(T.trickle(count, (n) => SharedQueue.offer(queue, n)), SharedQueue.end(queue))))
      const children = yield* Effect.forEach([1, 2], (own) =>
        Process.start(T.streamsQueueInterrupted, { queue: far, seed: own }, daemon))
      const here = yield* T.interruptsQueueStream(near).pipe(Random.withSeed(seed))
      assert.deepStrictEqual(here, [...numbers(count)], "here")
      const there = yield* Effect.forEach(children, Process.join)
      assert.deepStrictEqual(sorted(there.flat()), [...numbers(count)], "there")
      yield* Fiber.joinAll(offering)
    }).pipe(bounded("all values", 20)))

  law("of accept, at any moment, loses nobody and doubles nobody", () =>
    Effect.gen(function*() {
      const clients = 60
      const listener = yield* Listener.make({ authKey: T.authKey })
      const child = yield* Process.start(T.visits, { address: listener.address, count: clients }, daemon)
      const found: Array<number> = []
      const ends: Array<Receiver> = []
      const accepting = Effect.map(Listener.accept<number>(listener), (end) => void ends.push(end))
      const reading = Effect.gen(function*() {
        while (found.length < clients) {
          const end = ends.shift()
          if (end === undefined) yield* T.turnOfLoop
          else {
            found.push(yield* Connection.receive(end))
            yield* Connection.close(end)
          }
        }
      })
      yield* Effect.all([T.interrupting(accepting, () => found.length === clients), reading], { concurrency: 2 })
        .pipe(Random.withSeed(3))
      yield* Process.join(child)
      assert.deepStrictEqual(sorted(found), [...numbers(clients)])
    }).pipe(bounded("all clients", 20)))
}

// ---------------------------------------------------------------------------------------------------- what is large

const gibibyte = 2 ** 30

/** It needs as many gigabytes as there are copies on the way, and seconds: where many machines run this, once is enough. */
const carriesLarge = ({ name }: Method): boolean =>
  freemem() > 6e9 && (name === "spawn" || (name === "threads" && process.env["CI"] === undefined))

const largeOnes = ({ law, method: { claims } }: Setting): void => {
  const arrives = (child: Process.Process<T.Report, unknown>) =>
    Effect.gen(function*() {
      const { isRight, length, mostResident } = yield* Process.join(child).pipe(bounded("a large message arrived", 50))
      assert.deepStrictEqual([length, isRight], [gibibyte, true])
      // itself, and the blocks in which it has grown, which together are as much, and the process
      if (claims.signals) assert.isBelow(mostResident, 2.8 * gibibyte)
    })

  law("of 1 GiB arrives whole through a pipe", () =>
    Effect.gen(function*() {
      const [receiver, sender] = yield* Pipe.simplex<Uint8Array>()
      const child = yield* Process.start(T.receivesLarge, receiver, daemon)
      yield* Connection.send(sender, T.makeSampled(gibibyte))
      yield* arrives(child)
    }), 60_000)

  law("of 1 GiB arrives whole through a queue", () =>
    Effect.gen(function*() {
      const queue = yield* SharedQueue.bounded<Uint8Array>(1)
      yield* SharedQueue.offer(queue, T.makeSampled(gibibyte))
      yield* arrives(yield* Process.start(T.takesLarge, queue, daemon))
    }), 60_000)
}

const tooLargeOnes = ({ law }: Setting): void => {
  law(
    "of 2 GiB and more is refused, also when it is that only together, by pipes and queues, and they go on",
    () =>
      Effect.gen(function*() {
        const [mine, theirs] = yield* Pipe.make<unknown>()
        const queue = yield* SharedQueue.bounded<unknown>(1)
        // pages that nobody has written to take no memory
        const half = new Uint8Array(1.2e9)
        const values = [new Uint8Array(2 ** 31), { deep: [new Uint8Array(2 ** 31)] }, [half, new Uint8Array(1.2e9)]]
        for (const value of values) {
          for (const effect of [Connection.send(mine, value), SharedQueue.offer(queue, value)]) {
            const reason = reasonOf(yield* Effect.exit(effect))
            assert.isTrue(reason._tag === "MessageTooLarge" && reason.size >= 2 ** 31, reason.message)
          }
        }
        yield* Connection.send(mine, "next")
        yield* SharedQueue.offer(queue, "next")
        assert.deepStrictEqual([yield* Connection.receive(theirs), yield* SharedQueue.take(queue)], ["next", "next"])
      })
  )
}

// ---------------------------------------------------------------------------------------------------- all

export const suite = (method: Method): void => {
  const setting: Setting = { law: laws(method.layer), method }

  describe(`talking on ${method.name}`, () => {
    if (method.claims.killsBusy) describe("the death", () => deaths(setting))
    if (method.claims.parallel) describe("directly", () => direct(setting))
    if (method.claims.signals) describe("a signal", () => signals(setting))
    if (carriesLarge(method)) describe("a message", () => largeOnes(setting))
    // how it is encoded does not depend on the method
    if (method.name === "inline" && freemem() > 6e9) describe("a message", () => tooLargeOnes(setting))
    describe("the interruption", () => interruption(setting))
  })
}
