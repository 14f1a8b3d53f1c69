/**
 * Segments: the blocks of shared bytes in which cells lie.
 *
 * Where the native part is there a segment is a sealed file without a name, mapped as a SharedArrayBuffer: other threads
 * get the buffer, other processes map the file through the descriptor of the process that made it. Elsewhere it is a
 * plain SharedArrayBuffer, which reaches threads only.
 *
 * A process maps a segment once for each of its threads that was not given the buffer: the table says what is there.
 */
import { closeSync, existsSync, openSync, readlinkSync } from "node:fs"
import { gone, isGone } from "./gone.ts"
import { native, whyAbsent } from "./native.ts"
import { makeWeakTable, perThread } from "./perThread.ts"
import { unreachable } from "./unreachable.ts"

export interface Segment {
  /** The same in every process. */
  readonly id: string
  readonly buffer: SharedArrayBuffer
  /** The bytes that may be used; the label comes after them. */
  readonly size: number
  /** Where other processes find it; `undefined` when it reaches threads only. */
  readonly source: Source | undefined
}

/** A descriptor in a process. */
export interface Source {
  readonly pid: number
  readonly fd: number
}

/** What crosses instead of a segment: to a thread with the buffer, to a process without it. */
export interface SegmentReference extends Omit<Segment, "buffer"> {
  readonly buffer: SharedArrayBuffer | undefined
}

const known = perThread("segments", makeWeakTable<SharedArrayBuffer>)

/** A descriptor may have come to stand for something else: the last bytes of a segment say which one it is. */
const labelBytes = 64
const idBytes = 16

const labelOf = (buffer: SharedArrayBuffer): string =>
  Buffer.from(new Uint8Array(buffer, buffer.byteLength - labelBytes, idBytes)).toString("hex")

/** A multiple of what processors move at once, so that the next segment's cells are alone in theirs. */
const roundUp = (bytes: number): number => Math.ceil(bytes / labelBytes) * labelBytes

/** Throws what the system answers: ENOMEM, EMFILE. */
export const createSegment = (size: number): Segment => {
  // neither loaded by a child that makes none, nor with all that `globalThis.crypto` loads
  const label = process.getBuiltinModule("node:crypto").randomFillSync(new Uint8Array(idBytes))
  const id = Buffer.from(label).toString("hex")
  const total = roundUp(size) + labelBytes
  const addon = native()
  if (addon === undefined || !addon.canShare) {
    return { id, buffer: known.set(id, new SharedArrayBuffer(total)), size, source: undefined }
  }
  const fd = addon.createSegment(total)
  try {
    const buffer = addon.mapSegment(fd, total)
    new Uint8Array(buffer, total - labelBytes).set(label)
    return { id, buffer: known.set(id, buffer), size, source: { pid: process.pid, fd } }
  } catch (cause) {
    addon.closeDescriptor(fd)
    throw cause
  }
}

const closed = new WeakSet<Segment>()

/** The owner lets it go: what is mapped stays, and nobody new finds it. */
export const closeSegment = (segment: Segment): void => {
  closed.add(segment)
  if (segment.source !== undefined) native()?.closeDescriptor(segment.source.fd)
}

/** Throws {@link Gone} when this owner has let it go. */
export const referTo = (segment: Segment, sharesMemory: boolean): SegmentReference => {
  if (closed.has(segment)) throw gone()
  const { buffer, id, size, source } = segment
  return { id, size, source, buffer: sharesMemory ? buffer : undefined }
}

export const codeOf = (cause: unknown): unknown => (cause as { readonly code?: unknown } | null)?.code

const wordsOf = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause)

/** Whether a descriptor that cannot be opened stands for no segment: a socket, say, has taken its number. */
const isOfAnotherKind = (path: string): boolean => {
  try {
    return !readlinkSync(path).startsWith("/memfd:effect-multiprocessing")
  } catch {
    return false // the system does not say
  }
}

const openSource = ({ fd, pid }: Source): number => {
  const path = `/proc/${pid}/fd/${fd}`
  try {
    return openSync(path, "r+")
  } catch (cause) {
    // who ends at this very moment refuses before it is not there
    if (codeOf(cause) === "ENOENT" || !existsSync(`/proc/${pid}`) || isOfAnotherKind(path)) throw gone(cause)
    throw unreachable(
      `the system does not let it open a file of process ${pid} (${wordsOf(cause)}): ` +
        "run both as one user, neither of which has changed its user since it was started"
    )
  }
}

/** The addon's way of saying that this file is not the segment that was meant. */
const otherFile: ReadonlySet<unknown> = new Set(["ERR_NOT_SEALED", "ERR_TOO_SMALL"])

const map = (id: string, size: number, source: Source): SharedArrayBuffer => {
  const addon = native()
  if (addon === undefined || !addon.canShare) throw unreachable(whyAbsent())
  const fd = openSource(source)
  try {
    const buffer = addon.mapSegment(fd, roundUp(size) + labelBytes)
    if (labelOf(buffer) !== id) throw gone()
    return known.set(id, buffer)
  } catch (cause) {
    if (isGone(cause)) throw cause
    throw otherFile.has(codeOf(cause)) ? gone(cause) : unreachable(`the system does not map it (${wordsOf(cause)})`)
  } finally {
    closeSync(fd)
  }
}

/** The segment that a reference from another thread or process stands for. Throws {@link Gone} or {@link Unreachable}. */
export const openSegment = ({ buffer, id, size, source }: SegmentReference): Segment => {
  const mapped = known.get(id)
  if (mapped !== undefined) return { id, buffer: mapped, size, source }
  if (buffer !== undefined) return { id, buffer: known.set(id, buffer), size, source }
  if (source === undefined) throw unreachable("it reaches only the threads of the process that made it")
  return { id, buffer: map(id, size, source), size, source }
}
