/** Who is let in at the door of a process, and who is not. */
import { assert, describe, it } from "@effect/vitest"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { connect } from "node:net"
import type { Socket } from "node:net"
import { Worker } from "node:worker_threads"
import * as FC from "fast-check"
import { knock, openDoor } from "../../../src/internal/hub/door.ts"
import type { Address, Door } from "../../../src/internal/hub/door.ts"

interface Visit {
  readonly socket: Socket
  readonly pid: number
  readonly ticket: string | undefined
}

/** A door that writes down who came in. */
const makeDoor = () => {
  const visits: Array<Visit> = []
  const waits = new Set<() => void>()
  const door = openDoor((socket, { pid, ticket }) => {
    visits.push({ socket, pid, ticket })
    for (const check of waits) check()
  }, () => {})
  const until = (count: number): Promise<void> =>
    new Promise((resolve) => {
      const check = (): void => {
        if (visits.length >= count) resolve()
      }
      waits.add(check)
      check()
    })
  const close = (): void => {
    for (const { socket } of visits) socket.destroy()
    door.close()
  }
  return { address: door.address, visits, until, close }
}

const introduction = ({ secret }: Address, pid = process.pid, ticket = "00".repeat(16)): Buffer => {
  const number = Buffer.alloc(4)
  number.writeUInt32LE(pid)
  return Buffer.concat([Buffer.from("emp2"), Buffer.from(secret, "hex"), number, Buffer.from(ticket, "hex")])
}

const visit = async ({ path }: Address): Promise<Socket> => {
  const socket = connect({ path })
  socket.on("error", () => {})
  await once(socket, "connect")
  return socket
}

const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.closed) resolve()
    else socket.resume().once("close", () => resolve())
  })

/** All that comes until so many bytes are there. */
const read = async (socket: Socket, count: number): Promise<Buffer> => {
  let bytes = Buffer.alloc(0)
  while (bytes.length < count) bytes = Buffer.concat([bytes, (await once(socket, "data"))[0] as Buffer])
  return bytes
}

const withDoor = async (body: (door: ReturnType<typeof makeDoor>) => Promise<void>): Promise<void> => {
  const door = makeDoor()
  try {
    await body(door)
  } finally {
    door.close()
  }
}

describe("a door", () => {
  it("lets in who knows the secret, with its pid, however its first bytes are cut; what comes after them is not lost", () =>
    withDoor(async ({ address, until, visits }) => {
      await FC.assert(
        FC.asyncProperty(
          FC.uint8Array({ maxLength: 40 }),
          FC.array(FC.nat({ max: 80 }), { maxLength: 4 }),
          async (rest, cuts) => {
            const bytes = Buffer.concat([introduction(address, 4711), rest])
            const socket = await visit(address)
            const places = [0, ...cuts.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b), bytes.length]
            const count = visits.length
            for (let i = 1; i < places.length; i++) {
              const part = bytes.subarray(places[i - 1], places[i])
              if (part.length > 0) await new Promise((resolve) => socket.write(part, resolve))
            }
            await until(count + 1)
            assert.lengthOf(visits, count + 1)
            const inside = visits[count]!
            assert.strictEqual(inside.pid, 4711)
            const said = await read(inside.socket, rest.length)
            assert.deepEqual([...said], [...rest])
            socket.destroy()
            inside.socket.destroy()
          }
        ),
        { numRuns: 30 }
      )
    }))

  it("does not let in who does not", () =>
    withDoor(async ({ address, until, visits }) => {
      const right = introduction(address)
      const flipped = (index: number): Buffer => {
        const bytes = Buffer.from(right)
        bytes[index]! ^= 1
        return bytes
      }
      const wrong: Array<Buffer> = [
        flipped(0), // speaks another language
        flipped(3),
        flipped(4),
        flipped(35),
        randomBytes(40),
        Buffer.alloc(40),
        Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"),
        Buffer.concat([randomBytes(40), right]),
        randomBytes(1_000_000)
      ]
      for (const bytes of wrong) {
        const socket = await visit(address)
        socket.write(bytes)
        await closed(socket)
      }
      assert.isEmpty(visits)
      knock(address)
      await until(1)
    }))

  it("does not let in, whatever they say", () =>
    withDoor(async ({ address, visits }) => {
      await FC.assert(
        FC.asyncProperty(FC.uint8Array({ minLength: 40, maxLength: 200 }), async (bytes) => {
          const socket = await visit(address)
          socket.write(bytes)
          await closed(socket)
          assert.isEmpty(visits)
        }),
        { numRuns: 50 }
      )
    }))

  it("is not held up by those who say half of it, or nothing, or go away", () =>
    withDoor(async ({ address, until, visits }) => {
      const right = introduction(address)
      const halves: Array<Socket> = []
      for (let i = 0; i < 30; i++) {
        const socket = await visit(address)
        if (i % 3 > 0) socket.write(right.subarray(0, i))
        if (i % 3 === 2) socket.destroy()
        halves.push(socket)
      }
      for (let i = 0; i < 5; i++) knock(address)
      await until(5)
      assert.lengthOf(visits, 5)
      // one that is late comes in, and those that hang up do not
      halves[1]!.write(right.subarray(1))
      await until(6)
      for (const socket of halves) socket.destroy()
      knock(address)
      await until(7)
      assert.lengthOf(visits, 7)
    }))

  it("that is closed turns away who stands before it, and who comes", async () => {
    const door = makeDoor()
    const before = await visit(door.address)
    before.write(introduction(door.address).subarray(0, 39))
    const inside = knock(door.address)
    await door.until(1)
    door.close()
    await closed(before)
    await closed(inside)
    assert.lengthOf(door.visits, 1)
    await closed(knock(door.address))
    assert.lengthOf(door.visits, 1)
  })

  it("has a name and a secret of its own", () => {
    const doors: Array<Door> = Array.from({ length: 20 }, () => openDoor(() => {}, () => {}))
    for (const  of of["path", "secret"] as const) {
      assert.strictEqual(new Set(doors.map(({ address }) => address[of])).size, 20)
      assert.isTrue(doors.every(({ address }) => address[of].length >= 32))
    }
    for (const door of doors) door.close()
  })

  it("keeps no process alive, nor do those who knock", async () => {
    const file = new URL("../../../src/internal/hub/door.ts", import.meta.url).href
    const worker = new Worker(
      `import { parentPort } from "node:worker_threads"
       const { knock, openDoor } = await import(${JSON.stringify(file)})
       const { address } = openDoor(() => parentPort.postMessage("in"), () => {})
       const ending = setInterval(() => {}, 1000)
       parentPort.on("message", () => { clearInterval(ending); parentPort.close() })
       knock(address)`,
      { eval: true, execArgv: ["--input-type=module"] }
    )
    await once(worker, "message")
    const ended = once(worker, "exit")
    worker.postMessage("end")
    assert.deepEqual(await ended, [0])
  })
})
