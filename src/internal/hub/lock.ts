/**
 * The queue of a lock, in the hub of its owner. Only those come here who found the lock held; see the README of
 * `internal/memory` for the word that they all share.
 */
import { abandonedAt, arrive, inherit, isHeldBy, passOn, run, stateAt, unknownProcess } from "../memory/lockWord.ts"
import type { Waiter } from "../memory/lockWord.ts"
import type { HubObject } from "./link.ts"

/** What becomes of the lock when the process that holds it dies: whoever takes it next is told, or it is simply free. */
export type OnOwnerDeath = "poison" | "release"

interface Waiting extends Waiter {
  readonly grant: () => void
}

export const makeLockObject =
  (words: Int32Array, index: number, onOwnerDeath: OnOwnerDeath) => (isAlive: (slot: number) => boolean): HubObject => {
    const queue: Array<Waiting> = []
    /** They are told when the lock is abandoned; that it is closed they hear as everybody does. */
    const watchers = new Set<() => void>()

    const abandon = (pid: number): void => {
      if (onOwnerDeath === "poison") Atomics.store(words, stateAt(index), abandonedAt(pid))
    }

    /** After the lock has gone on: they take it at once. */
    const tellWatchers = (): void => {
      if (onOwnerDeath !== "poison") return
      const all = [...watchers]
      watchers.clear()
      for (const tell of all) tell()
    }

    return {
      call: (peer, operation, _, answer) => {
        if (operation === "give") {
          run(passOn(queue, peer.slot), words, index)?.grant()
          answer(undefined)
          return undefined
        }
        if (operation === "watch") {
          const tell = (): void => answer(undefined)
          watchers.add(tell)
          return () => void watchers.delete(tell)
        }
        const waiting: Waiting = { slot: peer.slot, grant: () => answer(undefined) }
        const outcome = run(arrive(queue, waiting, isAlive), words, index)
        if (outcome === "queued") {
          return () => {
            const at = queue.indexOf(waiting)
            if (at >= 0) queue.splice(at, 1)
          }
        }
        if (outcome === "abandoned") abandon(unknownProcess)
        answer(undefined)
        if (outcome === "abandoned") tellWatchers()
        return undefined
      },
      gone: ({ pid, slot }) => {
        const wasHeld = isHeldBy(Atomics.load(words, index), slot)
        if (wasHeld) abandon(pid)
        run(inherit(queue, slot), words, index)?.grant()
        if (wasHeld) tellWatchers()
      }
    }
  }
