/**
 * Options that are programming errors: each is a `RangeError` that names the option, its value, and what is allowed.
 */
import * as Duration from "effect/Duration"

export const wholeNumber = (what: string, value: number, least: number): number => {
  if (Number.isInteger(value) && value >= least) return value
  throw new RangeError(`${what} must be a whole number of at least ${least}, but it is ${value}.`)
}

/** A time in milliseconds. */
export const timeMillis = (what: string, input: Duration.Input): number => {
  const millis = Duration.toMillis(input)
  if (millis >= 0) return millis
  throw new RangeError(`${what} must be a time of at least 0 milliseconds, but it is ${millis}.`)
}

export const timeMillisOr = (what: string, input: Duration.Input | undefined, otherwise: number): number =>
  input === undefined ? otherwise : timeMillis(what, input)
