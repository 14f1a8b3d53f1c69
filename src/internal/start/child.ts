/**
 * From a body to a child that is up: what every start method shares. It waits for the child's first word, keeps what it
 * says until somebody listens, and reports its end once.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { ProcessError, StartFailed } from "../../ProcessError.ts"
import type { ExitStatus } from "../../ProcessError.ts"
import { wordsOf } from "../codec/errors.ts"
import { reasonToError } from "../codec/causes.ts"
import { payloadError } from "../codec/payload.ts"
import { Kind } from "../protocol/messages.ts"
import type { Boot, EncodedReason, ToParent } from "../protocol/messages.ts"
import type { Body, Child } from "./Launcher.ts"
import { makeEar } from "./observed.ts"

/** Children from their launch to their end, also those that never were ready. */
const living = new Set<Body>()
export const livingBodies = (): number => living.size

/** How long a child may take until it is ready, unless its start method says otherwise. */
export const defaultStartMillis = 30_000

export const describeStatus = (status: ExitStatus): string =>
  status._tag === "Exited" ? `exited with code ${status.code}` : `was ended by ${status.signal}`

/** The last lines of a text, for messages. */
export const lastLines = (text: string, lines = 12): string =>
  text.split(nativeStack, 1)[0]!.trimEnd().split("\n").slice(-lines).join("\n")

/** What follows it when Node gives up is addresses; what is before says why. */
const nativeStack = "----- Native stack trace -----"

const startFailed = (boot: Boot, message: string, cause?: unknown): ProcessError => {
  const { name, startMethod } = boot.identity
  const said = `${name} (${startMethod}) did not start: ${message}`
  return new ProcessError({
    reason: cause === undefined
      ? new StartFailed({ startMethod, message: said })
      : new StartFailed({ startMethod, message: said, cause })
  })
}

interface NotReady {
  readonly boot: Boot
  readonly status: ExitStatus
  readonly words: string
  readonly refusal: EncodedReason | undefined
  readonly unsendable: { readonly cause: unknown } | undefined
  readonly timedOut: boolean
  readonly startMillis: number
}

const whyNotReady = ({ boot, refusal, startMillis, status, timedOut, unsendable, words }: NotReady): ProcessError => {
  if (unsendable !== undefined) {
    const { initializer } = boot
    return payloadError(
      initializer === undefined ? `the start of ${boot.identity.name}` : `initializer "${initializer.name}"`,
      unsendable.cause
    )
  }
  if (refusal?._tag === "StartFailed") {
    const error = reasonToError(refusal, boot.identity.startMethod)
    return startFailed(boot, error.message, error.cause)
  }
  if (refusal !== undefined) return reasonToError(refusal, boot.identity.startMethod)
  const where = boot.initializer === undefined
    ? ""
    : `, while initializer "${boot.initializer.name}" was built or before`
  if (timedOut) {
    return startFailed(
      boot,
      withWords(
        `it was not ready within ${startMillis} ms${where}, and was killed. To wait longer, raise startTimeout.`,
        words
      )
    )
  }
  return startFailed(
    boot,
    status._tag === "Exited" && status.code === neverRan
      ? words
      : withWords(`it ${describeStatus(status)} before it was ready${where}.`, words)
  )
}

/** As a shell says it: the command was not found. */
export const neverRan = 127

/** Node fires a timer at once that is set for longer. Whoever waits three weeks waits for ever. */
const longestTimer = 2 ** 31 - 1

/** Calls back after this time, unless it has been told that the wait is over. Real time: a child knows no test clock. */
export const after = (millis: number, then: () => void): () => void => {
  if (millis > longestTimer) return () => {}
  const timer = setTimeout(then, millis)
  return () => clearTimeout(timer)
}

/** The same in the time of a program's Clock, for children that live in it. */
export const afterInClock = (context: Context.Context<never>) => (millis: number, then: () => void): () => void => {
  const waiting = Effect.runForkWith(context)(Effect.sleep(millis))
  waiting.addObserver((exit) => {
    if (Exit.isSuccess(exit)) then()
  })
  return () => waiting.interruptUnsafe()
}

/** The end of a channel comes a moment before the end of its child; if that does not come, the channel broke. */
const silenceMillis = 1000

const withWords = (message: string, words: string): string => words === "" ? message : `${message}\n${words}`

/**
 * Launches and waits until the child is ready. `make` may throw (a missing executable): that is a `StartFailed` too.
 */
export const launchChild = (boot: Boot, startMillis: number, make: () => Body): Effect.Effect<Child, ProcessError> =>
  Effect.contextWith((context: Context.Context<never>) => launchIn(context, boot, startMillis, make))

const launchIn = (
  context: Context.Context<never>,
  boot: Boot,
  startMillis: number,
  make: () => Body
): Effect.Effect<Child, ProcessError> =>
  Effect.callback<Child, ProcessError>((resume) => {
    const launchedAt = performance.now()
    let body: Body
    try {
      body = make()
    } catch (cause) {
      return resume(Effect.fail(startFailed(boot, wordsOf(cause), cause)))
    }
    living.add(body)
    const ear = makeEar({ identity: boot.identity, pid: body.pid, role: boot.once ? "process" : "worker" })
    let status: ExitStatus | undefined
    let words = ""
    let refusal: EncodedReason | undefined
    let unsendable: { readonly cause: unknown } | undefined
    let ready = false
    let timedOut = false
    let held: Array<ReadonlyArray<ToParent>> = []
    let onBatch: ((batch: ReadonlyArray<ToParent>) => void) | undefined
    const exits: Array<(status: ExitStatus) => void> = []

    const endDeadline = after(startMillis, () => {
      timedOut = true
      body.kill("SIGKILL")
    })

    const deliver = (batch: ReadonlyArray<ToParent>): void => {
      for (let i = 0; i < batch.length; i++) {
        const message = batch[i]!
        if (message[0] === Kind.Notice) words = message[1]
      }
      if (onBatch === undefined) held.push(batch)
      else onBatch(batch)
    }

    const child: Omit<Child, "startUpMillis"> = {
      pid: body.pid,
      channel: body.channel,
      running: body.running,
      condemn: body.condemn,
      lastItem: body.lastItem,
      memory: body.memory,
      kill: body.kill,
      stdout: body.stdout,
      stderr: body.stderr,
      boot,
      status: () => status,
      onExit: (listener) => status === undefined ? void exits.push(listener) : listener(status),
      lastWords: () => words,
      onMessages: (listener) => {
        onBatch = listener
        const before = held
        held = []
        for (const batch of before) listener(batch)
      }
    }

    /** A child that can be heard no more is of no use: unless it is just ending, it is ended. */
    let giveUpOnSilent = (): void => {}
    const onSilence = (): void => {
      if (status !== undefined) return
      giveUpOnSilent = after(silenceMillis, () => {
        if (words === "") words = "Its channel broke: it closed its descriptors, or wrote to them."
        body.kill("SIGKILL")
      })
    }

    body.channel.listen((batch) => {
      if (ready) return deliver(batch)
      for (let i = 0; i < batch.length; i++) {
        const message = batch[i]!
        if (message[0] === Kind.BootFailed) refusal = message[1]
        else if (message[0] === Kind.Notice) words = message[1]
        // one that comes too late has been killed already
        else if (message[0] === Kind.Ready && !timedOut) {
          ready = true
          endDeadline()
          if (i + 1 < batch.length) deliver(batch.slice(i + 1))
          return resume(Effect.succeed({ ...child, startUpMillis: performance.now() - launchedAt }))
        } else {
          ear.hear(message, () => context) // of its initializer
        }
      }
    }, onSilence)

    body.onEnd((ended, platformWords) => {
      status = ended
      living.delete(body)
      giveUpOnSilent()
      if (words === "") words = platformWords
      endDeadline()
      body.channel.close()
      if (!ready) {
        resume(Effect.fail(whyNotReady({ boot, status: ended, words, refusal, unsendable, timedOut, startMillis })))
      }
      for (const listener of exits) listener(ended)
    })

    // when all that are started together are on their way up: they need longer than this
    queueMicrotask(() => {
      if (status !== undefined) return
      const word = body.shareWord?.()
      try {
        body.channel.post([[Kind.Boot, word === undefined ? boot : { ...boot, word }]])
      } catch (cause) {
        // the initializer's payload could not be sent after all: that is told when the child has ended
        unsendable = { cause }
        body.kill("SIGKILL")
      }
    })

    return Effect.callback<void>((done) => {
      if (status !== undefined) return done(Effect.void)
      exits.push(() => done(Effect.void))
      body.kill("SIGKILL")
    })
  })
