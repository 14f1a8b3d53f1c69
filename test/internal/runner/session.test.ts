import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, References, Schema } from "effect"
import type { Channel } from "../../../src/internal/channel/Channel.ts"
import { makePair } from "../../../src/internal/channel/inline.ts"
import { revive } from "../../../src/internal/codec/values.ts"
import { unbundle } from "../../../src/internal/protocol/bundles.ts"
import { flagAnnounce, flagFailFast, flagReturns, Kind } from "../../../src/internal/protocol/messages.ts"
import type { Boot, EncodedFailure, EncodedLog, ToChild, ToParent } from "../../../src/internal/protocol/messages.ts"
import { lastItem, makeProgress, progressBytes } from "../../../src/internal/protocol/progress.ts"
import { startSession } from "../../../src/internal/runner/session.ts"
import type { Session } from "../../../src/internal/runner/session.ts"
import * as Initializer from "../../../src/Initializer.ts"
import * as Task from "../../../src/Task.ts"

const module = "file:///of-this-test.ts"
const timeout = 10_000

const boot = (maxMemory: number | undefined, initializer: string | undefined): Boot => ({
  identity: { name: "child", path: [1], daemon: true, startMethod: "inline" },
  parent: { name: "main", pid: 1 },
  startOptions: {},
  initializer: initializer === undefined
    ? undefined
    : { module, name: initializer, payload: { value: undefined, marked: false } },
  once: false,
  maxMemory,
  logLevel: "Info"
})

interface Options {
  readonly initializer?: string
  readonly isRead?: boolean
  readonly announces?: true
  readonly maxMemory?: number
  readonly memory?: () => number
  readonly through?: (channel: Channel<ToParent, ToChild>) => Channel<ToParent, ToChild>
}

/** A session in this thread, and what its parent hears. */
const open = (
  { announces, initializer, isRead = false, maxMemory, memory = () => 0, through = (channel) => channel }: Options = {}
) => {
  const [here, there] = makePair<ToChild, ToParent>()
  const heard: Array<ToParent> = []
  const exits: Array<number> = []
  const waiting: Array<() => void> = []
  here.listen((batch) => {
    heard.push(...unbundle(batch))
    for (const wake of waiting.splice(0)) wake()
  }, () => {})
  const progress = makeProgress(new ArrayBuffer(progressBytes))
  const session: Session = startSession({
    channel: through(there),
    pid: 7,
    launchers: () => Promise.reject(new Error("no start method here")),
    exit: (code) => void exits.push(code),
    stop: () => void exits.push(-15),
    whenWritten: (then) => then(),
    progress,
    memory,
    onBoot: () => {},
    onUserCode: () => {},
    isRead,
    onMuchCode: () => {}
  })
  const say = (...messages: ReadonlyArray<ToChild>): void => here.post(messages)
  say([Kind.Boot, { ...boot(maxMemory, initializer), announces }])
  /** The outcomes of a run by index: a value, or that it is a failure. */
  const outcomes = (run: number): ReadonlyMap<number, unknown> => {
    const found = new Map<number, unknown>()
    const put = (index: number, outcome: unknown): void => {
      assert.isFalse(found.has(index), `item ${index} has two outcomes`)
      found.set(index, outcome)
    }
    for (const message of heard) {
      if (message[0] === Kind.Successes && message[1] === run) {
        const [, , first, values, marked] = message
        Array.from(values).forEach((value, i) => put(first + i, marked ? revive(value) : value))
      } else if (message[0] === Kind.Failure && message[1] === run) put(message[2], "failure")
    }
    return found
  }
  return {
    session,
    say,
    heard,
    exits,
    outcomes,
    close: () => here.close(),
    /** What its parent reads. */
    last: () => lastItem(progress),
    define: (task: number, name: string, of = module): void => say([Kind.Define, task, of, name, false]),
    of: (kind: number): ReadonlyArray<ToParent> => heard.filter((message) => message[0] === kind),
    until: async (there: () => boolean): Promise<void> => {
      while (!there()) await new Promise<void>((resolve) => waiting.push(resolve))
    }
  }
}

const numbers = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => i)
const pause = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))

const compute = (millis: number): void => {
  const end = performance.now() + millis
  while (performance.now() < end);
}

describe("a run", () => {
  it("that fails fast ends with its first failure, and runs nothing behind it; another goes on", async () => {
    for (const [flags, ends] of [[flagFailFast, 3], [0, 6]] as const) {
      const ran: Array<number> = []
      Task.sync("third", {
        module,
        handler: (i: number) => {
          ran.push(i)
          if (i === 2) throw new Error("the third")
          return i
        }
      })
      const { define, outcomes, say, until } = open()
      define(1, "third")
      say([Kind.Run, 1, 1, numbers(6), flags])
      await until(() => outcomes(1).size === ends)
      await pause(0)
      assert.deepStrictEqual(ran, numbers(ends))
      assert.strictEqual(outcomes(1).get(2), "failure")
    }
  }, timeout)

  for (const transfers of [true, false]) {
    it(
      `reports many numbers as a block of doubles, which ${
        transfers ? "moves" : "is copied"
      }, and what else it gives as it is`,
      async () => {
        Task.sync("half", { module, handler: (i: number) => i / 2 })
        Task.sync("text", { module, handler: (i: number) => `${i}` })
        const posted: Array<ArrayBufferLike> = []
        const moved: Array<ArrayBufferLike> = []
        const { define, of, outcomes, say, until } = open({
          through: (channel) => ({
            ...channel,
            transfers,
            post: (batch, list) => {
              for (const message of batch) {
                if (message[0] === Kind.Successes && ArrayBuffer.isView(message[3])) posted.push(message[3].buffer)
              }
              if (list !== undefined) moved.push(...list)
              channel.post(batch, list)
            }
          })
        })
        define(1, "half")
        define(2, "text")
        const blocks = () => of(Kind.Successes).filter((message) => ArrayBuffer.isView(message[3]))
        say([Kind.Run, 1, 1, numbers(200), 0])
        await until(() => outcomes(1).size === 200)
        assert.isAtLeast(blocks().length, 1)
        assert.deepStrictEqual(Array.from(outcomes(1).values()), numbers(200).map((i) => i / 2))
        assert.lengthOf(posted, blocks().length)
        assert.sameOrderedMembers(moved, transfers ? posted : [])
        const before = blocks().length
        say([Kind.Run, 2, 2, numbers(200), 0])
        await until(() => outcomes(2).size === 200)
        assert.lengthOf(blocks(), before)
      },
      timeout
    )
  }

  it("of guessed size gives back what it has not begun when it takes too long; another does not", async () => {
    let ran = 0
    Task.sync("slow", { module, handler: () => (ran++, compute(3)) })
    const { define, of, outcomes, say, until } = open()
    define(1, "slow")
    say([Kind.Run, 1, 1, numbers(10), 0])
    await until(() => outcomes(1).size === 10)
    assert.deepStrictEqual(of(Kind.Returned), [])
    ran = 0
    say([Kind.Run, 2, 1, numbers(10), flagReturns])
    await until(() => of(Kind.Returned).length > 0)
    await pause(10)
    assert.isBelow(ran, 10)
    assert.deepStrictEqual(of(Kind.Returned), [[Kind.Returned, 2, ran]])
    assert.deepStrictEqual([...outcomes(2).keys()], numbers(ran))
  }, timeout)

  it("has a failure at the result that the serializer refuses, and all its other results", async () => {
    Task.sync("text", { module, handler: (i: number) => i === 50 ? "poison" : `item ${i}` })
    const { define, outcomes, say, until } = open({
      through: (channel) => ({
        ...channel,
        post: (batch, transfers) => {
          const refused = batch.some((message) =>
            message[0] === Kind.Successes && Array.from(message[3]).includes("poison")
          )
          if (refused) throw new DOMException("poison could not be cloned.", "DataCloneError")
          channel.post(batch, transfers)
        }
      })
    })
    define(1, "text")
    say([Kind.Run, 1, 1, numbers(100), 0])
    await until(() => outcomes(1).size === 100)
    for (const [index, outcome] of outcomes(1)) {
      assert.strictEqual(outcome, index === 50 ? "failure" : `item ${index}`)
    }
  }, timeout)

  it("keeps errors among its results apart from look-alikes and plain data", async () => {
    Task.sync("mixed", { module, handler: (i: number) => i % 3 === 0 ? { error: new RangeError(`e${i}`) } : { i } })
    const { define, outcomes, say, until } = open()
    define(1, "mixed")
    say([Kind.Run, 1, 1, numbers(100), 0])
    await until(() => outcomes(1).size === 100)
    for (const [index, outcome] of outcomes(1)) {
      if (index % 3 !== 0) assert.deepStrictEqual(outcome, { i: index })
      else assert.instanceOf((outcome as { readonly error: unknown }).error, RangeError)
    }
  }, timeout)

  it("says that it is at an item that suspends, also when its items are believed to be cheap", async () => {
    Task.make("sleeps", {
      module,
      handler: (i: number) => i === 50 ? Effect.as(Effect.sleep(50), i) : Effect.succeed(i)
    })
    const { define, heard, outcomes, say, until } = open()
    define(1, "sleeps")
    say([Kind.Run, 1, 1, numbers(60), 0])
    await until(() => outcomes(1).size >= 50)
    await until(() => heard.some((message) => message[0] === Kind.Started && message[2] === 50))
    assert.isFalse(outcomes(1).has(50))
    await until(() => outcomes(1).size === 60)
  }, timeout)

  it("announces each item when they have become dear", async () => {
    Task.sync("dearer", { module, handler: (i: number) => compute(i < 40 ? 0 : 0.12) })
    const { define, of, outcomes, say, until } = open()
    define(1, "dearer")
    say([Kind.Run, 1, 1, numbers(100), 0])
    await until(() => outcomes(1).size === 100)
    const announced = of(Kind.Started).map((message) => message[2] as number)
    assert.deepStrictEqual(announced.filter((index) => index >= 50), numbers(100).slice(50))
  }, timeout)

  it("encodes an error with its schema, also where that is its only one", async () => {
    const error = Schema.Struct({ code: Schema.NumberFromString })
    Task.make("refuses", { module, error, handler: () => Effect.fail({ code: 5 }) })
    const { define, of, say, until } = open()
    define(1, "refuses")
    say([Kind.Run, 1, 1, [0], 0])
    await until(() => of(Kind.Failure).length > 0)
    const failure: EncodedFailure = { _tag: "Cause", reasons: [["fail", { value: { code: "5" }, marked: false }]] }
    assert.deepStrictEqual(of(Kind.Failure)[0]![3], failure)
  }, timeout)

  it("tells what is done and what runs in its last report", async () => {
    const { define, heard, outcomes, say, session, until } = open()
    Task.sync("last", {
      module,
      handler: (i: number) => {
        if (i === 50) session.lastReport()
        return i
      }
    })
    define(1, "last")
    say([Kind.Run, 1, 1, numbers(51), 0])
    await until(() => outcomes(1).size === 51)
    const at = heard.findIndex((message) => message[0] === Kind.Started && message[2] === 50)
    assert.isAbove(at, 0)
    const before = heard.slice(0, at).flatMap((message) => message[0] === Kind.Successes ? Array.from(message[3]) : [])
    assert.deepStrictEqual<ReadonlyArray<unknown>>(before, numbers(50))
  }, timeout)
})

describe("a child that its parent reads", () => {
  it("says nothing of what it begins or loads, and what is done is said before the next item", async () => {
    Task.sync("slow", { module, handler: (i: number) => (compute(1), i) })
    const { define, last, of, outcomes, say, until } = open({ isRead: true })
    const before: Array<unknown> = []
    Task.sync("looks", {
      module,
      handler: (i: number) => {
        compute(1)
        before.push(last())
        return i
      }
    })
    define(1, "slow")
    define(2, "looks")
    define(3, "elsewhere", "data:text/javascript,")
    say([Kind.Run, 1, 1, numbers(20), 0], [Kind.Run, 3, 3, [1], 0])
    await until(() => outcomes(1).size === 20 && outcomes(3).size === 1)
    // each in a message of its own: nobody waits for what comes after it
    assert.lengthOf(of(Kind.Successes), 20)
    say([Kind.Run, 2, 2, numbers(3), 0])
    await until(() => outcomes(2).size === 3)
    assert.deepStrictEqual(before, [
      { run: 2, index: 0 },
      { run: 2, index: 1 },
      { run: 2, index: 2 }
    ])
    assert.strictEqual(last(), "none")
    assert.isEmpty([...of(Kind.Started), ...of(Kind.Loading)])
  }, timeout)

  it("notes an item that suspends, and the load of a module", async () => {
    Task.make("dozes", { module, handler: (i: number) => Effect.as(Effect.sleep(20), i) })
    const { define, last, of, outcomes, say, until } = open({ isRead: true })
    define(1, "dozes")
    define(2, "late", "data:text/javascript,await new Promise((resolve) => setTimeout(resolve, 20))")
    say([Kind.Run, 1, 1, [0, 1], 0], [Kind.Run, 2, 2, [0], 0])
    await until(() => outcomes(1).size === 1)
    assert.deepStrictEqual(last(), { run: 1, index: 1 })
    await until(() => outcomes(1).size === 2)
    assert.deepStrictEqual(last(), { run: 2, index: 0 })
    await until(() => outcomes(2).size === 1)
    assert.isEmpty([...of(Kind.Started), ...of(Kind.Loading)])
  }, timeout)

  it("says what is done before it waits: for an item among cheap ones, for the load of a module", async () => {
    let release = (): void => {}
    const gate = new Promise<void>((resolve) => release = resolve)
    Object.assign(globalThis, { sessionGate: gate })
    Task.make("stops", {
      module,
      handler: (i: number) => i === 50 ? Effect.as(Effect.promise(() => gate), i) : Effect.succeed(i)
    })
    Task.sync("tiny", { module, handler: (i: number) => i })
    const { define, outcomes, say, until } = open({ isRead: true })
    define(1, "stops")
    define(2, "tiny")
    define(3, "gated", "data:text/javascript,await globalThis.sessionGate")
    // both tasks are believed to be cheap
    say([Kind.Run, 1, 1, numbers(40), 0], [Kind.Run, 2, 2, numbers(40), 0])
    await until(() => outcomes(1).size === 40 && outcomes(2).size === 40)
    say([Kind.Run, 3, 1, numbers(60), 0])
    await until(() => outcomes(3).size === 50)
    release()
    await until(() => outcomes(3).size === 60)
    const second = new Promise<void>((resolve) => release = resolve)
    Object.assign(globalThis, { sessionGate: second })
    say([Kind.Run, 4, 2, numbers(5), 0], [Kind.Run, 5, 3, [0], 0])
    await until(() => outcomes(4).size === 5)
    release()
    await until(() => outcomes(5).size === 1)
  }, timeout)

  it("tells what is done in its last report, and not what runs", async () => {
    const { define, of, outcomes, say, session, until } = open({ isRead: true })
    Task.sync("goes", {
      module,
      handler: (i: number) => {
        if (i === 50) session.lastReport()
        return i
      }
    })
    define(1, "goes")
    say([Kind.Run, 1, 1, numbers(51), 0])
    await until(() => outcomes(1).size === 51)
    assert.isEmpty(of(Kind.Started))
  }, timeout)

  it("announces what has a limit of time; all of it, when it is told to", async () => {
    Task.make("sleepy", { module, handler: (i: number) => Effect.as(Effect.sleep(1), i) })
    Task.sync("quick", { module, handler: (i: number) => i })
    for (
      const [announces, flags, expected] of [[undefined, flagAnnounce, 1], [undefined, 0, 0], [true, 0, 1]] as const
    ) {
      const { define, of, outcomes, say, until } = open({
        isRead: true,
        ...(announces === undefined ? {} : { announces })
      })
      define(1, "quick")
      define(2, "sleepy")
      say([Kind.Run, 1, 1, [0], flags], [Kind.Run, 2, 2, [0], flags])
      await until(() => outcomes(1).size === 1 && outcomes(2).size === 1)
      const begun = (run: number): number => of(Kind.Started).filter((message) => message[1] === run).length
      assert.strictEqual(begun(1), expected)
      // and once more when it suspends
      assert.strictEqual(begun(2), 2 * expected)
    }
  }, timeout)
})

describe("a cancel", () => {
  it("of a run that has ended is answered, once", async () => {
    Task.sync("one", { module, handler: () => 1 })
    const { define, of, outcomes, say, until } = open()
    define(1, "one")
    say([Kind.Run, 1, 1, [0], 0])
    await until(() => outcomes(1).size === 1)
    say([Kind.Cancel, 1])
    await until(() => of(Kind.Cancelled).length > 0)
    await pause(10)
    assert.deepStrictEqual(of(Kind.Cancelled), [[Kind.Cancelled, 1]])
  }, timeout)

  it("of a run that waits leaves the one that runs alone", async () => {
    Task.make("naps", { module, handler: (i: number) => Effect.as(Effect.sleep(40), i) })
    const { define, of, outcomes, say, until } = open()
    define(1, "naps")
    say([Kind.Run, 1, 1, [5], 0], [Kind.Run, 2, 1, [6], 0], [Kind.Run, 3, 1, [7], 0])
    await until(() => of(Kind.Started).length > 0)
    say([Kind.Cancel, 2])
    await until(() => outcomes(3).size === 1)
    assert.deepStrictEqual([...outcomes(1).values(), ...outcomes(2).values(), ...outcomes(3).values()], [5, 7])
    assert.deepStrictEqual(of(Kind.Cancelled), [[Kind.Cancelled, 2]])
  }, timeout)

  it("is read in the middle of a run of cheap items", async () => {
    let ran = 0
    Task.sync("cheap", { module, handler: () => (ran++, compute(0.03)) })
    const { define, of, say, until } = open()
    define(1, "cheap")
    say([Kind.Run, 1, 1, numbers(20_000), 0])
    setTimeout(() => say([Kind.Cancel, 1]), 20)
    await until(() => of(Kind.Cancelled).length > 0)
    assert.isBelow(ran, 20_000)
  }, timeout)

  it("while its module loads lets the next run go on, which the end of that load does not touch", async () => {
    let began = 0
    Task.make("dreams", { module, handler: (i: number) => Effect.as(Effect.sleep((began++, 200)), i) })
    const { define, of, outcomes, say, until } = open()
    define(1, "any", "data:text/javascript,await new Promise((resolve) => setTimeout(resolve, 100))")
    define(2, "dreams")
    // what the second needs is there
    say([Kind.Run, 1, 2, [1], 0])
    await until(() => outcomes(1).size === 1)
    say([Kind.Run, 2, 1, [2], 0], [Kind.Run, 3, 2, [3], 0])
    await until(() => of(Kind.Loading).some((message) => message[1] === 2))
    say([Kind.Cancel, 2])
    await until(() => outcomes(3).size === 1)
    assert.strictEqual(began, 2)
    assert.deepStrictEqual(of(Kind.Cancelled), [[Kind.Cancelled, 2]])
  }, timeout)
})

describe("a child", () => {
  it("says once that it uses too much memory, and not before something has run", async () => {
    Task.sync("two", { module, handler: () => 2 })
    const { define, of, outcomes, say, until } = open({ maxMemory: 10, memory: () => 100 })
    define(1, "two")
    await until(() => of(Kind.Ready).length === 1)
    await pause(80)
    assert.deepStrictEqual(of(Kind.Outgrown), [])
    for (const run of [1, 2, 3]) {
      say([Kind.Run, run, 1, [0], 0])
      await until(() => outcomes(run).size === 1)
      await pause(60)
    }
    assert.deepStrictEqual(of(Kind.Outgrown), [[Kind.Outgrown, 100]])
  }, timeout)

  it("that is stopped while its initializer is built interrupts that, and ends then", async () => {
    const events: Array<string> = []
    Initializer.make("endless", {
      module,
      layer: () =>
        Layer.effectDiscard(
          Effect.andThen(
            Effect.acquireRelease(
              Effect.sync(() => void events.push("acquired")),
              () => Effect.sync(() => void events.push("released"))
            ),
            Effect.never.pipe(Effect.onInterrupt(() => Effect.sync(() => void events.push("interrupted"))))
          )
        )
    })
    const { exits, say } = open({ initializer: "endless" })
    while (events.length === 0) await pause(5)
    say([Kind.Stop])
    while (exits.length === 0) await pause(5)
    assert.sameMembers(events, ["acquired", "interrupted", "released"])
    assert.deepStrictEqual(exits, [-15])
  }, timeout)

  it("gives its tasks what its initializer provides before what they have anyway", async () => {
    Initializer.make("quiet", { module, layer: () => Layer.succeed(References.MinimumLogLevel, "Error") })
    Task.make("talks", { module, handler: () => Effect.andThen(Effect.log("info"), Effect.logError("error")) })
    const { define, of, outcomes, say, until } = open({ initializer: "quiet" })
    define(1, "talks")
    say([Kind.Run, 1, 1, [0], 0])
    await until(() => outcomes(1).size === 1)
    assert.deepStrictEqual(of(Kind.Log).map((message) => (message[2] as EncodedLog).level), ["Error"])
  }, timeout)

  it("without a parent ends in a moment, also when a finalizer does not", async () => {
    Task.make("clings", {
      module,
      handler: () => Effect.never.pipe(Effect.onInterrupt(() => Effect.never))
    })
    const { close, define, exits, of, say, until } = open()
    define(1, "clings")
    say([Kind.Run, 1, 1, [0], 0])
    await until(() => of(Kind.Started).length > 0)
    close()
    await pause(50)
    assert.deepStrictEqual(exits, [])
    await pause(700)
    assert.deepStrictEqual(exits, [1])
  }, timeout)
})
