/** For tinypool, which calls a module's exports by name. */
export { burn, echo, square, squareAll, squareShared } from "./functions.ts"
