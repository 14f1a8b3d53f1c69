/**
 * What goes wrong between a proxy and its object, on its way through a call: a defect, until the proxy knows whether the
 * method may fail with it.
 */
import type { ProcessError } from "../../ProcessError.ts"

const mark = "~effect-multiprocessing/Manager/atBorder" as const

export interface AtBorder {
  readonly [mark]: true
  readonly error: ProcessError
}

export const atBorder = (error: ProcessError): AtBorder => ({ [mark]: true, error })

export const isAtBorder = (u: unknown): u is AtBorder => typeof u === "object" && u !== null && mark in u
