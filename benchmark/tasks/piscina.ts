import { move } from "piscina"
import * as functions from "./functions.ts"

export { burn, square, squareAll } from "./functions.ts"

export const squareTyped = (items: Float64Array<ArrayBuffer>) => move(functions.squareTyped(items))
