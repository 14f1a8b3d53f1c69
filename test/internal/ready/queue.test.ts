import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { makeValues } from "../../../src/internal/ready/queue.ts"
import type { Entry } from "../../../src/internal/ready/queue.ts"

/** Each step is one of these, for one of those that it can be for. */
const steps = fc.array(
  fc.tuple(fc.constantFrom("offer", "take", "poll", "giveUp", "withdraw", "receive", "lose"), fc.nat(20)),
  { maxLength: 120 }
)

const pick = <A>(all: Array<A>, which: number): A | undefined => all.splice(which % Math.max(1, all.length), 1)[0]

describe("the values of a hosted queue", () => {
  it("each is somebody's once, in the order in which they came, whoever gives up and whatever is lost", () => {
    fc.assert(fc.property(steps, fc.constantFrom(1, 2, 5, Infinity), (steps, capacity) => {
      const queue = makeValues(capacity)
      const takers: Array<{ leave: () => void; isServed: boolean }> = []
      const offers: Array<{ value: number; leave: () => void; isIn: boolean }> = []
      const accepted = new Set<number>()
      const onTheirWay: Array<Entry> = []
      const received: Array<number> = []
      let last = 0
      const waiting = () => takers.filter(({ isServed }) => !isServed)
      const outside = () => offers.filter(({ isIn }) => !isIn)
      const hand = (entry: Entry): void => void onTheirWay.push(entry)

      for (const [step, which] of steps) {
        if (step === "offer") {
          const offer = { value: ++last, leave: () => {}, isIn: false }
          offers.push(offer)
          const leave = queue.offer(offer.value, () => {
            // nobody goes in before those who wait
            assert.strictEqual(outside()[0], offer)
            offer.isIn = true
            accepted.add(offer.value)
          })
          offer.leave = leave
        } else if (step === "take") {
          const taker = { leave: () => {}, isServed: false }
          takers.push(taker)
          taker.leave = queue.take((entry) => {
            assert.strictEqual(waiting()[0], taker)
            taker.isServed = true
            hand(entry)
          })
        } else if (step === "poll") {
          const entry = queue.poll()
          if (entry !== undefined) hand(entry)
        } else if (step === "giveUp") {
          const taker = pick(waiting(), which)
          if (taker !== undefined) {
            taker.leave()
            takers.splice(takers.indexOf(taker), 1)
          }
        } else if (step === "withdraw") {
          const offer = pick(outside(), which)
          if (offer !== undefined) {
            offer.leave()
            offers.splice(offers.indexOf(offer), 1)
          }
        } else {
          const entry = pick(onTheirWay, which)
          if (entry === undefined) continue
          if (step === "receive") received.push(entry.value as number)
          else queue.putBack(entry)
        }
        assert.isFalse(waiting().length > 0 && queue.size() > 0, "nobody waits while there is a value")
        assert.isFalse(outside().length > 0 && queue.size() < capacity, "nobody waits while there is room")
        const known = [...received, ...onTheirWay.map(({ value }) => value as number)]
        assert.strictEqual(new Set(known).size, known.length, "nothing is there twice")
        assert.strictEqual(known.length + queue.size(), accepted.size, "nothing is lost")
      }
      for (const offer of outside()) offer.leave()
      for (const taker of waiting()) taker.leave()
      const rest: Array<number> = []
      for (let entry = queue.poll(); entry !== undefined; entry = queue.poll()) rest.push(entry.value as number)
      assert.deepStrictEqual(rest, [...rest].sort((a, b) => a - b))
      const all = [...received, ...onTheirWay.map(({ value }) => value as number), ...rest]
      assert.deepStrictEqual(all.sort((a, b) => a - b), [...accepted].sort((a, b) => a - b))
    }))
  })
})
