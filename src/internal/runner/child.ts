/**
 * What the child of every start method but inline does besides its session: it tells the package's modules who it is, and
 * reports what it can when it ends.
 */
import { enableCompileCache } from "node:module"
import { stackOf } from "../codec/errors.ts"
import type { Channel } from "../channel/Channel.ts"
import type { Boot, ToChild, ToParent } from "../protocol/messages.ts"
import { setChildGlobal } from "./childGlobal.ts"
import { whenWritten } from "./output.ts"
import { startSession } from "./session.ts"
import type { SessionHost } from "./session.ts"

export interface ChildOptions {
  readonly channel: Channel<ToParent, ToChild>
  readonly progress: Int32Array
  /** The parent reads it. */
  readonly isRead: boolean
  readonly memory: () => number
  /** Ends the child as a termination from outside would. */
  readonly stop: () => void
  /** Called before anything of the user runs. May give another place in which the run is noted from then on: the parent reads it. */
  readonly onUserCode: (boot: Boot) => Int32Array | undefined
}

/** Runs the session that is this child's purpose. */
export const runChild = ({ channel, isRead, memory, onUserCode, progress, stop }: ChildOptions): void => {
  const host: SessionHost = {
    channel,
    pid: process.pid,
    progress,
    isRead,
    memory,
    launchers: () => import("../start/launchers.ts"),
    exit: (code) => process.exit(code),
    whenWritten,
    stop,
    onBoot: (boot) => {
      setChildGlobal({ boot, pid: process.pid, notice: (text) => session.notice(text) })
    },
    onUserCode: (boot) => {
      const shared = onUserCode(boot)
      if (shared === undefined) return
      host.progress = shared
      host.isRead = true
    },
    onMuchCode: () => enableCompileCache?.()
  }
  const session = startSession(host)
  process.on("exit", session.lastReport)
  process.on("uncaughtExceptionMonitor", (cause) => session.notice(stackOf(cause)))
}
