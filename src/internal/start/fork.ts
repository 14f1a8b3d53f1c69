/**
 * Children that are copies of this process, made where it stands: they have all that it has loaded and computed. Their event
 * loop does not turn (see `internal/fork/copy.ts`).
 */
import { isMainThread } from "node:worker_threads"
import * as Effect from "effect/Effect"
import { ProcessError, StartMethodUnavailable } from "../../ProcessError.ts"
import { fromDescriptors } from "../channel/socket.ts"
import { wordsOf } from "../codec/errors.ts"
import { runCopy } from "../fork/copy.ts"
import { forkSelf, tryFork, watchCopy } from "../fork/self.ts"
import { whyUnavailable } from "../fork/server.ts"
import { isCopy } from "../memory/copied.ts"
import { native } from "../memory/native.ts"
import type { NativeError } from "../memory/native.ts"
import { makeWord } from "../memory/words.ts"
import { maxFrameBytes } from "../protocol/frames.ts"
import type { Boot, ToChild, ToParent } from "../protocol/messages.ts"
import { setChildGlobal } from "../runner/childGlobal.ts"
import { defaultStartMillis, launchChild } from "./child.ts"
import { bodyOf, makeEnds, released } from "./copies.ts"
import type { Body, Launcher } from "./Launcher.ts"
import { copyStartsNothing } from "./service.ts"
import { creator } from "./tree.ts"

const unavailable = (why: string): ProcessError =>
  new ProcessError({
    reason: new StartMethodUnavailable({
      startMethod: "fork",
      message:
        `The start method "fork" is not available here: ${why}. Use StartMethod.layerForkServer or StartMethod.layerSpawn.`
    })
  })

const isUnsafe = (cause: unknown): boolean => (cause as Partial<NativeError> | undefined)?.code === "ERR_FORK_UNSAFE"

const makeBody = (boot: Boot): Body => {
  const addon = native()!
  const word = makeWord()
  if (word === undefined) throw new Error("no memory could be shared with it.")
  const { closeTheirs, ours, theirs } = released(() => makeEnds(2), word.release)
  const [input, output] = theirs
  let pid: number
  try {
    pid = forkSelf(addon, theirs, (own) => {
      const channel = fromDescriptors<ToParent, ToChild>(input!, output!, maxFrameBytes)
      runCopy({
        input: input!,
        limit: maxFrameBytes,
        channel,
        pid: own,
        progress: word.words,
        onBoot: (told, notice) => setChildGlobal({ boot: told, pid: own, notice }),
        exit: addon.exitNow,
        stop: () => void process.kill(own, "SIGTERM")
      })
    })
  } catch (cause) {
    for (const socket of ours) socket.destroy()
    word.release()
    throw cause
  } finally {
    closeTheirs()
  }
  return bodyOf({
    copy: watchCopy(addon, pid, ours[1]!),
    sockets: ours,
    limit: maxFrameBytes,
    word,
    keepsOutput: boot.once
  })
}

/** Whether it can be had here. */
export const openFork: Effect.Effect<void, ProcessError> = Effect.gen(function*() {
  yield* creator("StartMethod.layerFork", "fork")
  if (isCopy()) return yield* copyStartsNothing()
  const why = whyUnavailable() ?? (isMainThread ? undefined : "it is for the main thread of a program") ??
    (yield* tryFork)
  if (why !== undefined) return yield* unavailable(why)
})

export const forkLauncher: Launcher = {
  name: "fork",
  border: { sharesMemory: false },
  options: undefined,
  launch: (boot) =>
    Effect.suspend(() => {
      if (isCopy()) return Effect.fail(copyStartsNothing())
      let unsafe: ProcessError | undefined
      const launched = launchChild(boot, defaultStartMillis, () => {
        try {
          return makeBody(boot)
        } catch (cause) {
          if (isUnsafe(cause)) unsafe = unavailable(wordsOf(cause))
          throw cause
        }
      })
      return Effect.mapError(launched, (error) => unsafe ?? error)
    })
}
