/** A run: lanes of calls on three pools at once, kills from outside, and the laws that hold in the end. */
import { Cause, Effect, Exit, Fiber, Layer, Option, Scope } from "effect"
import type { Context } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inspect } from "node:util"
import { Pool, StartMethod } from "../../src/index.ts"
import type { ProcessError } from "../../src/index.ts"
import * as Deque from "../../src/internal/pool/Deque.ts"
import { engineOf } from "../../src/internal/pool/engine.ts"
import * as Table from "../../src/internal/pool/Table.ts"
import { tiny } from "../fixtures/chaos.ts"
import { carryOut } from "./calls.ts"
import { deathsOf, judge } from "./laws.ts"
import type { Facts, Method } from "./laws.ts"
import { calls, makeRandom } from "./plan.ts"
import type { CallPlan, PoolName } from "./plan.ts"
import { childPids, grown, leftBehind, look, markOf, memoryInUse, warmUp, watchKills } from "./surroundings.ts"
import type { Memory, Surroundings } from "./surroundings.ts"

export interface Options {
  readonly method: Method
  readonly seed: number
  readonly seconds: number
}

/** What has really happened. */
export interface Faults {
  /** Workers that died by themselves, or were killed from outside. */
  readonly crashes: number
  /** Workers that a pool has killed because they did not stop. */
  readonly kills: number
  /** Items that ran out of time. */
  readonly timeouts: number
  /** Calls that were given up while they were under way. */
  readonly interrupts: number
  /** Processes, which can be killed from outside, that were. */
  readonly outside?: number
}

export interface Outcome {
  /** What was against the laws. */
  readonly wrong: ReadonlyArray<string>
  readonly calls: number
  readonly faults: Faults
  /** When the first half is over, and the second. */
  readonly memory: ReadonlyArray<Memory>
}

interface World extends Options {
  readonly facts: Facts
  readonly killed: Set<number>
  readonly kills: ReadonlyMap<number, string>
  readonly pools: Record<PoolName, Pool.Pool>
  readonly folder: string
  readonly wrong: Array<string>
  /** The calls that have not ended, and since when. */
  readonly pending: Map<CallPlan, number>
  calls: number
  interrupts: number
  outside: number
  /** How many workers the items may have ended. */
  mayDie: number
}

/** How long anything may take on a machine that is busy with other things. */
const patienceMillis = 40_000

const lanes = 20
const processes = 2

// ---------------------------------------------------------------------------------------------------- pools

type Output = "captured" | "inherited"

const preload = [new URL("../fixtures/chaos.ts", import.meta.url)]

/** The output of "plain" is captured: what nobody catches is not printed. */
const layers: Record<Method, Record<Output, Layer.Layer<StartMethod.StartMethod, ProcessError.ProcessError>>> = {
  threads: { captured: StartMethod.layerThreadsWith({ stdio: "capture" }), inherited: StartMethod.layerThreads },
  spawn: { captured: StartMethod.layerSpawnWith({ stdio: "capture" }), inherited: StartMethod.layerSpawn },
  forkserver: {
    captured: StartMethod.layerForkServer({ preload, stdio: "capture" }),
    inherited: StartMethod.layerForkServer({ preload })
  }
}

type Starters = Record<Output, Context.Context<StartMethod.StartMethod>>

const startersOf = (method: Method): Effect.Effect<Starters, never, Scope.Scope> =>
  Effect.orDie(
    Effect.all({ captured: Layer.build(layers[method].captured), inherited: Layer.build(layers[method].inherited) })
  )

const poolsOf = ({ captured, inherited }: Starters) => {
  const options = { processes, gracePeriod: "60 millis", restartIntensity: { max: 1e6, within: "1 second" } } as const
  return {
    plain: Effect.provide(Pool.make({ ...options, name: "plain" }), captured),
    recycled: Effect.provide(Pool.make({ ...options, name: "recycled", maxTasksPerChild: 60 }), inherited),
    fleeting: Effect.provide(
      Pool.make({ ...options, name: "fleeting", idleTimeToLive: "50 millis", maxMemoryPerChild: 160 * 2 ** 20 }),
      inherited
    )
  }
}

type Scopes = Record<PoolName, Scope.Closeable>

const makePools = (starters: Starters, scopes: Scopes) => {
  const { fleeting, plain, recycled } = poolsOf(starters)
  const pools = {
    plain: Scope.provide(plain, scopes.plain),
    recycled: Scope.provide(recycled, scopes.recycled),
    fleeting: Scope.provide(fleeting, scopes.fleeting)
  }
  return Effect.orDie(Effect.all(pools, { concurrency: "unbounded" }))
}

// ---------------------------------------------------------------------------------------------------- lanes

const wrongMost = 10

const complain = ({ wrong }: World, text: string): void => {
  if (wrong.length < wrongMost) wrong.push(text)
}

const showPlan = ({ items, ...plan }: CallPlan): string => {
  const shown = items.slice(0, 30).map(({ id, kind, size }) => `${kind} ${id} (${size})`)
  const others = items.length > 30 ? [`and ${items.length - 30} more`] : []
  return inspect({ ...plan, items: [...shown, ...others].join(", ") }, { breakLength: 120 })
}

/** Of the worker that is named: whether the pool has killed it, and why. */
const killedBy = ({ kills }: World, verdict: string): string => {
  const kill = kills.get(Number(/\(pid (\d+)\)/.exec(verdict)?.[1]))
  return kill === undefined ? "" : `\n  its worker got ${kill}`
}

const oneCall = Effect.fnUntraced(function*(world: World, plan: CallPlan) {
  world.calls++
  world.mayDie += deathsOf(plan)
  world.pending.set(plan, performance.now())
  const report = yield* carryOut(world.pools[plan.pool], plan, world.folder)
  world.pending.delete(plan)
  if (report.stopped) world.interrupts++
  const verdict = judge(world.facts, plan, report)
  if (verdict !== undefined) complain(world, `${verdict}\n  of call ${showPlan(plan)}${killedBy(world, verdict)}`)
})

/** Two halves of 10 seconds have 200 faults. */
const faultsPerSecond = 10

/** A machine that is busy with other things gets more time for them. */
const mostTimes = 3

const faultsOf = ({ facts, interrupts, method, outside, pools }: World): Faults => {
  const states = Object.values(pools).map((pool) => engineOf(pool).state)
  return {
    crashes: states.reduce((sum, { restarts }) => sum + restarts, 0),
    kills: states.reduce((sum, { killed }) => sum + killed, 0),
    timeouts: facts.timeouts,
    interrupts,
    ...(method === "threads" ? {} : { outside })
  }
}

/** Are there enough faults for so many seconds, and of each kind? */
export const isEventful = (faults: Faults, seconds: number): boolean => {
  const counts = Object.values(faults)
  return counts.every((count) => count > 0) && counts.reduce((sum, count) => sum + count) >= seconds * faultsPerSecond
}

/** Goes on for half of the time, until there were enough faults, or something is wrong. */
const untilHalf = (world: World, number: number): () => boolean => {
  const { seconds, wrong } = world
  const since = performance.now()
  return () => {
    const passed = performance.now() - since
    const isEnough = isEventful(faultsOf(world), seconds * (number + 1) / 2)
    return wrong.length === 0 && passed < seconds * 500 * (isEnough ? 1 : mostTimes)
  }
}

type Plans = Generator<CallPlan, never, undefined>

/** Calls, one after the other. */
const lane = (world: World, plans: Plans, goesOn: () => boolean): Effect.Effect<void> =>
  Effect.whileLoop({
    while: goesOn,
    body: () => oneCall(world, plans.next().value),
    step: () => {}
  })

/** The children of a program are its workers, or the fork servers that are their parents. */
const workersOf = ({ method }: World, others: ReadonlySet<number>): ReadonlyArray<number> => {
  const own = childPids().filter((pid) => !others.has(pid))
  return method === "forkserver" ? own.flatMap((pid) => childPids(pid)) : own
}

/** Kills a process now and then: one that runs, one that is idle, or one that comes up. */
const killer = (
  world: World,
  number: number,
  others: ReadonlySet<number>,
  goesOn: () => boolean
): Effect.Effect<void> => {
  const random = makeRandom(world.seed, -1 - number)
  return Effect.whileLoop({
    while: goesOn,
    body: () => Effect.sleep(random.between(100, 600)),
    step: () => {
      const pids = workersOf(world, others)
      if (pids.length === 0) return
      const pid = random.oneOf(pids)
      world.killed.add(pid)
      try {
        process.kill(pid, "SIGKILL")
        world.outside++
      } catch {
        // it has ended meanwhile
      }
    }
  })
}

const showPending = ({ pending }: World): string =>
  Array.from(pending, ([plan, since]) => {
    const seconds = ((performance.now() - since) / 1000).toFixed(1)
    return `for ${seconds} s: ${showPlan(plan)}`
  }).join("\n  ")

/** Where the pools stand, without what they carry. */
const showPools = ({ pools }: World): string =>
  Object.entries(pools).map(([name, pool]) => {
    const { jobs, workers, ...state } = engineOf(pool).state
    const shownJobs = Array.from(
      Table.valuesOf(jobs),
      ({ blocks, options: { task }, ...job }) => ({ ...job, task, blocks: Deque.size(blocks) })
    )
    const shownWorkers = Array.from(workers.values(), ({ chunks, ...worker }) => ({
      ...worker,
      chunks: chunks.map(({ items, job, ...chunk }) => ({ ...chunk, job: job.id, items: items.length }))
    }))
    const shown = { ...state, turn: Deque.size(state.turn), idle: Deque.size(state.idle) }
    return `${name}: ${inspect({ ...shown, jobs: shownJobs, workers: shownWorkers }, { breakLength: 200, depth: 5 })}`
  }).join("\n")

/** A wait that has an end: what hangs is left alone, and told. */
const awaitAll = Effect.fnUntraced(function*(
  world: World,
  running: ReadonlyArray<Fiber.Fiber<unknown, unknown>>,
  millis: number
) {
  const exits = yield* Effect.timeoutOption(Effect.forEach(running, Fiber.await), millis)
  if (Option.isNone(exits)) {
    const what = world.pending.size > 0
      ? `these calls do not end\n  ${showPending(world)}\n${showPools(world)}`
      : "the pools do not end"
    return complain(world, what)
  }
  for (const exit of exits.value) {
    if (Exit.isFailure(exit)) complain(world, `the test itself fails: ${Cause.pretty(exit.cause)}`)
  }
})

/** Half of the time, and until all is quiet. */
const half = Effect.fnUntraced(function*(
  world: World,
  plans: ReadonlyArray<Plans>,
  number: number,
  others: ReadonlySet<number>
) {
  const goesOn = untilHalf(world, number)
  const running = yield* Effect.forEach(plans, (one) => Effect.forkDetach(lane(world, one, goesOn)))
  if (world.method !== "threads") running.push(yield* Effect.forkDetach(killer(world, number, others, goesOn)))
  yield* awaitAll(world, running, world.seconds * 500 * mostTimes + patienceMillis)
  if (world.wrong.length === 0) yield* atRest(world)
})

// ---------------------------------------------------------------------------------------------------- the end

/** The pools end while they have work: one is terminated, the scope of one succeeds, that of one fails. */
const endThem = Effect.fnUntraced(function*(world: World, plans: ReadonlyArray<Plans>, scopes: Scopes) {
  const { pools, seed } = world
  const taken = plans.flatMap((one) => [one.next().value, one.next().value])
  const running = yield* Effect.forEach(
    taken,
    (plan) => Effect.forkDetach(oneCall(world, plan), { startImmediately: true })
  )
  yield* Effect.sleep(makeRandom(seed, -1000).between(10, 100))
  world.facts.ended = new Set(["plain", "fleeting"])
  const ends = [
    Effect.andThen(Pool.terminate(pools.plain), Scope.close(scopes.plain, Exit.void)),
    Scope.close(scopes.recycled, Exit.void),
    Scope.close(scopes.fleeting, Exit.interrupt())
  ]
  running.push(...yield* Effect.forEach(ends, (end) => Effect.forkDetach(end)))
  yield* awaitAll(world, running, patienceMillis)
})

/** When no call is under way, nothing waits, and soon nothing runs. */
const atRest = Effect.fnUntraced(function*(world: World) {
  const since = performance.now()
  do {
    const counts = yield* Effect.forEach(Object.values(world.pools), Pool.stats, { concurrency: "unbounded" })
    if (counts.every(({ queued, running }) => queued === 0 && running === 0)) return
    yield* Effect.sleep("20 millis")
  } while (performance.now() < since + patienceMillis)
  complain(world, `the pools do not come to rest:\n${showPools(world)}`)
})

/** Whoever dies has a reason. */
const checkDeaths = (world: World): void => {
  const { crashes } = faultsOf(world)
  const { blamed } = world.facts
  const most = world.mayDie + world.killed.size
  if (crashes > most) complain(world, `${crashes} workers have died, ${most} had a reason`)
  if (blamed.size > crashes) complain(world, `items have failed with ${blamed.size} workers, of which ${crashes} died`)
}

const play = Effect.fnUntraced(function*(
  world: World,
  plans: ReadonlyArray<Plans>,
  others: ReadonlySet<number>,
  mark: readonly [string, string]
) {
  const memory: Array<Memory> = []
  const rests: Array<Surroundings> = []
  for (const number of [0, 1]) {
    yield* half(world, plans, number, others)
    if (world.wrong.length > 0) return memory
    memory.push(yield* memoryInUse)
    rests.push(look(mark))
  }
  const [first, second] = rests
  for (const what of grown(first!, second!)) complain(world, `in the second half there are more: ${what}`)
  checkDeaths(world)
  return memory
})

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "chaos-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** One pool of the kind before anything is counted: what is loaded once is loaded then. */
const rehearse = (starters: Starters): Effect.Effect<void> =>
  Effect.all(poolsOf(starters), { concurrency: "unbounded" }).pipe(
    Effect.flatMap((pools) => Effect.forEach(Object.values(pools), (pool) => Pool.map(pool, tiny, [1, 2, 3]))),
    Effect.scoped,
    Effect.andThen(warmUp),
    Effect.orDie
  )

/** All children inherit it. */
const inEnvironment = ([name, value]: readonly [string, string]) =>
  Effect.acquireRelease(
    Effect.sync(() => process.env[name] = value),
    () => Effect.sync(() => delete process.env[name])
  )

const giveUp = (scope: Scope.Closeable) => Effect.forkDetach(Scope.close(scope, Exit.interrupt()))

export const run = (options: Options): Effect.Effect<Outcome> =>
  Effect.gen(function*() {
    const mark = markOf(options.seed)
    const others = new Set(childPids())
    yield* inEnvironment(mark)
    const starters = yield* startersOf(options.method)
    yield* rehearse(starters)
    const before = look(mark)
    const folder = yield* temporaryFolder
    const scopes = { plain: yield* Scope.make(), recycled: yield* Scope.make(), fleeting: yield* Scope.make() }
    const killed = new Set<number>()
    const kills = yield* watchKills
    const world: World = {
      ...options,
      facts: { method: options.method, processes, killed, blamed: new Map(), timeouts: 0, ended: new Set() },
      killed,
      kills,
      pools: yield* makePools(starters, scopes),
      folder,
      wrong: [],
      pending: new Map(),
      calls: 0,
      interrupts: 0,
      outside: 0,
      mayDie: 0
    }
    const plans = Array.from({ length: lanes }, (_, i) => calls(world.seed, i))
    const memory = yield* play(world, plans, others, mark)
    const faults = faultsOf(world)
    if (world.wrong.length === 0) yield* endThem(world, plans, scopes)
    // what is pending is somebody's bug: it must not hold up the message
    else yield* awaitAll(world, yield* Effect.forEach(Object.values(scopes), giveUp), patienceMillis)
    const left = yield* leftBehind(mark, before)
    if (left.length > 0) complain(world, `left behind: ${left.join(", ")}`)
    return { wrong: world.wrong, calls: world.calls, faults, memory }
  }).pipe(Effect.scoped)
