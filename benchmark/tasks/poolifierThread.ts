import { ThreadWorker } from "poolifier"
import { tasks } from "./poolifier.ts"

export default new ThreadWorker(tasks)
