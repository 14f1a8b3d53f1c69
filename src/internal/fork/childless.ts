/**
 * A copy whose event loop does not turn cannot start children: Node would abort it. So they are refused before.
 */
import childProcess from "node:child_process"
import { syncBuiltinESMExports } from "node:module"
import workerThreads from "node:worker_threads"

const refuse = (what: string): never => {
  throw new Error(
    `A copy of a process (start method "fork") starts no ${what}: its event loop does not turn. Use StartMethod.layerForkServer or StartMethod.layerSpawn.`
  )
}

/** To be called in a copy, once. */
export const refuseChildren = (): void => {
  const noProcess = (): never => refuse("processes")
  Object.assign(childProcess.ChildProcess.prototype, { spawn: noProcess })
  Object.assign(childProcess, { spawnSync: noProcess, execSync: noProcess, execFileSync: noProcess })
  Object.assign(workerThreads, {
    Worker: function() {
      refuse("threads")
    }
  })
  syncBuiltinESMExports()
}
