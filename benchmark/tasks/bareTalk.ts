/** Both sides of a talk over what the platform has, and the other side's process or thread. */
import type { ChildProcess } from "node:child_process"
import { connect } from "node:net"
import type { Socket } from "node:net"
import { isMainThread, workerData } from "node:worker_threads"
import type { MessagePort } from "node:worker_threads"
import { warmUpOf } from "../orders.ts"
import type { PipeOrder } from "../orders.ts"

/** Sends, and does not wait; calls back for each message that comes. */
interface Way {
  readonly send: (message: Uint8Array | string) => void
  readonly listen: (onMessage: (length: number) => void) => void
  /** Resolves when more may be sent; undefined where that is now. */
  readonly full: () => Promise<void> | undefined
  readonly flush: () => void
  readonly close: () => void
}

export interface Side {
  readonly talk: (count: number) => Promise<void>
  readonly listen: () => Promise<void>
}

/** So many come; resolves when they are there. */
const makeCounter = (way: Way, onEach: () => void) => {
  let missing = 0
  let length = 0
  let done: ((length: number) => void) | undefined
  way.listen((bytes) => {
    length = bytes
    onEach()
    if (--missing === 0) done?.(length)
  })
  return (count: number): Promise<number> => {
    missing += count
    return missing === 0 ? Promise.resolve(length) : new Promise((resolve) => void (done = resolve))
  }
}

const sideOf = ({ bytes, messages, pattern, variant }: PipeOrder, way: Way): Side => {
  const message = variant === "ipc, json" ? "x".repeat(bytes) : new Uint8Array(bytes).fill(0xa5)
  const say = (what: Uint8Array | string): void => {
    way.send(what)
    way.flush()
  }
  let onEach: () => void = () => {}
  const arrived = makeCounter(way, () => onEach())
  const stream = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      way.send(message)
      const full = way.full()
      if (full !== undefined) await full
    }
    way.flush()
    await arrived(1)
  }
  const pingPong = (count: number): Promise<unknown> => {
    let left = count
    onEach = () => {
      if (--left > 0) say(message)
    }
    say(message)
    return arrived(count)
  }
  const listenOnce = async (count: number): Promise<void> => {
    const length = await arrived(count)
    if (length !== bytes) throw new Error(`a message of ${length} bytes`)
    if (pattern === "stream") say(variant === "ipc, json" ? "all" : new Uint8Array(1))
  }
  return {
    talk: async (count) => void await (pattern === "stream" ? stream(count) : pingPong(count)),
    listen: async () => {
      if (pattern === "pingPong") onEach = () => say(message)
      await listenOnce(warmUpOf(messages))
      await listenOnce(messages)
      way.close()
    }
  }
}

// ---------------------------------------------------------------------------------------------------- the platform's

export const overIpc = (order: PipeOrder, peer: ChildProcess | NodeJS.Process): Side => {
  let full: Promise<void> | undefined
  return sideOf(order, {
    send: (message) => {
      full = undefined
      // what it says of being full: to be followed, or its memory grows with all that waits
      if (peer.send!(message)) return
      full = new Promise((resolve) => setImmediate(resolve))
    },
    listen: (onMessage) => void (peer as NodeJS.EventEmitter).on("message", ({ length }) => onMessage(length)),
    full: () => full,
    flush: () => {},
    close: () => peer.disconnect!()
  })
}

export const overPort = (order: PipeOrder, port: MessagePort): Side =>
  sideOf(order, {
    send: (message) => port.postMessage(message),
    listen: (onMessage) => void port.on("message", ({ length }) => onMessage(length)),
    full: () => undefined,
    flush: () => {},
    close: () => {}
  })

const headerBytes = 4
/** Of what is put together by hand. */
const batchBytes = 64 * 1024

/** Four bytes of length, then the message. */
export const overSocket = (order: PipeOrder, socket: Socket): Side => {
  const most = order.variant === "socket, batched" ? batchBytes : 0
  let batch: Array<Uint8Array> = []
  let size = 0
  let isFull = false
  const write = (): void => {
    if (batch.length > 0) isFull = !socket.write(Buffer.concat(batch, size))
    batch = []
    size = 0
  }
  const send = (message: Uint8Array | string): void => {
    const header = Buffer.allocUnsafe(headerBytes)
    header.writeUInt32LE(message.length)
    batch.push(header, message as Uint8Array)
    size += headerBytes + message.length
    if (size > most) write()
  }
  return sideOf(order, {
    send,
    listen: (onMessage) => listenToFrames(socket, onMessage),
    full: () =>
      isFull ? new Promise((resolve) => socket.once("drain", () => resolve(void (isFull = false)))) : undefined,
    flush: write,
    close: () => socket.end()
  })
}

const listenToFrames = (socket: Socket, onMessage: (length: number) => void): void => {
  let blocks: Array<Buffer> = []
  let held = 0
  let needed = headerBytes
  socket.on("data", (block: Buffer) => {
    blocks.push(block)
    held += block.length
    if (held < needed) return
    const all = blocks.length === 1 ? block : Buffer.concat(blocks, held)
    let at = 0
    while (true) {
      needed = headerBytes
      if (all.length - at < headerBytes) break
      needed += all.readUInt32LE(at)
      if (all.length - at < needed) break
      onMessage(all.subarray(at + headerBytes, at + needed).length)
      at += needed
    }
    held = all.length - at
    blocks = held === 0 ? [] : [all.subarray(at)]
  })
}

// ---------------------------------------------------------------------------------------------------- the other side

if (import.meta.main || !isMainThread) {
  const [given = "{}", path] = process.argv.slice(2)
  const order: PipeOrder = JSON.parse(given)
  const side = !isMainThread
    ? overPort(order, workerData)
    : path === undefined
    ? overIpc(order, process)
    : overSocket(order, connect(decodeURIComponent(path)))
  await side.listen()
}
