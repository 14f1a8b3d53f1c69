import { assert, describe, it } from "@effect/vitest"
import { begin, makeState, transition } from "../../../src/internal/pool/dispatcher.ts"
import type { Chunk, Event } from "../../../src/internal/pool/model.ts"
import { act } from "./actions.ts"
import { drain, finish, live } from "./drive.ts"
import { busy, calm, deadly, endless, even, lives, moved, smallJob, smallPlan } from "./plans.ts"
import type { ItemKind, ItemPlan, Tilt } from "./plans.ts"
import { startWorld } from "./tell.ts"

const options = { arbitrary: { runs: 3000, size: 120 } }

/** Every law is watched in every life; the tilt makes it likely that this one is at stake. */
const law = (name: string, tilt: Partial<Tilt> = {}): void =>
  it.prop(name, lives({ ...even, ...tilt }), ({ choices, plan }) => void live(plan, choices), options)

describe("dispatcher", () => {
  law("no item is lost, none is delivered twice, and each outcome is its own item's")
  law("an item runs again only when its worker died before it said that it started it, or a retry is left", {
    items: deadly,
    faults: 6,
    interrupts: 0,
    closes: [false],
    terminates: [false]
  })
  law("a job ends exactly once, and nothing of it is delivered or handed out afterwards", {
    interrupts: 4,
    closes: [true, false],
    terminates: [false, true]
  })
  law("a stopped job is over when nothing of it runs, not before", {
    items: endless,
    interrupts: 4,
    failFast: [true, false]
  })
  law("no more is handed out than the window has room for", { kinds: ["stream"], items: calm })
  law("an item that runs out of time fails once, and costs its worker only when it does not stop", {
    items: endless,
    timed: [true, true, false]
  })
  law("what moves goes to an idle worker, once", { items: moved })
  law("workers that die too often break the pool once, and everything that is pending is abandoned", {
    items: deadly,
    faults: 8,
    maxRestarts: [2, 0, 1, 4],
    ticks: [0, 1, 10]
  })
  law("a pool that closes ends when its last job is over, one that terminates at once, and both once", {
    closes: [true],
    terminates: [false, true]
  })
  law("nothing waits while a worker is idle, and the books are even when nothing is in hand", {
    items: calm,
    interrupts: 0,
    faults: 1
  })
  law("a worker is handed no more than its share, and its successor nothing before it has left", {
    items: busy,
    maxTasks: [1, 2, 3, 5],
    bound: [-1, 0, 1, 2, 3],
    interrupts: 1,
    terminates: [false]
  })
  law("a worker that has outgrown works until its successor is ready, whichever of them dies", {
    items: busy,
    outgrows: 6,
    maxTasks: [undefined, undefined, 3],
    bound: [-1, 0, 1, 2, 3],
    faults: 6,
    interrupts: 0,
    terminates: [false]
  })
  law("a worker that nobody needs is let go, and comes back when work waits", {
    items: busy,
    rests: [12, 4],
    maxTasks: [undefined, undefined, 3],
    late: [0, 2, 99],
    faults: 1,
    interrupts: 1,
    terminates: [false]
  })
  law("what a worker gives back runs once, in its order, and needs no window", {
    kinds: ["map", "stream"],
    items: [...calm, ...deadly],
    length: 30,
    chunkSizes: ["auto"],
    windows: ["auto", 5, 20],
    maxTasks: [undefined, undefined, 5],
    returns: 12,
    interrupts: 0,
    faults: 2
  })
  law("a message weighs no more than it may, and neither does what a worker holds ahead", {
    kinds: ["map", "stream"],
    items: busy,
    length: 20,
    chunkSizes: ["auto"],
    heavy: [true, false],
    maxTasks: [undefined]
  })
  law("a pool ends once, also while its workers are replaced and let go", {
    maxTasks: [1, 2, 3, 5],
    outgrows: 3,
    rests: [undefined, 6],
    late: [0],
    closes: [true],
    terminates: [false, true],
    maxRestarts: [100, 1],
    faults: 3
  })

  const many = (kind: ItemKind, moves: boolean): ReadonlyArray<ItemPlan> =>
    Array.from({ length: 400 }, () => ({ kind, moves }))
  const crowds = {
    "known tasks": { ...smallJob("map", []), chunkSize: 1, items: many("ok", false) },
    "buffers that move": { ...smallJob("map", []), items: many("ok", true) },
    "items of unknown cost": { ...smallJob("stream", []), items: many("fail", false) }
  }
  const late = 100
  const newcomers = {
    "an item of a known task": smallJob("apply", ["ok"], { late }),
    "an item of unknown cost": smallJob("apply", ["ok"], { late, task: 1 }),
    "an item for one worker alone": smallJob("apply", ["ok"], { late, bound: 0 }),
    "an item whose buffer moves": { ...smallJob("apply", [], { late }), items: many("ok", true).slice(0, 1) }
  }
  const meetings = Object.entries(newcomers).flatMap(([what, newcomer]) =>
    Object.entries(crowds).map(([others, crowd]) => [what, others, newcomer, crowd] as const)
  )
  it.each(meetings)("%s gets its turn, however many %s there are", (_what, _others, newcomer, crowd) => {
    for (const processes of [1, 2, 4]) {
      const world = startWorld(smallPlan([crowd, newcomer], { processes }))
      const [many, one] = world.jobs
      drain(world, () => one!.phase === "settled")
      assert.strictEqual(many!.phase, "live")
      finish(world)
    }
  })

  const whenever = (["before its worker is ready", "under way"] as const).flatMap((when) =>
    (["the same task", "another task"] as const).map((whose) => [whose, when] as const)
  )
  it.each(whenever)(
    "an item of %s waits for one chunk at most of a map that is %s, however long",
    (whose, when) => {
      const itemMillis = 0.01
      const length = 100_000
      const state = makeState({ processes: 1, maxRestarts: 5, restartMillis: 1000 })
      const held: Array<Chunk> = []
      const handed: Array<{ readonly job: number; readonly items: number }> = []
      const tell = (event: Event): void => {
        for (const command of transition(state, event)) {
          if (command._tag !== "Send") continue
          held.push(command.chunk)
          handed.push({ job: command.chunk.job.id, items: command.chunk.items.length })
        }
      }
      const submit = (job: number, task: number, count: number): void => {
        const options = { task, chunkSize: "auto", failFast: false, window: Infinity, retries: 0 } as const
        const items = Array.from({ length: count }, (_, i) => i)
        tell({
          _tag: "Submitted",
          job,
          options: { ...options, timeoutMillis: undefined },
          blocks: [{ first: 0, items, marked: false }],
          complete: true
        })
      }
      /** The chunk that runs ends. */
      const step = (): void => {
        const { items, run } = held.shift()!
        const millis = items.length * itemMillis
        tell({ _tag: "Succeeded", worker: 1, run, index: 0, values: items, marked: false, millis })
      }
      const ready = { _tag: "WorkerReady", worker: 1 } as const
      const [many, one] = [1, 2]
      begin(state)
      if (when === "under way") tell(ready)
      submit(many, 0, length)
      if (when === "under way") { for (let i = 0; i < 10; i++) step() }
      const before = handed.length
      submit(one, whose === "the same task" ? 0 : 1, 1)
      if (when !== "under way") tell(ready)
      while (handed.every(({ job }) => job !== one)) step()
      const between = handed.slice(before, handed.findIndex(({ job }) => job === one))
      const itemsOf = (sent: typeof handed) => sent.reduce((sum, { items }) => sum + items, 0)
      assert.isAtMost(between.length, 1)
      assert.isAtMost(itemsOf(between), 200) // 2 ms of work
      while (held.length > 0) step()
      assert.strictEqual(itemsOf(handed.filter(({ job }) => job === many)), length)
      assert.isAbove(handed.length, length / 200)
    }
  )

  it("a worker that begins what is cancelled after it was asked costs itself", () => {
    const state = makeState({ processes: 1, maxRestarts: 5, restartMillis: 1000 })
    begin(state)
    const tags = (event: Event) =>
      transition(state, event).map((command) =>
        command._tag === "AskAgain" && command.late ? "AskAgain, late" : command._tag
      )
    const submit = (job: number) =>
      transition(state, {
        _tag: "Submitted",
        job,
        options: {
          task: 0,
          chunkSize: "auto",
          failFast: false,
          window: Infinity,
          retries: 0,
          timeoutMillis: undefined
        },
        blocks: [{ first: 0, items: [job], marked: false }],
        complete: true
      }).flatMap((command) => command._tag === "Send" ? [command.chunk.run] : [])[0]!
    const answer = { _tag: "Answered", worker: 1, isKnown: true } as const
    tags({ _tag: "WorkerReady", worker: 1 })
    const result = { index: 0, values: [0], marked: false, millis: 0.01 } as const
    tags({ _tag: "Succeeded", worker: 1, run: submit(1), ...result }) // now its cost is known
    const computes = submit(2)
    const run = submit(3)
    assert.deepStrictEqual(tags({ _tag: "Interrupted", job: 3 }), ["Cancel"])
    assert.deepStrictEqual(tags({ ...answer, run, running: computes, late: true }), ["Settled", "AskAgain"])
    assert.deepStrictEqual(tags({ ...answer, run, running: computes, late: false }), ["AskAgain"])
    // one that says nothing is in the first that it has
    for (const late of [false, true]) {
      assert.deepStrictEqual(tags({ ...answer, run, running: run, late, isKnown: false }), ["AskAgain"])
    }
    assert.deepStrictEqual(tags({ _tag: "Succeeded", worker: 1, run: computes, ...result }), ["Deliver", "Settled"])
    // now it has a grace period of its own
    assert.deepStrictEqual(tags({ ...answer, run, running: run, late: false }), ["AskAgain, late"])
    assert.deepStrictEqual(tags({ ...answer, run, running: run, late: true }), ["Kill"])
  })

  it("a job gets its turn also when the worker that was kept for it dies", () => {
    const crowd = { ...crowds["known tasks"], kind: "stream", window: 300 } as const
    const world = startWorld(smallPlan([crowd, newcomers["an item of unknown cost"]]))
    const [many, one] = world.jobs
    drain(world, () => one!.phase === "live")
    // whichever it is
    for (const worker of world.workers.slice()) {
      const living = world.workers.length
      act(world, { _tag: "Crash", worker })
      drain(world, () => world.workers.length > living || one!.phase === "settled")
    }
    drain(world, () => one!.phase === "settled")
    assert.strictEqual(many!.phase, "live")
    finish(world)
  })
})
