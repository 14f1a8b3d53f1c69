/** No library: two sides that talk by what the platform has. */
import { fork, spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { createServer } from "node:net"
import type { Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { MessageChannel, Worker } from "node:worker_threads"
import { warmUpOf } from "../orders.ts"
import type { PipeOrder } from "../orders.ts"
import { overIpc, overPort, overSocket } from "../tasks/bareTalk.ts"
import type { Side } from "../tasks/bareTalk.ts"
import { order, report } from "./order.ts"

const other = new URL("../tasks/bareTalk.ts", import.meta.url)

interface Talk {
  readonly side: Side
  readonly close: () => unknown
}

const ended = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode === null) await once(child, "exit")
}

const ipc = async (order: PipeOrder): Promise<Talk> => {
  const serialization = order.variant === "ipc, advanced" ? "advanced" : "json"
  const child = fork(other, [JSON.stringify(order)], { serialization })
  return { side: overIpc(order, child), close: () => ended(child) }
}

const port = async (order: PipeOrder): Promise<Talk> => {
  const { port1, port2 } = new MessageChannel()
  const worker = new Worker(other, { argv: [JSON.stringify(order)], workerData: port2, transferList: [port2] })
  return {
    side: overPort(order, port1),
    close: () => {
      port1.close()
      return worker.terminate()
    }
  }
}

const socket = async (order: PipeOrder): Promise<Talk> => {
  const name = `benchmark-${randomBytes(8).toString("hex")}`
  const path = process.platform === "linux" ? `\0${name}` : join(tmpdir(), name)
  const server = createServer().listen(path)
  const visit: Promise<ReadonlyArray<unknown>> = once(server, "connection")
  // no NUL in an argument
  const file = fileURLToPath(other)
  const child = spawn(process.execPath, [file, JSON.stringify(order), encodeURIComponent(path)], { stdio: "inherit" })
  const [visitor] = await visit
  return {
    side: overSocket(order, visitor as Socket),
    close: () => {
      server.close()
      return ended(child)
    }
  }
}

const talk = async (order: PipeOrder): Promise<void> => {
  const open = order.variant?.startsWith("ipc") === true ? ipc : order.variant === "port" ? port : socket
  const { close, side } = await open(order)
  await side.talk(warmUpOf(order.messages))
  const begin = performance.now()
  await side.talk(order.messages)
  report(performance.now() - begin)
  await close()
}

if (order.work === "pipe") await talk(order)
else throw new Error(`nobody talks in ${order.work}`)
