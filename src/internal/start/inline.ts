/**
 * The child that is no child: a session in this very thread, behind the same codec and the same protocol. For the tests
 * of programs that use this library.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { ExitStatus } from "../../ProcessError.ts"
import { makePair } from "../channel/inline.ts"
import { leaveHousehold } from "../handles/handle.ts"
import type { Household } from "../handles/handle.ts"
import type { ToChild, ToParent } from "../protocol/messages.ts"
import { condemn, lastItem, makeProgress, progressBytes, runIn } from "../protocol/progress.ts"
import { startSession } from "../runner/session.ts"
import { defaultStartMillis, launchChild } from "./child.ts"
import type { Body, Launcher } from "./Launcher.ts"

const makeBody = (clock: Clock.Clock): Body => {
  const [channel, childChannel] = makePair<ToChild, ToParent>()
  const listeners: Array<(status: ExitStatus, words: string) => void> = []
  const household: Household = new Set()
  let ended = false

  const end = (code: number): void => {
    if (ended) return
    ended = true
    leaveHousehold(household)
    channel.close()
    // after the last batch, which is delivered in a microtask that is already queued
    queueMicrotask(() => {
      for (const listener of listeners) listener({ _tag: "Exited", code }, "")
    })
  }

  const progress = makeProgress(new ArrayBuffer(progressBytes))
  startSession({
    progress,
    isRead: true,
    memory: () => process.memoryUsage.rss(),
    channel: childChannel,
    pid: process.pid,
    launchers: () => Promise.resolve({ launcherFor: () => inline }),
    exit: end,
    stop: () => end(1),
    whenWritten: (then) => then(), // it writes where its parent does
    onBoot: () => {},
    onUserCode: () => {},
    onMuchCode: () => {},
    clock,
    household
  })

  return {
    pid: process.pid,
    channel,
    onEnd: (listener) => void listeners.push(listener),
    running: (answer) => answer(runIn(progress)),
    condemn: (run, answer) => answer(condemn(progress, run)),
    lastItem: () => lastItem(progress),
    memory: (answer) => answer(process.memoryUsage.rss()),
    // there is nothing that could be killed from outside: its fiber is interrupted by the end of the channel
    kill: () => end(1),
    stdout: undefined,
    stderr: undefined
  }
}

export const inline: Launcher = {
  name: "inline",
  border: { sharesMemory: true },
  options: undefined,
  // its tasks run in the time of the program: a TestClock moves them
  launch: (boot) => Effect.flatMap(Clock.Clock, (clock) => launchChild(boot, defaultStartMillis, () => makeBody(clock)))
}
