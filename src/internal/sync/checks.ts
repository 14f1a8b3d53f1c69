/**
 * Arguments that a program gets wrong, said as defects.
 */
import { isBig, isKind, kinds } from "../memory/kinds.ts"
import type { Kind } from "../memory/kinds.ts"

const show = (value: unknown): string => typeof value === "string" ? JSON.stringify(value) : String(value)

export const checkedKind = (kind: unknown, what: string): Kind => {
  if (isKind(kind)) return kind
  throw new RangeError(`${what}: the kind must be one of ${kinds.join(", ")}, but it is ${show(kind)}.`)
}

export const checkedNumber = (kind: Kind, value: unknown, what: string): void => {
  const wanted = isBig(kind) ? "bigint" : "number"
  if (typeof value !== wanted) {
    throw new TypeError(
      `${what}: a value of kind ${kind} is a ${wanted}, but this is a ${typeof value} (${show(value)}).`
    )
  }
}

export const checkedIndex = (index: number, length: number, what: string): number => {
  if (Number.isInteger(index) && index >= 0 && index < length) return index
  throw new RangeError(
    length === 0
      ? `${what}: there is no element ${show(index)}: the array is empty.`
      : `${what}: the index must be a whole number from 0 to ${length - 1}, but it is ${show(index)}.`
  )
}

/** `what` names the option, too. */
export const checkedCount = (count: unknown, least: number, what: string): number => {
  if (typeof count === "number" && Number.isSafeInteger(count) && count >= least) return count
  throw new RangeError(`${what} must be a whole number of ${least} or more, but it is ${show(count)}.`)
}
