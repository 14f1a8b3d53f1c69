/** A `map` whose items change what they cost on the way, in a time of its own: two workers that do as the runner does. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { begin, makeState, transition } from "../../../src/internal/pool/dispatcher.ts"
import type { Chunk, Command, Event, State } from "../../../src/internal/pool/model.ts"

// ---------------------------------------------------------------------------------------------------- the runner

/** As the runner has them: when a run gives back its rest, and how long a worker says nothing while items are cheap. */
const returnMillis = 8
const silentMillis = 0.25
const cheapMillis = 0.05
const trialItems = 16
/** How long a message is on its way. */
const wayMillis = 0.05

type Report = Extract<Event, { readonly _tag: "Started" | "Succeeded" | "Returned" }>

interface Run {
  readonly chunk: Chunk
  index: number
  beganAt: number
}

interface Runner {
  readonly id: number
  readonly queue: Array<Run>
  running: boolean
  said: Array<Report>
  saidAt: number
  samples: number
  mean: number
}

interface Simulation {
  readonly costs: ReadonlyArray<number>
  readonly givesBack: boolean
  readonly state: State
  readonly runners: ReadonlyArray<Runner>
  /** What happens when, sorted by time. */
  readonly agenda: Array<{ readonly at: number; readonly happens: () => void }>
  now: number
  sent: number
  settledAt: number
}

const later = (sim: Simulation, millis: number, happens: () => void): void => {
  const at = sim.now + millis
  let i = sim.agenda.length
  while (i > 0 && sim.agenda[i - 1]!.at > at) i--
  sim.agenda.splice(i, 0, { at, happens })
}

const say = (sim: Simulation, runner: Runner): void => {
  const reports = runner.said
  runner.said = []
  runner.saidAt = sim.now
  later(sim, wayMillis, () => {
    for (const report of reports) tell(sim, report)
  })
}

const isSilent = (sim: Simulation, { mean, saidAt, samples }: Runner): boolean =>
  samples >= trialItems && mean < cheapMillis && sim.now - saidAt < silentMillis

const pump = (sim: Simulation, runner: Runner): void => {
  if (runner.running) return
  const run = runner.queue[0]
  if (run === undefined) return say(sim, runner)
  const { chunk, index } = run
  if (index > 0 && sim.givesBack && sim.now - run.beganAt > returnMillis) {
    runner.queue.shift()
    runner.said.push({ _tag: "Returned", worker: runner.id, run: chunk.run, index })
    return pump(sim, runner)
  }
  if (index === 0) run.beganAt = sim.now
  if (!isSilent(sim, runner)) {
    runner.said.push({ _tag: "Started", worker: runner.id, run: chunk.run, index, loading: false })
    say(sim, runner)
  }
  runner.running = true
  const cost = sim.costs[chunk.first + index]!
  later(sim, cost, () => {
    runner.running = false
    runner.samples++
    runner.mean = runner.samples === 1 ? cost : runner.mean * 0.7 + cost * 0.3
    succeeds(runner, run, cost)
    pump(sim, runner)
  })
}

const succeeds = (runner: Runner, run: Run, millis: number): void => {
  const last = runner.said.at(-1)
  if (last?._tag === "Succeeded" && last.run === run.chunk.run) {
    const values = last.values as Array<unknown>
    values.push(run.index)
    runner.said[runner.said.length - 1] = { ...last, millis: last.millis + millis }
  } else {
    runner.said.push({
      _tag: "Succeeded",
      worker: runner.id,
      run: run.chunk.run,
      index: run.index,
      values: [run.index],
      marked: false,
      millis
    })
  }
  if (++run.index === run.chunk.items.length) runner.queue.shift()
}

// ---------------------------------------------------------------------------------------------------- the pool

const tell = (sim: Simulation, event: Event): void => {
  for (const command of transition(sim.state, event)) perform(sim, command)
}

const perform = (sim: Simulation, command: Command): void => {
  if (command._tag === "Settled") sim.settledAt = sim.now
  if (command._tag !== "Send") return
  sim.sent++
  const runner = sim.runners[command.worker - 1]!
  later(sim, wayMillis, () => {
    runner.queue.push({ chunk: command.chunk, index: 0, beganAt: 0 })
    pump(sim, runner)
  })
}

/** A `map` over items that cost so much. */
const simulate = (costs: ReadonlyArray<number>, givesBack: boolean): Simulation => {
  const state = makeState({ processes: 2, maxRestarts: 0, restartMillis: 1 })
  const runners = [1, 2].map((id): Runner => ({
    id,
    queue: [],
    running: false,
    said: [],
    saidAt: 0,
    samples: 0,
    mean: 0
  }))
  const sim: Simulation = { costs, givesBack, state, runners, agenda: [], now: 0, sent: 0, settledAt: Infinity }
  begin(state)
  for (const { id } of runners) tell(sim, { _tag: "WorkerReady", worker: id })
  const options = {
    task: 0,
    chunkSize: "auto",
    failFast: true,
    window: Infinity,
    retries: 0,
    timeoutMillis: undefined
  } as const
  const blocks = [{ first: 0, items: costs.map((_, i) => i), marked: false }]
  tell(sim, { _tag: "Submitted", job: 1, options, blocks, complete: true })
  for (let next = sim.agenda.shift(); next !== undefined; next = sim.agenda.shift()) {
    sim.now = next.at
    next.happens()
  }
  return sim
}

const times = (count: number, millis: number): ReadonlyArray<number> => Array.from({ length: count }, () => millis)

const idealOf = (costs: ReadonlyArray<number>): number => costs.reduce((sum, cost) => sum + cost, 0) / 2

const count = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5000 }))

describe("a map of which the items change what they cost", () => {
  const tiny = 0.001
  const shapes: ReadonlyArray<readonly [string, ReadonlyArray<number>]> = [
    ["few tiny ones, 40 slow ones, few tiny ones", [...times(300, tiny), ...times(40, 20), ...times(300, tiny)]],
    ["tiny ones, 40 slow ones, tiny ones", [...times(20_000, tiny), ...times(40, 20), ...times(20_000, tiny)]],
    ["tiny ones, 40 slow ones", [...times(20_000, tiny), ...times(40, 20)]],
    ["40 slow ones, tiny ones", [...times(40, 20), ...times(20_000, tiny)]]
  ]
  it.each(shapes)("takes a quarter longer than it must, at most: %s", (_, costs) => {
    const sim = simulate(costs, true)
    assert.isAtMost(sim.settledAt, 1.25 * idealOf(costs))
    assert.isAtMost(sim.sent, 150)
  })

  it.prop("and wherever they change", { before: count, after: count }, ({ after, before }) => {
    const costs = [...times(before, tiny), ...times(40, 20), ...times(after, tiny)]
    const sim = simulate(costs, true)
    assert.isAtMost(sim.settledAt, 1.25 * idealOf(costs))
    assert.isAtMost(sim.sent, 150)
  }, { arbitrary: { runs: 200, size: 10_000 } })

  it("would take much longer, did no worker give back what it has not begun", () => {
    const [, costs] = shapes[1]!
    const sim = simulate(costs, false)
    assert.isAtLeast(sim.settledAt, 1.5 * idealOf(costs))
  })
})
