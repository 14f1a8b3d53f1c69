/**
 * Handles: values that stand for something which lives in shared bytes or in a hub. They may sit anywhere inside what
 * crosses, and arrive working.
 *
 * A handle says itself what is sent in its place; the table in `openers.ts` says what is made of that on the other side. A
 * child loads the table when the first handle comes: most never see one, and it leads to sockets and shared memory.
 */
import { inspect } from "node:util"
import { perThread } from "../memory/perThread.ts"

/** What the border can do. */
export interface Border {
  /** A raw SharedArrayBuffer may cross (threads and inline, not processes). */
  readonly sharesMemory: boolean
  /** The end of a pipe through which it goes. */
  readonly through?: object | undefined
  /** What goes may come to another machine, where nothing is that a handle stands for. */
  readonly far?: boolean | undefined
  /** What goes is copied for several processes. */
  readonly many?: boolean | undefined
  /** What goes is kept until somebody takes it, perhaps one after the other. */
  readonly kept?: boolean | undefined
}

/** Of a handle that is used up by being written: it lives where it is opened. */
export interface Given {
  /** What it was written into never left: the handle is what it was. */
  readonly restore: () => void
  /** What it was written into was never opened, and never will be. Does nothing where it was opened after all. */
  readonly forsake: () => void
}

export const restoreAll = (given: Iterable<Given>): void => {
  for (const { restore } of given) restore()
}

export const forsakeAll = (given: Iterable<Given>): void => {
  for (const { forsake } of given) forsake()
}

/** The property by which the codec knows a handle. */
export const crossing = "~effect-multiprocessing/crossing" as const

export interface Crossing {
  /** Of the public module: `SharedLock`. */
  readonly name: string
  /** Why it cannot cross this border, and what to do instead. Throws a `Gone` where what it stands for is gone. */
  readonly refusal: (border: Border) => string | undefined
  /** Plain data, from which the other side makes a handle. What is used up by that is added to `given`. */
  readonly write: (border: Border, given: Array<Given>) => unknown
  /** Writing it uses it up. */
  readonly moves?: true | undefined
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

/** Throws a `Gone` where what the handle stands for is gone, an `Unreachable` where it cannot be opened here. */
export type OpenHandle = (name: string, data: unknown) => Handle

/** Tells that what this data stands for will not be opened. */
export type Forsake = (name: string, data: unknown) => void

/** Calls back when nothing that was sent from here is still here: then the process may end. */
export type BeforeLeaving = (done: () => void) => void

/** What any copy of this package in this thread has loaded. */
interface Installed {
  open: OpenHandle | undefined
  forsake: Forsake | undefined
  beforeLeaving: BeforeLeaving | undefined
  /** What the methods of proxies need. */
  hasMethods: boolean
}

const installed = perThread<Installed>(
  "handles",
  () => ({ open: undefined, forsake: undefined, beforeLeaving: undefined, hasMethods: false })
)

export const installOpeners = (open: OpenHandle): void => {
  installed.open = open
}

export const installedOpeners = (): OpenHandle | undefined => installed.open

export const installForsake = (forsake: Forsake): void => {
  installed.forsake = forsake
}

export const installedForsake = (): Forsake | undefined => installed.forsake

export const installMethods = (): void => {
  installed.hasMethods = true
}

/** Whoever is about to open a proxy, and can wait, imports what its methods need: they cannot. */
export const hasMethods = (): boolean => installed.hasMethods

/** A child without a process of its own, and what was opened in it: that ends with it, as with a process. */
export type Household = Set<{ readonly leave: () => void }>

let household: Household | undefined

export const householdNow = (): Household | undefined => household

/** What is opened while this runs is at home there. */
export const inHousehold = <A>(there: Household | undefined, run: () => A): A => {
  const before = household
  household = there
  try {
    return run()
  } finally {
    household = before
  }
}

export const leaveHousehold = (there: Household): void => {
  for (const { leave } of there) leave()
}

export const installBeforeLeaving = (beforeLeaving: BeforeLeaving): void => {
  installed.beforeLeaving = beforeLeaving
}

export const beforeLeaving: BeforeLeaving = (done) => {
  const wait = installed.beforeLeaving
  if (wait === undefined) done()
  else wait(done)
}

/** What marks a type parameter. */
export const invariant = <A>(value: A): A => value
