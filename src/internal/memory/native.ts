/**
 * Finds and loads the C addon (see `native/` in the repository), which a machine may do without: then shared memory
 * reaches threads only.
 */
import type { Buffer } from "node:buffer"
import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { perThread } from "./perThread.ts"

/** What went wrong in a call of the addon that was well formed; a malformed one throws a TypeError or a RangeError. */
export interface NativeError extends Error {
  /** The name of the error of the system call, such as "ENOMEM", or a name that begins with ERR_. */
  readonly code: string
  readonly syscall: string
}

/** What a copy of a process is given. */
export interface ForkOrder {
  readonly bytes: Buffer
  readonly fds: ReadonlyArray<number>
}

export interface Native {
  /** Raised together with the number in `addon.c` when the functions change. */
  readonly version: number
  /** Whether this Node can map memory as a SharedArrayBuffer; without it `mapSegment` fails. */
  readonly canShare: boolean
  /** The descriptor of a new segment of zeros, whose size is sealed. The caller closes it, with `closeDescriptor`. */
  readonly createSegment: (size: number) => number
  /** Like `closeSync`, which complains in a worker thread about descriptors that are not from `node:fs`. */
  readonly closeDescriptor: (fd: number) => void
  /**
   * Maps the first bytes of a segment, which needs its descriptor no longer than for this call. It is unmapped when no
   * thread refers to it any more. Two mappings in one process do not wake each other's waiters: map once, post the buffer.
   */
  readonly mapSegment: (fd: number, size: number) => SharedArrayBuffer
  /** How many mappings there are in this process. */
  readonly liveMappings: () => number
  /** Who was at the other end of a unix socket when it was connected. */
  readonly peerOf: (fd: number) => { readonly pid: number; readonly uid: number; readonly gid: number }
  /**
   * From the death of the parent on, this process has so many seconds to leave by itself; then it is killed, also when it
   * computes. False when the parent has died already: nothing will kill this process then. Main thread only.
   */
  readonly dieWithParent: (parentPid: number, graceSeconds: number) => boolean
  /**
   * Two connected sockets. Packets keep their boundaries; their sockets the caller closes with `closeDescriptor`. A stream is
   * for sockets of Node, which close it.
   */
  readonly socketPair: (packets: boolean) => readonly [number, number]
  /** Sends a packet, with copies of descriptors; false when there is no room now. */
  readonly sendPacket: (socket: number, bytes: Buffer, fds: ReadonlyArray<number>) => boolean
  /** Why this executable cannot make copies of its process, whatever its flags; empty when it can. */
  readonly whyNoFork: () => string
  /** Says what thread of this process a copy would lack; empty where there is none. */
  readonly foreignThread: () => string
  /**
   * Makes copies of this process on request, and returns in each of them; here it does not return. Throws, with the code
   * ERR_FORK_UNSAFE, when a copy would not live.
   */
  readonly serveForks: (control: number, events: number, graceMillis: number) => ForkOrder
  /**
   * Copies this process; in the copy it gives 0. Of all connections the copy has only those at `kept`; its event loop must not
   * turn. Throws, with the code ERR_FORK_UNSAFE, when a copy would not live.
   */
  readonly forkSelf: (kept: ReadonlyArray<number>) => number
  /** The status of a child that has ended, as waitpid gives it; `undefined` while it lives. */
  readonly reap: (pid: number) => number | undefined
  /** Ends the process; nothing is flushed, joined or told. */
  readonly exitNow: (code: number) => never
}

interface Loaded {
  readonly native: Native | undefined
  readonly absent: string
}

const version = 4

const fileName = "effect-multiprocessing.node"

/**
 * Where this code lies in the package, in `src`, in `dist` or in the bundled runner, it lies as deep. A bundle that somebody else
 * has made of it finds the package that is installed beside it, by its name.
 */
const findAddon = (folder: string): string | undefined => {
  try {
    const beside = fileURLToPath(new URL(`../../../${folder}/${fileName}`, import.meta.url))
    if (existsSync(beside)) return beside
    const manifest = createRequire(import.meta.url).resolve("effect-multiprocessing/package.json")
    const file = join(dirname(manifest), folder, fileName)
    return existsSync(file) ? file : undefined
  } catch {
    return undefined
  }
}

/** What `require` does with it in the end: without its search, of which a child that starts would feel the time. */
const loadAddon = (file: string): Native => {
  const module = { exports: {} }
  process.dlopen(module, file)
  return module.exports as Native // its version is looked at before anything else
}

const without = (absent: string): Loaded => ({ native: undefined, absent })

const load = (): Loaded => {
  if (process.env["EFFECT_MULTIPROCESSING_NATIVE"] === "off") {
    return without("the native addon is switched off: unset EFFECT_MULTIPROCESSING_NATIVE")
  }
  if (process.platform !== "linux") {
    return without(`the native addon is for Linux: there is none for ${process.platform}`)
  }
  const folder = `prebuilds/${process.platform}-${process.arch}`
  try {
    const file = findAddon(folder)
    if (file === undefined) {
      return without(
        `there is no ${folder}/${fileName}: in a checkout run "npm run build:native", which needs a C compiler`
      )
    }
    const native = loadAddon(file)
    if (native.version !== version) {
      return without(`${file} was built from other sources: run "npm run build:native"`)
    }
    return { native, absent: native.canShare ? "" : whyNotShared }
  } catch (error) {
    return without(`the native addon could not be loaded: ${error instanceof Error ? error.message : String(error)}`)
  }
}

const whyNotShared =
  `Node ${process.versions.node} cannot map memory as a SharedArrayBuffer: use Node >= 22.23.3, 24.16 or 26.1`

const loaded = (): Loaded => perThread(`native/${version}`, load)

/** The addon; undefined where it is missing or switched off. Loaded at the first call. */
export const native = (): Native | undefined => loaded().native

/**
 * One sentence, to be put behind "because": what is missing for memory that reaches other processes, and what to do. It
 * is empty when nothing is missing.
 */
export const whyAbsent = (): string => loaded().absent
