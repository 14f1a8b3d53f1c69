/**
 * The end of a child that is a process: it is told when its status is known and its last report has come, in either order.
 */
import { readFileSync } from "node:fs"
import type { ExitStatus } from "../../ProcessError.ts"
import { lastLines } from "./child.ts"
import type { Body } from "./Launcher.ts"

export interface Ending extends Pick<Body, "onEnd"> {
  readonly ended: (status: ExitStatus) => void
  readonly drained: () => void
}

export interface EndingOptions {
  /** What is known of it beyond its status. */
  readonly words: () => string
  /** Called before the end is told. */
  readonly release: () => void
}

export const makeEnding = ({ release, words }: EndingOptions): Ending => {
  let listener: Parameters<Body["onEnd"]>[0] | undefined
  let status: ExitStatus | undefined
  let isDrained = false

  const settle = (): void => {
    if (status === undefined || !isDrained || listener === undefined) return
    const tell = listener
    listener = undefined
    release()
    tell(status, lastLines(words()))
  }
  return {
    onEnd: (one) => {
      listener = one
      settle()
    },
    ended: (one) => {
      status = one
      settle()
    },
    drained: () => {
      isDrained = true
      settle()
    }
  }
}

/** By the system's own account, which exists wherever memory is shared with processes. */
export const residentBytes = (pid: number): number | undefined => {
  try {
    const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? []
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
  } catch {
    return undefined // it has ended
  }
}
