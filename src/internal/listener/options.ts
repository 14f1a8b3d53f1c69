/**
 * What a program may get wrong, said as defects. Nothing of a key is in any message.
 */
import { Buffer } from "node:buffer"
import { resolve } from "node:path"
import { inspect } from "node:util"
import * as Duration from "effect/Duration"
import { maxMessageBytes } from "../line/message.ts"
import type { Address } from "./address.ts"
import type { Terms } from "./authenticate.ts"

/** A copy: the caller may wipe its own. */
const checkedKey = (key: unknown, what: string): Uint8Array => {
  const bytes = typeof key === "string" ? Buffer.from(key) : key instanceof Uint8Array ? new Uint8Array(key) : undefined
  if (bytes !== undefined && bytes.byteLength > 0) return bytes
  throw new RangeError(
    `${what}: the authKey must be a string or bytes, and not empty. Both sides have to have the same; 32 random bytes are good.`
  )
}

const isPort = (port: unknown, least: number): boolean =>
  typeof port === "number" && Number.isInteger(port) && port >= least && port <= 65_535

/** The first character may be NUL: then it is a name, and no file. */
const isPath = (path: unknown): path is string =>
  typeof path === "string" && path.replace("\0", "").length > 0 && !path.includes("\0", 1)

const isHost = (host: unknown): host is string => typeof host === "string" && host.length > 0 && !host.includes("\0")

/** `leastPort` is 0 where the system may choose. */
export const checkedAddress = (address: unknown, leastPort: 0 | 1, what: string): Address => {
  const { host, path, port } = (address ?? {}) as Record<string, unknown>
  if (host === undefined && port === undefined && isPath(path)) {
    return { path: path.startsWith("\0") ? path : resolve(path) }
  }
  if (path === undefined && isHost(host) && isPort(port, leastPort)) {
    return { host, port: port as number }
  }
  throw new RangeError(
    `${what}: the address must be { path } with the path of a socket, or { host, port } with a port from ${leastPort} to ` +
      `65535, but it is ${inspect(address)}.`
  )
}

export const checkedLimit = (limit: unknown, what: string): number => {
  if (limit === undefined) return maxMessageBytes
  if (typeof limit === "number" && Number.isInteger(limit) && limit >= 1 && limit <= maxMessageBytes) return limit
  throw new RangeError(
    `${what}: maxMessageBytes must be a whole number from 1 to ${maxMessageBytes}, but it is ${String(limit)}.`
  )
}

/** What a timer can count. */
const longestMillis = 2 ** 31 - 1

/** Not a number where it is no time. */
const millisOf = (input: Duration.Input | undefined): number => {
  if (input === undefined) return 10_000
  try {
    return Duration.toMillis(input)
  } catch {
    return NaN
  }
}

const checkedPatience = (input: Duration.Input | undefined, what: string): number => {
  const millis = millisOf(input)
  if (millis >= 1 && millis < Infinity) return Math.min(millis, longestMillis)
  throw new RangeError(
    `${what}: the handshakeTimeout must be a time of at least 1 millisecond that ends, but it is ${inspect(input)}.`
  )
}

export const checkedDeadline = (input: Duration.Input | undefined, what: string): number => {
  const millis = millisOf(input)
  if (millis >= 0 && !Number.isNaN(input)) return millis
  throw new RangeError(`${what}: the deadline must be a time of at least 0 milliseconds, but it is ${inspect(input)}.`)
}

/** What both sides of a handshake are given. */
export interface TermsOptions {
  readonly authKey: Uint8Array | string
  readonly handshakeTimeout?: Duration.Input | undefined
  readonly maxMessageBytes?: number | undefined
}

export const checkedTerms = (options: TermsOptions, what: string): Terms => ({
  key: checkedKey(options.authKey, what),
  limit: checkedLimit(options.maxMessageBytes, what),
  patienceMillis: checkedPatience(options.handshakeTimeout, what)
})
