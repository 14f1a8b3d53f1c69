/**
 * Handles: values that stand for something which lives in shared bytes or in a hub. They may sit anywhere inside what
 * crosses, and arrive working.
 *
 * A handle says itself what is sent in its place; the table in `openers.ts` says what is made of that on the other side. A
 * child loads the table when the first handle comes: most never see one, and it leads to sockets and shared memory.
 */
import { inspect } from "node:util"

/** What the border can do. */
export interface Border {
  /** A raw SharedArrayBuffer may cross (threads and inline, not processes). */
  readonly sharesMemory: boolean
}

/** The property by which the codec knows a handle. */
export const crossing = "~effect-multiprocessing/crossing" as const

export interface Crossing {
  /** Of the public module: `SharedLock`. */
  readonly name: string
  /** Why it cannot cross this border, and what to do instead. */
  readonly refusal: (border: Border) => string | undefined
  /** Plain data, from which the other side makes a handle. */
  readonly write: (border: Border) => unknown
}

export interface Handle {
  readonly [crossing]: Crossing
}

/** What every handle has; the codec and `inspect` find their ways in the prototype. */
const common = {
  pipe(this: unknown, ...functions: ReadonlyArray<(value: unknown) => unknown>): unknown {
    return functions.reduce((value, f) => f(value), this)
  },
  [inspect.custom](this: Handle): string {
    return this[crossing].name
  },
  toJSON(this: Handle): unknown {
    return { _id: this[crossing].name }
  },
  toString(this: Handle): string {
    return this[crossing].name
  }
}

/** The interface of {@link common} as users see it is `Pipeable`, which the public modules add. */
export const makeHandle = <F extends object>(fields: F, crosses: Crossing): F & Handle =>
  Object.assign(Object.create(common) as object, fields, { [crossing]: crosses })

/** Throws a `Gone` where what the handle stands for is gone. */
export type OpenHandle = (name: string, data: unknown) => Handle

const key = Symbol.for("effect-multiprocessing/openers")
const holder = globalThis as { [key]?: OpenHandle }

export const installOpeners = (open: OpenHandle): void => {
  holder[key] = open
}

/** Undefined until any copy of this package in this thread has installed them. */
export const installedOpeners = (): OpenHandle | undefined => holder[key]

/** What marks a type parameter. */
export const invariant = <A>(value: A): A => value
