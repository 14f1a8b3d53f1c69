/**
 * A handshake on a socket: what the machine says is written, what comes is heard, and all of it has an end.
 */
import { randomBytes } from "node:crypto"
import type { Socket } from "node:net"
import { beginClient, beginServer, hear, nonceBytes } from "./handshake.ts"
import type { Failure, Role } from "./handshake.ts"

export interface Terms {
  readonly key: Uint8Array
  /** So many bytes may a message have that comes to this side. */
  readonly limit: number
  readonly patienceMillis: number
}

/** `proven`: the other side has proven the key before that. */
export type Result =
  | { readonly _tag: "Authenticated"; readonly peerLimit: number }
  | { readonly _tag: "Failed"; readonly why: Failure | "late" | "gone"; readonly proven: boolean }

/**
 * Calls back once. The socket is at rest then: it keeps at most 64 KiB of what comes until somebody resumes it; where it has failed, it is
 * closed after what was said last. What is given ends it without a word.
 */
export const authenticate = (
  socket: Socket,
  role: Role,
  { key, limit, patienceMillis }: Terms,
  done: (result: Result) => void
): () => void => {
  const means = { key, limit, nonce: randomBytes(nonceBytes) }
  const [beginning, first] = role === "client" ? beginClient(means) : [beginServer(means), undefined]
  let state = beginning
  const stop = (): void => {
    clearTimeout(timer)
    socket.off("data", onData)
    socket.off("close", onGone)
    socket.off("end", onGone)
  }
  const fail = (why: Failure | "late" | "gone"): void => {
    stop()
    const proven = state.peer !== undefined && role === "client"
    if (why === "key" || why === "busy" || why === "version") socket.resume().end(() => socket.destroy())
    else socket.destroy()
    done({ _tag: "Failed", why, proven })
  }
  const onGone = (): void => fail("gone")
  const onData = (block: Buffer): void => {
    const heard = hear(state, block)
    state = heard.state
    for (const bytes of heard.say) socket.write(bytes)
    if (heard.outcome._tag === "Waiting") return
    if (heard.outcome._tag === "Failed") return fail(heard.outcome.why)
    stop()
    socket.pause()
    if (heard.outcome.rest.length > 0) socket.unshift(heard.outcome.rest)
    done({ _tag: "Authenticated", peerLimit: heard.outcome.peerLimit })
  }
  const timer = setTimeout(() => fail("late"), patienceMillis).unref()
  socket.on("data", onData)
  socket.once("end", onGone)
  socket.once("close", onGone)
  if (first !== undefined) socket.write(first)
  return () => {
    stop()
    socket.destroy()
  }
}
