/** No pool at all: what the same work costs where it is, for scale. */
import type { CellOrder, InPlaceOrder, TypedOrder } from "../orders.ts"
import { burn, square, squareInPlace, squareRange } from "../tasks/functions.ts"
import { check, order, report } from "./order.ts"
import { checkShared, checkSquares, fillShared, makeParts, takeTrips } from "./trips.ts"

const timed = (work: () => void): number => {
  const begin = performance.now()
  work()
  return performance.now() - begin
}

const typed = (order: TypedOrder): Promise<number> => {
  let parts = makeParts(order)
  return takeTrips(order, async () => {
    const millis = timed(() => parts.forEach(squareInPlace))
    parts = checkSquares(order, parts)
    return millis
  })
}

const inPlace = (order: InPlaceOrder): Promise<number> => {
  const items = new Float64Array(new SharedArrayBuffer(order.numbers * Float64Array.BYTES_PER_ELEMENT))
  return takeTrips(order, async () => {
    fillShared(items)
    const millis = timed(() => squareRange(items, 0, items.length))
    checkShared(items)
    return millis
  })
}

/** What the processor asks for it: one atomic step for an update, two for a lock. */
const cell = ({ step, steps }: CellOrder): number => {
  const cells = new Int32Array(new SharedArrayBuffer(4))
  const once = step === "update"
    ? () => void Atomics.add(cells, 0, 1)
    : () => {
      Atomics.compareExchange(cells, 0, 0, 1)
      Atomics.compareExchange(cells, 0, 1, 0)
    }
  const all = (count: number) => {
    for (let i = 0; i < count; i++) once()
  }
  all(steps / 10)
  return timed(() => all(steps))
}

if (order.work === "map") {
  const items = Array.from({ length: order.items }, (_, index) => index)
  let squares: ReadonlyArray<number> = []
  const once = () => {
    squares = items.map(square)
  }
  once()
  const ms = timed(once)
  check("the last square", squares.at(-1), (order.items - 1) ** 2)
  report(ms)
} else if (order.work === "typed") {
  report(await typed(order))
} else if (order.work === "inPlace") {
  report(await inPlace(order))
} else if (order.work === "cell") {
  report(cell(order))
} else if (order.work === "skew") {
  const { costs } = order
  // what is never used might never be computed
  let sum = 0
  const once = () => {
    for (const units of costs) sum += burn(units)
  }
  once()
  const ms = timed(once)
  check("the sum", Number.isFinite(sum), true)
  report(ms)
} else throw new Error(`there is no in-process form of ${order.work}`)
