/**
 * What is made in shared bytes belongs to the scope that made it.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Closed, ProcessError, SharedMemoryFailed } from "../../ProcessError.ts"
import { wordsOf } from "../codec/errors.ts"
import { isCopy } from "../memory/copied.ts"

export interface Owned<H> {
  readonly handle: H
  readonly release: () => void
}

const memoryFailed = (what: string, cause: unknown): ProcessError =>
  new ProcessError({
    reason: new SharedMemoryFailed({
      // V8 and the addon say so before they ask the system
      kind: cause instanceof RangeError ? "InvalidSize" : "SystemError",
      message: `${what}: the system does not give so much shared memory: ${wordsOf(cause)}`,
      cause
    })
  })

/** `make` throws what the system answers. */
export const owned = <H>(what: string, make: () => Owned<H>): Effect.Effect<H, ProcessError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.try({ try: make, catch: (cause) => memoryFailed(what, cause) }),
      ({ release }) => Effect.sync(release)
    ),
    ({ handle }) => handle
  )

const whyClosed = (): string =>
  isCopy()
    ? `it cannot be used in a copy of a process (start method "fork"), which is connected to nothing. SharedValue and ` +
      "SharedArray work here; for the rest use StartMethod.layerForkServer or StartMethod.layerSpawn."
    : "the scope that made it has ended, or the process of its owner. Keep that scope open while others use it."

/** The owner's scope has ended, or its process. */
export const closedError = (what: string): ProcessError =>
  new ProcessError({ reason: new Closed({ what, message: `${what}: ${whyClosed()}` }) })
