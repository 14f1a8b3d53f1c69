/** A file of its own: the other tasks need no schemas, and their workers should not pay for them. */
import * as Schema from "effect/Schema"
import * as Transferable from "effect/workers/Transferable"
import { Task } from "../ours.ts"
import * as functions from "./functions.ts"

const Doubles = Transferable.schema(
  Schema.instanceOf(Float64Array as Float64ArrayConstructor & (new() => Float64Array<ArrayBuffer>)),
  (doubles) => [doubles.buffer]
)

export const squareMoved = Task.sync("squareMoved", {
  module: import.meta.url,
  payload: Doubles,
  success: Doubles,
  handler: functions.squareInPlace
})

export const echoMoved = Task.sync("echoMoved", {
  module: import.meta.url,
  payload: Transferable.Uint8Array,
  success: Transferable.Uint8Array,
  handler: functions.echo
})
