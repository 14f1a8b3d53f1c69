/**
 * One try to reach a listener.
 */
import { connect } from "node:net"
import type { Socket } from "node:net"
import { codeOf, isTooLong } from "./address.ts"
import type { Address } from "./address.ts"
import { authenticate } from "./authenticate.ts"
import type { Result, Terms } from "./authenticate.ts"

/** `code` is what the system says of the socket, where it says something. */
export type Missed = Extract<Result, { readonly _tag: "Failed" }> & { readonly code: string | undefined }

export interface Reached {
  readonly _tag: "Reached"
  readonly socket: Socket
  readonly peerLimit: number
}

const keepAliveMillis = 30_000

/** The system has connected it to itself: a port that nobody listens at may be given to whoever asks for it. */
const isOwn = ({ localAddress, localPort, remoteAddress, remotePort }: Socket): boolean =>
  localPort !== undefined && localPort === remotePort && localAddress === remoteAddress

/** Calls back once. What is given gives up. */
export const dial = (address: Address, terms: Terms, done: (result: Reached | Missed) => void): () => void => {
  if (isTooLong(address)) {
    done({ _tag: "Failed", why: "gone", proven: false, code: "ENAMETOOLONG" })
    return () => {}
  }
  let code: string | undefined
  const socket = connect({
    ...address,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: keepAliveMillis
  })
  socket.on("error", (cause) => code = codeOf(cause))
  return authenticate(socket, "client", terms, (result) => {
    if (result._tag === "Failed") {
      done({ ...result, why: result.why === "noise" && isOwn(socket) ? "gone" : result.why, code })
      return
    }
    done({ _tag: "Reached", socket, peerLimit: result.peerLimit })
  })
}

/** Nobody listens there yet, or nobody has time: it may be otherwise soon. */
const passing = new Set(["ENOENT", "ECONNREFUSED", "EAGAIN", "ECONNRESET", "EPIPE"])

export const mayPass = ({ code, why }: Missed): boolean =>
  why === "busy" || (why === "gone" && (code === undefined || passing.has(code)))
