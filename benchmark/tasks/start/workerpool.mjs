import workerpool from "workerpool"
import { whoami } from "./whoami.mjs"

workerpool.worker({ whoami })
