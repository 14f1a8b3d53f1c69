/** No pool at all: what the same work costs where it is, for scale. */
import { burn, square } from "../tasks/functions.ts"
import { check, order, report } from "./order.ts"

const timed = (work: () => void): number => {
  const begin = performance.now()
  work()
  return performance.now() - begin
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
