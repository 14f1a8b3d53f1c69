/** Sockets between two ends. Who was hurt: messages of a process that had sent them and ended, while the other was reading. */
import { assert, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { createServer } from "node:net"
import type { Socket } from "node:net"
import { Kind } from "../../../src/internal/line/end.ts"
import type { Frame } from "../../../src/internal/line/end.ts"
import { encodeFrames } from "../../../src/internal/line/frames.ts"
import { decodeMessage, encodeMessage } from "../../../src/internal/line/message.ts"
import { socketWire } from "../../../src/internal/line/wire.ts"

const sends = `
  import { connect } from "node:net"
  const socket = connect(Buffer.from(process.argv[1], "hex").toString("latin1"))
  socket.write(Buffer.from(process.argv[2], "hex"), () => process.kill(process.pid, "SIGKILL"))
`

/** The process is dead, and nobody has asked for its exit status yet. */
const isZombie = (pid: number): boolean => / Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"))

describe("the wire of a line", () => {
  it.skipIf(process.platform !== "linux")(
    "hears all that was sent by a process that is dead when it is answered",
    async () => {
      const texts = Array.from({ length: 50 }, (_, i) => `message ${i} ${"x".repeat(1000)}`)
      const frames = texts.map((text): Frame => ({
        kind: Kind.Data,
        messages: [encodeMessage(text, { sharesMemory: false })]
      }))
      const bytes = Buffer.concat(encodeFrames(frames)).toString("hex")
      const path = `\0wire-test-${randomBytes(8).toString("hex")}`
      const server = createServer().listen(path)
      const argv = ["--input-type=module", "-e", sends, "--", Buffer.from(path, "latin1").toString("hex")]
      const visit = once(server, "connection")
      const child = spawn(process.execPath, [...argv, bytes], { stdio: "inherit" })
      const exit = once(child, "exit")
      const [socket] = await visit as [Socket]
      socket.on("error", () => {})
      const heard: Array<string> = []
      const closed = new Promise<void>((resolve) => {
        const wire = socketWire(socket, {
          onFrames: (_, frames) => {
            for (const frame of frames) {
              if (frame.kind === Kind.Data) {
                heard.push(...frame.messages.map((message) => String(decodeMessage(message))))
              }
            }
          },
          onFlushed: () => {},
          onClose: () => resolve()
        })
        // the event loop stands still: nothing is read before it is written
        const until = Date.now() + 10_000
        while (!isZombie(child.pid!) && Date.now() < until);
        wire.write([{ kind: Kind.Ack, consumed: 0 }])
      })
      await closed
      assert.deepStrictEqual(heard, texts)
      server.close()
      await exit
    },
    20_000
  )
})
