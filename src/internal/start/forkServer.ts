/**
 * Children that are copies of a server, which has loaded modules before. They talk over socket pairs whose ends the server
 * is handed, so there is no file, no address and no token. The README beside this file draws the descriptors.
 */
import { Socket } from "node:net"
import * as Effect from "effect/Effect"
import { ProcessError, StartFailed, StartMethodUnavailable } from "../../ProcessError.ts"
import { fromStreams } from "../channel/socket.ts"
import type { CopyOrder } from "../fork/order.ts"
import { startForkServer, whyUnavailable } from "../fork/server.ts"
import type { Forked, ForkServer, ForkServerOptions } from "../fork/server.ts"
import { tryCopy } from "../fork/trial.ts"
import { native } from "../memory/native.ts"
import { makeWord } from "../memory/words.ts"
import { maxFrameBytes } from "../protocol/frames.ts"
import type { Boot, ToChild, ToParent } from "../protocol/messages.ts"
import { capture } from "./capture.ts"
import { defaultStartMillis, launchChild, runIn } from "./child.ts"
import { makeEnding, residentBytes } from "./ending.ts"
import type { Body, Launcher } from "./Launcher.ts"

export interface ForkServerLauncher extends Launcher {
  /** Starts the server, and tries a copy. */
  readonly open: Effect.Effect<void, ProcessError>
  readonly close: Effect.Effect<void>
}

interface Ends {
  readonly ours: ReadonlyArray<Socket>
  readonly theirs: ReadonlyArray<number>
}

/** Pairs of connected sockets: of each, one end for the copy. */
const makeEnds = (count: number): Ends => {
  const pairs = Array.from({ length: count }, () => native()!.socketPair(false))
  return { ours: pairs.map(([fd]) => new Socket({ fd })), theirs: pairs.map(([, fd]) => fd) }
}

const closeAll = (fds: ReadonlyArray<number>): void => {
  for (const fd of fds) native()!.closeDescriptor(fd)
}

const makeBody = async (server: ForkServer, options: ForkServerOptions, boot: Boot): Promise<Body> => {
  const limit = options.maxMessageBytes ?? maxFrameBytes
  const word = makeWord()
  if (word === undefined) throw new Error("no memory could be shared with it.")
  const { ours, theirs } = makeEnds(options.stdio === "capture" ? 4 : 2)
  const [toChild, fromChild, stdout, stderr] = ours
  const order: CopyOrder = { _tag: "Child", maxMessageBytes: limit, word: word.reference }
  let copy: Forked
  try {
    copy = await server.fork(order, theirs)
  } catch (cause) {
    for (const socket of ours) socket.destroy()
    word.release()
    throw cause
  } finally {
    closeAll(theirs)
  }
  const errors = stderr === undefined ? undefined : capture(stderr, boot.once)
  const ending = makeEnding({ words: () => errors?.tail() ?? "", release: word.release })
  copy.onEnd(ending.ended)
  fromChild!.once("close", ending.drained)
  return {
    pid: copy.pid,
    channel: fromStreams<ToChild, ToParent>(toChild!, fromChild!, limit),
    onEnd: ending.onEnd,
    running: (answer) => answer(runIn(word.words)),
    memory: (answer) => answer(residentBytes(copy.pid)),
    kill: copy.kill,
    stdout: stdout === undefined ? undefined : capture(stdout, boot.once),
    stderr: errors
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

const failed = (what: string, cause: unknown): ProcessError =>
  new ProcessError({
    reason: new StartFailed({
      startMethod: "forkserver",
      message: `${what} did not start: ${cause instanceof Error ? cause.message : String(cause)}`,
      cause
    })
  })

const awaiting = <A>(
  make: () => Promise<A>,
  onFailure: (cause: unknown) => ProcessError,
  onLate: (value: A) => void
): Effect.Effect<A, ProcessError> =>
  Effect.callback<A, ProcessError>((resume) => {
    let isGivenUp = false
    make().then(
      (value) => isGivenUp ? onLate(value) : resume(Effect.succeed(value)),
      (cause: unknown) => resume(Effect.fail(onFailure(cause)))
    )
    return Effect.sync(() => {
      isGivenUp = true
    })
  })

export const forkServer = (options: ForkServerOptions): ForkServerLauncher => {
  const startMillis = options.startMillis ?? defaultStartMillis
  let starting: Promise<ForkServer> | undefined
  let current: ForkServer | undefined

  /** One that has died is followed by another. */
  const server = (): Promise<ForkServer> => {
    if (current?.isUp() === true) return Promise.resolve(current)
    starting ??= startForkServer(options, startMillis).then((started) => current = started).finally(() => {
      starting = undefined
    })
    return starting
  }
  const ready = awaiting(server, (cause) => failed("the fork server", cause), () => {})

  return {
    name: "forkserver",
    border: { sharesMemory: false },
    options,
    launch: (boot) =>
      Effect.flatMap(ready, (one) =>
        Effect.flatMap(
          awaiting(
            () => makeBody(one, options, boot),
            (cause) => failed(boot.identity.name, cause),
            (body) => {
              body.channel.close()
              body.kill("SIGKILL")
            }
          ),
          (body) => launchChild(boot, startMillis, () => body)
        )),
    open: Effect.suspend(() => {
      const why = whyUnavailable()
      if (why !== undefined) return Effect.fail(unavailable(why))
      return Effect.flatMap(ready, (one) =>
        Effect.flatMap(
          awaiting(() => tryCopy(one), (cause) => failed("the fork server", cause), () => {}),
          (trouble) => trouble === undefined ? Effect.void : Effect.fail(unavailable(trouble))
        ))
    }),
    close: Effect.promise(async () => {
      // one that is on its way up is waited for
      const last = await starting?.catch(() => undefined) ?? current
      await last?.close()
    })
  }
}
