/**
 * What children tell of their tasks' logs and spans, given to the loggers and the tracer of their parent.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"
import { decodeFailure } from "../codec/causes.ts"
import type { Place } from "../codec/causes.ts"
import { open } from "../codec/values.ts"
import { Kind } from "../protocol/messages.ts"
import type {
  Ambient,
  Boot,
  EncodedFailure,
  EncodedLog,
  EncodedSpanEnd,
  EncodedSpanStart,
  Identity,
  ToParent
} from "../protocol/messages.ts"

/** What a fiber has around it that its tasks should have too. */
export const ambientOf = ({ cache, context }: Fiber.Fiber<unknown, unknown>): Ambient | undefined => {
  const { span, tracer } = cache
  // what nobody has provided is no level of the call: the worker's holds
  const logLevel = Context.getOrUndefined(context, References.MinimumLogLevel)
  if (span === undefined && logLevel === undefined) return undefined
  return {
    logLevel,
    span: span === undefined ? undefined : {
      traceId: span.traceId,
      spanId: span.spanId,
      sampled: span.sampled,
      // the native tracer keeps nothing
      told: span.sampled && tracer !== undefined && tracer !== Tracer.nativeTracer
    }
  }
}

export const logLevelOf = (context: Context.Context<never>): Boot["logLevel"] =>
  Context.get(context, References.MinimumLogLevel)

/** Who speaks: the child, and what its parent calls it in annotations. */
export interface Speaker {
  readonly identity: Identity
  readonly pid: number
  readonly role: "worker" | "process"
}

const placeOf = ({ identity, pid }: Speaker): Place => ({ task: "", module: "", worker: identity.name, pid })

const causeOf = (speaker: Speaker, failure: EncodedFailure | undefined): Cause.Cause<unknown> =>
  failure === undefined
    ? Cause.empty
    : decodeFailure(failure, placeOf(speaker), undefined, speaker.identity.startMethod)

const emit = (speaker: Speaker, log: EncodedLog, context: Context.Context<never>): void => {
  const around = context.pipe(
    Context.add(References.CurrentLogAnnotations, {
      ...Context.get(context, References.CurrentLogAnnotations),
      ...open(log.annotations) as Record<string, unknown>, // as it was made ready in the child
      pid: speaker.pid,
      [speaker.role]: speaker.identity.name
    }),
    Context.add(References.CurrentLogSpans, [
      ...log.spans.map(([label, timestamp]): [string, number] => [label, timestamp]),
      ...Context.get(context, References.CurrentLogSpans)
    ])
  )
  const cause = causeOf(speaker, log.cause)
  Effect.runForkWith(around)(Effect.withFiber((fiber) => {
    const options = { message: open(log.message), logLevel: log.level, cause, date: new Date(log.date), fiber }
    for (const logger of fiber.getRef(References.CurrentLoggers)) logger.log(options)
    return Effect.void
  }))
}

/** Gives what one child tells to the loggers and the tracer of a context. */
export interface Ear {
  /** `true` when it was a message of this kind. */
  readonly hear: (message: ToParent, context: (run: number) => Context.Context<never>) => boolean
  /** Ends what the child has left open. */
  readonly close: () => void
}

export const makeEar = (speaker: Speaker): Ear => {
  /** The parent's spans by the child's ids; a span that outlives its run is ended by the end of the child. */
  const spans = new Map<string, Tracer.Span>()

  /** The span itself; or what is known of it, when it was another's, or its own call has ended. */
  const parentOf = (given: EncodedSpanStart, context: Context.Context<never>): Option.Option<Tracer.AnySpan> => {
    const around = Context.getOption(context, Tracer.ParentSpan)
    if (given.parent === undefined) return around
    const known = spans.get(given.parent)
    if (known !== undefined) return Option.some(known)
    return Option.isSome(around) && around.value.spanId === given.parent
      ? around
      : Option.some(Tracer.externalSpan({ traceId: given.traceId, spanId: given.parent, sampled: given.sampled }))
  }

  const start = (given: EncodedSpanStart, context: Context.Context<never>): void => {
    const parent = parentOf(given, context)
    const span = Context.get(context, Tracer.Tracer).span({
      name: given.name,
      parent,
      annotations: Context.empty(),
      links: [],
      startTime: given.startTime,
      kind: given.kind,
      root: false,
      sampled: given.sampled
    })
    span.attribute("process.pid", speaker.pid)
    span.attribute(speaker.role, speaker.identity.name)
    spans.set(given.id, span)
  }

  const end = (given: EncodedSpanEnd): void => {
    const span = spans.get(given.id)
    if (span === undefined) return
    spans.delete(given.id)
    for (const [key, value] of Object.entries(open(given.attributes) as object)) span.attribute(key, value)
    for (const [name, time, attributes] of given.events) {
      span.event(name, time, open(attributes) as Record<string, unknown>)
    }
    span.addLinks(given.links.map(({ attributes, spanId, traceId }) => ({
      span: spans.get(spanId) ?? Tracer.externalSpan({ spanId, traceId }),
      attributes: open(attributes) as Record<string, unknown>
    })))
    span.end(
      given.endTime,
      given.failure === undefined ? Exit.void : Exit.failCause(causeOf(speaker, given.failure))
    )
  }

  /** A tracer is the user's code: what it throws must not cost the results that come behind. */
  let hasThrown = false
  const guard = (run: () => void): void => {
    try {
      run()
    } catch (defect) {
      if (hasThrown) return
      hasThrown = true
      const said = `The tracer has thrown, and the spans of ${speaker.identity.name} are incomplete`
      Effect.runFork(Effect.logWarning(said, Cause.die(defect)))
    }
  }

  return {
    hear: (message, context) => {
      switch (message[0]) {
        case Kind.Log:
          guard(() => emit(speaker, message[2], context(message[1])))
          return true
        case Kind.SpanStarted:
          guard(() => start(message[2], context(message[1])))
          return true
        case Kind.SpanEnded:
          guard(() => end(message[2]))
          return true
        default:
          return false
      }
    },
    close: () => {
      const now = BigInt(Date.now()) * 1_000_000n
      for (const span of spans.values()) guard(() => span.end(now, Exit.interrupt()))
      spans.clear()
    }
  }
}
