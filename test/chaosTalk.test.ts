/**
 * Pipes and queues whose sides are killed in the middle of traffic: what was acknowledged is neither lost nor doubled, and
 * whoever is left hears of it.
 *
 * It runs for `CHAOS_SECONDS` (default 5) on each start method, half of it on pipes. When somebody is killed follows from a
 * seed, which a failure names; `CHAOS_SEED` gives it back.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Random } from "effect"
import type { Scope } from "effect"
import {
  Pipe,
  Process,
  SharedArray,
  SharedEvent,
  SharedMemory,
  SharedQueue,
  SharedValue,
  StartMethod
} from "../src/index.ts"
import { bounded } from "./conformance/assertions.ts"
import { most, offers, receives, sends, takes } from "./fixtures/chaosTalk.ts"
import type { Message } from "./fixtures/chaosTalk.ts"

const seconds = Number(process.env["CHAOS_SECONDS"] ?? 5)
const seed = Number(process.env["CHAOS_SEED"] ?? Math.floor(Math.random() * 2 ** 31))

type Child = Process.Process<unknown, any>

const nap = (least: number, most: number) =>
  Effect.flatMap(Random.nextIntBetween(least, most), (millis) => Effect.sleep(millis))

const killed = (child: Child) => Effect.andThen(Process.kill(child), Process.exited(child))

// ---------------------------------------------------------------------------------------------------- pipes

/** One pipe between two children, of which one is killed. */
const pipeRound = Effect.scoped(Effect.gen(function*() {
  const [receiver, sender] = yield* Pipe.simplex<Message>({ capacity: yield* Random.nextIntBetween(1, 100) })
  const begun = yield* SharedValue.make("int32")
  const done = yield* SharedValue.make("int32")
  const received = yield* SharedValue.make("int32")
  const going = yield* SharedEvent.make()
  const reader = yield* Process.start(receives, { end: receiver, received, going }, { daemon: true })
  const writer = yield* Process.start(sends, { end: sender, begun, done }, { daemon: true })
  // now and then before they talk
  if (yield* Random.nextIntBetween(0, 4)) yield* bounded("the first message")(SharedEvent.wait(going))
  yield* nap(0, 50)
  const killsWriter = yield* Random.nextBoolean
  yield* killed(killsWriter ? writer : reader)
  const survivor = killsWriter ? reader : writer
  const how = yield* bounded("the other side of a pipe ended")(Process.join(survivor))
  assert.strictEqual(how, killsWriter ? "end" : "Closed")
  const [sent, acknowledged, read] = yield* Effect.all([begun, done, received].map((value) => SharedValue.get(value)))
  assert.isAtMost(read!, sent!)
  if (killsWriter) assert.isAtLeast(read!, acknowledged!, "what was sent is lost")
  return acknowledged!
}))

// ---------------------------------------------------------------------------------------------------- a queue

const mostProducers = 200

/** It is at its work then. */
const started = <A, E, R>(start: (going: SharedEvent.SharedEvent) => Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const going = yield* SharedEvent.make()
    const child = yield* start(going)
    yield* bounded("a child was at its work")(SharedEvent.wait(going))
    return child
  })

const makeCast = Effect.gen(function*() {
  const queue = yield* SharedQueue.bounded<Message>(50)
  const begun = yield* SharedArray.make("int32", mostProducers)
  const done = yield* SharedArray.make("int32", mostProducers)
  const isOver = yield* SharedValue.make("int32")
  const taken = yield* SharedArray.make("uint8", mostProducers * most)
  let producers = 0
  const options = { daemon: true }
  return {
    begun,
    done,
    isOver,
    queue,
    taken,
    producer: started((going) =>
      Process.start(offers, { queue, going, by: producers++, begun, done, isOver }, options)
    ),
    consumer: started((going) =>
      Effect.flatMap(
        Random.nextBoolean,
        (asStream) => Process.start(takes, { queue, going, taken, asStream }, options)
      )
    )
  }
})

/** Two producers and two consumers, of which one after the other is killed and replaced. */
const queueRun = (millis: number) =>
  Effect.scoped(Effect.gen(function*() {
    const { begun, consumer, done, isOver, producer, queue, taken } = yield* makeCast
    const producing: Array<Child> = [yield* producer, yield* producer]
    const consuming: Array<Child> = [yield* consumer, yield* consumer]
    const until = (yield* Clock.currentTimeMillis) + millis
    let consumersKilled = 0
    for (let kills = 0; kills < mostProducers - 2 && (yield* Clock.currentTimeMillis) < until; kills++) {
      yield* nap(0, 80)
      const at = yield* Random.nextIntBetween(0, 1)
      if (yield* Random.nextBoolean) {
        yield* killed(producing[at]!)
        producing[at] = yield* producer
      } else {
        consumersKilled++
        yield* killed(consuming[at]!)
        consuming[at] = yield* consumer
      }
    }
    yield* SharedValue.set(isOver, 1)
    yield* Effect.forEach(producing, (child) => bounded("a producer ended")(Process.join(child)))
    yield* SharedQueue.end(queue)
    const hows = yield* Effect.forEach(consuming, (child) => bounded("a consumer saw the end")(Process.join(child)))
    assert.deepStrictEqual(hows, ["end", "end"])
    return { consumersKilled, ...count(SharedArray.view(begun), SharedArray.view(done), SharedArray.view(taken)) }
  }))

const count = (begun: Int32Array, done: Int32Array, taken: Uint8Array) => {
  let [accepted, lost, doubled, invented] = [0, 0, 0, 0]
  for (let by = 0; by < mostProducers; by++) {
    for (let n = 0; n < most; n++) {
      const times = taken[by * most + n]!
      if (n < done[by]!) accepted++
      if (n < done[by]! && times === 0) lost++
      if (times > 1) doubled += times - 1
      if (n >= begun[by]! && times > 0) invented++
    }
  }
  return { accepted, lost, doubled, invented }
}

// ---------------------------------------------------------------------------------------------------- all

const methods = {
  threads: StartMethod.layerThreads,
  spawn: StartMethod.layerSpawn,
  forkserver: StartMethod.layerForkServer({ preload: [new URL("./fixtures/chaosTalk.ts", import.meta.url)] })
}
const available = Effect.runSync(StartMethod.available)

const repeated = <A>(millis: number, round: Effect.Effect<A, unknown, StartMethod.StartMethod | Scope.Scope>) =>
  Effect.gen(function*() {
    const all: Array<A> = []
    const until = (yield* Clock.currentTimeMillis) + millis
    while (all.length === 0 || (yield* Clock.currentTimeMillis) < until) all.push(yield* round)
    return all
  })

describe("talking while somebody is killed", () => {
  for (const method of ["threads", "spawn", "forkserver"] as const) {
    if (!available.includes(method)) continue
    // what the killed have done stands in shared bytes
    if (method === "spawn" && SharedMemory.reach !== "processes") continue
    const told = `CHAOS_SEED=${seed} on ${method}`
    const chaos = <A, E>(run: Effect.Effect<A, E, StartMethod.StartMethod | Scope.Scope>) =>
      run.pipe(Random.withSeed(seed), Effect.scoped, Effect.provide(methods[method]))

    it.live(
      `on ${method}: a pipe loses and doubles nothing that was sent, and ends (${told})`,
      () =>
        chaos(Effect.map(repeated(seconds * 500, pipeRound), (rounds) => {
          if (process.env["CHAOS_SECONDS"] !== undefined) console.log(`${told}: ${rounds.length} pipes, ${rounds}`)
          assert.isAbove(rounds.reduce((sum, sent) => sum + sent, 0), 0)
        })),
      seconds * 2000 + 60_000
    )

    it.live(
      `on ${method}: a queue loses and doubles nothing that was accepted (${told})`,
      () =>
        chaos(Effect.map(queueRun(seconds * 500), ({ accepted, consumersKilled, doubled, invented, lost }) => {
          const story = `${accepted} accepted, ${consumersKilled} killed, ${lost} lost, ${doubled} doubled`
          if (process.env["CHAOS_SECONDS"] !== undefined) console.log(`${told}: ${story}`)
          assert.isAbove(accepted, 0)
          assert.strictEqual(invented, 0)
          // one who is killed between taking a value and noting it, or between having it and saying so
          assert.isAtMost(lost + doubled, consumersKilled, story)
        })),
      seconds * 2000 + 60_000
    )
  }
})
