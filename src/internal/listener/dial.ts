/**
 * One try to reach a listener.
 */
import { connect } from "node:net"
import type { Socket } from "node:net"
import { codeOf, isTooLong, keepAliveMillis } from "./address.ts"
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

/** Nobody listens there yet, or nobody has time, or the way there is not there: it may be otherwise soon. */
const passing = new Set([
  "ENOENT",
  "ECONNREFUSED",
  "EAGAIN",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EAI_AGAIN"
])

/** A host may have several addresses, of which each has failed in its own way: the one that may pass counts. */
const codeOfAll = (cause: Error): string => {
  const codes = cause instanceof AggregateError ? cause.errors.map(codeOf) : [codeOf(cause)]
  return codes.find((code) => passing.has(code)) ?? codes[0] ?? codeOf(cause)
}

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
  let isConnected = false
  let isToItself = false
  const socket = connect({
    ...address,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: keepAliveMillis
  })
  socket.on("error", (cause) => code = codeOfAll(cause))
  socket.once("connect", () => {
    isConnected = true
    isToItself = isOwn(socket)
  })
  return authenticate(socket, "client", terms, (result) => {
    if (result._tag === "Authenticated") return done({ _tag: "Reached", socket, peerLimit: result.peerLimit })
    if (result.why === "late" && !isConnected) return done({ ...result, why: "gone", code: "ETIMEDOUT" })
    done({ ...result, why: result.why === "noise" && isToItself ? "gone" : result.why, code })
  })
}

export const mayPass = ({ code, why }: Missed): boolean =>
  why === "busy" || (why === "gone" && (code === undefined || passing.has(code)))

/** Nobody listens there: what else may pass may be a listener that has no room now. */
export const isNobody = ({ code, why }: Missed): boolean =>
  why === "gone" && (code === "ENOENT" || code === "ECONNREFUSED")
