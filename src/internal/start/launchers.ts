/**
 * The launcher of a start method by its name and options, for a child that starts children of its own.
 */
import type { ForkServerOptions } from "../fork/server.ts"
import { forkServer } from "./forkServer.ts"
import { inline } from "./inline.ts"
import type { Launcher } from "./Launcher.ts"
import type { Name } from "./service.ts"
import type { SpawnOptions } from "./node.ts"
import { spawn } from "./spawn.ts"
import { threads } from "./threads.ts"
import type { ThreadOptions } from "./threads.ts"

export const launcherFor = (name: Name, options: unknown): Launcher => {
  switch (name) {
    case "inline":
      return inline
    case "threads":
      return threads(options as ThreadOptions) // what the parent's launcher was made with
    case "forkserver":
      return forkServer(options as ForkServerOptions)
    default:
      return spawn(options as SpawnOptions)
  }
}
