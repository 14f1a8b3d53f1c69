import { assert, it } from "@effect/vitest"
import { MessageChannel } from "node:worker_threads"
import { makePair } from "../../../src/internal/channel/inline.ts"
import { fromMessagePort } from "../../../src/internal/channel/messagePort.ts"
import { fromStreams } from "../../../src/internal/channel/socket.ts"
import { maxFrameBytes } from "../../../src/internal/protocol/frames.ts"
import { receive, suite } from "./ChannelSuite.ts"
import type { Pair } from "./ChannelSuite.ts"
import { makeWire } from "./wire.ts"

suite("inline", () => makePair<unknown, unknown>(), { sharesMemory: true, transfers: true })

suite("messagePort", (): Pair => {
  const { port1, port2 } = new MessageChannel()
  return [fromMessagePort(port1), fromMessagePort(port2)]
}, { sharesMemory: true, transfers: true })

it("a port that cannot read a batch closes: what it told is lost", async () => {
  const { port1, port2 } = new MessageChannel()
  const received = receive(fromMessagePort(port1))
  receive(fromMessagePort(port2))
  port1.emit("messageerror", new Error("a batch of another world"))
  await received.untilClosed()
  assert.deepStrictEqual([received.messages, received.closes], [[], 1])
})

it("a port that is drained gives what lies in its queue at once, and nothing twice", async () => {
  const { port1, port2 } = new MessageChannel()
  const [near, far] = [fromMessagePort(port1), fromMessagePort(port2)]
  const received = receive(near)
  far.post([1, 2])
  far.post([3])
  near.drain()
  assert.deepStrictEqual(received.messages, [1, 2, 3])
  far.post([4])
  await received.until(4)
  assert.deepStrictEqual(received.messages, [1, 2, 3, 4])
  near.close()
  await received.untilClosed()
})

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
