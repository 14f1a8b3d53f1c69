/**
 * An authenticated socket, as effect/rpc wants it.
 */
import type { Socket as NetSocket } from "node:net"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import { forsakeIn } from "../codec/values.ts"
import { unframed } from "./border.ts"
import { encodeMessage } from "./messages.ts"

/** So much may wait here; what comes after it waits with the system, which holds up the other side. */
const mostWaiting = 1024 * 1024

type Blocks = readonly [Uint8Array, ...Array<Uint8Array>]

const closed = (code: number): Socket.SocketError =>
  new Socket.SocketError({ reason: new Socket.SocketCloseError({ code }) })

const notWritten = (cause: unknown): Socket.SocketError =>
  new Socket.SocketError({ reason: new Socket.SocketWriteError({ cause }) })

const makePull = (socket: NetSocket): Effect.Effect<Blocks, Socket.SocketError> => {
  let blocks: Array<Uint8Array> = []
  let waiting = 0
  let error: Socket.SocketError | undefined
  let waiter: ((effect: Effect.Effect<Blocks, Socket.SocketError>) => void) | undefined

  const take = (): Effect.Effect<Blocks, Socket.SocketError> | undefined => {
    const [first, ...others] = blocks
    if (first === undefined) return error === undefined ? undefined : Effect.fail(error)
    blocks = []
    if (waiting > mostWaiting) socket.resume()
    waiting = 0
    return Effect.succeed([first, ...others])
  }
  const wake = (): void => {
    if (waiter === undefined) return
    const taken = take()
    if (taken === undefined) return
    const resume = waiter
    waiter = undefined
    resume(taken)
  }
  const end = (code: number): void => {
    error ??= closed(code)
    wake()
  }
  socket.on("data", (block: Uint8Array) => {
    blocks.push(block)
    waiting += block.length
    if (waiting > mostWaiting) socket.pause()
    wake()
  })
  socket.on("error", () => end(1006))
  socket.on("end", () => end(1000))
  socket.on("close", () => end(1000))
  if (socket.destroyed) end(1000)
  socket.resume() // it was at rest since its handshake

  const wait = Effect.callback<Blocks, Socket.SocketError>((resume) => {
    waiter = resume
    wake()
    return Effect.sync(() => {
      if (waiter === resume) waiter = undefined
    })
  })
  return Effect.suspend(() => take() ?? wait)
}

type Written = Effect.Effect<void, Socket.SocketError>

const untilDrained = (socket: NetSocket, gone: Written): Written =>
  Effect.callback((resume) => {
    const stop = (): void => {
      socket.off("drain", onDrain)
      socket.off("close", onClose)
    }
    const onDrain = (): void => {
      stop()
      resume(Effect.void)
    }
    const onClose = (): void => {
      stop()
      resume(gone)
    }
    // it may have been told before this fiber came here
    if (socket.destroyed) return resume(gone)
    if (!socket.writableNeedDrain) return resume(Effect.void)
    socket.on("drain", onDrain)
    socket.on("close", onClose)
    return Effect.sync(stop)
  })

/** What is given away by it was not sent, or did not arrive. */
const forsake = (message: unknown): void => {
  const { _tag } = message as { readonly _tag: unknown } // of effect/rpc
  if (_tag === "Exit" || _tag === "Chunk") forsakeIn(message) // of a request the proxy knows
}

/** Throws an `Unframed`. */
const framed = (message: unknown, limit: number): Uint8Array => {
  try {
    return encodeMessage(message, limit)
  } catch (cause) {
    forsake(message)
    throw unframed(cause)
  }
}

/** The first frame of a turn goes at once; those that follow it leave as one. */
const makePush = (socket: NetSocket): (frame: Uint8Array) => boolean => {
  let isTurn = false
  let isCorked = false
  const endTurn = (): void => {
    isTurn = false
    if (!isCorked) return
    isCorked = false
    socket.uncork()
  }
  return (frame) => {
    if (!isTurn) {
      isTurn = true
      queueMicrotask(endTurn)
    } else if (!isCorked) {
      isCorked = true
      socket.cork()
    }
    return socket.write(frame)
  }
}

/** What the serialization writes are messages, and each is a frame here. */
const makeWriter = (socket: NetSocket, { isForgiving, limit }: SocketTerms): Socket.Writer => {
  socket.setMaxListeners(0) // as many as there are calls may wait until it has drained
  const push = makePush(socket)
  const gone: Written = isForgiving
    ? Effect.void
    : Effect.suspend(() => Effect.fail(notWritten(new Error("the socket has closed"))))
  const write = (message: unknown): Written =>
    Effect.suspend(() => {
      if (Socket.isCloseEvent(message)) {
        socket.destroy()
        return Effect.void
      }
      if (!socket.writable) {
        forsake(message)
        return gone
      }
      return push(framed(message, limit)) ? Effect.void : untilDrained(socket, gone)
    })
  return { write, writeAll: (chunks) => Effect.forEach(chunks, write, { discard: true }) }
}

/** For so long the other side may take to read what was written last. */
const lingerMillis = 1000

/**
 * Ends it when the other side has read all. One that is closed while the other side still writes is reset, and what that has
 * not read by then is lost: also the end of what was held here.
 */
export const hangUp = (socket: NetSocket): void => {
  if (!socket.writable) return
  socket.removeAllListeners("data")
  socket.resume()
  socket.unref()
  const giveUp = setTimeout(() => socket.destroy(), lingerMillis).unref()
  socket.once("close", () => clearTimeout(giveUp))
  socket.end()
}

export interface SocketTerms {
  /** What it sends has at most so many bytes. */
  readonly limit: number
  /** Of the server: what cannot be written any more is let go, for whoever reads hears of its end; and that is the end of it. */
  readonly isForgiving: boolean
}

/** It ends with the scope of its reader, and can be read once. */
export const socketOver = (socket: NetSocket, terms: SocketTerms): Socket.Socket =>
  Socket.make({
    reader: Effect.flatMap(Effect.scope, (scope) =>
      Effect.as(
        Scope.addFinalizer(scope, Effect.sync(() => terms.isForgiving ? socket.destroySoon() : hangUp(socket))),
        { pull: makePull(socket), upgrade: Socket.SocketUpgradeError.unsupported }
      )),
    writer: Effect.succeed(makeWriter(socket, terms))
  })
