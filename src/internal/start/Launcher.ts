/**
 * The shape of a start method: one value that launches children. Everything above talks to a `Child` and does not know
 * which method made it.
 */
import type * as Effect from "effect/Effect"
import type { ExitStatus, ProcessError } from "../../ProcessError.ts"
import type { Channel } from "../channel/Channel.ts"
import type { Boot, ToChild, ToParent } from "../protocol/messages.ts"

/** What a child is to be. */
export interface Order {
  readonly boot: Boot
}

/** Blocks of bytes that a child wrote, where its start method captures them. */
export interface Captured {
  /** Called for what was captured so far and what comes; `undefined` is the end. Returns how to stop. */
  readonly subscribe: (onBlock: (block: Uint8Array | undefined) => void) => () => void
  /** The last lines, for messages. */
  readonly tail: () => string
}

/** A child that is up, as its parent sees it. */
export interface Child {
  readonly boot: Boot
  readonly pid: number
  readonly channel: Channel<ToChild, ToParent>
  /** When it was launched, and how long it took to be ready. */
  readonly startUpMillis: number
  /** Set from its end on. */
  readonly status: () => ExitStatus | undefined
  /** Called once, after the last message of the channel. At once where it has ended. */
  readonly onExit: (listener: (status: ExitStatus) => void) => void
  /** The child's last words: an uncaught error's stack, or the end of its stderr. */
  readonly lastWords: () => string
  /** Receives the messages; those that came before are given first. */
  readonly onMessages: (listener: (batch: ReadonlyArray<ToParent>) => void) => void
  /** Returns when the signal is sent. Nothing where it has ended. */
  readonly kill: (signal: "SIGTERM" | "SIGKILL") => void
  readonly stdout: Captured | undefined
  readonly stderr: Captured | undefined
}

export interface Launcher {
  readonly name: Boot["identity"]["startMethod"]
  /** Completes when the child is ready, its initializer built. On failure and on interruption no child is left. */
  readonly launch: (order: Order) => Effect.Effect<Child, ProcessError>
  /** What a child's own start method is made with. */
  readonly options: unknown
}
