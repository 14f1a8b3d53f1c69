import { describe, it } from "@effect/vitest"
import { live } from "./drive.ts"
import { calm, deadly, endless, even, lives, moved } from "./plans.ts"
import type { Tilt } from "./plans.ts"

const options = { arbitrary: { runs: 2000, size: 120 } }

/** Every law is watched in every life; the tilt makes it likely that this one is at stake. */
const law = (name: string, tilt: Partial<Tilt> = {}): void =>
  it.prop(name, lives({ ...even, ...tilt }), ({ choices, plan }) => void live(plan, choices), options)

describe("dispatcher", () => {
  law("no item is lost, none is delivered twice, and each outcome is its own item's")
  law("an item runs again only when its worker died before it said that it started it, or a retry is left", {
    items: deadly,
    faults: 6,
    interrupts: 0,
    closes: [false],
    terminates: [false]
  })
  law("a job ends exactly once, and nothing of it is delivered or handed out afterwards", {
    interrupts: 4,
    closes: [true, false],
    terminates: [false, true]
  })
  law("a stopped job is over when nothing of it runs, not before", {
    items: endless,
    interrupts: 4,
    failFast: [true, false]
  })
  law("no more is handed out than the window has room for", { kinds: ["stream"], items: calm })
  law("an item that runs out of time fails once, and costs its worker only when it does not stop", {
    items: endless,
    timed: [true, true, false]
  })
  law("what moves goes to an idle worker, once", { items: moved })
  law("workers that die too often break the pool once, and everything that is pending is abandoned", {
    items: deadly,
    faults: 8,
    maxRestarts: [2, 0, 1, 4],
    ticks: [0, 1, 10]
  })
  law("a pool that closes ends when its last job is over, one that terminates at once, and both once", {
    closes: [true],
    terminates: [false, true]
  })
  law("nothing waits while a worker is idle, and the books are even when nothing is in hand", {
    items: calm,
    interrupts: 0,
    faults: 1
  })
})
