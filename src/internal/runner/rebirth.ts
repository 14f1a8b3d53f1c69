/**
 * Makes a copy of a process, right after the fork, a process of its own: its pid, its random numbers, and the ways in which
 * it ends. Node ends a process by ways that do not know of copies (docs/decisions/013-fork-server.md): so a copy ends itself,
 * when all that listens to its end has been told.
 */
import { randomBytes, randomInt, randomUUID } from "node:crypto"
import { readlinkSync, writeSync } from "node:fs"
import { setFlagsFromString } from "node:v8"
import { inspect } from "node:util"
import { runInNewContext } from "node:vm"

/** Node's own, which have no types. */
interface Internals {
  reallyExit: (code?: number) => void
  _fatalException: (error: unknown, fromPromise: boolean) => boolean
  emit: (event: string | symbol, ...args: ReadonlyArray<unknown>) => boolean
}

export interface Rebirth {
  /** To be called in a copy, once, before anything else. */
  readonly become: () => void
}

/** To be called in the original, when nothing more is loaded there. */
export const prepareRebirth = (exitNow: (code: number) => never): Rebirth => {
  // of a realm that has never drawn a number: it is seeded by its first call
  const random = runInNewContext("Math.random") as () => number
  for (let i = 0; i < rehearsals; i++) emptyStores()
  return {
    become: () => {
      Object.defineProperty(process, "pid", {
        value: Number(readlinkSync("/proc/self")),
        configurable: true,
        enumerable: true,
        writable: true
      })
      forgetRandomNumbers(random)
      endByItself(exitNow)
    }
  }
}

/** How many node:crypto keeps in store. A new store is drawn from OpenSSL, which notices a fork. */
const storedUuids = 128
const storedIntegers = 1024

const emptyStores = (): void => {
  for (let i = 0; i < storedUuids; i++) randomUUID()
  for (let i = 0; i < storedIntegers; i++) randomInt(2 ** 48 - 1)
}

/** So often in the original: then it is compiled, and takes a copy a fraction of the time. */
const rehearsals = 30

const forgetRandomNumbers = (random: () => number): void => {
  emptyStores()
  setFlagsFromString(`--random-seed=${randomBytes(4).readInt32LE() | 1}`)
  random()
  setFlagsFromString("--random-seed=0")
  Math.random = random
}

/** The code that Node would end with. */
const exitCodeOf = (fallback: unknown): number => Number(process.exitCode ?? fallback ?? 0) & 0xff

const uncaughtCode = 1
const brokenListenerCode = 7

const endByItself = (exitNow: (code: number) => never): void => {
  const node = process as unknown as Internals // they are there in all supported versions: a copy is tried before any is used
  let isFatal = false

  node.reallyExit = (code) => exitNow(exitCodeOf(code))

  // a library may put an emit of its own before ours, and does its part when ours returns: the process ends after the first
  let isEnding = false
  const endingAfter = (emit: Internals["emit"]): Internals["emit"] =>
    function(this: unknown, event, ...args) {
      if (event !== "exit" || isFatal || isEnding) return Reflect.apply(emit, this, [event, ...args])
      isEnding = true
      try {
        Reflect.apply(emit, this, [event, ...args])
      } catch (cause) {
        complain(cause)
        exitNow(brokenListenerCode)
      }
      return exitNow(exitCodeOf(args[0]))
    }
  let emit = endingAfter(node.emit)
  Object.defineProperty(process, "emit", {
    configurable: true,
    enumerable: true,
    get: () => emit,
    set: (other: Internals["emit"]) => {
      emit = endingAfter(other)
    }
  })

  const fatalException = node._fatalException
  node._fatalException = function(this: unknown, error, fromPromise) {
    isFatal = true
    let isHandled: boolean
    try {
      isHandled = Reflect.apply(fatalException, this, [error, fromPromise])
    } finally {
      isFatal = false
    }
    if (isHandled) return true
    complain(error)
    return exitNow(exitCodeOf(uncaughtCode) || uncaughtCode)
  }
}

const complain = (error: unknown): void => {
  try {
    writeSync(2, `Uncaught ${inspect(error)}\n\nNode.js ${process.version}\n`)
  } catch {
    // nobody reads
  }
}

/** A process that a copy starts itself is none that is copied. */
export const forgetFlags = (flags: ReadonlyArray<string>): void => {
  process.execArgv = process.execArgv.filter((flag) => !flags.includes(flag))
}
