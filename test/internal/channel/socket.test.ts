import { assert, describe, it } from "@effect/vitest"
import type { ChildProcess, StdioOptions } from "node:child_process"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { closeSync, openSync } from "node:fs"
import { PassThrough } from "node:stream"
import type { Readable, Writable } from "node:stream"
import { fileURLToPath } from "node:url"
import type { Channel } from "../../../src/internal/channel/Channel.ts"
import { fromDescriptors, fromStreams } from "../../../src/internal/channel/socket.ts"
import { encodeFrame, isFrameTooLarge, maxFrameBytes } from "../../../src/internal/protocol/frames.ts"
import { receive } from "./ChannelSuite.ts"

const timeout = 10_000

describe("a socket channel that receives what is no message", () => {
  const garbage: Record<string, Buffer> = {
    "a body that cannot be decoded": Buffer.from([3, 0, 0, 0, 0xff, 0x0f, 0x99]),
    "an empty body": Buffer.from([0, 0, 0, 0]),
    "a length beyond the limit": Buffer.alloc(16, 0xff),
    "text": Buffer.from("printed by a library that found descriptor 4 open\n")
  }
  for (const [name, bytes] of Object.entries(garbage)) {
    for (const split of [false, true]) {
      it(`closes at ${name}${split ? " that comes byte by byte" : ""}, after the messages before it`, async () => {
        const readable = new PassThrough()
        const received = receive(fromStreams(new PassThrough(), readable, 10_000))
        const stream = Buffer.concat([...encodeFrame(["before"], 10_000), bytes, ...encodeFrame(["after"], 10_000)])
        if (split) { for (const byte of stream) readable.write(Buffer.of(byte)) }
        else readable.write(stream)
        await received.untilClosed()
        assert.deepStrictEqual(received.messages, ["before"])
        assert.isTrue(readable.destroyed)
        assert.strictEqual(received.closes, 1)
      }, timeout)
    }
  }

  it("closes at a value that is no batch, and throws nothing out of an event handler", async () => {
    const readable = new PassThrough()
    const channel = fromStreams<unknown, unknown>(new PassThrough(), readable, maxFrameBytes)
    const seen: Array<unknown> = []
    const closed = new Promise<void>((resolve) =>
      channel.listen((batch) => {
        for (const message of batch) seen.push(message) // as every listener of ours does
      }, resolve)
    )
    const thrown = new Promise<never>((_, reject) => {
      const emit = readable.emit.bind(readable)
      readable.emit = (event: string | symbol, ...args: Array<unknown>): boolean => {
        try {
          return emit(event, ...args)
        } catch (cause) {
          reject(cause)
          return false
        }
      }
    })
    for (const value of [5, null, "text"]) readable.write(encodeFrame(value, maxFrameBytes)[0])
    await Promise.race([closed, thrown])
    assert.deepStrictEqual(seen, [])
  }, timeout)

  it("closes when the stream ends within a frame", async () => {
    const readable = new PassThrough()
    const received = receive(fromStreams(new PassThrough(), readable, maxFrameBytes))
    readable.end(encodeFrame(["whole"], maxFrameBytes)[0].subarray(0, -1))
    await received.untilClosed()
    assert.deepStrictEqual(received.messages, [])
  }, timeout)

  it("closes when the stream fails", async () => {
    const readable = new PassThrough()
    const received = receive(fromStreams(new PassThrough(), readable, maxFrameBytes))
    readable.destroy(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }))
    await received.untilClosed()
    assert.strictEqual(received.closes, 1)
  }, timeout)

  it("survives a peer that no longer reads", async () => {
    const writable = new PassThrough()
    const channel = fromStreams(writable, new PassThrough(), maxFrameBytes)
    writable.destroy(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }))
    await new Promise<void>((resolve) => void writable.once("close", resolve))
    channel.post(["nobody"])
  }, timeout)

  it("is silent when its descriptor cannot be written to", () => {
    const descriptor = openSync(import.meta.filename, "r")
    try {
      const channel = fromDescriptors(0, descriptor, maxFrameBytes)
      channel.post(["nobody"])
      channel.post(["nobody"])
    } finally {
      closeSync(descriptor)
    }
  })

  it("refuses a batch beyond the limit before a byte of it is written", () => {
    const writable = new PassThrough()
    const channel = fromStreams(writable, new PassThrough(), 100)
    try {
      channel.post(["x".repeat(200)])
      assert.fail("it was not refused")
    } catch (cause) {
      assert.isTrue(isFrameTooLarge(cause))
    }
    assert.strictEqual(writable.readableLength, 0)
  })
})

for (const waits of [false, true]) {
  describe(`a socket channel to a real child${waits ? " that waits for the first batch" : ""}`, () => {
    interface Peer {
      readonly child: ChildProcess
      readonly channel: Channel<unknown, unknown>
    }
    const start = (limit: number): Peer => {
      const stdio: StdioOptions = ["ignore", "inherit", "inherit", "pipe", "pipe"]
      const echo = fileURLToPath(new URL("./echo.ts", import.meta.url))
      const child = spawn(process.execPath, [echo, String(limit), waits ? "waits" : "listens"], { stdio, env: {} })
      const [, , , to, from] = child.stdio as unknown as [null, null, null, Writable, Readable]
      return { child, channel: fromStreams(to, from, limit) }
    }

    const withChild = (name: string, limit: number, run: (peer: Peer) => Promise<void>): void =>
      it(name, async () => {
        const peer = start(limit)
        const exited = once(peer.child, "exit")
        try {
          await run(peer)
        } finally {
          peer.child.kill("SIGKILL")
          await exited
        }
      }, timeout)

    withChild("carries large batches there and back, in order", maxFrameBytes, async ({ channel, child }) => {
      const received = receive(channel)
      const large = new Uint8Array(2_000_000).map((_, i) => i)
      for (let i = 0; i < 5; i++) channel.post([i, large])
      await received.until(10)
      for (let i = 0; i < 5; i++) {
        assert.strictEqual(received.messages[2 * i], i)
        assert.strictEqual(Buffer.compare(received.messages[2 * i + 1] as Uint8Array, large), 0)
      }
      channel.close()
      const [code] = await once(child, "exit")
      assert.strictEqual(code, 0, "the child has noticed the end")
      await received.untilClosed()
    })

    for (const word of ["exit", "kill"]) {
      withChild(
        `all that the child posted before its ${word} arrives, and then the end`,
        maxFrameBytes,
        async (peer) => {
          const received = receive(peer.channel)
          peer.channel.post([word])
          await received.untilClosed()
          const numbers = received.messages.filter((message) => typeof message === "number")
          assert.deepStrictEqual(numbers, Array.from({ length: 100 }, (_, i) => i))
          assert.strictEqual(received.messages.length, 200)
        }
      )
    }

    withChild("is closed by what else is written to its descriptor", 10_000, async ({ channel }) => {
      const received = receive(channel)
      channel.post(["first"])
      channel.post(["garbage"])
      await received.untilClosed()
      assert.deepStrictEqual(received.messages, ["first"])
    })

    withChild("has the same limit on the child's side", 10_000, async ({ channel }) => {
      const received = receive(channel)
      channel.post(["refuse"])
      await received.until(1)
      assert.deepStrictEqual(received.messages, ["FrameTooLarge"])
    })

    withChild("is told when the child has heard the first", maxFrameBytes, async ({ channel }) => {
      const received = receive(channel)
      channel.post(["when"])
      await received.until(1)
      channel.post(["when"])
      await received.until(2)
      assert.deepStrictEqual(received.messages, [waits ? "at once" : "later", "later"])
    })

    withChild("that says nothing ends the child", maxFrameBytes, async ({ channel, child }) => {
      channel.close()
      const [code] = await once(child, "exit")
      assert.strictEqual(code, 0)
    })

    withChild("that says what is no message ends the child", maxFrameBytes, async ({ child }) => {
      const [, , , to] = child.stdio as unknown as [null, null, null, Writable]
      to.write(Buffer.alloc(16, 0xff))
      const [code] = await once(child, "exit")
      assert.strictEqual(code, 0)
    })

    withChild("carries a first batch that comes in pieces", maxFrameBytes, async ({ channel, child }) => {
      const [, , , to] = child.stdio as unknown as [null, null, null, Writable]
      const received = receive(channel)
      const frames = Buffer.concat([...encodeFrame(["one"], maxFrameBytes), ...encodeFrame(["two"], maxFrameBytes)])
      for (let at = 0; at < frames.length; at += 5) {
        await new Promise<void>((resolve) => to.write(frames.subarray(at, at + 5), () => setImmediate(resolve)))
      }
      await received.until(2)
      assert.deepStrictEqual(received.messages, ["one", "two"])
    })
  })
}
