/**
 * Children that are copies of a server, which has loaded modules before. They talk over socket pairs whose ends the server
 * is handed, so there is no file, no address and no token. The README beside this file draws the descriptors.
 */
import * as Effect from "effect/Effect"
import { ProcessError, StartFailed, StartMethodUnavailable } from "../../ProcessError.ts"
import type { CopyOrder } from "../fork/order.ts"
import { CannotFork, NoServer, startForkServer, whyUnavailable } from "../fork/server.ts"
import type { ForkServer, ForkServerOptions } from "../fork/server.ts"
import { tryCopy } from "../fork/trial.ts"
import { wordsOf } from "../codec/errors.ts"
import { makeWord } from "../memory/words.ts"
import { maxFrameBytes } from "../protocol/frames.ts"
import type { Boot } from "../protocol/messages.ts"
import { defaultStartMillis, launchChild } from "./child.ts"
import { bodyOf, makeEnds, released } from "./copies.ts"
import type { Body, Launcher } from "./Launcher.ts"
import { creator } from "./tree.ts"

export interface ForkServerLauncher extends Launcher {
  /** Starts the server, and tries a copy. */
  readonly open: Effect.Effect<void, ProcessError>
  readonly close: Effect.Effect<void>
}

const makeBody = async (server: ForkServer, options: ForkServerOptions, boot: Boot): Promise<Body> => {
  const limit = options.maxMessageBytes ?? maxFrameBytes
  const word = makeWord()
  if (word === undefined) throw new Error("no memory could be shared with it.")
  const ends = released(() => makeEnds(options.stdio === "capture" ? 4 : 2), word.release)
  const order: CopyOrder = { _tag: "Child", maxMessageBytes: limit, word: word.reference }
  try {
    const copy = await server.fork(order, ends.theirs)
    return bodyOf({ copy, sockets: ends.ours, limit, word, keepsOutput: boot.once })
  } catch (cause) {
    for (const socket of ends.ours) socket.destroy()
    word.release()
    throw cause
  } finally {
    ends.closeTheirs()
  }
}

const unavailable = (why: string): ProcessError =>
  new ProcessError({
    reason: new StartMethodUnavailable({
      startMethod: "forkserver",
      message:
        `The start method "forkserver" is not available here: ${why}. Use StartMethod.layerSpawn: it starts the same children, more slowly.`
    })
  })

/** Said once is enough. */
const causeOf = (cause: unknown): { readonly cause?: unknown } =>
  !(cause instanceof NoServer) ? { cause } : cause.cause === undefined ? {} : { cause: cause.cause }

const failed = (what: string, cause: unknown): ProcessError =>
  cause instanceof CannotFork
    ? unavailable(cause.message)
    : new ProcessError({
      reason: new StartFailed({
        startMethod: "forkserver",
        message: `${what} did not start: ${wordsOf(cause)}`,
        ...causeOf(cause)
      })
    })

/** What comes when nobody waits any more may have to be undone: an interruption waits for that. */
const awaiting = <A>(
  make: () => Promise<A>,
  onFailure: (cause: unknown) => ProcessError,
  undo?: (value: A) => Promise<void>
): Effect.Effect<A, ProcessError> =>
  Effect.callback<A, ProcessError>((resume) => {
    const made = make()
    made.then(
      (value) => resume(Effect.succeed(value)),
      (cause: unknown) => resume(Effect.fail(onFailure(cause)))
    )
    return undo === undefined ? undefined : Effect.promise(() => made.then(undo, () => {}))
  })

const discard = (body: Body): Promise<void> =>
  new Promise((resolve) => {
    body.onEnd(() => {
      body.channel.close()
      resolve()
    })
    body.channel.listen(() => {}, () => {}) // it ends when all has been read
    body.kill("SIGKILL")
  })

export const forkServer = (options: ForkServerOptions): ForkServerLauncher => {
  const startMillis = options.startMillis ?? defaultStartMillis
  let starting: Promise<ForkServer> | undefined
  let current: ForkServer | undefined
  const giveUp = new AbortController()

  /** One that has died is followed by another. */
  const server = (): Promise<ForkServer> => {
    if (current?.isUp() === true) return Promise.resolve(current)
    if (giveUp.signal.aborted) {
      return Promise.reject(
        new NoServer("the scope of StartMethod.layerForkServer has ended: keep it open while children are started.")
      )
    }
    starting ??= startForkServer(options, startMillis, giveUp.signal).then((started) => current = started).finally(
      () => {
        starting = undefined
      }
    )
    return starting
  }
  const ready = awaiting(server, (cause) => failed("the fork server", cause))

  return {
    name: "forkserver",
    border: { sharesMemory: false },
    options,
    launch: (boot) =>
      Effect.flatMap(ready, (one) =>
        Effect.flatMap(
          awaiting(() => makeBody(one, options, boot), (cause) => failed(boot.identity.name, cause), discard),
          (body) => launchChild(boot, startMillis, () => body)
        )),
    open: Effect.gen(function*() {
      yield* creator("StartMethod.layerForkServer", "forkserver")
      const why = whyUnavailable()
      if (why !== undefined) return yield* unavailable(why)
      const one = yield* ready
      const trouble = yield* awaiting(() => tryCopy(one, startMillis), (cause) => failed("the fork server", cause))
      if (trouble !== undefined) return yield* unavailable(trouble)
    }),
    close: Effect.promise(async () => {
      giveUp.abort()
      const last = await starting?.catch(() => undefined) ?? current
      await last?.close()
    })
  }
}
