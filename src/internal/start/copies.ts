/**
 * Children that are copies of another process: what they talk over, and what stands for them here.
 */
import { Socket } from "node:net"
import { fromStreams } from "../channel/socket.ts"
import type { Forked } from "../fork/server.ts"
import { native } from "../memory/native.ts"
import type { Word } from "../memory/words.ts"
import type { ToChild, ToParent } from "../protocol/messages.ts"
import { condemn, lastItem, runIn } from "../protocol/progress.ts"
import type { LastItem } from "../protocol/progress.ts"
import { capture } from "./capture.ts"
import { makeEnding, residentBytes } from "./ending.ts"
import type { Body } from "./Launcher.ts"

/** What throws has no use for it. */
export const released = <A>(start: () => A, release: (() => void) | undefined): A => {
  try {
    return start()
  } catch (cause) {
    release?.()
    throw cause
  }
}

export interface Ends {
  readonly ours: ReadonlyArray<Socket>
  readonly theirs: ReadonlyArray<number>
  /** When the copy has them. */
  readonly closeTheirs: () => void
}

/** Pairs of connected sockets: of each, one end for the copy. */
export const makeEnds = (count: number): Ends => {
  const addon = native()!
  const pairs: Array<readonly [ours: number, theirs: number]> = []
  const close = (fds: ReadonlyArray<number>): void => fds.forEach(addon.closeDescriptor)
  released(
    () => {
      while (pairs.length < count) pairs.push(addon.socketPair(false))
    },
    () => close(pairs.flat())
  )
  const theirs = pairs.map(([, fd]) => fd)
  return { ours: pairs.map(([fd]) => new Socket({ fd })), theirs, closeTheirs: () => close(theirs) }
}

export interface CopyOptions {
  readonly copy: Forked
  /** To it, from it; its stdout and stderr where they are captured. */
  readonly sockets: ReadonlyArray<Socket>
  readonly limit: number
  readonly word: Word & { readonly release: () => void }
  readonly keepsOutput: boolean
}

export const bodyOf = ({ copy, keepsOutput, limit, sockets, word }: CopyOptions): Body => {
  const [toChild, fromChild, stdout, stderr] = sockets
  const errors = stderr === undefined ? undefined : capture(stderr, keepsOutput)
  let said = ""
  let last: LastItem
  const release = (): void => {
    last = lastItem(word.words)
    word.release()
  }
  const ending = makeEnding({ words: () => said === "" ? errors?.tail() ?? "" : said, release })
  copy.onEnd((status, words) => {
    said = words
    ending.ended(status)
  })
  fromChild!.once("close", ending.drained)
  return {
    pid: copy.pid,
    channel: fromStreams<ToChild, ToParent>(toChild!, fromChild!, limit),
    onEnd: ending.onEnd,
    running: (answer) => answer(runIn(word.words)),
    condemn: (run, answer) => answer(condemn(word.words, run)),
    lastItem: () => last,
    memory: (answer) => answer(residentBytes(copy.pid)),
    kill: copy.kill,
    stdout: stdout === undefined ? undefined : capture(stdout, keepsOutput),
    stderr: errors
  }
}
