/**
 * The queue of a lock, in the hub of its owner. Only those come here who found the lock held; see the README of
 * `internal/memory` for the word that they all share.
 */
import {
  abandonedAt,
  arrive,
  inherit,
  isHeldBy,
  passOn,
  run,
  stateAt,
  unknownProcess,
  wordAt
} from "../memory/lockWord.ts"
import type { Waiter } from "../memory/lockWord.ts"
import { notUnderstood } from "./link.ts"
import type { HubObject, Peer } from "./link.ts"

/** What becomes of the lock when the process that holds it dies: whoever takes it next is told, or it is simply free. */
export type OnOwnerDeath = "poison" | "release"

interface Waiting extends Waiter {
  readonly grant: () => void
}

export const makeLockObject =
  (words: Int32Array, onOwnerDeath: OnOwnerDeath) => (isAlive: (slot: number) => boolean): HubObject => {
    const queue: Array<Waiting> = []
    /** They are told when the lock is abandoned; that it is closed they hear as everybody does. */
    const watchers = new Set<() => void>()

    const abandon = (pid: number): void => {
      if (onOwnerDeath === "poison") Atomics.store(words, stateAt, abandonedAt(pid))
    }

    /** After the lock has gone on: they take it at once. */
    const tellWatchers = (): void => {
      if (onOwnerDeath !== "poison") return
      const all = [...watchers]
      watchers.clear()
      for (const tell of all) tell()
    }

    const wait = ({ slot }: Peer, grant: () => void): (() => void) | undefined => {
      const waiting: Waiting = { slot, grant }
      const outcome = run(arrive(queue, waiting, isAlive), words)
      if (outcome === "queued") {
        return () => {
          const at = queue.indexOf(waiting)
          if (at >= 0) queue.splice(at, 1)
        }
      }
      if (outcome === "abandoned") abandon(unknownProcess)
      grant()
      if (outcome === "abandoned") tellWatchers()
      return undefined
    }

    const watch = (tell: () => void): () => void => {
      watchers.add(tell)
      return () => void watchers.delete(tell)
    }

    return {
      call: (peer, operation, _, answer) => {
        switch (operation) {
          case "wait":
            return wait(peer, () => answer(undefined))
          case "watch":
            return watch(() => answer(undefined))
          case "give":
            run(passOn(queue, peer.slot), words)?.grant()
            answer(undefined)
            return undefined
          default:
            throw notUnderstood("lock", operation)
        }
      },
      gone: ({ pid, slot }) => {
        const wasHeld = isHeldBy(Atomics.load(words, wordAt), slot)
        if (wasHeld) abandon(pid)
        run(inherit(queue, slot), words)?.grant()
        if (wasHeld) tellWatchers()
      }
    }
  }
