/**
 * The shape of a start method: one value that launches children. Everything above talks to a `Child` and does not know
 * which method made it.
 */
import type * as Effect from "effect/Effect"
import type { ExitStatus, ProcessError } from "../../ProcessError.ts"
import type { Channel } from "../channel/Channel.ts"
import type { Border } from "../codec/values.ts"
import type { Boot, ToChild, ToParent } from "../protocol/messages.ts"
import type { LastItem } from "../protocol/progress.ts"

/** Blocks of bytes that a child wrote, where its start method captures them. */
export interface Captured {
  /** Called for what was captured so far and what comes; `undefined` is the end. Returns how to stop. */
  readonly subscribe: (onBlock: (block: Uint8Array | undefined) => void) => () => void
  /** The last lines, for messages. */
  readonly tail: () => string
}

/** What a start method makes: a child that may still be on its way up. */
export interface Body {
  readonly pid: number
  readonly channel: Channel<ToChild, ToParent>
  /** What its boot tells of memory that it shares, where it shares any: made when it, and others, are on their way up. */
  readonly shareWord?: (() => string | undefined) | undefined
  /** Called once, when the child has ended and its last message is delivered. `words` is what the platform says of it. */
  readonly onEnd: (listener: (status: ExitStatus, words: string) => void) => void
  /** Asks which run the child is in, also while its event loop does not turn. It may never answer. */
  readonly running: (answer: (run: number | undefined) => void) => void
  /** The same; one that is in this run begins nothing after it, and is to be killed. */
  readonly condemn: (run: number, answer: (run: number | undefined) => void) => void
  /** What it was in, when it has ended. */
  readonly lastItem: () => LastItem
  /** Asks how many bytes of memory it uses: a process all of it, a thread its heap and its buffers. It may never answer. */
  readonly memory: (answer: (bytes: number | undefined) => void) => void
  /** Returns when the signal is sent. Nothing where it has ended. */
  readonly kill: (signal: "SIGTERM" | "SIGKILL") => void
  readonly stdout: Captured | undefined
  readonly stderr: Captured | undefined
}

/** A child that is up, as its parent sees it. */
export interface Child
  extends Pick<Body, "pid" | "channel" | "running" | "condemn" | "lastItem" | "memory" | "kill" | "stdout" | "stderr">
{
  readonly boot: Boot
  readonly startUpMillis: number
  /** Set from its end on. */
  readonly status: () => ExitStatus | undefined
  /** Called once, after the last message of the channel. At once where it has ended. */
  readonly onExit: (listener: (status: ExitStatus) => void) => void
  /** The child's last words: an uncaught error's stack, or the end of its stderr. */
  readonly lastWords: () => string
  /** Receives the messages; those that came before are given first. */
  readonly onMessages: (listener: (batch: ReadonlyArray<ToParent>) => void) => void
}

export interface Launcher {
  readonly name: Boot["identity"]["startMethod"]
  /** Completes when the child is ready, its initializer built. On failure and on interruption no child is left. */
  readonly launch: (boot: Boot) => Effect.Effect<Child, ProcessError>
  /** What may cross to its children. */
  readonly border: Border
  /** What a child's own start method is made with: plain data. */
  readonly options: unknown
}
