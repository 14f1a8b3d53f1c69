import { ClusterWorker } from "poolifier"
import { tasks } from "./poolifier.ts"

export default new ClusterWorker(tasks)
