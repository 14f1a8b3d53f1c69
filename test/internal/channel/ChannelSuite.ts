/**
 * What every channel promises, as one suite. A channel may join batches that come together: what counts is the order of
 * the messages.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Channel } from "../../../src/internal/channel/Channel.ts"

export type Pair = readonly [Channel<unknown, unknown>, Channel<unknown, unknown>]

/** What a listener has seen, and the next time that something is there. */
export interface Received {
  readonly messages: Array<unknown>
  closes: number
  /** Resolves when so many messages have come. */
  readonly until: (count: number) => Promise<void>
  readonly untilClosed: () => Promise<void>
}

export const receive = (channel: Channel<unknown, unknown>): Received => {
  const waiting: Array<() => void> = []
  const when = async (there: () => boolean): Promise<void> => {
    while (!there()) await new Promise<void>((resolve) => waiting.push(resolve))
  }
  const wake = (): void => {
    for (const resolve of waiting.splice(0)) resolve()
  }
  const received: Received = {
    messages: [],
    closes: 0,
    until: (count) => when(() => received.messages.length >= count),
    untilClosed: () => when(() => received.closes > 0)
  }
  channel.listen((batch) => {
    assert.strictEqual(received.closes, 0, "a batch after the close")
    received.messages.push(...batch)
    wake()
  }, () => {
    received.closes++
    wake()
  })
  return received
}

export interface ChannelClaims {
  readonly sharesMemory: boolean
  readonly transfers: boolean
}

const timeout = 3000

export const suite = (name: string, make: () => Pair, claims: ChannelClaims): void => {
  describe(name, () => {
    const closing: Array<() => void> = []
    const open = (): Pair => {
      const pair = make()
      closing.push(() => pair.forEach((channel) => channel.close()))
      return pair
    }
    const law = (name: string, run: () => Promise<void>): void =>
      it(name, async () => {
        try {
          await run()
        } finally {
          for (const close of closing.splice(0)) close()
        }
      }, timeout)

    law("says what it can do", async () => {
      for (const { sharesMemory, transfers } of open()) assert.deepStrictEqual({ sharesMemory, transfers }, claims)
    })

    law("messages arrive in order, however they were batched, both ways at once", async () => {
      const [a, b] = open()
      const atA = receive(a)
      const atB = receive(b)
      const batches = Array.from({ length: 200 }, (_, i) => Array.from({ length: i % 4 }, (_, j) => [i, j]))
      for (const batch of batches) {
        a.post(batch)
        b.post([batch])
      }
      await atB.until(batches.flat().length)
      await atA.until(batches.length)
      assert.deepStrictEqual(atB.messages, batches.flat())
      assert.deepStrictEqual(atA.messages, batches)
    })

    law("what was posted before the other side listens arrives when it does", async () => {
      const [a, b] = open()
      a.post(["first"])
      a.post(["second"])
      await new Promise((resolve) => setImmediate(resolve))
      const atB = receive(b)
      a.post(["third"])
      await atB.until(3)
      assert.deepStrictEqual(atB.messages, ["first", "second", "third"])
    })

    law("nothing is delivered within the call that posts or listens", async () => {
      const [a, b] = open()
      a.post(["early"])
      const atB = receive(b)
      assert.deepStrictEqual(atB.messages, [])
      a.post(["late"])
      assert.deepStrictEqual(atB.messages, [])
      await atB.until(2)
    })

    law("a listener that posts, and posts again, keeps the order", async () => {
      const [a, b] = open()
      const atA = receive(a)
      let rounds = 0
      b.listen((batch) => {
        for (const message of batch) {
          b.post([["one", message]])
          b.post([["two", message]])
          if (++rounds < 3) a.post([rounds])
        }
      }, () => {})
      a.post([0])
      await atA.until(6)
      assert.deepStrictEqual(atA.messages, [0, 1, 2].flatMap((i) => [["one", i], ["two", i]]))
    })

    law("what arrives is a copy, as it was when it was posted", async () => {
      const [a, b] = open()
      const atB = receive(b)
      const value = { list: [1], map: new Map([["k", new Date(0)]]), bytes: new Uint8Array([1, 2]) }
      a.post([value, value])
      value.list.push(2)
      value.map.clear()
      value.bytes.fill(9)
      await atB.until(2)
      const [first, second] = atB.messages as ReadonlyArray<typeof value>
      assert.deepStrictEqual(first, { list: [1], map: new Map([["k", new Date(0)]]), bytes: new Uint8Array([1, 2]) })
      assert.strictEqual(first, second, "what is shared within a batch stays shared")
      first!.list.push(3)
      assert.deepStrictEqual(value.list, [1, 2])
    })

    law("a large view arrives as it was when it was posted", async () => {
      const [a, b] = open()
      const bytes = new Uint8Array(300_000).fill(1)
      a.post([bytes])
      bytes.fill(9)
      const atB = receive(b)
      await atB.until(1)
      assert.isTrue((atB.messages[0] as Uint8Array).every((byte) => byte === 1))
    })

    law("a large batch arrives", async () => {
      const [a, b] = open()
      const atB = receive(b)
      const large = new Uint8Array(3_000_000).map((_, i) => i)
      a.post([large])
      a.post(["after"])
      await atB.until(2)
      assert.strictEqual(Buffer.compare(atB.messages[0] as Uint8Array, large), 0)
      assert.strictEqual(atB.messages[1], "after")
    })

    law("a batch that cannot be cloned throws, and none of it is sent", async () => {
      const [a, b] = open()
      const atB = receive(b)
      assert.throws(() => a.post(["before it", () => {}, "after it"]), /could not be cloned/)
      a.post(["next"])
      await atB.until(1)
      assert.deepStrictEqual(atB.messages, ["next"])
    })

    law(
      claims.transfers
        ? "a buffer in the list of transfers moves"
        : "a buffer in the list of transfers is copied, and stays",
      async () => {
        const [a, b] = open()
        const atB = receive(b)
        const { buffer } = new Uint8Array([1, 2, 3])
        a.post([{ buffer }], [buffer])
        assert.strictEqual(buffer.byteLength, claims.transfers ? 0 : 3)
        await atB.until(1)
        const arrived = atB.messages[0] as { readonly buffer: ArrayBuffer }
        assert.deepStrictEqual(Array.from(new Uint8Array(arrived.buffer)), [1, 2, 3])
      }
    )

    law(claims.sharesMemory ? "shared memory arrives shared" : "a shared buffer is refused", async () => {
      const [a, b] = open()
      const atB = receive(b)
      const shared = new Int32Array(new SharedArrayBuffer(4))
      if (!claims.sharesMemory) return assert.throws(() => a.post([shared.buffer]), /could not be cloned/)
      a.post([shared])
      await atB.until(1)
      Atomics.store(shared, 0, 5)
      assert.strictEqual(Atomics.load(atB.messages[0] as Int32Array, 0), 5)
    })

    law("a close delivers what was posted before it, then the end, once", async () => {
      const [a, b] = open()
      const atA = receive(a)
      const atB = receive(b)
      a.post([1])
      a.post([2])
      a.close()
      a.close()
      await atB.untilClosed()
      assert.deepStrictEqual(atB.messages, [1, 2])
      b.close()
      await atA.untilClosed()
      await new Promise((resolve) => setImmediate(resolve))
      assert.deepStrictEqual([atA.closes, atB.closes], [1, 1])
    })

    law("whoever listens after the close is still given what was posted before it, and the end", async () => {
      const [a, b] = open()
      a.post([1])
      a.close()
      await new Promise((resolve) => setImmediate(resolve))
      const atB = receive(b)
      await atB.untilClosed()
      assert.deepStrictEqual(atB.messages, [1])
    })

    law("a post after the close is silent, on both sides", async () => {
      const [a, b] = open()
      const atA = receive(a)
      const atB = receive(b)
      a.close()
      a.post(["nobody hears it"])
      await atB.untilClosed()
      b.close()
      b.post(["nobody hears it"])
      await atA.untilClosed()
      assert.deepStrictEqual([atA.messages, atB.messages], [[], []])
    })
  })
}
