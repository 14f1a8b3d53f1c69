/** The lock's protocol, under every schedule: no law here depends on luck. See `lockModel.ts`. */
import { assert, describe, it } from "@effect/vitest"
import {
  abandonedAt,
  abandonedBy,
  contended,
  give,
  holderOf,
  isHeld,
  lockClosed,
  passOn,
  run,
  take,
  takeAgain,
  unknownProcess
} from "../../../src/internal/memory/lockWord.ts"
import { makeLockObject } from "../../../src/internal/hub/lock.ts"
import { explore } from "./lockModel.ts"
import type { Plan } from "./lockModel.ts"

const plans: ReadonlyArray<Plan> = [
  { rounds: [2, 2], deaths: 0, interruptions: 0 },
  { rounds: [2, 2, 2], deaths: 0, interruptions: 0 },
  { rounds: [2, 2], deaths: 2, interruptions: 2 },
  { rounds: [1, 1, 1], deaths: 3, interruptions: 3 },
  { rounds: [2, 1, 1], deaths: 1, interruptions: 1 }
]

const inWords = ({ deaths, interruptions, rounds }: Plan): string =>
  `${rounds.length} processes that take it ${rounds.join(", ")} times, ${deaths} of which die, ` +
  `and ${interruptions} waits are interrupted`

describe("a lock, under every schedule of", () => {
  for (const plan of plans) {
    it(inWords(plan), () => {
      const { ends, states } = explore(plan)
      assert.isAbove(states, 500)
      assert.isAbove(ends, 5)
    })
  }
})

describe("the word of a lock", () => {
  it("is taken and given in one exchange each, where nobody else wants it", () => {
    const words = new Int32Array(new SharedArrayBuffer(16))
    assert.strictEqual(run(take(7), words), "held")
    assert.deepEqual([...words], [7, 0, 0, 0])
    assert.strictEqual(run(give(7), words), "free")
    assert.deepEqual([...words], [0, 0, 0, 0])
  })

  it("says that somebody waits: then only the hub gives it, unless who has given it takes it again", () => {
    const words = new Int32Array(new SharedArrayBuffer(16))
    run(take(7), words)
    assert.strictEqual(run(take(8), words), "wait")
    assert.strictEqual(run(take(9), words), "wait")
    assert.strictEqual(words[0]! & contended, contended)
    assert.strictEqual(holderOf(words[0]!), 7)
    assert.isTrue(isHeld(words[0]!))
    assert.strictEqual(run(give(7), words), "tell")
    assert.strictEqual(holderOf(words[0]!), 7)
    assert.isFalse(isHeld(words[0]!))
    assert.strictEqual(run(take(8), words), "wait")
    assert.isFalse(run(takeAgain(8), words))
    assert.isTrue(run(takeAgain(7), words))
    assert.strictEqual(words[0], 7 | contended)
    assert.strictEqual(run(give(7), words), "told", "the hub has not looked yet")
    assert.strictEqual(run(passOn([{ slot: 8 }], 7), words)?.slot, 8)
    assert.strictEqual(words[0], 8)
  })

  it("asks to be told again when the hub has looked while it was held", () => {
    const words = new Int32Array(new SharedArrayBuffer(16))
    run(take(7), words)
    run(take(8), words)
    assert.strictEqual(run(give(7), words), "tell")
    run(takeAgain(7), words)
    assert.isUndefined(run(passOn([{ slot: 8 }], 7), words))
    assert.strictEqual(run(give(7), words), "tell")
  })

  it("has a state beside it: well, closed, or abandoned by somebody", () => {
    assert.isUndefined(abandonedBy(0))
    assert.isUndefined(abandonedBy(lockClosed))
    for (const pid of [1, 4_194_304, unknownProcess]) assert.strictEqual(abandonedBy(abandonedAt(pid)), pid)
    assert.notStrictEqual(abandonedAt(unknownProcess), lockClosed)
    assert.notStrictEqual(abandonedAt(unknownProcess), 0)
  })

  it("that names one whom the hub has lost is taken over by the next who comes, who is told; with \"release\", is not", () => {
    for (const onOwnerDeath of ["poison", "release"] as const) {
      const words = new Int32Array(new SharedArrayBuffer(16))
      words[0] = 7
      let grants = 0
      const object = makeLockObject(words, onOwnerDeath)((slot) => slot !== 7)
      assert.isUndefined(object.call({ slot: 8, pid: 80 }, "wait", undefined, () => grants++))
      assert.deepEqual([grants, words[0]], [1, 8])
      assert.strictEqual(abandonedBy(words[1]!), onOwnerDeath === "poison" ? unknownProcess : undefined)
      // one that dies without it leaves it as it is
      object.gone({ slot: 9, pid: 90 })
      assert.deepEqual([words[0], abandonedBy(words[1]!)], [8, onOwnerDeath === "poison" ? unknownProcess : undefined])
      object.gone({ slot: 8, pid: 80 })
      assert.deepEqual([words[0], abandonedBy(words[1]!)], [0, onOwnerDeath === "poison" ? 80 : undefined])
    }
  })
})
