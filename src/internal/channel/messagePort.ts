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
      port.on("message", listener)
      port.once("close", () => {
        closed = true
        onClose()
      })
    },
    drain: () => {
      while (true) {
        const received = receiveMessageOnPort(port) as { readonly message: ReadonlyArray<In> } | undefined
        if (received === undefined) return
        onBatch?.(received.message)
      }
    },
    keepAlive: (alive) => alive ? port.ref() : port.unref(),
    close: () => {
      closed = true
      port.close()
    }
  }
  return channel
}
