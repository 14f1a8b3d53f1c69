/** No pool at all: what the same work costs where it is, for scale. */
import type { TypedOrder } from "../orders.ts"
import { burn, square, squareInPlace } from "../tasks/functions.ts"
import { check, order, report } from "./order.ts"
import { checkSquares, makeParts, takeTrips } from "./trips.ts"

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
