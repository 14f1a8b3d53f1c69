/**
 * What the two sides of a connection say when they have proven the key, before anything else: the client that it is one of
 * a manager, and the server which manager it is, and what its methods are. So nothing is called, and no value is decoded,
 * where the two do not fit.
 */
import { Buffer } from "node:buffer"
import type { Socket } from "node:net"
import { reachable } from "./definition.ts"
import type { Definition, Method } from "./definition.ts"

/** What is said here, and by the messages after it. */
export const version = 1

/** What a server says of itself. */
export interface Presence {
  readonly manager: string
  /** By the names of all definitions that live there: what each of its methods gives. */
  readonly definitions: Readonly<Record<string, Readonly<Record<string, string>>>>
}

/** `noise`: bytes that nobody says here. */
export type Misfit = "noise" | "late" | "gone" | { readonly version: number }

export const isMisfit = (heard: Presence | Misfit): heard is Misfit => typeof heard === "string" || "version" in heard

// ---------------------------------------------------------------------------------------------------- methods

const gives = ({ hosted, isStream }: Method): string =>
  hosted === undefined ? isStream ? "a stream" : "a value" : `an object "${hosted.name}"`

const methodsOf = ({ methods }: Pick<Definition, "methods">): Readonly<Record<string, string>> =>
  Object.fromEntries(Array.from(methods, ([name, method]) => [name, gives(method)]))

export const presenceOf = (definition: Definition): Presence => ({
  manager: definition.name,
  definitions: Object.fromEntries(Array.from(reachable(definition), (one) => [one.name, methodsOf(one)]))
})

const differenceOf = (definition: Definition, { definitions, manager }: Presence): ReadonlyArray<string> => {
  const { name, server } = definition
  const there = Object.hasOwn(definitions, name) ? definitions[name]! : undefined
  if (there === undefined) {
    return [server === undefined ? `it has no objects "${name}"` : `it is the manager "${manager}"`]
  }
  const here = methodsOf(definition)
  return [...new Set([...Object.keys(here), ...Object.keys(there)])].sort().flatMap((method) => {
    const [ours, theirs] = [here[method], there[method]]
    if (ours === theirs) return []
    const what = server === undefined ? `"${name}.${method}"` : `"${method}"`
    return theirs === undefined
      ? [`it has no ${what}`]
      : ours === undefined
      ? [`it has ${what}, which is not known here`]
      : [`${what} gives ${theirs} there, and ${ours} here`]
  })
}

/** What is not the same there as here, of this definition and of the objects that it gives; empty where they fit. */
export const differences = (definition: Definition, presence: Presence): ReadonlyArray<string> =>
  Array.from(reachable(definition)).flatMap((one) => differenceOf(one, presence))

// ---------------------------------------------------------------------------------------------------- bytes

const word = Buffer.from("empm")
/** The word, the version (2 bytes), nothing (2), and the length of what follows (4). Numbers are little endian. */
const headerBytes = 12
/** Of what a server says of itself. */
const mostBytes = 4 * 1024 * 1024

const said = (body: string): Buffer => {
  const bytes = Buffer.alloc(headerBytes + Buffer.byteLength(body))
  word.copy(bytes)
  bytes.writeUInt16LE(version, 4)
  bytes.writeUInt32LE(bytes.length - headerBytes, 8)
  bytes.write(body, headerBytes)
  return bytes
}

type Heard = { readonly body: string; readonly rest: Buffer } | "more" | Misfit

const read = (bytes: Buffer): Heard => {
  const start = bytes.subarray(0, word.length)
  if (!start.equals(word.subarray(0, start.length))) return "noise"
  if (bytes.length < headerBytes) return "more"
  const theirs = bytes.readUInt16LE(4)
  if (theirs !== version) return { version: theirs }
  const end = headerBytes + bytes.readUInt32LE(8)
  if (end > mostBytes) return "noise"
  return bytes.length < end ? "more" : { body: bytes.toString("utf8", headerBytes, end), rest: bytes.subarray(end) }
}

const isPresence = (u: unknown): u is Presence => {
  const { definitions, manager } = (u ?? {}) as Record<string, unknown>
  return typeof manager === "string" && typeof definitions === "object" && definitions !== null
}

const presenceIn = (body: string): Presence | "noise" => {
  try {
    const parsed: unknown = JSON.parse(body)
    return isPresence(parsed) ? parsed : "noise"
  } catch {
    return "noise"
  }
}

// ---------------------------------------------------------------------------------------------------- on a socket

type Said = { readonly body: string } | Misfit

const isSaid = (heard: Said): heard is { readonly body: string } => typeof heard === "object" && "body" in heard

/**
 * Calls back once, with what the other side says. The socket is at rest then; where it has not said it, it is destroyed. One
 * of another version is told `farewell` before. What is given ends it without a word.
 */
const listen = (
  socket: Socket,
  patienceMillis: number,
  farewell: Uint8Array | undefined,
  done: (heard: Said) => void
): () => void => {
  let held: Buffer = Buffer.alloc(0)
  let isOver = false
  const stop = (): void => {
    isOver = true
    clearTimeout(timer)
    socket.off("data", onData)
    socket.off("close", onGone)
    socket.off("end", onGone)
  }
  const fail = (why: Misfit): void => {
    stop()
    if (farewell !== undefined && typeof why === "object") socket.resume().end(farewell, () => socket.destroy())
    else socket.destroy()
    done(why)
  }
  const onGone = (): void => isOver ? undefined : fail("gone")
  const onData = (block: Buffer): void => {
    held = Buffer.concat([held, block])
    const heard = read(held)
    if (heard === "more") return
    if (typeof heard === "string" || "version" in heard) return fail(heard)
    stop()
    socket.pause()
    if (heard.rest.length > 0) socket.unshift(heard.rest)
    done(heard)
  }
  const timer = setTimeout(() => fail("late"), patienceMillis).unref()
  socket.on("data", onData)
  socket.once("end", onGone)
  socket.once("close", onGone)
  socket.resume()
  if (socket.destroyed) setImmediate(onGone) // it has said so before
  return () => {
    stop()
    socket.destroy()
  }
}

/** The client's part: it speaks first. */
export const askWho = (
  socket: Socket,
  patienceMillis: number,
  done: (heard: Presence | Misfit) => void
): () => void => {
  socket.write(said(""))
  return listen(socket, patienceMillis, undefined, (heard) => {
    if (!isSaid(heard)) return done(heard)
    const presence = presenceIn(heard.body)
    if (presence === "noise") socket.destroy()
    done(presence)
  })
}

/** The server's part. A client of another version is told ours, and hears nothing more. */
export const sayWho = (
  socket: Socket,
  presence: Presence,
  patienceMillis: number,
  done: (isOurs: boolean) => void
): () => void =>
  listen(socket, patienceMillis, said(""), (heard) => {
    const isOurs = isSaid(heard)
    if (isOurs) socket.write(said(JSON.stringify(presence)))
    done(isOurs)
  })
