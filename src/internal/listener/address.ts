/**
 * Where a listener is found: a file that is a socket, or a port.
 */
import { Buffer } from "node:buffer"
import { createHash, randomBytes } from "node:crypto"
import { existsSync, linkSync, lstatSync, mkdtempSync, renameSync, rmdirSync, rmSync, unlinkSync } from "node:fs"
import { readdir } from "node:fs/promises"
import { connect } from "node:net"
import type { Server } from "node:net"
import { hostname, tmpdir } from "node:os"
import { setTimeout } from "node:timers/promises"
import { dirname, isAbsolute, join } from "node:path"

export type Address = { readonly host: string; readonly port: number } | { readonly path: string }

/** Of idle connections, whose other side may be gone without a word. */
export const keepAliveMillis = 30_000

/** As users write it: a name that is no file begins with `@`. */
export const show = (address: Address): string => {
  if ("path" in address) return address.path.replace(/^\0/, "@")
  return `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`
}

/** Only a path is sure to stay on this machine. */
export const isFar = (address: Address): boolean => !("path" in address)

/** What every system has room for: some versions of Node cut a longer path, and mean another file then. */
const longestPath = process.platform === "linux" ? 107 : 103

export const isTooLong = (address: Address): boolean =>
  "path" in address && Buffer.byteLength(address.path) > longestPath

// ---------------------------------------------------------------------------------------------------- private places

export interface Place {
  readonly path: string
  readonly leave: () => void
}

const places = new Set<Place>()
/** Once in a process for what others have left. */
let hasLooked = false

const leaveAll = (): void => {
  for (const { leave } of places) leave()
}

const fileName = "listener"

/** Where the folders are made. */
const ground = (): string => {
  const runtime = process.env["XDG_RUNTIME_DIR"]
  return runtime !== undefined && isAbsolute(runtime) && existsSync(runtime) ? runtime : tmpdir()
}

/** Machines may share the ground: nobody can tell of another's whether it lives. */
const prefix = `emp-l${createHash("sha256").update(hostname()).digest("hex").slice(0, 8)}-`

/** The folders that this process has; of others nothing is known here. */
export const ownPlaces = (): ReadonlyArray<string> => [...places].map(({ path }) => path)

/** A file in a folder that only this user can enter. It goes with its scope, or with the process. */
export const makePlace = (): Place => {
  const folder = mkdtempSync(join(ground(), prefix))
  const place: Place = {
    path: join(folder, fileName),
    leave: () => {
      places.delete(place)
      if (places.size === 0) process.off("exit", leaveAll)
      rmSync(folder, { recursive: true, force: true })
    }
  }
  if (places.size === 0) process.on("exit", leaveAll)
  places.add(place)
  if (!hasLooked) removeLeftPlaces().catch(() => {}) // another does it
  hasLooked = true
  return place
}

// ---------------------------------------------------------------------------------------------------- listening

/** Why nobody can listen there; `code` is the system's, or one of ours. */
export interface Refused {
  readonly code: string
  readonly cause: unknown
}

export const codeOf = (cause: unknown): string => {
  const code = (cause as { readonly code?: unknown } | undefined)?.code
  return typeof code === "string" ? code : String(cause)
}

const tryListen = (server: Server, address: Address): Promise<Refused | undefined> =>
  new Promise((resolve) => {
    const onError = (cause: Error): void => {
      server.off("listening", onListening)
      resolve({ code: codeOf(cause), cause })
    }
    const onListening = (): void => {
      server.off("error", onError)
      resolve(undefined)
    }
    server.once("error", onError)
    server.once("listening", onListening)
    // `exclusive`: a worker of node:cluster would ask its primary
    server.listen({ ...address, exclusive: true })
  })

/** Does somebody listen there? Whoever does not let us in does too. */
const isLive = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ path })
    socket.once("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", (cause) => resolve(!["ECONNREFUSED", "ENOENT"].includes(codeOf(cause))))
  })

type Found = "nothing" | "other" | { readonly identity: string }

/** Numbers of files are used again, times are not; and a file keeps both when it gets another name. */
const look = (path: string): Found => {
  try {
    const found = lstatSync(path, { bigint: true })
    return found.isSocket() ? { identity: `${found.ino} ${found.mtimeNs}` } : "other"
  } catch {
    return "nothing"
  }
}

/**
 * Takes away the socket that a dead process has left. Others may do so at the same time, and listen there already: what was
 * taken is looked at again, and put back where it is another.
 */
const takeAway = (path: string, identity: string): void => {
  const aside = `${path}.${randomBytes(8).toString("hex")}`
  try {
    renameSync(path, aside)
  } catch {
    return // somebody was faster
  }
  const taken = look(aside)
  try {
    if (typeof taken !== "object" || taken.identity !== identity) linkSync(aside, path)
  } catch {
    // a third one is there meanwhile
  }
  unlinkSync(aside)
}

const attempts = 5
/** Between its bind and its listen somebody looks as if he were dead. */
const secondLookMillis = 50

const isStale = async (path: string, identity: string): Promise<boolean> => {
  await setTimeout(secondLookMillis)
  const found = look(path)
  return typeof found === "object" && found.identity === identity && !await isLive(path)
}

const isOwnFolder = (folder: string): boolean => {
  try {
    const found = lstatSync(folder)
    return found.isDirectory() && (process.getuid === undefined || found.uid === process.getuid())
  } catch {
    return false
  }
}

/** Takes away the folder of a private socket, where a dead process has left both. */
const removeLeft = async (folder: string): Promise<void> => {
  const path = join(folder, fileName)
  const found = look(path)
  // an empty one may be about to be used
  if (typeof found !== "object" || !isOwnFolder(folder) || await isLive(path)) return
  if (!await isStale(path, found.identity)) return
  takeAway(path, found.identity)
  try {
    rmdirSync(folder) // only where nothing else is in it
  } catch {
    // somebody was faster
  }
}

/** So many are looked at, at most. */
const mostLeft = 64

/** Takes away what processes of this user have left of their private sockets, when they were killed. */
export const removeLeftPlaces = async (): Promise<void> => {
  const where = ground()
  const own = ownPlaces()
  const others = (await readdir(where))
    .filter((name) => name.startsWith(prefix))
    .map((name) => join(where, name))
    .filter((folder) => !own.includes(join(folder, fileName)))
  await Promise.all(others.slice(0, mostLeft).map(removeLeft))
}

/** Listens, also where a dead process has left its socket. */
export const listenAt = async (server: Server, address: Address): Promise<Refused | undefined> => {
  if (isTooLong(address)) return { code: "ENAMETOOLONG", cause: undefined }
  let refused: Refused | undefined
  for (let attempt = 0; attempt < attempts; attempt++) {
    refused = await tryListen(server, address)
    if (refused === undefined || !("path" in address)) return refused
    const { path } = address
    // libuv says EACCES where the folder is not there
    if (refused.code === "EACCES" && !existsSync(dirname(path))) return { ...refused, code: "ENOENT" }
    if (refused.code !== "EADDRINUSE" || path.startsWith("\0")) return refused
    const found = look(path)
    if (found === "other") return { ...refused, code: "ENOTSOCK" }
    if (await isLive(path)) return refused
    if (found !== "nothing" && await isStale(path, found.identity)) takeAway(path, found.identity)
  }
  return refused
}

/**
 * What is given closes the server. The system then removes whatever has the path: another's file is put aside meanwhile.
 */
export const leaveAt = (address: Address): (close: () => void) => void => {
  if (!("path" in address) || address.path.startsWith("\0")) return (close) => close()
  const { path } = address
  const own = look(path)
  return (close) => {
    const found = look(path)
    const isOurs = found === "nothing" ||
      (typeof found === "object" && typeof own === "object" && found.identity === own.identity)
    const aside = isOurs ? undefined : `${path}.${randomBytes(8).toString("hex")}`
    try {
      if (aside !== undefined) renameSync(path, aside)
    } catch {
      return close() // it has gone meanwhile
    }
    close()
    if (aside !== undefined) renameSync(aside, path)
  }
}
