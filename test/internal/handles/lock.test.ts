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
import { openSharedLock } from "../../../src/internal/handles/sharedLock.ts"
import { openValue } from "../../../src/internal/handles/value.ts"
import { linkTo } from "../../../src/internal/hub/hubs.ts"
import { ownSlot } from "../../../src/internal/hub/link.ts"
import { makeLockObject } from "../../../src/internal/hub/lock.ts"
import { allocate } from "../../../src/internal/memory/arena.ts"
import { give, lockBytes, run } from "../../../src/internal/memory/lockWord.ts"
import { wordsAt, writePlace } from "../../../src/internal/memory/places.ts"
import { makeHub } from "../../../src/internal/hub/server.ts"

const me = {}

/** The lock, and a way to wait until the hub has heard all that was said, and we its answers. */
const setUp = async () => {
  const hub = makeHub()
  const words = new Int32Array(new SharedArrayBuffer(16))
  const object = hub.put(makeLockObject(words, "poison"))
  const echo = hub.put(() => ({
    call: (_, __, argument, answer) => void answer(argument),
    gone: () => {}
  }))
  const side = openLock(words, { hub: hub.address(), object })
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

/** As it comes from the process of that hub: its bytes are those of a segment of this one. */
const sent = async () => {
  const hub = makeHub()
  const cell = allocate(64)
  const isAlive: Array<(slot: number) => boolean> = []
  const object = hub.put((alive) => {
    isAlive.push(alive)
    return makeLockObject(wordsAt(cell, lockBytes), "poison")(alive)
  })
  const data = { ...writePlace(cell, { sharesMemory: true }), lock: { hub: hub.address(), object } }
  /** A connection has been made; many turns of the event loop are enough for it. */
  const isConnected = async (): Promise<boolean> => {
    for (let turn = 0; turn < 200 && !isAlive[0]!(2); turn++) await new Promise(setImmediate)
    return isAlive[0]!(2)
  }
  const close = async (): Promise<void> => {
    hub.remove(object)
    cell.release()
    await new Promise(setImmediate)
  }
  return { close, data, isConnected }
}

describe("a lock that is sent", () => {
  it("connects at once, and keeps no process alive by that", async () => {
    const { close, data, isConnected } = await sent()
    const before = process.getActiveResourcesInfo().filter((one) => one === "PipeWrap").length
    const { lock } = openSharedLock({ ...data, reentrant: false })
    assert.isTrue(await isConnected())
    assert.strictEqual(process.getActiveResourcesInfo().filter((one) => one === "PipeWrap").length, before)
    await new Promise<void>((resolve) => whenKnown(lock, () => resolve()))
    assert.isTrue(tryTake(lock, me))
    giveLock(lock)
    await close()
  })

  it("with a number does not: it is connected when it is taken for the first time", async () => {
    const { close, data, isConnected } = await sent()
    const { lock } = openValue({ ...data, kind: "int8" })
    assert.isFalse(await isConnected())
    await new Promise<void>((resolve) => whenKnown(lock, () => resolve()))
    assert.isTrue(await isConnected())
    await close()
  })
})

describe("a lock of another process", () => {
  it("that is granted while the waiter is interrupted is given back: nobody holds it", async () => {
    const { close, heard, hub, object, side, words } = await setUp()
    for (let round = 0; round < 5; round++) {
      words[0] = ownSlot
      const outcomes: Array<string> = []
      const withdraw = waitToTake(side, me, (outcome) => outcomes.push(outcome))
      await heard()
      // the grant goes out, and we change our mind before it is here
      run(give(ownSlot), words)
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

  it("whose hub is lost is held by nobody, whatever its word says, also while it is looked for again", async () => {
    const { close, side, words } = await setUp()
    words[0] = ownSlot
    assert.isTrue(isHeldByAnyone(side))
    await close()
    assert.isFalse(isHeldByAnyone(side))
    for (let i = 0; i < 3; i++) {
      const outcome = new Promise<string>((resolve) => void waitToTake(side, me, resolve))
      assert.isFalse(isHeldByAnyone(side))
      assert.strictEqual(await outcome, "closed")
      assert.isFalse(isHeldByAnyone(side))
    }
  })
})
