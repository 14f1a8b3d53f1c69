/**
 * Two definitions of one name in a module: the other side could not tell which is meant.
 */

/** Those of the code that runs now: a module that is evaluated again is so later. */
const fresh = new Set<string>()

/** `what` is the call, with the name. Throws where there is another one already. */
export const checkFresh = (what: string, kind: string, module: string, name: string): void => {
  const key = `${kind} ${module} ${name}`
  if (fresh.has(key)) {
    throw new TypeError(
      `${what}: the module ${module} has another definition of this name. Give one of them another name.`
    )
  }
  if (fresh.size === 0) queueMicrotask(() => fresh.clear())
  fresh.add(key)
}
