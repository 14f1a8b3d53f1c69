/**
 * The way into a process: a private socket with a name that nobody can guess, and a secret that is asked for, because the
 * names of sockets can be listed. On Linux the name is abstract, so that nothing is left of it when its process has ended;
 * elsewhere it is a file in a folder that only this user can enter.
 */
import { randomBytes, timingSafeEqual } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { connect, createServer } from "node:net"
import type { OnReadOpts, Server, Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { isOfThisUser } from "../memory/peers.ts"

/** Where a process is found, and what it wants to hear. */
export interface Address {
  readonly path: string
  readonly secret: string
  readonly pid: number
}

export interface Door {
  readonly address: Address
  readonly close: () => void
}

/** Who knocks, and where to: at the hub itself, or at the end of a pipe that is at home here, by its ticket. */
export interface Visitor {
  readonly pid: number
  readonly ticket: string | undefined
}

/** Says what is spoken behind the door, too: another version of it has another word. */
const greeting = Buffer.from("emp2")
const secretBytes = 32
const ticketBytes = 16
/** The greeting, the secret, the visitor's process, and the ticket, which is zero for the hub. */
const introductionBytes = greeting.length + secretBytes + 4 + ticketBytes
const noTicket = "00".repeat(ticketBytes)

export const newTicket = (): string => randomBytes(ticketBytes).toString("hex")
const patienceMillis = 10_000

interface Place {
  readonly path: string
  readonly leave: () => void
}

const makePlace = (): Place => {
  const name = `effect-multiprocessing-${randomBytes(16).toString("hex")}`
  if (process.platform === "linux") return { path: `\0${name}`, leave: () => {} }
  const folder = mkdtempSync(join(process.env["XDG_RUNTIME_DIR"] || tmpdir(), "emp-"))
  const leave = (): void => {
    process.off("exit", leave)
    rmSync(folder, { recursive: true, force: true })
  }
  process.on("exit", leave)
  return { path: join(folder, "hub"), leave }
}

/** Reads the first bytes of a visitor, and lets in who knows the secret. What has come after them is put back. */
const admit = (socket: Socket, secret: Buffer, onAdmitted: (visitor: Visitor) => void): void => {
  let bytes = Buffer.alloc(0)
  const timer = setTimeout(() => socket.destroy(), patienceMillis)
  timer.unref()
  socket.once("close", () => clearTimeout(timer))
  const onReadable = (): void => {
    const block = socket.read() as Buffer | null
    if (block === null) return
    bytes = Buffer.concat([bytes, block])
    const isGreeted = bytes.subarray(0, greeting.length).equals(greeting.subarray(0, bytes.length))
    if (!isGreeted) return void socket.destroy()
    if (bytes.length < introductionBytes) return
    socket.off("readable", onReadable)
    clearTimeout(timer)
    const said = bytes.subarray(greeting.length, greeting.length + secretBytes)
    if (!timingSafeEqual(said, secret)) return void socket.destroy()
    const rest = bytes.subarray(introductionBytes)
    if (rest.length > 0) socket.unshift(rest)
    const at = greeting.length + secretBytes
    const ticket = bytes.toString("hex", at + 4, introductionBytes)
    onAdmitted({ pid: bytes.readUInt32LE(at), ticket: ticket === noTicket ? undefined : ticket })
  }
  socket.on("readable", onReadable)
}

/** Opens it at once: the address can be told when this returns. It does not keep the process alive, nor do its visitors. */
export const openDoor = (onVisitor: (socket: Socket, visitor: Visitor) => void, onBroken: () => void): Door => {
  const place = makePlace()
  const secret = randomBytes(secretBytes)
  const outside = new Set<Socket>()
  const server: Server = createServer((socket) => {
    socket.on("error", () => {}) // who visits may be killed
    socket.unref()
    if (!isOfThisUser(socket)) return void socket.destroy()
    outside.add(socket)
    socket.once("close", () => outside.delete(socket))
    admit(socket, secret, (visitor) => {
      outside.delete(socket)
      onVisitor(socket, visitor)
    })
  })
  server.on("error", onBroken)
  // `exclusive`: a worker of node:cluster would ask its primary, and later
  server.listen({ path: place.path, exclusive: true })
  server.unref()
  return {
    address: { path: place.path, secret: secret.toString("hex"), pid: process.pid },
    close: () => {
      server.close()
      // who has not been let in yet is not any more
      for (const socket of outside) socket.destroy()
      place.leave()
    }
  }
}

/** Knocks, and says the secret. Whoever is not let in sees the socket close. */
export const knock = ({ path, secret }: Address, ticket: string = noTicket, onread?: OnReadOpts): Socket => {
  const socket = connect(onread === undefined ? { path } : { path, onread })
  socket.on("error", () => {})
  socket.unref()
  // before anything is written: whose name it was may have ended, and another user have taken it
  socket.once("connect", () => {
    if (!isOfThisUser(socket)) socket.destroy()
  })
  const pid = Buffer.alloc(4)
  pid.writeUInt32LE(process.pid)
  socket.write(Buffer.concat([greeting, Buffer.from(secret, "hex"), pid, Buffer.from(ticket, "hex")]))
  return socket
}
