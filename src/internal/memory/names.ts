/**
 * Names of blocks. A name is an abstract socket of the process that made the block, which tells those who connect where the
 * block is: it is gone with its owner, also when that is killed. Where segments reach threads only, a name reaches this
 * thread only.
 */
import { createHash, randomBytes } from "node:crypto"
import { connect, createServer } from "node:net"
import { native } from "./native.ts"
import { isOfThisUser } from "./peers.ts"
import { perThread } from "./perThread.ts"
import { codeOf, referTo } from "./segments.ts"
import type { Segment, SegmentReference } from "./segments.ts"

export type NameFailure =
  | { readonly _tag: "AlreadyExists" }
  | { readonly _tag: "NotFound" }
  | { readonly _tag: "SystemError"; readonly cause: unknown }

const patienceMillis = 10_000
const longestAnswer = 4096

const ofThread = perThread("names", () => new Map<string, Segment>())

/** A user's names are no other user's. */
const pathOf = (name: string): string =>
  `\0effect-multiprocessing-${process.getuid?.()}-${createHash("sha256").update(name).digest("hex").slice(0, 40)}`

/** One that nobody can guess. */
export const freshName = (): string => `block-${randomBytes(16).toString("hex")}`

/** Gives the name to a segment. `onDone` is called once: with the way to take it back, or with why not. */
export const giveName = (
  name: string,
  segment: Segment,
  onDone: (outcome: NameFailure | { readonly _tag: "Given"; readonly release: () => void }) => void
): void => {
  if (ofThread.has(name)) return onDone({ _tag: "AlreadyExists" })
  const isNamedHere = (): () => void => {
    ofThread.set(name, segment)
    return () => ofThread.delete(name)
  }
  if (segment.source === undefined) return onDone({ _tag: "Given", release: isNamedHere() })
  const answer = JSON.stringify(referTo(segment, false))
  const server = createServer((socket) => {
    socket.on("error", () => {}) // who asks may be killed
    socket.unref()
    if (isOfThisUser(socket)) socket.end(answer)
    else socket.destroy()
  })
  server.on("error", (cause) => {
    onDone(codeOf(cause) === "EADDRINUSE" ? { _tag: "AlreadyExists" } : { _tag: "SystemError", cause })
  })
  server.listen({ path: pathOf(name), exclusive: true }, () => {
    server.unref()
    const forget = isNamedHere()
    const release = (): void => {
      forget()
      server.close()
    }
    onDone({ _tag: "Given", release })
  })
}

/** Reads what the owner of a name says. What is given stops it. */
export const findName = (
  name: string,
  onDone: (outcome: NameFailure | { readonly _tag: "Found"; readonly reference: SegmentReference | Segment }) => void
): () => void => {
  const known = ofThread.get(name)
  if (known !== undefined || native()?.canShare !== true) {
    onDone(known === undefined ? { _tag: "NotFound" } : { _tag: "Found", reference: known })
    return () => {}
  }
  let text = ""
  const socket = connect({ path: pathOf(name) })
  const stop = (): void => {
    clearTimeout(timer)
    socket.removeAllListeners("data").removeAllListeners("close")
    socket.destroy()
  }
  const settle = (outcome: Parameters<typeof onDone>[0]): void => {
    stop()
    onDone(outcome)
  }
  const timer = setTimeout(
    () =>
      settle({
        _tag: "SystemError",
        cause: new Error(`its owner has not answered for ${patienceMillis / 1000} seconds`)
      }),
    patienceMillis
  )
  socket.setEncoding("utf8")
  socket.on("error", (cause) => {
    settle(codeOf(cause) === "ECONNREFUSED" ? { _tag: "NotFound" } : { _tag: "SystemError", cause })
  })
  socket.on("data", (part: string) => {
    text += part
    if (text.length > longestAnswer) {
      settle({ _tag: "SystemError", cause: new Error("its owner does not speak our language") })
    }
  })
  // a name can be taken by anybody
  socket.once("connect", () => {
    if (!isOfThisUser(socket)) {
      settle({ _tag: "SystemError", cause: new Error("it belongs to a process of another user") })
    }
  })
  socket.on("close", () => settle(readAnswer(text)))
  return stop
}

const isCount = (u: unknown): u is number => typeof u === "number" && Number.isSafeInteger(u) && u >= 0

/** A path is made of it. */
const isReference = (u: unknown): u is Omit<SegmentReference, "buffer"> => {
  const { id, size, source } = (u ?? {}) as Partial<SegmentReference>
  return typeof id === "string" && isCount(size) && isCount(source?.pid) && isCount(source.fd)
}

const readAnswer = (text: string): NameFailure | { readonly _tag: "Found"; readonly reference: SegmentReference } => {
  // nothing at all: it was let go while we asked
  if (text === "") return { _tag: "NotFound" }
  try {
    const reference: unknown = JSON.parse(text)
    if (!isReference(reference)) throw new Error("its owner does not speak our language")
    return { _tag: "Found", reference: { ...reference, buffer: undefined } }
  } catch (cause) {
    return { _tag: "SystemError", cause }
  }
}
