/** For tinypool, which calls a module's exports by name. */
export { burn, square, squareAll, squareTyped } from "./functions.ts"
