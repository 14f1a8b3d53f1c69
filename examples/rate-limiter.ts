/**
 * A rate limiter that four processes share: so many calls in a window of time, whoever makes them. Its state is a service of
 * this program, and lives in a server process.
 *
 *     npm run example rate-limiter
 *     npm run example rate-limiter 5 200     (calls in a window, and its milliseconds)
 */
import { Clock, Console, Context, Effect, Layer, Schema } from "effect"
import { Rpc, RpcGroup } from "effect/rpc"
import { Manager, Process, StartMethod, Task } from "../src/index.ts"

const [most = 5, millis = 200] = process.argv.slice(2).map(Number)

class Limiter extends Context.Service<Limiter, {
  /** 0 where a call may be made now, else the milliseconds until the window ends. */
  readonly ask: (limits: { readonly most: number; readonly millis: number }) => Effect.Effect<number>
}>()("example/Limiter") {}

const limiter = Manager.make("limiter", {
  module: import.meta.url,
  service: Limiter,
  methods: RpcGroup.make(
    Rpc.make("ask", { payload: Schema.Struct({ most: Schema.Number, millis: Schema.Number }), success: Schema.Number })
  ),
  layer: Layer.effect(
    Limiter,
    Effect.sync(() => {
      let begun = -Infinity
      let calls = 0
      return {
        ask: ({ millis, most }: { readonly most: number; readonly millis: number }) =>
          Effect.map(Clock.currentTimeMillis, (now) => {
            if (now >= begun + millis) {
              begun = now
              calls = 0
            }
            return ++calls <= most ? 0 : begun + millis - now
          })
      }
    })
  )
})

interface Work {
  readonly limits: { readonly most: number; readonly millis: number }
  readonly shared: Limiter["Service"]
}

const pass = ({ limits, shared }: Work): Effect.Effect<number> =>
  Effect.flatMap(
    shared.ask(limits),
    (wait) => wait === 0 ? Clock.currentTimeMillis : Effect.andThen(Effect.sleep(wait), pass({ limits, shared }))
  )

/** When its calls were made. */
const callFive = Task.make("callFive", {
  module: import.meta.url,
  handler: (work: Work) => Effect.replicateEffect(pass(work), 5)
})

const program = Effect.gen(function*() {
  const work = { limits: { most, millis }, shared: yield* Limiter }
  const children = yield* Effect.replicateEffect(Process.start(callFive, work), 4)
  const times = (yield* Effect.forEach(children, Process.join)).flat().sort((a, b) => a - b)
  yield* Console.log(`${times.length} calls by ${children.length} processes`)
  yield* Console.log(`at most ${most} in ${millis} ms: it took ${Math.ceil(times.length / most)} windows`)
  if (times.at(-1)! - times[0]! < (Math.ceil(times.length / most) - 1) * millis * 0.9) yield* Console.log("too fast")
}).pipe(Effect.scoped, Effect.provide(Manager.layer(limiter)), Effect.provide(StartMethod.layerConfig))

Process.runMain(program)
