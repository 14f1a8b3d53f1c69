/** A lock as a process sees it that is not its owner: over a real connection to a hub of its own. */
import { assert, describe, it } from "@effect/vitest"
import {
  giveLock,
  isHeldByAnyone,
  openLock,
  tryTake,
  waitToTake,
  whenKnown
} from "../../../src/internal/handles/lock.ts"
import { linkTo } from "../../../src/internal/hub/hubs.ts"
import { ownSlot } from "../../../src/internal/hub/link.ts"
import { makeLockObject } from "../../../src/internal/hub/lock.ts"
import { give, run } from "../../../src/internal/memory/lockWord.ts"
import { makeHub } from "../../../src/internal/hub/server.ts"

const me = {}

/** The lock, and a way to wait until the hub has heard all that was said, and we its answers. */
const setUp = async () => {
  const hub = makeHub()
  const words = new Int32Array(new SharedArrayBuffer(16))
  const object = hub.put(makeLockObject(words, 0, "poison"))
  const echo = hub.put(() => ({
    call: (_, __, argument, answer) => void answer(argument),
    gone: () => {}
  }))
  const side = openLock(words, 0, { hub: hub.address(), object })
  const link = linkTo(hub.address())
  const heard = (): Promise<unknown> => new Promise((resolve) => void link.ask(echo, "echo", undefined, resolve))
  await new Promise<void>((resolve) => whenKnown(side, () => resolve()))
  const close = async (): Promise<void> => {
    hub.remove(object)
    hub.remove(echo)
    await heard()
  }
  return { hub, words, object, side, heard, close }
}

describe("a lock of another process", () => {
  it("that is granted while the waiter is interrupted is given back: nobody holds it", async () => {
    const { close, heard, hub, object, side, words } = await setUp()
    for (let round = 0; round < 5; round++) {
      words[0] = ownSlot
      const outcomes: Array<string> = []
      const withdraw = waitToTake(side, me, (outcome) => outcomes.push(outcome))
      await heard()
      // the grant goes out, and we change our mind before it is here
      run(give(ownSlot), words, 0)
      hub.link.tell(object, "give", undefined)
      assert.notStrictEqual(words[0], ownSlot)
      withdraw()
      await heard()
      await heard()
      assert.deepEqual([outcomes, words[0], isHeldByAnyone(side)], [[], 0, false])
    }
    assert.isTrue(tryTake(side, me))
    giveLock(side)
    await close()
  })

  it("that is taken when its hub goes is given without it", async () => {
    const { close, side, words } = await setUp()
    assert.isTrue(tryTake(side, me))
    await close()
    giveLock(side)
    assert.strictEqual(words[0], 0)
    assert.isFalse(tryTake(side, me))
  })
})
