/** What is open in this process, as the system sees it. */
import { readdirSync, readlinkSync } from "node:fs"

const descriptors = (): ReadonlyArray<string> =>
  readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)]
    } catch {
      return [] // the one that the folder was read with
    }
  })

export const openDescriptors = (): number => descriptors().length

/** How many segments this process keeps open for others. */
export const openSegments = (): number =>
  descriptors().filter((target) => target.startsWith("/memfd:effect-multiprocessing")).length
