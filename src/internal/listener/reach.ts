/**
 * To reach a listener, with as many tries as there is time for; and why it was not reached.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { AuthenticationFailed, Closed, isProcessError, ProcessError, TimedOut } from "../../ProcessError.ts"
import { show } from "./address.ts"
import type { Address } from "./address.ts"
import type { Terms } from "./authenticate.ts"
import { dial, isNobody, mayPass } from "./dial.ts"
import type { Missed, Reached } from "./dial.ts"

/**
 * What both sides say to each other when they have proven the key. It calls back once, with what is against it: whoever hung
 * up may be another one soon. What is given gives up. A socket that is refused is destroyed.
 */
export type Greet = (reached: Reached, done: (refused: ProcessError | "gone" | undefined) => void) => () => void

export interface Wish {
  readonly address: Address
  readonly terms: Terms
  /** 0 is one try. */
  readonly deadlineMillis: number
  /** Who wants it, for messages: `Listener.connect`. */
  readonly what: string
  readonly greet?: Greet | undefined
  /** Somebody has listened there: where nobody does any more, it is closed, and does not come again. */
  readonly isKnown?: true | undefined
}

const wrongKey: Readonly<Record<string, string>> = {
  noise: "what listens there is no Listener of this library: it is another address, or another program",
  version: "its handshake has another version. Both sides need versions of this library that fit",
  key: "the two sides have different keys. Give both the same authKey"
}

const lastWords = ({ code, proven, why }: Missed): string => {
  if (why === "busy") return "too many others wait there to be accepted"
  if (code !== undefined) return code
  return proven ? "it hung up when it had proven the key" : "it hung up before it had proven the key"
}

const missed = (
  result: Missed,
  { address, deadlineMillis, isKnown, terms: { patienceMillis }, what }: Wish
): ProcessError => {
  const { code, why } = result
  const at = `${what}: ${show(address)}`
  if (why in wrongKey) {
    return new ProcessError({ reason: new AuthenticationFailed({ message: `${at}: ${wrongKey[why]}.` }) })
  }
  if (why === "late") {
    const message = `${at}: the handshake took longer than ${patienceMillis} ms. Is it a Listener, and not too busy?`
    return new ProcessError({ reason: new TimedOut({ task: what, limitMillis: patienceMillis, message }) })
  }
  if (isKnown === true && isNobody(result)) {
    const message =
      `${at}: nobody listens there any more (${lastWords(result)}). Its server has ended, or the scope in ` +
      "which it was started. Start another one, and use the proxy that it gives."
    return new ProcessError({ reason: new Closed({ what: what.replace(/\..*/, ""), message }) })
  }
  if (!mayPass(result)) {
    return new ProcessError({
      reason: new Closed({
        what: what.replace(/\..*/, ""),
        message:
          `${at} cannot be reached: the system says ${code}. Look whether the address is right and this user may use it.`
      })
    })
  }
  const within = deadlineMillis > 0 ? ` within ${deadlineMillis} ms` : ""
  const message = `${at}: nobody let us in${within}; at last: ${lastWords(result)}. ` +
    "Is the other program running, and does it listen there? A later deadline waits longer for it."
  return new ProcessError({ reason: new TimedOut({ task: what, limitMillis: deadlineMillis, message }) })
}

const hungUp: Missed = { _tag: "Failed", why: "gone", proven: true, code: undefined }

const dialOnce = ({ address, greet, terms }: Wish, onReached: (reached: Reached) => void) =>
  Effect.callback<Reached, Missed | ProcessError>((resume) => {
    let stop = dial(address, terms, (result) => {
      if (result._tag === "Failed") return resume(Effect.fail(result))
      onReached(result)
      if (greet === undefined) return resume(Effect.succeed(result))
      stop = greet(
        result,
        (refused) =>
          resume(refused === undefined ? Effect.succeed(result) : Effect.fail(refused === "gone" ? hungUp : refused))
      )
    })
    return Effect.sync(() => stop())
  })

const backOff = (deadlineMillis: number) =>
  Schedule.min([Schedule.exponential("10 millis", 1.7), Schedule.spaced("250 millis")]).pipe(
    Schedule.jittered,
    Schedule.upTo({ duration: deadlineMillis })
  )

/** What is reached is `use`'s, which cannot be interrupted before it has it. */
export const reach = <A, R>(
  wish: Wish,
  use: (reached: Reached) => Effect.Effect<A, never, R>
): Effect.Effect<A, ProcessError, R> =>
  Effect.suspend(() => {
    let reached: Reached | undefined
    const once = dialOnce(wish, (result) => reached = result)
    const dialing = wish.deadlineMillis === 0
      ? once
      : Effect.retry(once, {
        schedule: backOff(wish.deadlineMillis),
        while: (missed) => !isProcessError(missed) && mayPass(missed) && !(wish.isKnown === true && isNobody(missed))
      })
    // what was reached by a fiber that is interrupted is nobody's
    const leave = Effect.sync(() => reached?.socket.destroy())
    return Effect.uninterruptibleMask((restore) =>
      restore(Effect.mapError(dialing, (result) => isProcessError(result) ? result : missed(result, wish))).pipe(
        Effect.onError(() => leave),
        Effect.flatMap(use)
      )
    )
  })
