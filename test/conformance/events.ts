/** The test's end of a beacon: what tasks in other processes tell, as a stream of events to wait for. */
import { Deferred, Effect } from "effect"
import type { Scope } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

export interface Events {
  readonly path: string
  /** All that has been told so far. */
  readonly seen: () => ReadonlyArray<string>
  /** Completes when this has been told so many times. */
  readonly until: (text: string, times?: number) => Effect.Effect<void>
}

export const makeEvents: Effect.Effect<Events, never, Scope.Scope> = Effect.acquireRelease(
  Effect.callback<Events & { readonly close: () => void }>((resume) => {
    const folder = mkdtempSync(join(tmpdir(), "events-"))
    const path = join(folder, "socket")
    const seen: Array<string> = []
    const waits = new Set<() => void>()
    const server = createServer((socket) => {
      let text = ""
      socket.on("error", () => {}) // the task may be killed while it tells
      socket.on("data", (block) => {
        text += block.toString("utf8")
      })
      socket.on("end", () => {
        seen.push(text)
        socket.end()
        for (const check of waits) check()
      })
    })
    const until = (text: string, times = 1): Effect.Effect<void> =>
      Effect.suspend(() => {
        const reached = Deferred.makeUnsafe<void>()
        const check = (): void => {
          if (seen.filter((one) => one === text).length < times) return
          waits.delete(check)
          Deferred.doneUnsafe(reached, Effect.void)
        }
        waits.add(check)
        check()
        return Deferred.await(reached).pipe(
          Effect.timeoutOrElse({
            duration: "15 seconds",
            orElse: () => Effect.die(new Error(`"${text}" was not told ${times} times, but: ${seen.join(", ")}`))
          })
        )
      })
    const close = (): void => {
      server.close()
      rmSync(folder, { recursive: true, force: true })
    }
    server.listen(path, () => resume(Effect.succeed({ path, seen: () => seen, until, close })))
  }),
  ({ close }) => Effect.sync(close)
)
