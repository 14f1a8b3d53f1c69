/** The start methods under test, and what each of them claims (DESIGN's table). */
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { StartMethod } from "../../src/index.ts"
import type { ProcessError } from "../../src/index.ts"

export interface Claims {
  /** `process.exit(n)` in a task ends the child only. */
  readonly exits: boolean
  /** Signals, and a pid of its own. */
  readonly signals: boolean
  /** A task that computes without end can be killed. */
  readonly killsBusy: boolean
  /** Two workers run side by side: one that waits does not hold the other up. */
  readonly parallel: boolean
  /** Its memory is its own: what it uses can be told from what others use. */
  readonly ownMemory: boolean
  /** Out of memory ends the child only. */
  readonly outOfMemory: Layer.Layer<StartMethod.StartMethod> | undefined
  /** stdout and stderr as streams. */
  readonly captured: Layer.Layer<StartMethod.StartMethod> | undefined
  /** ArrayBuffers that are marked move. */
  readonly moves: boolean
  readonly sharesMemory: boolean
}

export interface Method {
  readonly name: StartMethod.Name
  readonly layer: Layer.Layer<StartMethod.StartMethod, ProcessError.ProcessError>
  readonly claims: Claims
}

/** One server for all laws of a file. */
let server: { readonly scope: Scope.Closeable; readonly service: StartMethod.StartMethod["Service"] } | undefined

const library = new URL("../../src/index.ts", import.meta.url)

const layerSharedServer: Layer.Layer<StartMethod.StartMethod, ProcessError.ProcessError> = Layer.effect(
  StartMethod.StartMethod,
  Effect.gen(function*() {
    if (server !== undefined) return server.service
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(StartMethod.layerForkServer({ preload: [library] }), scope)
    server = { scope, service: Context.get(context, StartMethod.StartMethod) }
    return server.service
  })
)

export const hasServer = (): boolean => server !== undefined

/** After the last law of a file. */
export const closeServer: Effect.Effect<void> = Effect.suspend(() => {
  const last = server
  server = undefined
  return last === undefined ? Effect.void : Scope.close(last.scope, Exit.void)
})

/** However they are started. */
const ofProcesses = {
  exits: true,
  signals: true,
  killsBusy: true,
  parallel: true,
  ownMemory: true,
  moves: false,
  sharesMemory: false
} as const

const forkServer: Method = {
  name: "forkserver",
  layer: layerSharedServer,
  claims: {
    ...ofProcesses,
    outOfMemory: Layer.orDie(
      StartMethod.layerForkServer({ execArgv: ["--max-old-space-size=64"], stdio: "capture" })
    ),
    captured: Layer.orDie(StartMethod.layerForkServer({ stdio: "capture" }))
  }
}

/** Where there is none by nature (another platform, no addon) its laws do not apply. */
const hasForkServer = Effect.runSync(StartMethod.available).includes("forkserver")

export const methods: ReadonlyArray<Method> = [
  {
    name: "inline",
    layer: StartMethod.layerInline,
    claims: {
      exits: false,
      signals: false,
      killsBusy: false,
      parallel: false,
      ownMemory: false,
      outOfMemory: undefined,
      captured: undefined,
      moves: true,
      sharesMemory: true
    }
  },
  {
    name: "threads",
    layer: StartMethod.layerThreads,
    claims: {
      exits: true,
      signals: false,
      killsBusy: true,
      parallel: true,
      ownMemory: true,
      outOfMemory: StartMethod.layerThreadsWith({ resourceLimits: { maxOldGenerationSizeMb: 64 } }),
      captured: StartMethod.layerThreadsWith({ stdio: "capture" }),
      moves: true,
      sharesMemory: true
    }
  },
  {
    name: "spawn",
    layer: StartMethod.layerSpawn,
    claims: {
      ...ofProcesses,
      outOfMemory: StartMethod.layerSpawnWith({ execArgv: ["--max-old-space-size=64"], stdio: "capture" }),
      captured: StartMethod.layerSpawnWith({ stdio: "capture" })
    }
  },
  ...(hasForkServer ? [forkServer] : [])
]
