/** How frames leave a socket: the first of a turn at once, those that follow it as one. */
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { CloseEvent } from "effect/socket/Socket"
import type { Writer } from "effect/socket/Socket"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { connect, createServer } from "node:net"
import type { Server, Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { decodeMessage } from "../../../src/internal/manager/messages.ts"
import { socketOver } from "../../../src/internal/manager/socket.ts"
import { makeFrameReader, maxFrameBytes } from "../../../src/internal/protocol/frames.ts"
import { numbers } from "../../conformance/assertions.ts"

const limitMillis = 10_000

let folder = ""
let server: Server
let here: Socket
let there: Socket

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "manager-socket-"))
  server = createServer()
  server.listen(join(folder, "socket"))
  await once(server, "listening")
  const come = once(server, "connection")
  here = connect(join(folder, "socket"))
  await once(here, "connect")
  const [socket] = await come
  there = socket
})

afterEach(async () => {
  here.destroy()
  there.destroy()
  server.close()
  await once(server, "close")
  rmSync(folder, { recursive: true })
})

const openHere = (isForgiving = false) => {
  const socket = socketOver(here, { limit: maxFrameBytes, isForgiving })
  const scope = Scope.makeUnsafe()
  const writer = Effect.runSync(Scope.provide(socket.writer, scope))
  Effect.runSync(Scope.provide(socket.reader, scope))
  return { writer, close: () => Effect.runSync(Scope.close(scope, Exit.void)) }
}

/** How many frames leave at once, each time that some do. */
const leavings = (): ReadonlyArray<number> => {
  const seen: Array<number> = []
  const { _write, _writev } = here
  here._write = function(...all) {
    seen.push(1)
    return _write.apply(this, all)
  }
  here._writev = function(chunks, done) {
    seen.push(chunks.length)
    return _writev!.call(this, chunks, done) // a net.Socket has it
  }
  return seen
}

const ack = (n: number) => ({ _tag: "Ack", requestId: n })

/** With a value of so many bytes. */
const exit = (n: number, bytes: number) => ({
  _tag: "Exit",
  requestId: n,
  exit: [0, { value: new Uint8Array(bytes), marked: false }]
})

/** What the serialization gives it is no bytes. */
const write = ({ write }: Writer, message: unknown) => Effect.runFork(write(message as Uint8Array))

const isDone = (fiber: Fiber.Fiber<unknown, unknown>): boolean => fiber.pollUnsafe() !== undefined

/** The numbers of the messages that arrive there, until there are so many, or its end. */
const arrivals = (count = Infinity): Promise<ReadonlyArray<number>> =>
  new Promise((resolve) => {
    const reader = makeFrameReader(maxFrameBytes)
    const seen: Array<number> = []
    there.on("data", (block) =>
      reader.push(block, (body, attachments) => {
        seen.push((decodeMessage(body, attachments) as { readonly requestId: number }).requestId)
        if (seen.length === count) resolve(seen)
      }))
    there.on("end", () => resolve(seen))
    there.on("error", () => resolve(seen))
  })

const listenersHere = () => ["drain", "close"].map((event) => here.listenerCount(event))

/** More than the system keeps for who does not read. */
const bytes = 4 * 1024 * 1024

describe("The socket of a manager", () => {
  it("that ends while the other side still writes is read to its end", async () => {
    const { close, writer } = openHere()
    there.pause()
    there.write("what nobody here reads any more")
    for (const n of [1, 2]) write(writer, ack(n))
    close()
    await once(here, "finish")
    // whoever was reset fails here, and with that drops what it has not read
    for (const _ of numbers(3)) {
      there.write("more")
      await new Promise((resolve) => setImmediate(resolve))
    }
    const arrived = arrivals()
    there.resume()
    assert.deepStrictEqual(await arrived, [1, 2])
    if (!here.destroyed) await once(here, "close")
  }, limitMillis)

  it("that ends while the other side says nothing does not wait for it for ever", async () => {
    const { close, writer } = openHere()
    there.pause()
    write(writer, ack(1))
    close()
    await once(here, "close")
  }, limitMillis)

  it("writes the first frame of a turn at once, and those that follow it as one, in order", async () => {
    const { writer } = openHere()
    const left = leavings()
    const arrived = arrivals(3)
    write(writer, ack(1))
    assert.deepStrictEqual(left, [1])
    for (const n of [2, 3]) assert.isTrue(isDone(write(writer, ack(n))))
    assert.deepStrictEqual(left, [1])
    assert.deepStrictEqual(await arrived, [1, 2, 3])
    assert.deepStrictEqual(left, [1, 2])
  }, limitMillis)

  it("writes the first frame of the next turn at once", async () => {
    const { writer } = openHere()
    const left = leavings()
    const arrived = arrivals(4)
    for (const n of [1, 2, 3]) write(writer, ack(n))
    await Promise.resolve()
    assert.deepStrictEqual(left, [1, 2])
    write(writer, ack(4))
    assert.deepStrictEqual(left, [1, 2, 1])
    assert.deepStrictEqual(await arrived, [1, 2, 3, 4])
  }, limitMillis)

  it("that ends with its reader in the middle of a turn sends what was written", async () => {
    const { close, writer } = openHere()
    const arrived = arrivals()
    for (const n of numbers(5)) write(writer, ack(n))
    assert.isAbove(here.writableCorked, 0)
    close()
    assert.deepStrictEqual(await arrived, numbers(5))
    if (!here.closed) await once(here, "close")
    assert.isTrue(here.destroyed)
  }, limitMillis)

  it("that ends with its reader while the other side does not read sends what was written", async () => {
    const { close, writer } = openHere(true)
    const writes = [exit(0, bytes), ack(1), exit(2, bytes), ack(3)].map((message) => write(writer, message))
    assert.isAbove(here.writableCorked, 0)
    close()
    await new Promise((resolve) => setImmediate(resolve))
    assert.isFalse(here.destroyed)
    assert.deepStrictEqual(await arrivals(), numbers(4))
    await Effect.runPromise(Effect.forEach(writes, Fiber.join))
    assert.isTrue(here.destroyed)
  }, limitMillis)

  it("that is destroyed in the middle of a turn lets go what has not left", async () => {
    const { writer } = openHere()
    const left = leavings()
    const arrived = arrivals()
    for (const n of [1, 2, 3]) write(writer, ack(n))
    assert.isAbove(here.writableCorked, 0)
    write(writer, new CloseEvent())
    assert.isTrue(here.destroyed)
    assert.isTrue(Exit.isFailure(await Effect.runPromiseExit(writer.write(ack(4) as never))))
    assert.deepStrictEqual(await arrived, [1])
    assert.deepStrictEqual(left, [1])
  }, limitMillis)

  it("resumes every write when the other side reads what was too much", async () => {
    const { writer } = openHere()
    const listeners = listenersHere()
    const writes = [exit(0, bytes), ...numbers(20).map((n) => ack(n + 1))].map((message) => write(writer, message))
    await Promise.resolve()
    // of another turn
    writes.push(write(writer, exit(21, bytes)), write(writer, ack(22)))
    await new Promise((resolve) => setImmediate(resolve))
    assert.isTrue(here.writableNeedDrain)
    assert.deepStrictEqual(writes.map(isDone), writes.map(() => false))
    const arrived = arrivals(writes.length)
    await Effect.runPromise(Effect.forEach(writes, Fiber.join))
    assert.deepStrictEqual(await arrived, numbers(writes.length))
    assert.deepStrictEqual(listenersHere(), listeners)
  }, limitMillis)
})
