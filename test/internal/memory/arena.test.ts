/** Cells: places that are given out once. */
import { assert, describe, it } from "@effect/vitest"
import * as FC from "fast-check"
import { allocate } from "../../../src/internal/memory/arena.ts"
import type { Cell } from "../../../src/internal/memory/arena.ts"
import { native } from "../../../src/internal/memory/native.ts"
import { openSegments } from "./open.ts"

const bytesOf = ({ offset, segment, size }: Cell): Uint8Array => new Uint8Array(segment.buffer, offset, size)

type Act = { readonly take: number } | { readonly release: number }

const sizes = FC.oneof(
  FC.integer({ min: 1, max: 300 }),
  FC.integer({ min: 1, max: 300_000 }),
  FC.constantFrom(1, 63, 64, 65, 262_143, 262_144, 262_145, 1_048_576)
)
const acts: FC.Arbitrary<ReadonlyArray<Act>> = FC.array(
  FC.oneof(
    { weight: 3, arbitrary: FC.record({ take: sizes }) },
    { weight: 2, arbitrary: FC.record({ release: FC.nat() }) }
  ),
  { maxLength: 60 }
)

describe("cells", () => {
  it("never overlap, also with those whose scope has ended; they are zeroed, and stay as they are written", () => {
    FC.assert(
      FC.property(acts, (plan) => {
        const all: Array<{ readonly cell: Cell; readonly byte: number; isReleased: boolean }> = []
        for (const act of plan) {
          if ("release" in act) {
            const one = all[act.release % Math.max(1, all.length)]
            one?.cell.release()
            if (one !== undefined) one.isReleased = true
            continue
          }
          const cell = allocate(act.take)
          const bytes = bytesOf(cell)
          assert.strictEqual(bytes.length, act.take)
          assert.strictEqual(cell.offset % 64, 0, "a cell has its cache lines for itself")
          assert.isTrue(bytes.every((byte) => byte === 0), "it is zeroed")
          const byte = 1 + all.length % 255
          bytes.fill(byte)
          all.push({ cell, byte, isReleased: false })
        }
        for (const { byte, cell } of all) {
          assert.isTrue(bytesOf(cell).every((one) => one === byte), "nobody wrote into it")
        }
        for (const { cell, isReleased } of all) if (!isReleased) cell.release()
      }),
      { numRuns: 40 }
    )
  })

  if (native()?.canShare === true) {
    it("keep their segment open until the last of them is released, and no longer; releasing twice is once", () => {
      const first = allocate(64)
      const before = openSegments()
      // enough for several segments
      const cells = Array.from({ length: 40 }, () => allocate(200_000))
      const during = openSegments()
      assert.isAbove(during, before + 5)
      for (const cell of cells.slice(1)) cell.release()
      for (const cell of cells.slice(1)) cell.release()
      assert.isAtMost(openSegments(), before + 2, "those in which a cell lives, and the one that new cells come into")
      cells[0]!.release()
      first.release()
      assert.isAtMost(openSegments(), 1, "the one that new cells come into")
    })

    it("of more than a quarter of a segment have one of their own", () => {
      const before = openSegments()
      const large = [allocate(262_145), allocate(5_000_000)]
      assert.strictEqual(openSegments(), before + 2)
      assert.deepEqual(large.map(({ offset }) => offset), [0, 0])
      for (const cell of large) cell.release()
      assert.strictEqual(openSegments(), before)
    })
  }

  it("are refused where the system gives no more, and the next one is given", () => {
    assert.throws(() => allocate(2 ** 53))
    const cell = allocate(64)
    assert.isTrue(bytesOf(cell).every((byte) => byte === 0))
    cell.release()
  })
})
