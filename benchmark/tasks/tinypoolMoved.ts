import { Tinypool } from "tinypool"
import { echo, squareInPlace } from "./functions.ts"

export const squareMoved = (items: Float64Array<ArrayBuffer>) => Tinypool.move(squareInPlace(items))

export const echoMoved = (bytes: Uint8Array<ArrayBuffer>) => Tinypool.move(echo(bytes))
