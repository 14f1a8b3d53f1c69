/** Somebody at a socket who says what they like: a client or a server that is none of ours. */
import { Deferred, Effect } from "effect"
import type { Scope } from "effect"
import { connect, createServer } from "node:net"
import type { Socket } from "node:net"
import { bounded } from "../../conformance/assertions.ts"
import { beginClient, hear, nonceBytes } from "../../../src/internal/listener/handshake.ts"
import type { Listener } from "../../../src/index.ts"

export interface Stranger {
  readonly socket: Socket
  readonly say: (bytes: Uint8Array) => void
  /** All that was heard so far. */
  readonly heard: () => Buffer
  readonly until: (count: number) => Effect.Effect<Buffer>
  readonly closed: Effect.Effect<void>
}

const strange = (socket: Socket): Stranger => {
  let heard = Buffer.alloc(0)
  const waits = new Set<() => void>()
  const closed = Deferred.makeUnsafe<void>()
  socket.on("error", () => {}) // it is turned away
  socket.on("data", (block) => {
    heard = Buffer.concat([heard, block])
    for (const check of waits) check()
  })
  socket.once("close", () => Deferred.doneUnsafe(closed, Effect.void))
  return {
    socket,
    say: (bytes) => void socket.write(bytes),
    heard: () => heard,
    until: (count) =>
      Effect.callback<Buffer>((resume) => {
        const check = (): void => {
          if (heard.length < count) return
          waits.delete(check)
          resume(Effect.succeed(heard))
        }
        waits.add(check)
        check()
      }).pipe(bounded(`${count} bytes`, 5)),
    closed: Deferred.await(closed).pipe(bounded("the end of a visit", 5))
  }
}

/** Is connected, and has said nothing. */
export const visit = (address: Listener.Address): Effect.Effect<Stranger, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Stranger>((resume) => {
      const socket = connect({ ...address })
      const stranger = strange(socket)
      socket.once("connect", () => resume(Effect.succeed(stranger)))
    }),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )

/** Has said who it is, with this key, and was welcomed; what it says next is its own matter. */
export const visitWithKey = (address: Listener.Address, key: string) =>
  Effect.gen(function*() {
    const stranger = yield* visit(address)
    const means = { key: Buffer.from(key), nonce: Buffer.alloc(nonceBytes, 1), limit: 2 ** 31 - 1 }
    const [state, hello] = beginClient(means)
    stranger.say(hello)
    const challenge = yield* stranger.until(76)
    const { say } = hear(state, challenge)
    for (const bytes of say) stranger.say(bytes)
    yield* stranger.until(84)
    return { ...stranger, hello, proof: Buffer.concat(say) }
  })

/** A server that does with its clients what it likes. */
export const serve = (onClient: (client: Stranger) => void): Effect.Effect<Listener.Address, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
        const sockets = new Set<Socket>()
        const server = createServer((socket) => {
          sockets.add(socket)
          onClient(strange(socket))
        })
        const close = (): void => {
          server.close()
          for (const socket of sockets) socket.destroy()
        }
        server.listen(0, "127.0.0.1", () => {
          const bound = server.address()
          const port = typeof bound === "object" && bound !== null ? bound.port : 0
          resume(Effect.succeed({ port, close }))
        })
      }),
      ({ close }) => Effect.sync(close)
    ),
    ({ port }) => ({ host: "127.0.0.1", port })
  )
