/**
 * What a program may get wrong, said as defects. Nothing of a key is in any message.
 */
import { Buffer } from "node:buffer"
import * as Duration from "effect/Duration"
import { maxMessageBytes } from "../line/message.ts"
import type { Address } from "./address.ts"

/** A copy: the caller may wipe its own. */
export const checkedKey = (key: unknown, what: string): Uint8Array => {
  const bytes = typeof key === "string" ? Buffer.from(key) : key instanceof Uint8Array ? new Uint8Array(key) : undefined
  if (bytes !== undefined && bytes.byteLength > 0) return bytes
  throw new RangeError(
    `${what}: the authKey must be a string or bytes, and not empty. Both sides have to have the same; 32 random bytes are good.`
  )
}

const isPort = (port: unknown, least: number): boolean =>
  typeof port === "number" && Number.isInteger(port) && port >= least && port <= 65_535

/** `leastPort` is 0 where the system may choose. */
export const checkedAddress = (address: unknown, leastPort: 0 | 1, what: string): Address => {
  const { host, path, port } = (address ?? {}) as Record<string, unknown>
  if (typeof path === "string" && path.length > 0 && !path.includes("\0", 1)) return { path }
  if (path === undefined && typeof host === "string" && host.length > 0 && isPort(port, leastPort)) {
    return { host, port: port as number }
  }
  throw new RangeError(
    `${what}: the address must be { path } with the path of a socket, or { host, port } with a port from ${leastPort} to ` +
      `65535, but it is ${JSON.stringify(address) ?? String(address)}.`
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

export const checkedPatience = (input: Duration.Input | undefined, what: string): number => {
  const millis = input === undefined ? 10_000 : Duration.toMillis(input)
  if (millis >= 1 && millis < Infinity) return Math.min(millis, longestMillis)
  throw new RangeError(`${what}: the handshakeTimeout must be a time of at least 1 millisecond, but it is ${millis}.`)
}

export const checkedDeadline = (input: Duration.Input | undefined, what: string): number => {
  const millis = input === undefined ? 10_000 : Duration.toMillis(input)
  if (millis >= 0) return millis
  throw new RangeError(`${what}: the deadline must be a time of at least 0 milliseconds, but it is ${millis}.`)
}
