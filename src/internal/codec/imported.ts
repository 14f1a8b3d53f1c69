/**
 * Modules that are imported for what they define, while a program runs: for them this process is not the main one, whoever it
 * is for the others.
 */
import { perThread } from "../memory/perThread.ts"

interface Importing {
  count: number
  readonly listeners: Set<(isImporting: boolean) => void>
}

const importing = perThread("modules imported for others", (): Importing => ({ count: 0, listeners: new Set() }))

/** Calls back when such imports begin, and when all have ended. */
export const whenImporting = (listener: (isImporting: boolean) => void): void => void importing.listeners.add(listener)

const change = (by: 1 | -1): void => {
  importing.count += by
  for (const listener of importing.listeners) listener(importing.count > 0)
}

/** Rejects where the module does. */
export const importDefinitions = async (module: string): Promise<void> => {
  change(1)
  try {
    await import(module)
  } finally {
    change(-1)
  }
}
