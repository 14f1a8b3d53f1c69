import { ThreadWorker } from "poolifier"
import { burn, square } from "./functions.ts"

export default new ThreadWorker<number, number>({
  square: (x) => square(x ?? 0),
  burn: (units) => burn(units ?? 0)
})
