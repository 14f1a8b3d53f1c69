import { ClusterWorker } from "poolifier"
import { whoami } from "./whoami.mjs"

export default new ClusterWorker({ whoami })
