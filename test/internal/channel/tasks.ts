/** Tasks that break the channel of the process that runs them. A child imports this file natively. */
import { Buffer } from "node:buffer"
import { closeSync, writeSync } from "node:fs"
import { serialize } from "node:v8"
import { headerBytes, writeHeader } from "../../../src/internal/protocol/frames.ts"
import * as Task from "../../../src/Task.ts"

const module = import.meta.url
/** Where a spawned child writes its reports. */
const descriptor = 4

const framed = (body: Uint8Array): Uint8Array => {
  const header = Buffer.alloc(headerBytes)
  writeHeader(header, body.length)
  return Buffer.concat([header, body])
}

const breaks: Record<string, () => void> = {
  "writes text": () => void writeSync(descriptor, "printed by a library that found descriptor 4 open\n"),
  "writes a body that cannot be decoded": () => void writeSync(descriptor, framed(Uint8Array.of(0xff, 0x0f, 0x99))),
  "writes a value that is no batch": () => void writeSync(descriptor, framed(serialize(5))),
  "closes the descriptor": () => closeSync(descriptor)
}

export const ways: ReadonlyArray<string> = Object.keys(breaks)

export const breaksChannel = Task.sync("breaksChannel", {
  module,
  handler: (way: string): string => {
    breaks[way]!()
    return way
  }
})
export const square = Task.sync("square", { module, handler: (x: number) => x * x })
