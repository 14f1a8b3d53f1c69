/**
 * Whether the copies of a server live: the first one shows it.
 */
import type { ExitStatus } from "../../ProcessError.ts"
import { describeStatus } from "../start/child.ts"
import type { CopyOrder } from "./order.ts"
import { wordsOf } from "../codec/errors.ts"
import { NoServer } from "./server.ts"
import type { Forked, ForkServer } from "./server.ts"

/** How long it may take. */
export const trialMillis = 15_000

/** What the end of a first copy says against copies. */
export const whyNotWell = (status: ExitStatus): string | undefined =>
  status._tag === "Exited" && status.code === 0 ? undefined : `a copy that was tried ${describeStatus(status)}`

/** What speaks against its copies; `undefined` when one has done what it was to do, and has ended well. */
export const tryCopy = async (server: ForkServer, startMillis: number): Promise<string | undefined> => {
  const limitMillis = Math.min(trialMillis, startMillis)
  const order: CopyOrder = { _tag: "Probe" }
  let copy: Forked
  try {
    copy = await server.fork(order, [])
  } catch (cause) {
    return `no copy could be made: ${wordsOf(cause).replace(/\.$/, "")}`
  }
  return new Promise((resolve, reject) => {
    const deadline = setTimeout(() => {
      copy.kill("SIGKILL")
      if (limitMillis === trialMillis) return resolve(`a copy that was tried did not end within ${limitMillis} ms`)
      reject(new NoServer(`a first copy did not end within ${limitMillis} ms. To wait longer, raise startTimeout.`))
    }, limitMillis)
    copy.onEnd((status) => {
      clearTimeout(deadline)
      resolve(whyNotWell(status))
    })
  })
}
