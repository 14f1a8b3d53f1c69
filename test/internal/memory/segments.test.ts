/** Segments: shared bytes as others find them. */
import { assert, describe, it } from "@effect/vitest"
import * as FC from "fast-check"
import { once } from "node:events"
import { createServer } from "node:net"
import { Worker } from "node:worker_threads"
import { native } from "../../../src/internal/memory/native.ts"
import { isGone } from "../../../src/internal/memory/gone.ts"
import { isUnreachable } from "../../../src/internal/memory/unreachable.ts"
import { closeSegment, createSegment, openSegment, referTo } from "../../../src/internal/memory/segments.ts"
import { openDescriptors, openSegments } from "./open.ts"

const throws = (isMeant: (cause: unknown) => boolean) => (action: () => unknown): string => {
  try {
    action()
  } catch (cause) {
    const { message } = cause as { readonly message: string }
    assert.isTrue(isMeant(cause), message)
    return message
  }
  throw new Error("it has worked")
}

const throwsGone = throws(isGone)
const throwsUnreachable = throws(isUnreachable)

// a reference as a process gets it that has never seen the segment: under another id nothing is known here
describe("a segment", () => {
  it("has exactly the size that was asked for, of zeros, and is what its reference stands for", () => {
    FC.assert(
      FC.property(FC.integer({ min: 1, max: 100_000 }), FC.boolean(), (size, sharesMemory) => {
        const segment = createSegment(size)
        assert.strictEqual(segment.size, size)
        assert.isTrue(new Uint8Array(segment.buffer, 0, size).every((byte) => byte === 0))
        const reference = structuredClone(referTo(segment, sharesMemory))
        const opened = openSegment(reference)
        assert.strictEqual(opened.buffer, segment.buffer, "one mapping in a thread")
        assert.deepEqual([opened.id, opened.size, opened.source], [segment.id, size, segment.source])
        closeSegment(segment)
      }),
      { numRuns: 50 }
    )
  })

  it("that reaches threads only is out of reach for whoever has neither the buffer nor a place to find it", () => {
    const reference = { id: "no segment", size: 64, source: undefined, buffer: undefined }
    assert.include(throwsUnreachable(() => openSegment(reference)), "threads")
  })

  const addon = native()
  if (addon?.canShare !== true) return

  it("is not mistaken for another one that its descriptor has come to stand for", () => {
    const first = createSegment(64)
    const reference = { ...referTo(first, false), id: "0".repeat(32) }
    assert.include(throwsGone(() => openSegment(reference)), "its owner has let it go")
    closeSegment(first)
    const second = createSegment(64)
    assert.strictEqual(second.source!.fd, first.source!.fd, "the system gives the lowest number that is free")
    throwsGone(() => openSegment(reference))
    closeSegment(second)
  })

  it("is gone when its descriptor, or its process, is; or when that is a file of another kind", () => {
    const segment = createSegment(64)
    const reference = { ...referTo(segment, false), id: "1".repeat(32) }
    closeSegment(segment)
    assert.include(throwsGone(() => openSegment(reference)), "ENOENT")
    throwsGone(() => openSegment({ ...reference, source: { pid: 2 ** 22 + 1, fd: 1 } }))
    throwsGone(() => openSegment({ ...reference, source: { pid: process.pid, fd: 0 } }))
    throwsGone(() => openSegment({ ...reference, size: 2 ** 40 }))
  })

  it("is gone when its descriptor has come to stand for what cannot even be opened", async () => {
    const segment = createSegment(64)
    const reference = { ...referTo(segment, false), id: "3".repeat(32) }
    closeSegment(segment)
    const server = createServer().listen({ path: "\0effect-multiprocessing-test" })
    await once(server, "listening")
    const { fd } = (server as unknown as { readonly _handle: { readonly fd: number } })._handle
    assert.include(throwsGone(() => openSegment({ ...reference, source: { pid: process.pid, fd } })), "ENXIO")
    server.close()
    await once(server, "close")
  })

  it("is out of reach, not gone, when the system does not map it: for reasons of this process", () => {
    const segment = createSegment(64)
    const reference = { ...referTo(segment, false), id: "4".repeat(32) }
    assert.include(throwsUnreachable(() => openSegment({ ...reference, size: 2 ** 60 })), "does not map it")
    closeSegment(segment)
  })

  it("is refused when it is smaller than its reference says, and no descriptor is left open", () => {
    const segment = createSegment(64)
    const before = openDescriptors()
    for (let i = 0; i < 20; i++) {
      throwsGone(() => openSegment({ ...referTo(segment, false), id: "2".repeat(32), size: 1_000_000 }))
      throwsGone(() => openSegment({ ...referTo(segment, false), id: "2".repeat(32) }))
    }
    assert.strictEqual(openDescriptors(), before)
    closeSegment(segment)
  })

  const inThread = (code: string): Worker => {
    const file = new URL("../../../src/internal/memory/segments.ts", import.meta.url).href
    return new Worker(
      `import { parentPort } from "node:worker_threads"
       const { closeSegment, createSegment } = await import(${JSON.stringify(file)})
       ${code}`,
      { eval: true, execArgv: ["--input-type=module"] }
    )
  }

  const said = (worker: Worker): Promise<unknown> =>
    new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject))

  it("can be made and closed in a worker thread, without a warning", async () => {
    const before = openSegments()
    const worker = inThread(`
      const warnings = []
      process.on("warning", (warning) => warnings.push(String(warning)))
      for (let i = 0; i < 10; i++) closeSegment(createSegment(64))
      setImmediate(() => parentPort.postMessage(warnings))
    `)
    assert.deepEqual(await said(worker), [])
    await worker.terminate()
    assert.strictEqual(openSegments(), before)
  })

  it("of a worker thread that is killed does not stay open", async () => {
    const before = openSegments()
    const worker = inThread(`
      const kept = Array.from({ length: 10 }, () => createSegment(64))
      parentPort.postMessage(kept.length)
      while (true);
    `)
    assert.strictEqual(await said(worker), 10)
    assert.strictEqual(openSegments(), before + 10)
    await worker.terminate()
    assert.strictEqual(openSegments(), before)
  })
})
