/** What has crossed in the place of a handle, and is none: it is refused, and nothing is opened, mapped or called. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { crossing } from "../../../src/internal/handles/handle.ts"
import type { Handle } from "../../../src/internal/handles/handle.ts"
import { makeArray } from "../../../src/internal/handles/array.ts"
import { openHandle } from "../../../src/internal/handles/openers.ts"
import { makeSharedLock } from "../../../src/internal/handles/sharedLock.ts"
import { makeValue } from "../../../src/internal/handles/value.ts"
import { open, prepare } from "../../../src/internal/codec/values.ts"
import { SharedLock, SharedMemory } from "../../../src/index.ts"
import { openDescriptors } from "../memory/open.ts"

type Data = Record<string, unknown>

const dataOf = (handle: Handle): Data => structuredClone(handle[crossing].write({ sharesMemory: false }, [])) as Data

/** The same with one thing wrong. */
const garbled = (data: Data): ReadonlyArray<unknown> => [
  undefined,
  null,
  7,
  "text",
  {},
  { ...data, segment: undefined },
  { ...data, segment: { id: 1, size: -1, source: { pid: process.pid, fd: 0 } } },
  { ...data, segment: { id: "0", size: 64, source: { pid: -1, fd: "a" } } },
  { ...data, segment: { id: "0", size: 64, source: { pid: "../..", fd: "../../etc/passwd" } } },
  { ...data, segment: { id: "0", size: 64, source: undefined, buffer: "text" } },
  { ...data, offset: -64 },
  { ...data, offset: 3 },
  { ...data, offset: 2 ** 40 }
]

const refused = (name: string, data: unknown): void => {
  assert.throws(() => openHandle(name, data), undefined, undefined, `${name} of ${JSON.stringify(data)}`)
}

describe("the data of a handle", () => {
  it("that are garbage are refused, and leave nothing open", () => {
    const [value, array, lock] = [makeValue("int32", 1), makeArray("int8", 10), makeSharedLock(false, "poison")]
    const all = {
      SharedValue: dataOf(value.handle),
      SharedArray: dataOf(array.handle),
      SharedLock: dataOf(lock.handle)
    }
    const before = openDescriptors()
    for (const [name, data] of Object.entries(all)) {
      for (const one of garbled(data)) refused(name, one)
      refused(name, { ...data, lock: undefined })
      refused(name, { ...data, lock: { object: 1 } })
    }
    for (const one of garbled({}).slice(0, 10)) refused("SharedMemory", one)
    refused("SharedArray", { ...all.SharedArray, length: -1 })
    refused("SharedArray", { ...all.SharedArray, length: 2 ** 40 })
    refused("SharedArray", { ...all.SharedArray, kind: "int" })
    refused("SharedValue", { ...all.SharedValue, kind: "int" })
    assert.strictEqual(openDescriptors(), before)
    for (const { release } of [value, array, lock]) release()
  })

  it("of a kind that does not exist are refused, also when objects have a property of that name", () => {
    for (const name of ["", "SharedThing", "constructor", "toString", "__proto__", "hasOwnProperty"]) {
      assert.throws(() => openHandle(name, {}), /no handle of the kind/)
    }
  })

  // what is in shared memory is not even written where that does not reach processes
  it.effect.skipIf(SharedMemory.reach === "threads")(
    "open as what they were written for",
    () =>
      Effect.gen(function*() {
        const lock = yield* SharedLock.make({ reentrant: true })
        const crossed = structuredClone(prepare({ lock, again: [lock] }, { sharesMemory: false }, "payload"))
        const { again, lock: opened } = open(crossed) as {
          readonly lock: SharedLock.SharedLock
          readonly again: [unknown]
        }
        assert.strictEqual(again[0], opened)
        yield* SharedLock.withLock(
          lock,
          Effect.gen(function*() {
            assert.isTrue(yield* SharedLock.isLocked(opened))
            // one lock in a process, however many handles there are
            assert.strictEqual(yield* SharedLock.withLock(opened, Effect.succeed("again")), "again")
          })
        )
      })
  )
})
