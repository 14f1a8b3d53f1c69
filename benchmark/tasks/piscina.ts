import { move } from "piscina"
import * as functions from "./functions.ts"

export { burn, square, squareAll, squareShared } from "./functions.ts"

export const squareMoved = (items: Float64Array<ArrayBuffer>) => move(functions.squareInPlace(items))

export const echoMoved = (bytes: Uint8Array<ArrayBuffer>) => move(functions.echo(bytes))
