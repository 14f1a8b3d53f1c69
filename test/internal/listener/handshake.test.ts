import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import {
  beginClient,
  beginServer,
  hear,
  nonceBytes,
  refusal,
  welcome
} from "../../../src/internal/listener/handshake.ts"
import type { Heard, Means, Outcome, State } from "../../../src/internal/listener/handshake.ts"

const means = (seed: number, key = "the key", limit = 1000 + seed): Means => ({
  key: Buffer.from(key),
  nonce: Buffer.alloc(nonceBytes, seed),
  limit
})

interface Side {
  state: State
  outcome: Outcome
}

/** What a side is told, and what it answers. */
const tell = (side: Side, bytes: Uint8Array): Uint8Array => {
  if (side.outcome._tag !== "Waiting") return new Uint8Array(0)
  const heard = hear(side.state, bytes)
  side.state = heard.state
  side.outcome = heard.outcome
  return Buffer.concat(heard.say)
}

type Way = "toServer" | "toClient"

/** Both sides, and what is between them: `carry` says in which blocks the bytes of one turn arrive. */
const converse = (
  client: Means,
  server: Means,
  carry: (bytes: Uint8Array, way: Way, turn: number) => ReadonlyArray<Uint8Array> = (bytes) => [bytes]
): { readonly client: Outcome; readonly server: Outcome; readonly said: ReadonlyArray<Uint8Array> } => {
  const [state, first] = beginClient(client)
  const ends: Record<Way, Side> = {
    toClient: { state, outcome: { _tag: "Waiting" } },
    toServer: { state: beginServer(server), outcome: { _tag: "Waiting" } }
  }
  const said: Array<Uint8Array> = []
  let bytes: Uint8Array = first
  for (let turn = 0; bytes.length > 0; turn++) {
    const way: Way = turn % 2 === 0 ? "toServer" : "toClient"
    said.push(bytes)
    const wasWaiting = ends[way].outcome._tag === "Waiting"
    let answer: Uint8Array = Buffer.concat(carry(bytes, way, turn).map((block) => tell(ends[way], block)))
    if (way === "toServer" && wasWaiting && ends[way].outcome._tag === "Authenticated") answer = welcome
    bytes = answer
  }
  return { client: ends.toClient.outcome, server: ends.toServer.outcome, said }
}

const isIn = ({ _tag }: Outcome): boolean => _tag === "Authenticated"

const lengthsOfTurns = converse(means(1), means(2)).said.map(({ length }) => length)
const totalBytes = lengthsOfTurns.reduce((sum, length) => sum + length, 0)

/** The cases are the same in every run. */
const seeded = (seed: number) => (): number => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return seed / 2 ** 32
}

/** Some bytes are others, are missing, or are there twice. */
const spoiled = (real: Buffer, below: (count: number) => number): Buffer => {
  const bytes = Buffer.from(real)
  const [from, to] = [below(bytes.length), below(bytes.length + 1)].sort((a, b) => a - b) as [number, number]
  switch (below(4)) {
    case 0:
      return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)])
    case 1:
      return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)])
    default:
      for (let changes = 1 + below(4); changes > 0; changes--) bytes[below(bytes.length)]! ^= 1 + below(255)
      return bytes
  }
}

describe("a handshake", () => {
  it("of two who have the same key lets both in, and tells each the other's limit", () => {
    const { client, said, server } = converse(means(1), means(2))
    assert.deepInclude(client, { _tag: "Authenticated", peerLimit: 1002 })
    assert.deepInclude(server, { _tag: "Authenticated", peerLimit: 1001 })
    assert.strictEqual(said.length, 4)
    assert.isBelow(totalBytes, 256)
  })

  it("may be cut into any blocks", () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(cuts, (sizes) => {
        let i = 0
        const { client, server } = converse(means(1), means(2), (bytes) => {
          const blocks: Array<Uint8Array> = []
          for (let at = 0; at < bytes.length;) {
            const size = sizes[i++ % sizes.length]!
            blocks.push(bytes.subarray(at, at + size))
            at += size
          }
          return blocks
        })
        assert.isTrue(isIn(client) && isIn(server))
      }),
      { numRuns: 200 }
    )
  })

  it("in which a single bit was changed on its way does not let in whoever hears it, nor both", () => {
    for (let bit = 0; bit < totalBytes * 8; bit++) {
      let from = 0
      let changed: Way = "toServer"
      const { client, server } = converse(means(1), means(2), (bytes, way, turn) => {
        const at = Math.floor(bit / 8) - from
        from += lengthsOfTurns[turn] ?? bytes.length
        if (at < 0 || at >= bytes.length) return [bytes]
        const copy = Buffer.from(bytes)
        copy[at] = copy[at]! ^ (1 << (bit % 8))
        changed = way
        return [copy]
      })
      assert.isFalse(isIn(client), `bit ${bit}`)
      if (changed === "toServer") assert.isFalse(isIn(server), `bit ${bit}`)
    }
  })

  it("with another key fails at the client first, and says nothing that a server could not say", () => {
    const { client, said, server } = converse(means(1, "one"), means(2, "another"))
    assert.deepEqual(client, { _tag: "Failed", why: "key" })
    assert.strictEqual(server._tag, "Waiting")
    assert.strictEqual(said.length, 2)
  })

  it("is not won by sending back what was heard", () => {
    const [state, hello] = beginClient(means(1))
    assert.strictEqual(hear(state, hello).outcome._tag, "Failed")
    // an impostor asks the client's own kind: two clients' numbers, and a server's proof about others
    const reflected = hear(beginServer(means(3)), hello)
    const elsewhere = hear(beginServer(means(4)), beginClient(means(9))[1])
    for (const answer of [hello, Buffer.concat(elsewhere.say)]) {
      assert.deepInclude(hear(beginClient(means(1))[0], answer).outcome, { _tag: "Failed" })
    }
    // the server's own proof, as a client's
    const challenge = Buffer.concat(reflected.say)
    const mac = challenge.subarray(challenge.length - 32)
    const proof = Buffer.from(converse(means(1), means(3)).said[2]!)
    mac.copy(proof, proof.length - 32)
    assert.deepInclude(hear(reflected.state, proof).outcome, { _tag: "Failed", why: "key" })
  })

  it("cannot be said again: every server asks for something new", () => {
    const { said } = converse(means(1), means(2))
    // all that may be the same is the same
    const again = hear(beginServer(means(3, "the key", 1002)), said[0]!)
    assert.strictEqual(again.outcome._tag, "Waiting")
    assert.deepInclude(hear(again.state, said[2]!).outcome, { _tag: "Failed", why: "key" })
  })

  it("is over for whoever speaks before they were answered, or has another version", () => {
    const [, hello] = beginClient(means(1))
    assert.deepInclude(hear(beginServer(means(2)), Buffer.concat([hello, hello])).outcome, { why: "noise" })
    const other = Buffer.from(hello)
    other[4] = 2
    const answer = hear(beginServer(means(2)), other)
    assert.deepInclude(answer.outcome, { _tag: "Failed", why: "version" })
    // and the other hears of it: as its own version would find the header of ours
    const ours = Buffer.concat(answer.say)
    ours[4] = 2
    assert.deepInclude(hear(beginClient(means(1))[0], ours).outcome, { _tag: "Failed", why: "version" })
  })

  it("refuses a frame of another length at its header, before any of it is kept", () => {
    const header = Buffer.from(beginClient(means(1))[1].subarray(0, 8))
    header.writeUInt16LE(0xffff, 6)
    const { outcome, state } = hear(beginServer(means(2)), header)
    assert.deepInclude(outcome, { _tag: "Failed", why: "noise" })
    assert.strictEqual(state.held.length, 0)
  })

  it("passes on what follows the welcome, and why there is none", () => {
    const afterProof = (bytes: Uint8Array): Heard => {
      const [state, hello] = beginClient(means(1))
      return hear(hear(state, Buffer.concat(hear(beginServer(means(2)), hello).say)).state, bytes)
    }
    const through = afterProof(Buffer.concat([welcome, Buffer.from("more")])).outcome
    assert.strictEqual(through._tag === "Authenticated" && Buffer.from(through.rest).toString(), "more")
    assert.deepInclude(afterProof(refusal("busy")).outcome, { why: "busy" })
    assert.deepInclude(afterProof(refusal("key")).outcome, { why: "key" })
  })

  it("of anything that is said at random is lost, and keeps less than a frame of it", () => {
    const blocks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { minLength: 1, maxLength: 20 })
    // half of them begin as they should
    const begun = fc.tuple(fc.boolean(), fc.constantFrom(1, 2, 3, 4, 5), blocks)
    fc.assert(
      fc.property(begun, fc.boolean(), ([isBegun, kind, said], isClient) => {
        const state = isClient ? beginClient(means(1))[0] : beginServer(means(2))
        const side: Side = { state, outcome: { _tag: "Waiting" } }
        const length = [0, 32, 68, 36, 0, 1][kind]!
        if (isBegun) tell(side, Buffer.from([...Buffer.from("empl"), 1, kind, length, 0]))
        for (const block of said) {
          tell(side, block)
          assert.isBelow(side.state.held.length, 128)
        }
        assert.isFalse(isIn(side.outcome))
      }),
      { numRuns: 30_000, seed: 7 }
    )
  })

  it("that is real but for a few bytes is lost, or waits for more, 30,000 times", () => {
    const random = seeded(9)
    const below = (count: number): number => Math.floor(random() * count)
    const { said } = converse(means(1), means(2))
    const before = process.memoryUsage().rss
    const outcomes = new Set<string>()
    for (let i = 0; i < 30_000; i++) {
      const isClient = random() < 0.5
      const side: Side = {
        state: isClient ? beginClient(means(1))[0] : beginServer(means(2)),
        outcome: { _tag: "Waiting" }
      }
      const real = Buffer.concat(said.filter((_, turn) => turn % 2 === (isClient ? 1 : 0)))
      const bytes = spoiled(real, below)
      // as it would come: whoever is spoken to answers in between
      const first = said[isClient ? 1 : 0]!.length
      const at = random() < 0.5 ? Math.min(first, bytes.length) : below(bytes.length)
      for (const block of [bytes.subarray(0, at), bytes.subarray(at)]) {
        tell(side, block)
        assert.isBelow(side.state.held.length, 128)
      }
      // what was changed behind the last frame, or came after it, is not a part of it
      const isReal = bytes.subarray(0, real.length).equals(real)
      if (!isReal) assert.isFalse(isIn(side.outcome), bytes.toString("hex"))
      outcomes.add(side.outcome._tag === "Failed" ? side.outcome.why : side.outcome._tag)
    }
    for (const outcome of ["Waiting", "noise", "version", "key"]) assert.isTrue(outcomes.has(outcome), outcome)
    assert.isBelow(process.memoryUsage().rss - before, 256 * 1024 * 1024)
  }, 60_000)
})
