/** The start methods under test, and what each of them claims (DESIGN's table). */
import type { Layer } from "effect"
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
      exits: true,
      signals: true,
      killsBusy: true,
      parallel: true,
      ownMemory: true,
      outOfMemory: StartMethod.layerSpawnWith({ execArgv: ["--max-old-space-size=64"], stdio: "capture" }),
      captured: StartMethod.layerSpawnWith({ stdio: "capture" }),
      moves: false,
      sharesMemory: false
    }
  }
]
