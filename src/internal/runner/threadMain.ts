/**
 * What a thread boots.
 */
import { workerData } from "node:worker_threads"
import type { MessagePort } from "node:worker_threads"
import { fromMessagePort } from "../channel/messagePort.ts"
import { runChild } from "./child.ts"

const { port, progress } = workerData as { readonly port: MessagePort; readonly progress: Int32Array } // as given by the start method
runChild({
  channel: fromMessagePort(port),
  progress,
  isRead: true,
  // what the process uses is not what this thread does
  memory: () => {
    const { external, heapUsed } = process.memoryUsage() // `external` has the buffers in it
    return heapUsed + external
  },
  stop: () => process.exit(1),
  onUserCode: () => undefined
})
