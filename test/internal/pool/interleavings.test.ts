/** All orders of events, in a world that is small enough: two workers and three items, one crash, one interruption. */
import { assert, describe, it } from "@effect/vitest"
import { drain, finish } from "./drive.ts"
import { act, enabled, makeWorld } from "./world.ts"
import type { ItemKind, JobPlan, Plan, World } from "./world.ts"

const job = (kind: JobPlan["kind"], kinds: ReadonlyArray<ItemKind>, options: Partial<JobPlan> = {}): JobPlan => ({
  kind,
  items: kinds.map((item) => ({ kind: item, moves: false })),
  task: 0,
  chunkSize: "auto",
  window: "auto",
  failFast: kind === "map",
  ordered: true,
  retries: 0,
  timed: false,
  grain: 0,
  bound: -1,
  ...options
})

const plan = (jobs: ReadonlyArray<JobPlan>, options: Partial<Plan> = {}): Plan => ({
  processes: 2,
  maxRestarts: 10,
  tick: 0,
  costs: [0.25],
  faults: 1,
  interrupts: 1,
  closes: false,
  terminates: false,
  jobs,
  ...options
})

/** What the future depends on: two worlds with the same key go on alike. */
const keyOf = (world: World): string => {
  const { jobs, means, nextRun, turn, workers } = world.state
  return JSON.stringify([
    world.pool,
    world.faults,
    world.interrupts,
    world.closes,
    world.terminates,
    nextRun,
    means.map((mean) => mean?.toFixed(6)),
    turn.items.slice(turn.head).map((one) => one?.id),
    Array.from(jobs.values(), ({ blocks, cancelling, queued }) => [
      cancelling,
      queued,
      blocks.items.slice(blocks.head).map((one) => [one!.block.first, one!.offset, one!.block.items.length])
    ]),
    Array.from(workers.values(), ({ chunks, id, status }) => [
      id,
      status,
      chunks.map(({ announced, awaited, cancelled, run }) => [run, announced, awaited, cancelled])
    ]),
    world.workers.map((worker) =>
      worker.phase === "gone" ? 0 : [
        worker.phase,
        worker.doomed,
        worker.leaving,
        worker.reads,
        worker.inbox.map((message) => message._tag === "Run" ? message.chunk.run : message),
        worker.queue.map(({ cancelled, chunk, index }) => [chunk.run, index, cancelled]),
        worker.running,
        worker.announced,
        worker.progress,
        worker.sent,
        worker.questions,
        worker.answers,
        Array.from(worker.graces),
        worker.runs.map(({ first, id, proven, reported, timer }) => [id, first, reported, proven, timer])
      ]
    ),
    world.jobs.map(({ asked, complete, consumed, outcomes, out, phase, supplied }) => [
      phase,
      supplied,
      complete,
      asked,
      consumed,
      outcomes,
      out
    ])
  ])
}

const init = (of: Plan): World => {
  const world = makeWorld(of, true)
  for (const w of world.workers) act(world, {_tag: "Boot", worker: w})
  return world
}
const replay = (of: Plan, path: ReadonlyArray<number>): World => {
  const world = init(of)
  for (const choice of path) act(world, enabled(world)[choice]!)
  return world
}

/** Goes through all orders; where two orders have led to the same world, it goes on once. Returns how many worlds it saw. */
const explore = (of: Plan): number => {
  const seen = new Set<string>()
  const path: Array<number> = []
  const visit = (world: World): void => {
    const key = keyOf(world)
    if (seen.has(key)) return
    seen.add(key); if (seen.size % 20000 === 0) console.log(seen.size, path.length, path.join(" ").slice(-100)); if (seen.size > 300000) throw new Error("many")
    const count = enabled(world).length
    if (count === 0) return finish(world)
    for (let choice = 0; choice < count; choice++) {
      const next = choice === 0 ? world : replay(of, path)
      act(next, enabled(next)[choice]!)
      path.push(choice)
      visit(next)
      path.pop()
    }
  }
  visit(init(of))
  return seen.size
}
void drain; void assert
describe("all orders of events", () => {
  it("x", () => {
    for (const [name, p] of Object.entries({
      map: plan([job("map", ["ok", "ok", "ok"])], {faults: 0, interrupts: 0}),
      mapc: plan([job("map", ["ok", "ok", "ok"])], {interrupts: 0}),
      mapi: plan([job("map", ["ok", "ok", "ok"])], {faults: 0}),
      maps: plan([job("map", ["ok", "ok", "ok"])]),
    })) {
      const t = performance.now()
      console.log(name, explore(p), performance.now() - t)
    }
  }, 1e6)
})
