import { assert, describe, it } from "@effect/vitest"
import type { Peer } from "../../../src/internal/hub/link.ts"
import { makePipeObject } from "../../../src/internal/hub/pipe.ts"
import type { Told } from "../../../src/internal/hub/pipe.ts"

const peer = (slot: number): Peer => ({ slot, pid: slot })
const doorOf = (name: string) => ({ path: name, secret: "", pid: 0 })

/** A pipe at a hub, and what its holders are told, in order. */
const makeWorld = () => {
  const object = makePipeObject()
  const told: Array<readonly [string, string]> = []
  const claim = (
    ticket: string,
    side: 0 | 1,
    epoch = 0,
    options: { slot?: number; met?: string; failed?: boolean } = {}
  ) =>
    object.call(
      peer(options.slot ?? 2 + side),
      "claim",
      { side, epoch, door: doorOf(ticket), ticket, met: options.met, failed: options.failed },
      (value) => {
        const answer = value as Told
        told.push([ticket, answer._tag === "Over" ? "over" : `dial ${answer.ticket}`])
      }
    )
  const tell = (operation: string, side: 0 | 1, epoch = 0): void => {
    let isAnswered = false
    object.call(peer(9), operation, { side, epoch }, () => {
      isAnswered = true
    })
    assert.isTrue(isAnswered, "whoever does not wait is answered at once")
  }
  return { claim, gone: (slot: number) => object.gone(peer(slot)), tell, told }
}

describe("a pipe at its hub", () => {
  it("tells the later of two to dial the earlier", () => {
    const { claim, told } = makeWorld()
    claim("a", 0)
    assert.deepStrictEqual(told, [])
    claim("b", 1)
    assert.deepStrictEqual(told, [["b", "dial a"]])
    claim("b", 1, 0, { met: "a" })
    assert.strictEqual(told.length, 1, "they know each other")
  })

  it("tells whoever comes instead of one that has moved", () => {
    const { claim, tell, told } = makeWorld()
    claim("a", 0)
    claim("b", 1)
    claim("b", 1, 0, { met: "a" })
    tell("release", 1)
    claim("c", 1, 1, { slot: 5 })
    assert.deepStrictEqual(told, [["b", "dial a"], ["c", "dial a"]])
  })

  it("knows the newer holder, also when the older one is heard of later", () => {
    const { claim, gone, tell, told } = makeWorld()
    claim("a", 0)
    claim("c", 1, 1, { slot: 5 })
    claim("b", 1, 0, { slot: 3 })
    tell("release", 1, 0)
    gone(3)
    assert.deepStrictEqual(told, [["c", "dial a"], ["b", "over"]])
  })

  it("tells who waits when the other side has died", () => {
    const { claim, gone, told } = makeWorld()
    claim("a", 0)
    claim("b", 1)
    claim("b", 1, 0, { met: "a" })
    gone(3)
    assert.deepStrictEqual(told.at(-1), ["a", "over"])
    claim("a", 0)
    assert.deepStrictEqual(told.at(-1), ["a", "over"], "and whoever asks again")
  })

  it("does not mourn one that has moved before its process died", () => {
    const { claim, gone, tell, told } = makeWorld()
    claim("a", 0)
    claim("b", 1)
    claim("b", 1, 0, { met: "a" })
    tell("release", 1)
    gone(3)
    assert.strictEqual(told.length, 1)
    claim("c", 1, 1, { slot: 5 })
    assert.deepStrictEqual(told.at(-1), ["c", "dial a"])
  })

  it("tells that an end is lost which was given away and never claimed", () => {
    const { claim, tell, told } = makeWorld()
    claim("a", 0)
    tell("release", 1, 0)
    tell("forsake", 1, 1)
    assert.deepStrictEqual(told, [["a", "over"]])
    claim("b", 1, 1)
    assert.deepStrictEqual(told.at(-1), ["b", "over"], "it comes too late")
  })

  it("does not believe that of an end that was claimed, or has moved on", () => {
    const { claim, tell, told } = makeWorld()
    claim("a", 0)
    claim("b", 1, 1)
    tell("forsake", 1, 1)
    tell("release", 1, 1)
    tell("forsake", 1, 1)
    assert.deepStrictEqual(told, [["b", "dial a"]])
    claim("c", 1, 2)
    assert.deepStrictEqual(told.at(-1), ["c", "dial a"])
  })

  it("lets the other try when one cannot reach it, and gives up when neither can", () => {
    const { claim, told } = makeWorld()
    claim("a", 0)
    claim("b", 1)
    claim("b", 1, 0, { met: "a", failed: true })
    assert.deepStrictEqual(told, [["b", "dial a"], ["a", "dial b"]])
    claim("a", 0, 0, { met: "b", failed: true })
    assert.deepStrictEqual(told.slice(2).toSorted(), [["a", "over"], ["b", "over"]])
  })

  it("keeps the other's turn until it asks", () => {
    const { claim, told } = makeWorld()
    claim("a", 0)?.()
    claim("b", 1)
    claim("b", 1, 0, { met: "a", failed: true })
    assert.strictEqual(told.length, 1)
    claim("a", 0)
    assert.deepStrictEqual(told.at(-1), ["a", "dial b"])
  })

  it("does not make two dial each other when one has failed to reach a holder before", () => {
    const { claim, tell, told } = makeWorld()
    claim("b", 1)
    claim("a", 0)
    tell("release", 1)
    claim("c", 1, 1, { slot: 5 })
    // it was told of `b`, and its answer crosses with `c`
    claim("a", 0, 0, { met: "b", failed: true })
    claim("c", 1, 1, { slot: 5, met: "a" })
    const dials = told.filter(([, what]) => what.startsWith("dial"))
    assert.deepStrictEqual(dials.slice(1).length, 1, JSON.stringify(told))
  })

  it("tells who comes when the other side has left", () => {
    const { claim, tell, told } = makeWorld()
    claim("a", 0)
    tell("leave", 0)
    claim("b", 1)
    assert.deepStrictEqual(told, [["b", "over"]])
  })

  it("tells it again when the answer crossed with another question", () => {
    const { claim, told } = makeWorld()
    claim("a", 0)
    claim("b", 1)?.()
    claim("b", 1)
    assert.deepStrictEqual(told, [["b", "dial a"], ["b", "dial a"]])
  })

  it("gives no answer to one that was withdrawn", () => {
    const { claim, gone, told } = makeWorld()
    claim("a", 0)?.()
    claim("b", 1)
    claim("b", 1, 0, { met: "a" })
    gone(3)
    assert.deepStrictEqual(told, [["b", "dial a"]])
  })
})
