/** A gate where tasks in other processes wait until the test lets them pass. */
import { Deferred, Effect } from "effect"
import type { Scope } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import type { Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

export interface Gate {
  readonly path: string
  /** The names of those that have come, also of those that have passed. */
  readonly came: () => ReadonlyArray<string>
  /** Completes when so many have come. */
  readonly until: (count: number) => Effect.Effect<void>
  /** Lets all pass that wait, and all that come later. */
  readonly open: Effect.Effect<void>
}

export const makeGate: Effect.Effect<Gate, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.callback<Gate & { readonly close: () => void }>((resume) => {
      const folder = mkdtempSync(join(tmpdir(), "gate-"))
      const path = join(folder, "socket")
      const came: Array<string> = []
      const sockets = new Set<Socket>()
      const waits = new Set<() => void>()
      let isOpen = false
      const server = createServer((socket) => {
        sockets.add(socket)
        socket.on("error", () => {}) // the task may be killed while it waits
        socket.on("close", () => sockets.delete(socket))
        socket.once("data", (name) => {
          came.push(name.toString("utf8"))
          if (isOpen) socket.end()
          for (const check of waits) check()
        })
        socket.resume()
      })
      const until = (count: number): Effect.Effect<void> =>
        Effect.suspend(() => {
          const reached = Deferred.makeUnsafe<void>()
          const check = (): void => {
            if (came.length < count) return
            waits.delete(check)
            Deferred.doneUnsafe(reached, Effect.void)
          }
          waits.add(check)
          check()
          return Deferred.await(reached).pipe(
            Effect.timeoutOrElse({
              duration: "15 seconds",
              orElse: () => Effect.die(new Error(`${count} should be at the gate, but there came: ${came.join(", ")}`))
            })
          )
        })
      const open = Effect.sync(() => {
        isOpen = true
        for (const socket of sockets) socket.end()
      })
      const close = (): void => {
        for (const socket of sockets) socket.destroy()
        server.close()
        rmSync(folder, { recursive: true, force: true })
      }
      server.listen(path, () => resume(Effect.succeed({ path, came: () => came, until, open, close })))
    }),
    ({ close }) => Effect.sync(close)
  ),
  ({ came, open, path, until }) => ({ came, open, path, until })
)
