import workerpool from "workerpool"
import * as functions from "./functions.ts"

const move = (view: ArrayBufferView<ArrayBuffer>) => new workerpool.Transfer(view, [view.buffer])

workerpool.worker({
  square: functions.square,
  squareAll: functions.squareAll,
  squareMoved: (items: Float64Array<ArrayBuffer>) => move(functions.squareInPlace(items)),
  squareShared: functions.squareShared,
  burn: functions.burn,
  echo: functions.echo,
  echoMoved: (bytes: Uint8Array<ArrayBuffer>) => move(functions.echo(bytes))
})
