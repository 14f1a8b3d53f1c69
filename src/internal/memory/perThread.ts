/**
 * What there is once in a thread, however often the package is evaluated there: the bundled runner of a child and the
 * package that its task modules load are two evaluations of the same files, and so is a test runner's.
 */

/** It hangs on `globalThis`, and is made by whoever asks for it first. */
export const perThread = <A>(name: string, make: () => A): A => {
  const key = Symbol.for(`effect-multiprocessing/${name}`)
  const holder = globalThis as { [key]?: A }
  return holder[key] ??= make()
}

/** Things by their names, which it does not keep alive. */
export interface WeakTable<A extends object> {
  readonly get: (name: string) => A | undefined
  readonly set: (name: string, value: A) => A
}

export const makeWeakTable = <A extends object>(): WeakTable<A> => {
  const known = new Map<string, WeakRef<A>>()
  const get = (name: string): A | undefined => known.get(name)?.deref()
  const forget = new FinalizationRegistry<string>((name) => {
    if (get(name) === undefined) known.delete(name)
  })
  return {
    get,
    set: (name, value) => {
      known.set(name, new WeakRef(value))
      forget.register(value, name)
      return value
    }
  }
}
