/**
 * The permits of a semaphore, in the hub of its owner: those that are free, those that a process has, and who waits.
 *
 * Every permit is in one place: free, or with a process. So what a process has comes back once, by a release of whoever, or
 * when it dies.
 */
import type { HubObject } from "./link.ts"

interface Waiting {
  readonly slot: number
  readonly count: number
  readonly grant: () => void
}

/** Answers a release of more than may come back. */
export const tooMany = -1

export const makeSemaphoreObject = (permits: number, bounded: boolean) => (): HubObject => {
  let free = permits
  /** By slot, those first that have had some for longest. */
  const held = new Map<number, number>()
  const queue: Array<Waiting> = []

  const heldByAll = (): number => {
    let sum = 0
    for (const count of held.values()) sum += count
    return sum
  }

  const hold = ({ count, grant, slot }: Waiting): void => {
    free -= count
    held.set(slot, (held.get(slot) ?? 0) + count)
    grant()
  }

  /** A large request at the head is waited for: those behind it would overtake it for ever. */
  const serve = (): void => {
    while (queue.length > 0 && queue[0]!.count <= free) hold(queue.shift()!)
  }

  /** How many of these come from this slot. */
  const takeBack = (slot: number, count: number): number => {
    const has = held.get(slot) ?? 0
    const taken = Math.min(has, count)
    if (taken === has) held.delete(slot)
    else held.set(slot, has - taken)
    return taken
  }

  /** Of the releaser's own first, then of those who have had some for longest; only then are there more than before. */
  const release = (slot: number, count: number): number => {
    const most = bounded ? heldByAll() : Number.MAX_SAFE_INTEGER - free
    if (count > most) return tooMany
    let rest = count - takeBack(slot, count)
    for (const other of held.keys()) {
      if (rest === 0) break
      rest -= takeBack(other, rest)
    }
    free += count
    serve()
    return free
  }

  return {
    call: ({ slot }, operation, argument, answer) => {
      const count = argument as number // checked where it was asked for
      if (operation === "release") {
        answer(release(slot, count))
        return undefined
      }
      const waiting: Waiting = { slot, count, grant: () => answer(count) }
      queue.push(waiting)
      serve()
      return () => {
        const index = queue.indexOf(waiting)
        if (index < 0) return
        queue.splice(index, 1)
        serve()
      }
    },
    gone: ({ slot }) => {
      free += takeBack(slot, Infinity)
      serve()
    }
  }
}
