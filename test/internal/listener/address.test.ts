/** Files of sockets: whose they are. */
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { connect, createServer } from "node:net"
import type { Server } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { leaveAt, listenAt, makePlace, removeLeftPlaces, show } from "../../../src/internal/listener/address.ts"
import { checkedAddress } from "../../../src/internal/listener/options.ts"

let folder = ""
const servers: Array<Server> = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "address-"))
})

afterEach(async () => {
  for (const server of servers.splice(0)) {
    if (!server.listening) continue
    server.close()
    await once(server, "close")
  }
  rmSync(folder, { recursive: true })
})

const listening = async (path: string): Promise<Server> => {
  const server = createServer((socket) => socket.destroy())
  servers.push(server)
  assert.isUndefined(await listenAt(server, { path }))
  return server
}

const isReached = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ path })
    socket.once("connect", () => resolve(true))
    socket.once("error", () => resolve(false))
    socket.once("close", () => socket.destroy())
    socket.resume()
  })

describe("the file of a listener", () => {
  it("goes with it", async () => {
    const path = join(folder, "own")
    const server = await listening(path)
    leaveAt({ path })(() => void server.close())
    assert.isFalse(existsSync(path))
  })

  it("that another has by now stays, and leads to that one", async () => {
    const path = join(folder, "shared")
    const first = await listening(path)
    const leave = leaveAt({ path })
    renameSync(path, join(folder, "lost"))
    await listening(path)
    leave(() => void first.close())
    assert.isTrue(existsSync(path))
    assert.isTrue(await isReached(path))
  })

  it("is where it was when the program goes to another folder", () => {
    assert.deepStrictEqual(checkedAddress({ path: "a.sock" }, 0, "test"), { path: join(process.cwd(), "a.sock") })
  })

  it("is shown as users write it", () => {
    assert.strictEqual(show({ path: "\0name" }), "@name")
    assert.strictEqual(show({ host: "::1", port: 9 }), "[::1]:9")
    assert.strictEqual(show({ host: "127.0.0.1", port: 9 }), "127.0.0.1:9")
  })
})

/** A process that is killed while it listens at a private socket; gives the path. */
const killedWithPlace = async (): Promise<string> => {
  const module = JSON.stringify(new URL("../../../src/internal/listener/address.ts", import.meta.url))
  const program = `
    const { makePlace } = await import(${module})
    const { path } = makePlace()
    const { createServer } = await import("node:net")
    createServer().listen({ path }, () => process.stdout.write(path))
  `
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, XDG_RUNTIME_DIR: folder }
  })
  const [path] = await once(child.stdout, "data")
  child.kill("SIGKILL")
  await once(child, "exit")
  return String(path)
}

describe("what a killed process has left of a private socket", () => {
  const before = process.env["XDG_RUNTIME_DIR"]
  beforeEach(() => {
    process.env["XDG_RUNTIME_DIR"] = folder
  })
  afterEach(() => {
    if (before === undefined) delete process.env["XDG_RUNTIME_DIR"]
    else process.env["XDG_RUNTIME_DIR"] = before
  })

  it("is removed, and what somebody listens at is not", async () => {
    const left = await killedWithPlace()
    assert.isTrue(existsSync(left))
    const { leave, path } = makePlace()
    await listening(path)
    await removeLeftPlaces()
    assert.isFalse(existsSync(dirname(left)))
    assert.isTrue(await isReached(path))
    leave()
  })

  it("stays where something else is in its folder, or where nobody has listened yet", async () => {
    const left = dirname(await killedWithPlace())
    writeFileSync(join(left, "other"), "")
    const empty = makePlace()
    await removeLeftPlaces()
    assert.isTrue(existsSync(join(left, "other")))
    assert.isTrue(existsSync(dirname(empty.path)))
    empty.leave()
  })
})

describe("an address that is none", () => {
  const wrong: ReadonlyArray<unknown> = [
    { path: "" },
    { path: "\0" },
    { path: "a\0b" },
    { path: "/a", port: 1 },
    { host: "a\0b", port: 1 },
    { host: "a", port: 5n },
    { host: "a", port: NaN },
    { host: "a" },
    7,
    undefined
  ]
  for (const address of wrong) {
    it(`is a defect that names it: ${typeof address === "object" ? Object.values(address!).join(" ") : address}`, () => {
      assert.throws(() => checkedAddress(address, 1, "Listener.connect"), RangeError, /Listener.connect: the address/)
    })
  }
})
