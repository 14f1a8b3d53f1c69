/**
 * The part of the runner that knows Effect. It is imported when the first task comes that returns an Effect or has schemas,
 * or for an initializer: then the task's own module has imported the same files.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import { isError, wordsOf } from "../codec/errors.ts"
import type { InitializerDefinition, TaskDefinition } from "../codec/registry.ts"
import { doesNotFit, whyNot } from "../codec/reasons.ts"
import type { Phase } from "../codec/reasons.ts"
import type { ValueCodec } from "../codec/schema.ts"
import { prepare, prepareLossy } from "../codec/values.ts"
import type { Border } from "../codec/values.ts"
import type {
  Ambient,
  Boot,
  Crossed,
  EncodedCauseReason,
  EncodedFailure,
  EncodedReason,
  ToParent
} from "../protocol/messages.ts"
import { withObserver, withRun } from "./observer.ts"
import { CurrentProcess } from "../start/identity.ts"
import { childStartMethod, StartMethod } from "../start/service.ts"
import type { Launchers } from "../start/service.ts"

export type ItemOutcome =
  | { readonly _tag: "Success"; readonly value: unknown; readonly transfers: ReadonlyArray<ArrayBuffer> }
  | { readonly _tag: "Failure"; readonly failure: EncodedFailure }

export interface RunningItem {
  /** Interrupts the fiber; `onEnd` comes after its finalizers. */
  readonly interrupt: (onEnd?: () => void) => void
}

/** The run that an item belongs to. */
export interface ItemContext {
  readonly id: number
  readonly ambient: Ambient | undefined
}

export type { Launchers }

export interface EffectHost {
  readonly pid: number
  readonly launchers: () => Promise<Launchers>
  /** Where the child is its parent: the clock of that. */
  readonly clock?: Clock.Clock | undefined
  /** Where nothing can be waited for. */
  readonly synchronous?: {
    readonly scheduler: Scheduler.Scheduler
    readonly valueCodec: (schema: NonNullable<TaskDefinition["payload"]>) => ValueCodec
  } | undefined
}

export interface EffectRuntime {
  /** Is everything there that a task of this definition needs? */
  readonly isLoaded: (definition: TaskDefinition) => boolean
  readonly load: (definition: TaskDefinition) => Promise<void>
  readonly loadAll: () => Promise<void>
  /** Runs one item of a definition that is loaded. `done` may be called before this returns. */
  readonly run: (
    definition: TaskDefinition,
    payload: unknown,
    around: ItemContext,
    done: (outcome: ItemOutcome) => void
  ) => RunningItem
  readonly initialize: (
    definition: InitializerDefinition,
    payload: unknown
  ) => Promise<{ readonly message: string; readonly cause: Crossed } | undefined>
  /** The same where nothing can be waited for: `takeTurns` lets fibers go on. */
  readonly initializeNow: (
    definition: InitializerDefinition,
    payload: unknown,
    takeTurns: () => void
  ) => EncodedReason | undefined
  /** Releases what the initializer built. */
  readonly close: () => Promise<void>
  readonly closeNow: (takeTurns: () => void) => void
}

const notFitting = (task: string, phase: Phase, issue: unknown): EncodedReason => ({
  _tag: "CodecFailed",
  phase,
  message: doesNotFit(`task "${task}"`, phase, issue)
})

const notCrossing = (task: string, cause: unknown): EncodedReason => {
  const why = whyNot(`task "${task}"`, "error", cause)
  return why._tag === "CodecFailed" ? { _tag: "CodecFailed", phase: "error", message: why.message } : why
}

const failed = (failure: EncodedFailure): ItemOutcome => ({ _tag: "Failure", failure })

const notRunning: RunningItem = { interrupt: (onEnd) => onEnd?.() }

/** A synchronous handler needs no fiber. */
const call = (
  { handler }: Extract<TaskDefinition, { readonly kind: "sync" }>,
  payload: unknown
): Exit.Exit<unknown, unknown> => {
  try {
    return Exit.succeed(handler(payload))
  } catch (defect) {
    return Exit.die(defect)
  }
}

/** A missing service is a bug that the types would have shown; say what would help. */
const explain = (defect: unknown): unknown => {
  if (isError(defect) && defect.message.startsWith("Service not found")) {
    defect.message += ". The task needs it: give the pool or the process an Initializer whose layer builds it."
  }
  return defect
}

/** An initializer's layer, as its fiber has left it. */
type Built = Exit.Exit<Context.Context<unknown>, unknown>

/** Of a failure that is no result: errors cross as they are. */
const noSchemas: Pick<TaskDefinition, "name" | "error"> = { name: "", error: undefined }

export const makeRuntime = (
  boot: Boot,
  border: Border,
  host: EffectHost,
  say: (message: ToParent) => void
): EffectRuntime => {
  const scope = Scope.makeUnsafe()
  let interruptBuilding: (() => void) | undefined
  let context: Context.Context<never> = Context.make(StartMethod, childStartMethod(boot, border, host.launchers)).pipe(
    Context.add(CurrentProcess, { identity: boot.identity, parent: boot.parent, pid: host.pid })
  ) as Context.Context<never> // what a task gets is what Process.Provided says
  let valueCodec: ((schema: NonNullable<TaskDefinition["payload"]>) => ValueCodec) | undefined

  const codecOf = (schema: TaskDefinition["payload"]): ValueCodec | undefined =>
    schema === undefined || valueCodec === undefined ? undefined : valueCodec(schema)

  const encodeReason = (
    definition: Pick<TaskDefinition, "name" | "error">,
    reason: Cause.Reason<unknown>
  ): EncodedCauseReason | EncodedReason => {
    switch (reason._tag) {
      case "Interrupt":
        return ["interrupt", reason.fiberId]
      case "Die":
        return ["die", prepareLossy(explain(reason.defect), border)]
      case "Fail": {
        const encoded = codecOf(definition.error)?.encode(reason.error, []) ?? Exit.succeed(reason.error)
        if (Exit.isFailure(encoded)) return notFitting(definition.name, "error", Cause.squash(encoded.cause))
        try {
          return ["fail", prepare(encoded.value, border, "error")]
        } catch (cause) {
          return notCrossing(definition.name, cause)
        }
      }
    }
  }

  const encodeCause = (
    definition: Pick<TaskDefinition, "name" | "error">,
    cause: Cause.Cause<unknown>
  ): EncodedFailure => {
    const reasons: Array<EncodedCauseReason> = []
    for (const reason of cause.reasons) {
      const encoded = encodeReason(definition, reason)
      if ("_tag" in encoded) return { _tag: "Border", reason: encoded }
      reasons.push(encoded)
    }
    return { _tag: "Cause", reasons }
  }

  const outcomeOf = (definition: TaskDefinition, exit: Exit.Exit<unknown, unknown>): ItemOutcome => {
    if (Exit.isFailure(exit)) return failed(encodeCause(definition, exit.cause))
    const codec = codecOf(definition.success)
    const transfers: Array<ArrayBuffer> = []
    if (codec === undefined) return { _tag: "Success", value: exit.value, transfers }
    const encoded = codec.encode(exit.value, transfers)
    return Exit.isSuccess(encoded)
      ? { _tag: "Success", value: encoded.value, transfers }
      : failed({ _tag: "Border", reason: notFitting(definition.name, "success", Cause.squash(encoded.cause)) })
  }

  const start = (
    definition: TaskDefinition,
    payload: unknown,
    { ambient, id }: ItemContext,
    done: (outcome: ItemOutcome) => void
  ): RunningItem => {
    const codec = codecOf(definition.payload)
    const decoded = codec === undefined ? Exit.succeed(payload) : codec.decode(payload)
    if (Exit.isFailure(decoded)) {
      done(failed({
        _tag: "Border",
        reason: notFitting(definition.name, "payload", Cause.squash(decoded.cause))
      }))
      return notRunning
    }
    if (definition.kind === "sync") {
      done(outcomeOf(definition, call(definition, decoded.value)))
      return notRunning
    }
    if (around.id !== id) around = { id, context: withRun(context, id, ambient) }
    const fiber = Effect.runForkWith(around.context)(
      Effect.scoped(Effect.suspend(() => definition.handler(decoded.value)))
    )
    fiber.addObserver((exit) => done(outcomeOf(definition, exit)))
    return {
      interrupt: (onEnd) => {
        if (onEnd !== undefined) fiber.addObserver(onEnd)
        fiber.interruptUnsafe()
      }
    }
  }

  context = withObserver(context, boot.logLevel, {
    border,
    say,
    encodeCause: (cause) => encodeCause(noSchemas, cause)
  })
  if (host.clock !== undefined) context = Context.add(context, Clock.Clock, host.clock)
  if (host.synchronous !== undefined) {
    context = Context.add(context, Scheduler.Scheduler, host.synchronous.scheduler)
    valueCodec = host.synchronous.valueCodec
  }
  /** That of the run whose items run. */
  let around = { id: -1, context }

  const needsCodec = (definition: TaskDefinition): boolean =>
    definition.payload !== undefined || definition.success !== undefined || definition.error !== undefined

  const loadCodec = async (): Promise<void> => {
    valueCodec = (await import("../codec/schema.ts")).valueCodec
  }

  const build = (definition: InitializerDefinition, payload: unknown): Fiber.Fiber<Context.Context<unknown>, unknown> =>
    Effect.runForkWith(context)(
      Effect.suspend(() => {
        if (definition.payload === undefined) return Effect.succeed(payload)
        const decode = () => codecOf(definition.payload)!.decode(payload)
        return valueCodec === undefined ? Effect.flatMap(Effect.promise(loadCodec), decode) : decode()
      }).pipe(
        Effect.flatMap((input) => Layer.buildWithScope(definition.layer(input), scope))
      )
    )

  /** What was built is there for the tasks from now on. */
  const adopt = (exit: Built): { readonly message: string; readonly cause: Crossed } | undefined => {
    if (Exit.isSuccess(exit)) {
      context = Context.merge(context, exit.value) as Context.Context<never> // the tasks' types say which services they use
      return undefined
    }
    const cause = Cause.squash(exit.cause)
    return { message: wordsOf(cause), cause: prepareLossy(cause, border) }
  }

  return {
    isLoaded: (definition) => valueCodec !== undefined || !needsCodec(definition),
    loadAll: loadCodec,
    load: (definition) => needsCodec(definition) ? loadCodec() : Promise.resolve(),
    run: start,
    initialize: async (definition, payload) => {
      const building = build(definition, payload)
      interruptBuilding = () => building.interruptUnsafe()
      const exit = await new Promise<Built>((resolve) => building.addObserver(resolve))
      interruptBuilding = undefined
      return adopt(exit)
    },
    initializeNow: (definition, payload, takeTurns) => {
      const building = build(definition, payload)
      takeTurns()
      const exit = building.pollUnsafe()
      if (exit === undefined) {
        building.interruptUnsafe()
        takeTurns()
        return {
          _tag: "StartMethodUnavailable",
          message:
            `initializer "${definition.name}" waits for something, which the start method "fork" cannot: its children are copies whose ` +
            "event loop does not turn. Use StartMethod.layerForkServer or StartMethod.layerSpawn, or build it before and let the copies have it."
        }
      }
      const failure = adopt(exit)
      return failure === undefined ? undefined : {
        _tag: "StartFailed",
        message: `initializer "${definition.name}" of ${definition.module} failed: ${failure.message}`,
        cause: failure.cause
      }
    },
    close: () => {
      interruptBuilding?.()
      return Effect.runPromise(Scope.close(scope, Exit.void))
    },
    closeNow: (takeTurns) => {
      Effect.runForkWith(context)(Scope.close(scope, Exit.void))
      takeTurns()
    }
  }
}
