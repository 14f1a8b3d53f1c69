/**
 * Workers for Effect's own RPC: `RpcClient.layerProtocolWorker` calls the handlers of an `RpcGroup` in threads or OS
 * processes that a start method makes.
 *
 * **The laws**
 *
 * - Nothing outlives its scope. When the scope closes, a worker is asked to close; one that does not end within
 *   `gracePeriod` is killed.
 * - A worker that dies, does not start, or is never ready ends its run with a `WorkerError` that says how. What becomes
 *   of the calls is Effect's protocol: all calls in flight fail, and a new worker is started after one second.
 * - What crosses is *copied*, after Effect has made JSON of it. Threads can be given buffers that a `Transferable` schema
 *   marks; processes get copies of them.
 *
 * | to have | use |
 * |---|---|
 * | functions, many items, crashes that cost one item only | `Pool` |
 * | a server with an `RpcGroup`: many kinds of request, streams, state in the worker | this module |
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Worker from "effect/workers/Worker"
import { WorkerError, WorkerReceiveError, WorkerSpawnError } from "effect/workers/WorkerError"
import type { WorkerErrorReason } from "effect/workers/WorkerError"
import { wordsOf } from "./internal/codec/errors.ts"
import { timeMillisOr } from "./internal/start/checks.ts"
import { after, describeStatus } from "./internal/start/child.ts"
import { moduleFile, moduleStarter } from "./internal/start/moduleChild.ts"
import type { ModuleChild, ModuleStarter } from "./internal/start/moduleChild.ts"
import { launcherOf, StartMethod } from "./internal/start/service.ts"
import { creator } from "./internal/start/tree.ts"
import { ProcessError, StartMethodUnavailable } from "./ProcessError.ts"

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Between the request to close and the kill of a worker that does not end; default 1 second. */
  readonly gracePeriod?: Duration.Input | undefined
}

const defaultGraceMillis = 1000
/** How Effect asks a worker to close. */
const closeRequest = [1]

/** What is asked of the platform: a number, and how to find the module. */
interface Order {
  readonly id: number
  readonly locate: () => unknown
}

interface Port {
  readonly postMessage: (message: unknown, transfers?: unknown) => void
  readonly child: ModuleChild
  /** For messages: who. */
  readonly who: string
}

const failed = (reason: WorkerErrorReason): WorkerError => new WorkerError({ reason })

const spawnError = (id: number, method: string, cause: unknown): WorkerError =>
  failed(new WorkerSpawnError({ message: `Worker ${id} (${method}) did not start: ${wordsOf(cause)}`, cause }))

/** Asks a worker to close, and kills it after the grace period. Completes when it has ended. */
const closeChild = (child: ModuleChild, graceMillis: number): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    let cancel = (): void => {}
    let ended = false
    child.onEnd(() => {
      ended = true
      cancel()
      resume(Effect.void)
    })
    if (ended) return
    cancel = after(graceMillis, child.kill)
    child.post(closeRequest)
  })

/** Node itself talks over the same channel, when it watches files for instance. */
const isOfProtocol = (message: unknown): message is Worker.PlatformMessage =>
  Array.isArray(message) && (message[0] === 0 || message[0] === 1)

interface Making extends ModuleStarter {
  readonly method: string
  readonly graceMillis: number
}

const setup =
  ({ graceMillis, method, start }: Making) =>
  ({ scope, worker: { id, locate } }: { readonly worker: Order; readonly scope: Scope.Scope }) =>
    Effect.try({
      try: (): Port => {
        const file = moduleFile(locate())
        const child = start(file)
        return {
          postMessage: (message, transfers) => child.post(message, transfers as ReadonlyArray<never> | undefined), // as Effect collected them
          child,
          who: `Worker ${id} (${method}${child.pid === undefined ? "" : `, pid ${child.pid}`}) of ${file}`
        }
      },
      catch: (cause) => spawnError(id, method, cause)
    }).pipe(
      Effect.tap(({ child }) => Scope.addFinalizer(scope, closeChild(child, graceMillis)))
    )

interface Listening {
  readonly port: Port
  readonly emit: (message: unknown) => void
  readonly deferred: Deferred.Deferred<never, WorkerError>
}

const listen = ({ startMillis }: Making) => ({ deferred, emit, port: { child, who } }: Listening) =>
  Effect.sync(() => {
    let ready = false
    let timedOut = false
    const fail = (reason: WorkerErrorReason): void => void Deferred.doneUnsafe(deferred, Exit.fail(failed(reason)))
    const endDeadline = after(startMillis, () => {
      timedOut = true
      child.kill()
    })

    child.listen((message) => {
      if (!isOfProtocol(message)) return
      if (message[0] === 0) {
        ready = true
        endDeadline()
      }
      emit(message)
    }, (cause) => fail(new WorkerReceiveError({ message: `${who} sent a message that cannot be read here.`, cause })))

    child.onEnd((status, words) => {
      endDeadline()
      const more = words === "" ? "" : `\n${words}`
      const how = describeStatus(status)
      if (ready) return fail(new WorkerReceiveError({ message: `${who} ${how}.${more}` }))
      const why = timedOut
        ? `was not ready within ${startMillis} ms, and was killed. To wait longer, raise startTimeout of its start method.`
        : `${how} before it was ready.`
      fail(new WorkerSpawnError({ message: `${who} ${why}${more === "" ? ` ${readiness}` : more}` }))
    })
  })

const readiness =
  `A worker is ready when its module runs RpcServer.layerProtocolWorkerRunner with NodeWorkerRunner.layer of @effect/platform-node.`

const noWorkers = (startMethod: string): ProcessError =>
  new ProcessError({
    reason: new StartMethodUnavailable({
      startMethod,
      message:
        `WorkerPlatform.layer cannot make workers with the start method "${startMethod}": a worker of Effect runs a module of its own, ` +
        `which needs a thread or a process. Use StartMethod.layerThreads or StartMethod.layerSpawn.`
    })
  })

const make = (options: Options | undefined) =>
  Effect.gen(function*() {
    const graceMillis = timeMillisOr("WorkerPlatform.layer: gracePeriod", options?.gracePeriod, defaultGraceMillis)
    const launcher = launcherOf(yield* StartMethod)
    const starter = moduleStarter(launcher)
    if (starter === undefined) return yield* noWorkers(launcher.name)
    yield* creator("WorkerPlatform.layer", launcher.name)
    const making: Making = { ...starter, method: launcher.name, graceMillis }
    const platform = Worker.makePlatform<Order>()<Port>({ setup: setup(making), listen: listen(making) })
    return Worker.WorkerPlatform.of({
      // what a spawner throws is then a failure of this worker, and not the end of the protocol
      spawn: <O, I>(id: number) =>
        platform.spawn<O, I>(id).pipe(
          Effect.updateService(Worker.Spawner, (spawn) => (id: number): Order => ({ id, locate: () => spawn(id) }))
        )
    })
  })

/**
 * Gives `RpcClient.layerProtocolWorker` workers that the start method makes: threads under `StartMethod.layerThreads`, OS
 * processes under `StartMethod.layerSpawn`. The function tells the module of each worker by its number.
 *
 * **When to use**
 *
 * For an `RpcGroup` whose handlers should run on other cores, or where a crash cannot end the program. For functions over
 * many items use a `Pool`: there a crash fails one item only, and a task that computes can be interrupted.
 *
 * **Details**
 *
 * The module is a file of its own. It runs `RpcServer.layer` with `RpcServer.layerProtocolWorkerRunner` and
 * `NodeWorkerRunner.layer` of `@effect/platform-node`, and is the same for threads and processes. The options of the start
 * method hold: flags, environment, working directory, limits, `startTimeout`. With `stdio: "capture"` the end of a worker's
 * stderr stands in the message of its error, and stdout is dropped.
 *
 * `StartMethod.layerInline` has no workers: the layer fails with `StartMethodUnavailable`. For tests in one thread Effect
 * has `RpcTest.makeClient`.
 *
 * **Gotchas**
 *
 * - Requests are kept until a worker is ready. If it dies before that, their calls fail, and the next worker still gets
 *   them: a handler may run though nobody waits for it.
 * - A crash fails all calls in flight, those on other workers too. A module that does not exist fails the calls, not the
 *   layer of the protocol, and is tried again every second.
 * - Interrupting a call interrupts its handler. One that computes goes on, and its worker is not replaced.
 * - Processes get copies: buffers that a `Transferable` schema marks are not moved, on either way.
 * - The module must not be the program itself, which would start workers in its workers; and not do its work under
 *   `import.meta.main`, which is false in a process of this kind.
 * - Workers belong to the scope of the protocol's layer, not to this one's.
 *
 * **Example** (The client; `docs/effect-workers.md` has the worker's module too)
 *
 * ```ts
 * import { Effect, Layer, Schema } from "effect"
 * import { Rpc, RpcClient, RpcGroup } from "effect/rpc"
 * import { StartMethod, WorkerPlatform } from "effect-multiprocessing"
 *
 * const Primes = RpcGroup.make(
 *   Rpc.make("isPrime", { payload: { n: Schema.Number }, success: Schema.Boolean })
 * )
 *
 * const Workers = RpcClient.layerProtocolWorker({ size: 2 }).pipe(
 *   Layer.provide(WorkerPlatform.layer(() => new URL("./primes-worker.ts", import.meta.url))),
 *   Layer.provide(StartMethod.layerSpawn)
 * )
 *
 * export const program = Effect.gen(function*() {
 *   const client = yield* RpcClient.make(Primes)
 *   return yield* client.isPrime({ n: 1_000_003 })
 * }).pipe(Effect.scoped, Effect.provide(Workers))
 * ```
 *
 * @see `Pool` for functions over many items
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  module: (id: number) => URL | string,
  options?: Options
): Layer.Layer<Worker.WorkerPlatform | Worker.Spawner, ProcessError, StartMethod> =>
  Layer.merge(Layer.effect(Worker.WorkerPlatform, make(options)), Worker.layerSpawner(module))
