/**
 * All orders of events, in worlds that are small enough: two workers, a few items, and one crash, one interruption, or
 * workers that come and go.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Table from "../../../src/internal/pool/Table.ts"
import { act, enabled } from "./actions.ts"
import type { Action } from "./actions.ts"
import { finish } from "./drive.ts"
import { smallJob, smallPlan } from "./plans.ts"
import type { ItemKind, JobPlan, Plan } from "./plans.ts"
import { startWorld } from "./tell.ts"
import type { SimWorker, Small, World } from "./world.ts"

// ---------------------------------------------------------------------------------------------------- the search

const start = (plan: Plan, small: Small): World => {
  const world = startWorld(plan, small)
  for (const worker of world.workers) act(world, { _tag: "Boot", worker })
  return world
}

const faults = new Set<Action["_tag"]>(["Crash", "FailToLaunch", "Interrupt", "Close", "Terminate"])

/** Patience is long: a grace is over when nothing else goes on. */
const possible = (world: World): ReadonlyArray<Action> => {
  const isLate = ({ _tag }: Action): boolean => _tag === "Grace" || (_tag === "Ask" && world.small?.asks === "late")
  const actions = enabled(world)
  const goesOn = actions.some((action) => !isLate(action) && !faults.has(action._tag))
  return goesOn ? actions.filter((action) => !isLate(action)) : actions
}

/** The same action in this world: it names a worker or a job of the world in which it was found. */
const here = (world: World, action: Action): Action => {
  if ("worker" in action) return { ...action, worker: world.workers[action.worker.id - 1]! }
  return "job" in action ? { ...action, job: world.jobs[action.job.id - 1]! } : action
}

const replay = (plan: Plan, small: Small, path: ReadonlyArray<Action>): World => {
  const world = start(plan, small)
  world.replaying = true
  for (const action of path) act(world, here(world, action))
  world.replaying = false
  return world
}

/**
 * Goes through all orders; where two of them have led to the same world, it goes on once. Returns how many worlds it saw.
 */
const explore = (plan: Plan, small: Small): number => {
  const seen = new Set<string>()
  const path: Array<Action> = []
  const visit = (world: World): void => {
    const key = keyOf(world)
    if (seen.has(key)) return
    seen.add(key)
    const actions = possible(world)
    if (actions.length === 0) return finish(world)
    actions.forEach((action, i) => {
      const next = i < actions.length - 1 ? replay(plan, small, path) : world
      act(next, here(next, action))
      path.push(action)
      visit(next)
      path.pop()
    })
  }
  visit(start(plan, small))
  return seen.size
}

/** What the future depends on: two worlds with the same key go on alike. */
const keyOf = (world: World): string => {
  const { idle, jobs, means, nextRun, reserved, sharedFirst, turn, workers } = world.state
  return JSON.stringify([
    [world.pool, world.faults, world.interrupts, world.closes, world.terminates, nextRun],
    means.map((mean) => mean?.toFixed(6)),
    [world.returns, world.outgrows, world.rests, reserved, sharedFirst],
    turn.items.slice(turn.head).map((job) => job?.id),
    idle.items.slice(idle.head).map((job) => job?.id),
    Array.from(Table.valuesOf(jobs), ({ blocks, cancelling, queued }) => [
      cancelling,
      queued,
      blocks.items.slice(blocks.head).map((waiting) => [waiting!.block, waiting!.offset])
    ]),
    Array.from(workers.values(), ({ chunks, handed, id, outgrown, predecessor, spent, status, successor, used }) => [
      [id, status, handed, outgrown, spent, predecessor, successor, used],
      chunks.map(({ announced, awaited, cancelled, run }) => [run, announced, awaited, cancelled])
    ]),
    world.workers.map(workerKey),
    world.jobs.map((job) => [
      [job.phase, job.supplied, job.complete, job.asked, job.frontier, job.consumed],
      job.outcomes,
      job.out,
      job.retried,
      job.refused
    ])
  ])
}

const workerKey = (worker: SimWorker): unknown =>
  worker.phase === "gone" ? 0 : [
    [worker.phase, worker.doomed, worker.leaving, worker.running, worker.announced, worker.progress],
    [worker.complained, worker.outlived, worker.idling, worker.rested],
    worker.inbox.map((message) => message._tag === "Run" ? message.chunk.run : message),
    worker.queue.map(({ cancelled, chunk, index }) => [chunk.run, index, cancelled]),
    worker.sent,
    worker.questions,
    worker.answers,
    Array.from(worker.asks),
    Array.from(worker.graces),
    Array.from(worker.again),
    worker.runs.map(({ first, id, letGo, proven, reported, timer }) => [id, first, reported, proven, timer, letGo])
  ]

// ---------------------------------------------------------------------------------------------------- the worlds

const patient: Small = { announces: "some", asks: "late" }
const impatient: Small = { announces: "some", asks: "early" }
const silent: Small = { announces: "none", asks: "late" }
const three: ReadonlyArray<ItemKind> = ["ok", "ok", "ok"]
const calm = { faults: 0, interrupts: 0 }
const crash = { interrupts: 0 }
const interruption = { faults: 0 }

const apply = (kind: ItemKind, options?: Partial<JobPlan>): JobPlan => smallJob("apply", [kind], options)

const worlds: ReadonlyArray<readonly [string, Plan, Small]> = [
  ["a map, a crash, an interruption", smallPlan([smallJob("map", three)]), patient],
  ["a map, an interruption, questions at any time", smallPlan([smallJob("map", three)], interruption), impatient],
  ["three calls, a crash, an interruption", smallPlan([apply("ok"), apply("ok"), apply("ok")]), patient],
  ["a map that fails, a crash, an interruption", smallPlan([smallJob("map", ["ok", "fail", "ok"])]), patient],
  [
    "a map with an item that ends its worker, and a retry",
    smallPlan([smallJob("map", ["ok", "crash", "ok"], { retries: 1 })], calm),
    patient
  ],
  [
    "a map in one message that is refused, a crash, an interruption",
    smallPlan([smallJob("map", ["ok", "unsendable", "ok"], { chunkSize: 3 })]),
    patient
  ],
  [
    "a map with items that do not end, an interruption",
    smallPlan([smallJob("map", ["slow", "deaf", "ok"])], interruption),
    impatient
  ],
  [
    "a map with a time limit, an interruption",
    smallPlan([smallJob("map", ["slow", "deaf", "ok"], { timed: true })], interruption),
    impatient
  ],
  [
    "three calls with a time limit",
    smallPlan([apply("slow", { timed: true }), apply("deaf", { timed: true }), apply("ok")], calm),
    impatient
  ],
  [
    "calls for one worker, a crash",
    smallPlan([apply("ok", { bound: 0 }), apply("ok", { bound: 1 }), apply("ok")], crash),
    patient
  ],
  [
    "what moves, a crash",
    smallPlan([{ ...smallJob("map", three), items: three.map((kind) => ({ kind, moves: kind === "ok" })) }], crash),
    patient
  ],
  [
    "a stream in a window of two, a crash",
    smallPlan([smallJob("stream", three, { window: 2, chunkSize: 2 })], crash),
    patient
  ],
  ["a stream in a window of its own, a crash", smallPlan([smallJob("stream", three, { grain: 3 })], crash), patient],
  ["a stream, an interruption", smallPlan([smallJob("stream", three, { window: 2 })], interruption), patient],
  ["a pool that closes, a crash", smallPlan([smallJob("map", three)], { ...crash, closes: true }), patient],
  [
    "a pool that closes and terminates",
    smallPlan([smallJob("map", three)], { ...calm, closes: true, terminates: true }),
    patient
  ],
  ["a pool that breaks", smallPlan([smallJob("map", three)], { ...crash, maxRestarts: 0 }), patient],
  [
    "calls to workers for one item each, a crash",
    smallPlan([apply("ok"), apply("ok"), apply("ok")], { ...crash, maxTasks: 1 }),
    silent
  ],
  [
    "a map over workers for two items each, a crash",
    smallPlan([smallJob("map", [...three, "ok"])], { ...crash, maxTasks: 2 }),
    silent
  ],
  [
    "a call for one worker that is spent, a crash",
    smallPlan([apply("ok"), apply("ok", { bound: 0 }), apply("ok", { bound: 2 })], { ...crash, maxTasks: 1 }),
    silent
  ],
  [
    "workers that outgrow, a crash",
    smallPlan([smallJob("map", [...three, "ok"])], { ...crash, outgrows: 1 }),
    silent
  ],
  [
    "a stream of which a rest is given back, a crash",
    smallPlan([smallJob("stream", [...three, "ok", "ok"], { grain: 5 })], { ...crash, returns: 1 }),
    silent
  ],
  [
    "a map of which rests are given back to workers for three items each, a crash",
    smallPlan([smallJob("map", [...three, ...three])], { ...crash, processes: 1, returns: 2, maxTasks: 3 }),
    silent
  ],
  [
    "workers that are let go while calls come, a crash",
    smallPlan([apply("ok"), apply("ok")], { ...crash, rests: 2 }),
    silent
  ],
  [
    "workers that are let go while a stream is taken from",
    smallPlan([smallJob("stream", three, { window: 1, grain: 3 })], { ...calm, rests: 3 }),
    silent
  ],
  [
    "a pool that closes and terminates while its workers are replaced and let go",
    smallPlan([apply("ok")], { ...calm, maxTasks: 1, rests: 1, closes: true, terminates: true }),
    silent
  ]
]

describe("the laws hold in all orders of events", () => {
  it.each(worlds)("%s", (_, plan, small) => assert.isAbove(explore(plan, small), 300))
})
