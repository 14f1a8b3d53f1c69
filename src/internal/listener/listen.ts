/**
 * A hall that belongs to a scope; and why there can be none.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { ProcessError, StartFailed } from "../../ProcessError.ts"
import { show } from "./address.ts"
import type { Address, Refused } from "./address.ts"
import type { Terms } from "./authenticate.ts"
import { openHall } from "./hall.ts"
import type { Hall } from "./hall.ts"

const advice: Readonly<Record<string, string>> = {
  EADDRINUSE: "somebody listens there already. Take another address, or end the other one",
  ENOTSOCK: "there is a file that is no socket, and it is left alone. Take another path, or remove it",
  ENOENT: "its folder is not there. Make it first",
  EADDRNOTAVAIL: "this machine has no such address. Take 127.0.0.1, 0.0.0.0 or one of its own",
  ENOTFOUND: "no machine has that name",
  ENAMETOOLONG: "the path of a socket has at most 107 bytes. Take a shorter one",
  EACCES: "this user may not. Take a folder of your own, or a port above 1023"
}

const cannotListen = (address: Address | undefined, { cause, code }: Refused, what: string): ProcessError =>
  new ProcessError({
    reason: new StartFailed({
      startMethod: what.replace(/\..*/, ""),
      message: `${what}: it cannot listen at ${address === undefined ? "a private socket" : show(address)}: ` +
        `${advice[code] ?? "the system refuses"} (${code}).`,
      ...(cause === undefined ? {} : { cause })
    })
  })

/**
 * It belongs to the scope. To look up a name may take long, and cannot be given up: a hall that opens for nobody is closed
 * then.
 */
const opened = (
  open: () => Promise<Hall | Refused>,
  address: Address | undefined,
  what: string
): Effect.Effect<Hall, ProcessError, Scope.Scope> =>
  Effect.suspend(() => {
    let isWanted = true
    let hall: Hall | undefined
    const opening = Effect.callback<Hall, ProcessError>((resume) => {
      const onOpened = (result: Hall | Refused): void => {
        if ("code" in result) return resume(Effect.fail(cannotListen(address, result, what)))
        if (!isWanted) return result.close()
        hall = result
        resume(Effect.succeed(result))
      }
      open().then(onOpened, (defect) => resume(Effect.die(defect)))
    })
    const giveUp = Effect.sync(() => {
      isWanted = false
      hall?.close()
    })
    return Effect.uninterruptibleMask((restore) =>
      Effect.acquireRelease(Effect.onError(restore(opening), () => giveUp), ({ close }) => Effect.sync(close))
    )
  })

/** `what` is who wants it, for messages: `Listener.make`. */
export const listen = (
  address: Address | undefined,
  terms: Terms,
  what: string
): Effect.Effect<Hall, ProcessError, Scope.Scope> =>
  Effect.flatMap(Effect.context<never>(), (context) => {
    const note = (message: string): void => void Effect.runForkWith(context)(Effect.logDebug(message))
    return opened(() => openHall(address, terms, note), address, what)
  })
