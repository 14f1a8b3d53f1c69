/** What a start that fails leaves behind: nothing. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Process, SharedMemory, StartMethod, Task } from "../../../src/index.ts"
import { allocate } from "../../../src/internal/memory/arena.ts"
import { openSegments } from "../memory/open.ts"
import { reasonOf } from "../../conformance/assertions.ts"

/** No process is started for it. */
const never = Task.sync("never", { module: import.meta.url, handler: () => 0 })

describe("a process that Node refuses to start", () => {
  // a word is shared where memory reaches processes
  it.live.skipIf(SharedMemory.reach === "threads")(
    "keeps no memory that was meant for it",
    () =>
      Effect.gen(function*() {
        const refused = StartMethod.layerSpawnWith({ execPath: "no\0de" })
        for (let i = 0; i < 3; i++) {
          const exit = yield* Effect.exit(Effect.scoped(Effect.provide(Process.start(never, undefined), refused)))
          assert.strictEqual(reasonOf(exit)._tag, "StartFailed")
          // the next ones come into another segment: the first goes when nothing is in it any more
          for (const cell of Array.from({ length: 12 }, () => allocate(200_000))) cell.release()
        }
        assert.isAtMost(openSegments(), 1)
      })
  )
})
