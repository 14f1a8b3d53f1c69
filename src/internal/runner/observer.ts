/**
 * What tasks log, and the spans that they make, go to their parent, who has the loggers and the tracer.
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import type { Logger } from "effect/Logger"
import type { LogLevel } from "effect/LogLevel"
import * as Option from "effect/Option"
import { pipeArguments } from "effect/Pipeable"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"
import { prepareLossy } from "../codec/values.ts"
import type { Border } from "../codec/values.ts"
import { Kind } from "../protocol/messages.ts"
import type { Ambient, EncodedFailure, ToParent } from "../protocol/messages.ts"

/** The run of a fiber; 0 is none. */
const CurrentRun = Context.Reference<number>("effect-multiprocessing/CurrentRun", { defaultValue: () => 0 })

export interface ObserverOptions {
  readonly border: Border
  readonly say: (message: ToParent) => void
  readonly encodeCause: (cause: Cause.Cause<unknown>) => EncodedFailure
}

/** `effect/Logger` would be loaded for the making of one object. */
const makeLogger = (log: Logger<unknown, void>["log"]): Logger<unknown, void> => ({
  "~effect/Logger": "~effect/Logger",
  log,
  pipe() {
    return pipeArguments(this, arguments)
  }
})

export const forwardingLogger = ({ border, encodeCause, say }: ObserverOptions): Logger<unknown, void> =>
  makeLogger(({ cause, date, fiber, logLevel, message }) =>
    say([Kind.Log, fiber.getRef(CurrentRun), {
      level: logLevel,
      message: prepareLossy(message, border),
      annotations: prepareLossy(fiber.getRef(References.CurrentLogAnnotations), border),
      spans: fiber.getRef(References.CurrentLogSpans).map(([label, timestamp]) => [label, timestamp] as const),
      cause: cause.reasons.length === 0 ? undefined : encodeCause(cause),
      date: date.getTime()
    }])
  )

/** A span that is told, at its start and at its end. */
const tell = (span: Tracer.NativeSpan, run: number, { border, encodeCause, say }: ObserverOptions): Tracer.Span => {
  say([Kind.SpanStarted, run, {
    id: span.spanId,
    traceId: span.traceId,
    parent: Option.getOrUndefined(span.parent)?.spanId,
    name: span.name,
    kind: span.kind,
    startTime: span.startTime,
    sampled: span.sampled
  }])
  const end = span.end.bind(span)
  span.end = (endTime, exit) => {
    if (span.status._tag === "Ended") return
    end(endTime, exit)
    say([Kind.SpanEnded, run, {
      id: span.spanId,
      endTime,
      attributes: prepareLossy(Object.fromEntries(span.attributes), border),
      events: span.events.map(([name, time, attributes]) => [name, time, prepareLossy(attributes, border)] as const),
      links: span.links.map(({ attributes, span: { spanId, traceId } }) => ({
        spanId,
        traceId,
        attributes: prepareLossy(attributes, border)
      })),
      failure: Exit.isSuccess(exit) ? undefined : encodeCause(exit.cause)
    }])
  }
  return span
}

/** The annotation of a span whose parent wants to hear of its children. */
const Told = Context.Reference<number | undefined>("effect-multiprocessing/Told", { defaultValue: () => undefined })

/** Spans below one that is told are told; others are the native tracer's. */
export const forwardingTracer = (options: ObserverOptions): Tracer.Tracer =>
  Tracer.make({
    span: (given) => {
      const parent = Option.getOrUndefined(given.parent)
      const run = parent === undefined ? undefined : Context.get(parent.annotations, Told)
      if (run === undefined || given.root) return new Tracer.NativeSpan(given)
      const span = new Tracer.NativeSpan({ ...given, annotations: Context.add(given.annotations, Told, run) })
      return given.sampled ? tell(span, run, options) : span
    }
  })

/** The context of the items of a run. */
export const withRun = (
  context: Context.Context<never>,
  run: number,
  ambient: Ambient | undefined
): Context.Context<never> => {
  const base = Context.add(context, CurrentRun, run)
  if (ambient === undefined) return base
  const { logLevel } = ambient
  const leveled = logLevel === undefined ? base : Context.add(base, References.MinimumLogLevel, logLevel)
  if (ambient.span === undefined) return leveled
  const { sampled, spanId, told, traceId } = ambient.span
  const annotations = told ? Context.make(Told, run) : Context.empty()
  return Context.add(
    leveled,
    Tracer.ParentSpan,
    Tracer.externalSpan({ traceId, spanId, sampled, annotations })
  ) as Context.Context<never> // a span is not a service that a task asks for
}

/** Of everything outside of runs: an initializer, a fiber that outlives its run. */
export const withObserver = (
  context: Context.Context<never>,
  logLevel: LogLevel,
  options: ObserverOptions
): Context.Context<never> =>
  context.pipe(
    Context.add(References.CurrentLoggers, new Set([forwardingLogger(options)])),
    Context.add(References.MinimumLogLevel, logLevel),
    Context.add(Tracer.Tracer, forwardingTracer(options))
  )
