import { MessageChannel } from "node:worker_threads"
import { makePair } from "../../../src/internal/channel/inline.ts"
import { fromMessagePort } from "../../../src/internal/channel/messagePort.ts"
import { fromStreams } from "../../../src/internal/channel/socket.ts"
import { maxFrameBytes } from "../../../src/internal/protocol/frames.ts"
import { suite } from "./ChannelSuite.ts"
import type { Pair } from "./ChannelSuite.ts"
import { makeWire } from "./wire.ts"

suite("inline", () => makePair<unknown, unknown>(), { sharesMemory: true, transfers: true })

suite("messagePort", (): Pair => {
  const { port1, port2 } = new MessageChannel()
  return [fromMessagePort(port1), fromMessagePort(port2)]
}, { sharesMemory: true, transfers: true })

const sockets = (blockBytes?: number) => (): Pair => {
  const there = makeWire(blockBytes)
  const back = makeWire(blockBytes)
  return [
    fromStreams(there.writable, back.readable, maxFrameBytes),
    fromStreams(back.writable, there.readable, maxFrameBytes)
  ]
}

suite("socket, a block for each write", sockets(), { sharesMemory: false, transfers: false })
suite("socket, blocks of 1000 bytes", sockets(1000), { sharesMemory: false, transfers: false })
