/**
 * How the messages of effect/rpc become bytes: in the frames, and with the codec, of everything else that crosses. So
 * payloads and results are what they are in a task: structured clone, handles, errors as they are, and schemas where a
 * method has them.
 */
import { Buffer } from "node:buffer"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaGetter from "effect/SchemaGetter"
import { Closed, CodecFailed, MessageTooLarge, NotShareable, ProcessError, TaskNotFound } from "../../ProcessError.ts"
import { reasonToError } from "../codec/causes.ts"
import { codecFailed, crossingError } from "../codec/payload.ts"
import type { Phase } from "../codec/reasons.ts"
import { valueCodec } from "../codec/schema.ts"
import { open, prepare, prepareLossy } from "../codec/values.ts"
import type { Border } from "../codec/values.ts"
import type { Given } from "../handles/handle.ts"
import { isFrameTooLarge, makeFrameReader } from "../protocol/frames.ts"
import type { Crossed, EncodedCauseReason, EncodedReason } from "../protocol/messages.ts"
import { atBorder, becauseOf, isAtBorder, isUnframed, someCall } from "./border.ts"
import { crossedPayload } from "./definition.ts"
import type { AnyCodec } from "./definition.ts"
import { decodeMessage } from "./messages.ts"

type Side = "client" | "server"

/** What a side has to know of its connection. */
export interface SerializationOptions {
  readonly side: Side
  /** The largest message that may come, in bytes. */
  readonly receives: number
  readonly isFar: boolean
  /** Nothing that comes after it can be read. */
  readonly onBroken?: (() => void) | undefined
}

export const borderOf = (isFar: boolean): Border => ({ sharesMemory: false, far: isFar })

// ---------------------------------------------------------------------------------------------------- values

/** What is used up by it is added to `given`. */
const encodeValue = (
  schema: AnyCodec,
  value: unknown,
  border: Border,
  phase: Phase,
  given: Array<Given> = []
): Crossed | ProcessError => {
  const encoded = valueCodec(schema).encode(value, [])
  if (Exit.isFailure(encoded)) return codecFailed(someCall, phase, Cause.squash(encoded.cause))
  try {
    return prepare(encoded.value, border, phase, given)
  } catch (cause) {
    return crossingError(someCall, phase, cause)
  }
}

const decodeValue = (
  schema: AnyCodec,
  crossed: Crossed,
  phase: Phase
): Exit.Exit<unknown, ProcessError> => {
  try {
    const decoded = valueCodec(schema).decode(open(crossed))
    return Exit.isSuccess(decoded)
      ? Exit.succeed(decoded.value)
      : Exit.fail(codecFailed(someCall, phase, Cause.squash(decoded.cause)))
  } catch (cause) {
    return Exit.fail(crossingError(someCall, phase, cause))
  }
}

/** What is called with it, by the proxy. */
export const encodePayload = (
  schema: AnyCodec,
  payload: unknown,
  border: Border,
  given: Array<Given>
): Crossed | ProcessError => {
  try {
    return encodeValue(schema, schema.make(payload), border, "payload", given)
  } catch (cause) {
    // what a schema throws says why in its cause
    const why = cause instanceof Error && cause.cause !== undefined ? cause.cause : cause
    return codecFailed(someCall, "payload", why)
  }
}

/** And as the server opens it. */
export const decodePayload = (schema: AnyCodec, crossed: Crossed): Exit.Exit<unknown, ProcessError> =>
  decodeValue(schema, crossed, "payload")

/** Why a message could not be made into a frame. */
export const notFramed = (what: string, phase: "payload" | "success", cause: unknown): ProcessError => {
  if (!isFrameTooLarge(cause)) return crossingError(what, phase, cause)
  const { limit, size } = cause
  const subject = phase === "payload" ? "payload" : "result"
  const message =
    `${what}: the ${subject} has ${size} bytes, and a message may have ${limit}. Send it in parts, through a ` +
    "Pipe or as SharedMemory, or raise the maxMessageBytes of both sides."
  return new ProcessError({ reason: new MessageTooLarge({ size, limit, message }) })
}

export const isFailure = <A>(made: A | ProcessError): made is ProcessError => made instanceof ProcessError

// ---------------------------------------------------------------------------------------------------- outcomes

/** How a call has ended. What could not cross, or was not there, is the border's. */
type Outcome =
  | readonly [kind: 0, value: Crossed]
  | readonly [kind: 1, reasons: ReadonlyArray<EncodedCauseReason>]
  | readonly [kind: 2, reason: EncodedReason]

/** The reasons that a server can have for not answering a call. */
const encodeReason = ({ message, reason }: ProcessError): EncodedReason => {
  if (reason instanceof Closed) return { _tag: "Closed", what: reason.what, message }
  if (reason instanceof NotShareable) return { _tag: "NotShareable", handle: reason.handle, message }
  if (reason instanceof MessageTooLarge) {
    return { _tag: "MessageTooLarge", size: reason.size, limit: reason.limit, message }
  }
  if (reason instanceof TaskNotFound) {
    return { _tag: "TaskNotFound", module: reason.module, task: reason.task, message }
  }
  return { _tag: "CodecFailed", phase: reason instanceof CodecFailed ? reason.phase : "message", message }
}

const atBorderIn = (cause: Cause.Cause<unknown>): ProcessError | undefined => {
  for (const reason of cause.reasons) {
    const told = becauseOf(reason)
    if (told !== undefined) return told
    if (reason._tag !== "Die") continue
    const { defect } = reason
    if (isAtBorder(defect)) return defect.error
    if (isUnframed(defect)) return notFramed(someCall, "success", defect.cause)
  }
  return undefined
}

const encodeOutcome = (
  value: AnyCodec,
  error: AnyCodec,
  border: Border,
  exit: Exit.Exit<unknown, unknown>
): Outcome => {
  if (Exit.isSuccess(exit)) {
    const encoded = encodeValue(value, exit.value, border, "success")
    return isFailure(encoded) ? [2, encodeReason(encoded)] : [0, encoded]
  }
  const ofBorder = atBorderIn(exit.cause)
  if (ofBorder !== undefined) return [2, encodeReason(ofBorder)]
  const reasons: Array<EncodedCauseReason> = []
  for (const reason of exit.cause.reasons) {
    if (reason._tag === "Interrupt") reasons.push(["interrupt", reason.fiberId])
    else if (reason._tag === "Die") reasons.push(["die", prepareLossy(reason.defect, border)])
    else {
      const encoded = encodeValue(error, reason.error, border, "error")
      if (isFailure(encoded)) return [2, encodeReason(encoded)]
      reasons.push(["fail", encoded])
    }
  }
  return [1, reasons]
}

/** Those of methods of the other side that nobody has located yet. */
const defects = new WeakSet<object>()

const arrived = (defect: unknown): unknown => {
  if (typeof defect === "object" && defect !== null) defects.add(defect)
  return defect
}

/** Has it happened in a method of the other side? Once. */
export const takeArrived = (defect: unknown): boolean => defects.delete(defect as object)

const decodeOutcome = (value: AnyCodec, error: AnyCodec, outcome: Outcome): Exit.Exit<unknown, unknown> => {
  if (outcome[0] === 0) {
    const decoded = decodeValue(value, outcome[1], "success")
    return Exit.isSuccess(decoded) ? decoded : Exit.die(atBorder(Cause.squash(decoded.cause) as ProcessError)) // its own
  }
  if (outcome[0] === 2) return Exit.die(atBorder(reasonToError(outcome[1], "Manager")))
  return Exit.failCause(Cause.fromReasons(outcome[1].map((reason): Cause.Reason<unknown> => {
    if (reason[0] === "interrupt") return Cause.makeInterruptReason(reason[1])
    if (reason[0] === "die") return Cause.makeDieReason(arrived(open(reason[1])))
    const decoded = decodeValue(error, reason[1], "error")
    return Exit.isSuccess(decoded)
      ? Cause.makeFailReason(decoded.value)
      : Cause.makeDieReason(atBorder(Cause.squash(decoded.cause) as ProcessError)) // its own
  })))
}

// ---------------------------------------------------------------------------------------------------- codecs

interface ExitSchema {
  readonly value: AnyCodec
  readonly error: AnyCodec
}

const idOf = ({ ast }: Schema.Top): unknown =>
  SchemaAST.isDeclaration(ast)
    ? (ast.annotations?.["representation"] as { readonly id?: unknown } | undefined)?.id
    : undefined

const isExit = (schema: Schema.Top): boolean => idOf(schema) === "effect/schema/Exit"

const holeOf = <A>(
  encode: (value: unknown) => Effect.Effect<A>,
  decode: (hole: A) => Effect.Effect<unknown>
): Schema.Codec<unknown, unknown> =>
  Schema.Unknown.pipe(Schema.decodeTo(Schema.Unknown, {
    decode: SchemaGetter.transformEffect((hole) => decode(hole as A)), // what the other side's `encode` has made
    encode: SchemaGetter.transformEffect(encode)
  }))

/**
 * A payload that cannot be decoded is handed to the method's door as what it is: the call fails, not its connection. A chunk
 * that cannot is the end of its stream.
 */
const valueHole = (schema: AnyCodec, border: Border, side: Side): Schema.Codec<unknown, unknown> => {
  const phases: readonly [Phase, Phase] = side === "client" ? ["payload", "success"] : ["success", "payload"]
  return holeOf<Crossed>(
    (value) => {
      const encoded = encodeValue(schema, value, border, phases[0])
      return isFailure(encoded) ? Effect.die(atBorder(encoded)) : Effect.succeed(encoded)
    },
    (crossed) => {
      const decoded = decodeValue(schema, crossed, phases[1])
      if (Exit.isSuccess(decoded)) return Effect.succeed(decoded.value)
      const refused = atBorder(Cause.squash(decoded.cause) as ProcessError) // its own
      return side === "server" ? Effect.succeed(refused) : Effect.die(refused)
    }
  )
}

/** Nothing in it waits, or fails. */
const exitHole = ({ error, value }: ExitSchema, border: Border): Schema.Codec<unknown, unknown> =>
  Schema.Unknown.pipe(Schema.decodeTo(Schema.Unknown, {
    // their schemas say so
    decode: SchemaGetter.transform((outcome) => decodeOutcome(value, error, outcome as Outcome)),
    encode: SchemaGetter.transform((exit) => encodeOutcome(value, error, border, exit as Exit.Exit<unknown, unknown>))
  }))

// ---------------------------------------------------------------------------------------------------- messages

/** A stream that is broken stays so: this is what makes a server of effect/rpc hang up. */
const broken = (receives: number) => new RpcSerialization.MaxBufferSizeExceeded({ maxBufferSize: receives })

/** Messages are made into frames by their socket: it knows how much the other side takes. */
const makeParser = (receives: number, onBroken: () => void): RpcSerialization.Parser => {
  const reader = makeFrameReader(receives)
  return {
    encode: (message) => message as Uint8Array, // for the writer of socket.ts, which takes whatever comes from here
    decode: (data) => {
      const messages: Array<unknown> = []
      try {
        const block = typeof data === "string"
          ? Buffer.from(data)
          : Buffer.from(data.buffer, data.byteOffset, data.byteLength)
        reader.push(block, (body, attachments) => void messages.push(decodeMessage(body, attachments)))
      } catch {
        onBroken()
        throw broken(receives)
      }
      return messages
    }
  }
}

/** A payload is what the proxy has made of it, and the server opens. */
const asItIs = Schema.Any

export const makeSerialization = (
  { isFar, onBroken = () => {}, receives, side }: SerializationOptions
): RpcSerialization.RpcSerialization["Service"] => {
  const border = borderOf(isFar)
  const codecFor = (schema: Schema.Top): Schema.Top =>
    schema === crossedPayload
      ? asItIs
      : isExit(schema)
      ? exitHole(schema as unknown as ExitSchema, border)
      : valueHole(schema as unknown as AnyCodec, border, side) // methods' schemas need no services: `Manager.make` says so
  return RpcSerialization.RpcSerialization.of({
    contentType: "application/x-structured-clone",
    includesFraming: true,
    codecFor: codecFor as RpcSerialization.CodecFor,
    makeUnsafe: () => makeParser(receives, onBroken)
  })
}
