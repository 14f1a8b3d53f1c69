/**
 * Copies of the process that this runs in.
 */
import type { Socket } from "node:net"
import * as Effect from "effect/Effect"
import { wordsOf } from "../codec/errors.ts"
import { abandonHubs } from "../hub/hubs.ts"
import { markCopied } from "../memory/copied.ts"
import { native } from "../memory/native.ts"
import type { Native } from "../memory/native.ts"
import { strain } from "../runner/probe.ts"
import { prepareRebirth } from "../runner/rebirth.ts"
import type { Rebirth } from "../runner/rebirth.ts"
import { refuseChildren } from "./childless.ts"
import { writeAtOnce } from "./output.ts"
import type { Forked } from "./server.ts"
import { decodeStatus } from "./status.ts"
import { trialMillis, whyNotWell } from "./trial.ts"

let rebirth: Rebirth | undefined

/**
 * Runs `live` in a copy of this process, which ends with it: it must not return into what the original was about to do.
 * Gives the pid of the copy.
 */
export const forkSelf = (addon: Native, kept: ReadonlyArray<number>, live: (pid: number) => void): number => {
  rebirth ??= prepareRebirth(addon.exitNow)
  const pid = addon.forkSelf(kept)
  if (pid !== 0) return pid
  try {
    // they are the original's
    process.removeAllListeners("exit")
    process.removeAllListeners("beforeExit")
    rebirth.become()
    abandonHubs()
    markCopied()
    refuseChildren()
    writeAtOnce()
    live(process.pid)
  } catch (cause) {
    process.stderr.write(`a copy of a process failed: ${wordsOf(cause)}\n`)
  }
  return addon.exitNow(1)
}

const whyAborted = "Has it started a process or a thread? A copy of a process (start method \"fork\") cannot."

/** How often is looked whether a copy that has closed its channel has ended, too. */
const lookMillis = 1

/** A copy as its original sees it. It is known to be over when its channel is. */
export const watchCopy = (addon: Native, pid: number, channel: Socket): Forked => {
  let isReaped = false
  const onEnd: Forked["onEnd"] = (listener) => {
    const look = (): void => {
      const status = addon.reap(pid)
      if (status === undefined) return void setTimeout(look, lookMillis)
      isReaped = true
      const how = decodeStatus(status)
      listener(how, how._tag === "Signaled" && how.signal === "SIGABRT" ? whyAborted : "")
    }
    channel.once("close", look)
  }
  return {
    pid,
    onEnd,
    kill: (signal) => {
      if (!isReaped) process.kill(pid, signal)
    }
  }
}

/** Whether copies live; what speaks against it. */
export const tryFork: Effect.Effect<string | undefined> = Effect.callback<string | undefined>((resume) => {
  const addon = native()!
  let pid: number
  try {
    pid = forkSelf(addon, [], () => {
      strain()
      addon.exitNow(0)
    })
  } catch (cause) {
    return resume(Effect.succeed(wordsOf(cause)))
  }
  const deadline = performance.now() + trialMillis
  const look = (): void => {
    const status = addon.reap(pid)
    if (status !== undefined) return resume(Effect.succeed(whyNotWell(decodeStatus(status))))
    if (performance.now() > deadline) process.kill(pid, "SIGKILL")
    setTimeout(look, lookMillis)
  }
  look()
})
