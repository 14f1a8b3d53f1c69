import { assert, describe, it } from "@effect/vitest"
import { makeLockObject } from "../../../src/internal/hub/lock.ts"
import { drive } from "./drive.ts"

describe("who watches the lock of a hub", () => {
  it("is told when a process dies that has it, and not otherwise", () => {
    const words = new Int32Array(4)
    const lock = drive(makeLockObject(words, "poison"))
    const watching = lock.ask(1, "watch")
    const gone = lock.ask(2, "watch")
    gone.withdraw()
    lock.kill(3)
    assert.isTrue(watching.isOpen())
    words[0] = 4
    lock.kill(4)
    assert.isTrue(watching.isAnswered())
    assert.strictEqual(words[0], 0)
  })

  it("is not told of a lock that is simply free again", () => {
    const words = new Int32Array(4)
    const lock = drive(makeLockObject(words, "release"))
    const watching = lock.ask(1, "watch")
    words[0] = 4
    lock.kill(4)
    assert.isTrue(watching.isOpen())
  })
})
