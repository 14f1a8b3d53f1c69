/**
 * A channel over a MessagePort, to and from a worker thread.
 */
import { receiveMessageOnPort } from "node:worker_threads"
import type { MessagePort } from "node:worker_threads"
import type { Channel } from "./Channel.ts"

export interface PortChannel<in Out, out In> extends Channel<Out, In> {
  /** Delivers what is already in the port's queue: a thread's last messages may lie there when its end is reported. */
  readonly drain: () => void
}

/** A thread that speaks faster than it is heard must not keep the loop of the other from turning. */
const mostAtOnce = 1000

/** What lies in the port's queue after this batch, as one; about so much of it at most. */
const withQueued = <In>(port: MessagePort, batch: ReadonlyArray<In>, most: number): ReadonlyArray<In> => {
  let all: Array<In> | undefined
  while (true) {
    if ((all ?? batch).length >= most) return all ?? batch
    const received = receiveMessageOnPort(port) as { readonly message: ReadonlyArray<In> } | undefined
    if (received === undefined) return all ?? batch
    all ??= batch.slice()
    for (const message of received.message) all.push(message)
  }
}

export const fromMessagePort = <Out, In>(port: MessagePort): PortChannel<Out, In> => {
  let onBatch: ((batch: ReadonlyArray<In>) => void) | undefined
  let closed = false
  const channel: PortChannel<Out, In> = {
    sharesMemory: true,
    transfers: true,
    post: (batch, transfers) => {
      if (!closed) port.postMessage(batch, transfers === undefined ? [] : [...transfers])
    },
    listen: (listener, onClose) => {
      onBatch = listener
      // one by one, each message would be answered by a message: under load none would ever be a batch
      port.on("message", (batch: ReadonlyArray<In>) => listener(withQueued(port, batch, mostAtOnce)))
      // a batch that cannot be read is lost, and with it what it told: the channel is of no use any more
      port.on("messageerror", () => port.close())
      port.once("close", () => {
        closed = true
        onClose()
      })
    },
    drain: () => {
      const rest = withQueued<In>(port, [], Infinity)
      if (rest.length > 0) onBatch?.(rest)
    },
    close: () => {
      closed = true
      port.close()
    }
  }
  return channel
}
