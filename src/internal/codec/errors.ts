/**
 * Errors as data. Structured clone keeps a standard class name, message, stack and cause, and loses everything that makes
 * an error useful in Effect: `_tag`, the class's name and the own fields.
 *
 * Effect-free: the runner in a child uses it too.
 */
import { inspect, types } from "node:util"

export interface EncodedError {
  /** The standard class to rebuild it with. */
  readonly kind: string
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  /** `_tag` where it stands on the prototype, as in `Data.TaggedError`; an own `_tag` is one of the fields. */
  readonly tag: string | undefined
  readonly hasCause: boolean
  readonly cause: unknown
  readonly errors: ReadonlyArray<unknown> | undefined
  readonly fields: ReadonlyArray<readonly [string, unknown]>
}

/** Also errors of another realm (a `vm` context, a test runner). */
export const isError = (value: unknown): value is Error =>
  types.isNativeError(value) || (!types.isProxy(value) && value instanceof Error)

/** What went wrong in a few words, whatever was thrown: also an object that resists every question. */
export const wordsOf = (cause: unknown): string => {
  try {
    return isError(cause) ? cause.message : String(cause)
  } catch {
    return "something that cannot be described"
  }
}

/** The same with its stack, where it has one. */
export const stackOf = (cause: unknown): string => {
  try {
    return isError(cause) ? cause.stack ?? cause.message : inspect(cause, { depth: 2 })
  } catch {
    return wordsOf(cause)
  }
}

const standard: Record<string, new(message?: string) => Error> = {
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError
}

const kindOf = (error: Error): string => {
  if (error instanceof AggregateError) return "AggregateError"
  for (const kind of Object.keys(standard)) {
    if (kind !== "Error" && error instanceof standard[kind]!) return kind
  }
  return "Error"
}

/** A getter of a foreign class may throw; an error must cross all the same. */
export const readField = (error: object, key: string): unknown => {
  try {
    return (error as Record<string, unknown>)[key]
  } catch {
    return undefined
  }
}

const readString = (error: object, key: string): string | undefined => {
  const value = readField(error, key)
  return typeof value === "string" ? value : undefined
}

const own = new Set(["name", "message", "stack", "cause"])

/** The own fields that cross beside name, message, stack and cause. `~` fields are the marks of Effect's own classes. */
const errorFields = (error: Error): ReadonlyArray<string> =>
  Object.keys(error).filter((key) =>
    !own.has(key) && !key.startsWith("~") && !(key === "errors" && error instanceof AggregateError)
  )

/** All that an error holds: its fields, its cause, and the errors that an AggregateError gathers. */
export const errorParts = (error: Error): ReadonlyArray<string> => [
  ...errorFields(error),
  "cause",
  ...(error instanceof AggregateError ? ["errors"] : [])
]

export const encodeError = (error: Error, encode: (inner: unknown) => unknown): EncodedError => {
  const tag = readField(error, "_tag")
  const cause = readField(error, "cause")
  const errors = error instanceof AggregateError ? readField(error, "errors") : undefined
  return {
    kind: kindOf(error),
    name: readString(error, "name") ?? "Error",
    message: readString(error, "message") ?? "",
    stack: readString(error, "stack"),
    tag: typeof tag === "string" && !Object.hasOwn(error, "_tag") ? tag : undefined,
    hasCause: cause !== undefined,
    cause: encode(cause),
    errors: Array.isArray(errors) ? errors.map(encode) : undefined,
    fields: errorFields(error).map((key) => [key, encode(readField(error, key))])
  }
}

export const setHidden = (error: Error, key: string, value: unknown): void => {
  Object.defineProperty(error, key, { value, enumerable: false, configurable: true, writable: true })
}

/** The instance first, its contents later, so that a cycle through an error finds it. */
export const reviveError = (
  encoded: EncodedError
): { readonly instance: Error; readonly fill: (revive: (inner: unknown) => unknown) => void } => {
  const instance = encoded.kind === "AggregateError"
    ? new AggregateError([], encoded.message)
    : new (standard[encoded.kind] ?? Error)(encoded.message)
  if (instance.name !== encoded.name) setHidden(instance, "name", encoded.name)
  setHidden(instance, "stack", encoded.stack)
  if (encoded.tag !== undefined) {
    Object.defineProperty(instance, "_tag", {
      value: encoded.tag,
      enumerable: true,
      configurable: true,
      writable: true
    })
  }
  return {
    instance,
    fill: (revive) => {
      if (encoded.hasCause) setHidden(instance, "cause", revive(encoded.cause))
      // as any array: one that claims billions of places, and has none of them, takes no time
      if (encoded.errors !== undefined) setHidden(instance, "errors", revive(encoded.errors))
      for (const [key, value] of encoded.fields) {
        Object.defineProperty(instance, key, {
          value: revive(value),
          enumerable: true,
          configurable: true,
          writable: true
        })
      }
    }
  }
}
