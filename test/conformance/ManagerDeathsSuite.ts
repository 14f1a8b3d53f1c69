/**
 * Clients and servers that are killed at any moment. When that is follows from `MANAGER_SEED`, which a failure names; what is
 * under way then is the machine's business. `MANAGER_DEATHS` is how many clients are killed, `MANAGER_SERVER_DEATHS`
 * how many servers.
 */
import { assert, describe } from "@effect/vitest"
import { Effect, Fiber, Random, Schedule } from "effect"
import { existsSync, readdirSync, readlinkSync } from "node:fs"
import { Connection, Manager, Pipe, Process } from "../../src/index.ts"
import type { Listener } from "../../src/index.ts"
import * as T from "../fixtures/managerDeaths.ts"
import { bounded, numbers } from "./assertions.ts"
import { makeEvents } from "./events.ts"
import { laws } from "./law.ts"
import type { Method } from "./methods.ts"

const seed = Number(process.env["MANAGER_SEED"] ?? Math.floor(Math.random() * 2 ** 31))
const deathsOn = (name: string): number => Number(process.env["MANAGER_DEATHS"] ?? (name === "spawn" ? 40 : 20))
const serverDeaths = Number(process.env["MANAGER_SERVER_DEATHS"] ?? 4)

const nap = (most: number) => Effect.flatMap(Random.nextIntBetween(0, most), (millis) => Effect.sleep(millis))

const makeThings = Effect.gen(function*() {
  const full = yield* Manager.queue<number>({ capacity: 1 })
  yield* full.offer(0)
  const things: T.Things = {
    tree: yield* T.Tree,
    objects: yield* Manager.Objects,
    lock: yield* Manager.lock(),
    permits: yield* Manager.semaphore(T.permitCount),
    owner: yield* Manager.ref(0),
    counts: yield* Manager.map<string, number>(),
    queue: yield* Manager.queue<number>(),
    empty: yield* Manager.queue<number>(),
    full,
    event: yield* Manager.event()
  }
  return things
})

const serverNames = ["the server of the tree", "the server of the objects"]

const withThings = <A, E, R>(use: (things: T.Things) => Effect.Effect<A, E, R>) =>
  Effect.scoped(Effect.flatMap(makeThings, use)).pipe(
    Effect.provide(Manager.layer(T.tree, { name: serverNames[0]! })),
    Effect.provide(Manager.layerObjects({ name: serverNames[1]! }))
  )

const servers = Effect.map(
  Process.activeChildren,
  (children) => children.filter(({ name }) => serverNames.includes(name))
)

// ---------------------------------------------------------------------------------------------------- clients

/** How many files each server has open, by /proc: a thread has those of its process. */
const filesOf = (pids: ReadonlyArray<number>): ReadonlyArray<number> =>
  pids.map((pid) =>
    readdirSync(`/proc/${pid}/fd`).filter((file) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${file}`).startsWith("socket:")
      } catch {
        return false // closed meanwhile
      }
    }).length
  )

/** Now and then before it has done anything. */
const clientDies = (things: T.Things, events: { readonly path: string; readonly until: Until }, me: number) =>
  Effect.gen(function*() {
    const child = yield* Process.start(T.livesOn, { me, path: events.path, things }, { daemon: true })
    if ((yield* Random.nextIntBetween(0, 4)) > 0) yield* events.until(`going ${me}`)
    yield* nap(30)
    yield* Process.kill(child)
    yield* Process.exited(child)
  })

type Until = (text: string) => Effect.Effect<void>

/** Whoever is left has what the dead had. */
const nothingIsHeld = (things: T.Things) =>
  Effect.gen(function*() {
    yield* T.owns(things, 1_000_000).pipe(bounded("the lock is free", 5))
    yield* Manager.withPermits(things.permits, T.permitCount, Effect.void).pipe(bounded("all permits are free", 5))
  })

/** None of the dead takes what comes now, nor holds an object, or the other end of a socket. */
const nothingIsLeft = (things: T.Things, deaths: number, before: Effect.Success<typeof openFiles>) =>
  Effect.gen(function*() {
    const { counts, empty, objects, tree } = things
    assert.isAbove(yield* tree.made(), deaths, "the dead have made objects")
    assert.isAbove((yield* counts.get("held")) ?? 0, 0, "the dead have held permits")
    yield* tree.untilNone().pipe(bounded("the end of all objects, calls and streams of the dead", 5))
    for (const n of numbers(10)) yield* empty.offer(n)
    assert.deepStrictEqual(yield* Effect.forEach(numbers(10), () => empty.take()), numbers(10))
    for (const me of numbers(deaths)) {
      const named = Effect.scoped(Effect.flatMap(Manager.ref(0, { name: `of ${me}` }), (ref) => ref.get()))
      assert.strictEqual(yield* Effect.provideService(named, Manager.Objects, objects), 0)
    }
    const closed: Effect.Effect<void> = Effect.flatMap(
      openFiles,
      (now) =>
        now.every((count, i) => count <= before[i]!) ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), closed)
    )
    yield* closed.pipe(bounded("the end of the sockets of the dead", 5))
  })

const openFiles = Effect.map(servers, (all) => existsSync("/proc/self/fd") ? filesOf(all.map(({ pid }) => pid)) : [])

// ---------------------------------------------------------------------------------------------------- servers

const limit = 1_000_000_000n

const checkEnds = (
  who: string,
  ends: ReadonlyArray<T.End>,
  killed: bigint,
  reasonOf: (call: string) => ReadonlyArray<string>
): void => {
  for (const end of ends) {
    assert.include(reasonOf(end.call), end.reason, `${end.call} of ${who}`)
    assert.isTrue(end.at - killed < limit, `${end.call} of ${who} ended after ${(end.at - killed) / 1_000_000n} ms`)
  }
}

const serverDies = (clients: number) =>
  withThings((things) =>
    Effect.gen(function*() {
      const events = yield* makeEvents
      const children = yield* Effect.forEach(
        numbers(clients),
        () => Process.start(T.endsWithServer, { path: events.path, things })
      )
      const own = yield* Effect.forkChild(T.allEnds(things, Effect.void), { startImmediately: true })
      yield* events.until("going", clients)
      yield* nap(50)
      const killed = process.hrtime.bigint()
      yield* Effect.forEach(yield* servers, Process.kill, { concurrency: "unbounded" })
      checkEnds(
        "the parent",
        yield* Fiber.join(own).pipe(bounded("the end of the parent's calls")),
        killed,
        () => ["WorkerExited"]
      )
      const ends = yield* Effect.forEach(children, Process.join).pipe(bounded("the end of the children's calls"))
      for (const all of ends) checkEnds("a child", all, killed, () => ["Closed"])
    })
  )

const authKey = "a key of the tests"

/** Whoever calls after the end finds nobody, and waits for no other server here. */
const programDies = Effect.scoped(Effect.gen(function*() {
  const [receiver, announce] = yield* Pipe.simplex<ReadonlyArray<Listener.Address>>()
  const program = yield* Process.start(T.servesBoth, { authKey, announce }, { daemon: true })
  const [one, other] = yield* Connection.receive(receiver)
  const options = { authKey, deadline: 0, schedule: Schedule.recurs(0) }
  yield* Effect.flatMap(makeThings, (things) =>
    Effect.gen(function*() {
      const ends = yield* Effect.forkChild(T.allEnds(things, Effect.void), { startImmediately: true })
      yield* Effect.all([things.tree.living(), things.counts.size()])
      yield* nap(50)
      const killed = process.hrtime.bigint()
      yield* Process.kill(program)
      checkEnds(
        "another program",
        yield* Fiber.join(ends).pipe(bounded("the end of all calls")),
        killed,
        (call) => call.endsWith("in a row") ? ["Closed", "TimedOut"] : ["Closed"]
      )
    })).pipe(
      Effect.scoped,
      Effect.provide(Manager.connect(T.tree, { ...options, address: one! })),
      Effect.provide(Manager.connect(Manager.objects, { ...options, address: other! }))
    )
}))

export const suite = ({ claims, layer, name }: Method): void => {
  if (!claims.exits) return
  const law = laws(layer, 120_000)
  const deaths = deathsOn(name)

  describe(`Manager and death on ${name}`, () => {
    law(
      `a client killed at any moment frees what it holds, and leaks nothing (MANAGER_SEED=${seed})`,
      () =>
        withThings((things) =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const before = yield* openFiles
            yield* Effect.forEach(
              numbers(deaths),
              (me) => Effect.andThen(clientDies(things, events, me), nothingIsHeld(things)),
              { concurrency: 4 }
            )
            yield* nothingIsLeft(things, deaths, before)
          })
        ).pipe(Random.withSeed(seed))
    )

    law(
      `a server killed at any moment fails every call within a second (MANAGER_SEED=${seed})`,
      () => Effect.forEach(numbers(serverDeaths), () => serverDies(2)).pipe(Random.withSeed(seed))
    )

    if (claims.signals) {
      law(
        `so does another program that is killed (MANAGER_SEED=${seed})`,
        () => Effect.forEach(numbers(serverDeaths), () => programDies).pipe(Random.withSeed(seed))
      )
    }
  })
}
