import { ThreadWorker } from "poolifier"
import { whoami } from "./whoami.mjs"

export default new ThreadWorker({ whoami })
