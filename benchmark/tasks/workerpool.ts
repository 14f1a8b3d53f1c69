import workerpool from "workerpool"
import * as functions from "./functions.ts"

workerpool.worker({
  square: functions.square,
  squareAll: functions.squareAll,
  squareTyped: (items: Float64Array<ArrayBuffer>) => {
    const squares = functions.squareTyped(items)
    return new workerpool.Transfer(squares, [squares.buffer])
  },
  burn: functions.burn
})
