/**
 * A picture that the workers of a pool paint into one shared array: no pixel is sent.
 *
 *     npm run example mandelbrot
 *     npm run example mandelbrot 1920 1280 picture.png
 */
import { NodeServices } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { crc32, deflateSync } from "node:zlib"
import { Initializer, Pool, Process, ProgressBar, SharedArray, StartMethod, Task } from "../src/index.ts"

const width = Number(process.argv[2] ?? 960)
const height = Number(process.argv[3] ?? 640)
const file = process.argv[4] ?? join(tmpdir(), "mandelbrot.png")

const channels = 3
const limit = 500

// ------------------------------------------------------------------------------------------------- what workers share

/** Red, green and blue of each pixel, row by row. */
class Picture extends SharedArray.Service<Picture>()("mandelbrot/Picture", { kind: "uint8" }) {}

/** Each worker gets the array once, before its first row; an item is three numbers. */
const pictureLive = Initializer.make("pictureLive", {
  module: import.meta.url,
  layer: (pixels: SharedArray.SharedArray<"uint8">) => Layer.succeed(Picture, pixels)
})

// ------------------------------------------------------------------------------------------------------------ painting

/** How many steps the point takes to leave the circle of radius 2, up to the limit. */
const stepsOf = (re: number, im: number): number => {
  let x = 0
  let y = 0
  let steps = 0
  for (; steps < limit && x * x + y * y <= 4; steps++) {
    const next = x * x - y * y + re
    y = 2 * x * y + im
    x = next
  }
  return steps
}

interface Row {
  readonly row: number
  readonly width: number
  readonly height: number
}

/** Every row is written by one task only: plain writes through the view will do. */
const paintRow = Task.make("paintRow", {
  module: import.meta.url,
  handler: ({ height, row, width }: Row) =>
    Effect.map(Picture, (picture) => {
      const pixels = SharedArray.view(picture)
      const scale = 3 / width
      const im = (row - height / 2) * scale
      for (let column = 0; column < width; column++) {
        const steps = stepsOf((column - width / 2) * scale - 0.6, im)
        const at = (row * width + column) * channels
        // the array begins black, and so do the points that never leave
        if (steps < limit) pixels.set([steps * 5 & 255, steps * 3 & 255, 64 + steps * 11 & 255], at)
      }
    })
})

// ----------------------------------------------------------------------------------------------------------------- PNG

const chunk = (type: string, data: Uint8Array): Buffer => {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data])
  const bytes = Buffer.alloc(body.length + 8)
  bytes.writeUInt32BE(data.length, 0)
  body.copy(bytes, 4)
  bytes.writeUInt32BE(crc32(body), body.length + 4)
  return bytes
}

/** Eight bits a channel, without an alpha channel, each row as it is (filter 0). */
const png = (pixels: Uint8Array): Buffer => {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 2, 0, 0, 0], 8)
  const stride = width * channels
  const rows = Buffer.alloc(height * (stride + 1))
  for (let row = 0; row < height; row++) {
    rows.set(pixels.subarray(row * stride, (row + 1) * stride), row * (stride + 1) + 1)
  }
  const signature = Buffer.from("\x89PNG\r\n\x1a\n", "latin1")
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", Buffer.alloc(0))
  ])
}

// ------------------------------------------------------------------------------------------------------------- program

const paint = Effect.gen(function*() {
  const picture = yield* Picture
  const pool = yield* Pool.make({ name: "rows", initializer: pictureLive(picture) })
  yield* ProgressBar.show(pool)
  yield* Pool.map(pool, paintRow, Array.from({ length: height }, (_, row) => ({ row, width, height })))
}).pipe(Effect.scoped)

const main = Effect.gen(function*() {
  yield* paint
  const pixels = SharedArray.view(yield* Picture)
  writeFileSync(file, png(pixels))
  yield* Console.log(`${width} x ${height} pixels, checksum ${crc32(pixels).toString(16)}: ${file}`)
}).pipe(
  Effect.provide(Picture.layer(width * height * channels)),
  Effect.provide([StartMethod.layerConfig, NodeServices.layer])
)

Process.runMain(main)
