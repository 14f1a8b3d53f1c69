/**
 * A channel inside one thread. It clones what it carries, as a border does, and delivers later, never in the call.
 */
import type { Channel } from "./Channel.ts"

interface Side<In> {
  onBatch: ((batch: ReadonlyArray<In>) => void) | undefined
  onClose: () => void
  waiting: Array<ReadonlyArray<In>>
  scheduled: boolean
}

const makeSide = <In>(): Side<In> => ({ onBatch: undefined, onClose: () => {}, waiting: [], scheduled: false })

/** A pair of ends. Closing one closes the other after what was posted before. */
export const makePair = <A, B>(): readonly [Channel<A, B>, Channel<B, A>] => {
  const first = makeSide<B>()
  const second = makeSide<A>()
  let closed = false
  let over = false

  const deliver = <In>(side: Side<In>): void => {
    if (side.scheduled || side.onBatch === undefined) return
    side.scheduled = true
    queueMicrotask(() => {
      side.scheduled = false
      const batches = side.waiting
      side.waiting = []
      for (const batch of batches) side.onBatch!(batch)
    })
  }

  const close = (): void => {
    if (closed) return
    closed = true
    queueMicrotask(() => {
      over = true
      for (const side of [first, second] as const) {
        side.onClose()
        side.onClose = () => {}
      }
    })
  }

  const end = <Out, In>(mine: Side<In>, other: Side<Out>): Channel<Out, In> => ({
    sharesMemory: true,
    transfers: true,
    post: (batch, transfers) => {
      if (closed) return
      other.waiting.push(structuredClone(batch, { transfer: transfers === undefined ? [] : [...transfers] }))
      deliver(other)
    },
    listen: (onBatch, onClose) => {
      mine.onBatch = onBatch
      if (mine.waiting.length > 0) deliver(mine)
      if (over) queueMicrotask(onClose)
      else mine.onClose = onClose
    },
    close
  })

  return [end<A, B>(first, second), end<B, A>(second, first)]
}
