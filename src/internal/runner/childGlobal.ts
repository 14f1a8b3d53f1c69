/**
 * What the runner of a child leaves for the modules of this package, however often they are evaluated there.
 */
import type { Boot } from "../protocol/messages.ts"

export interface ChildGlobal {
  readonly boot: Boot
  readonly pid: number
  /** Tells the parent what is wrong with the program. */
  readonly notice: (text: string) => void
}

const key = Symbol.for("effect-multiprocessing/child")
const holder = globalThis as { [key]?: ChildGlobal }

/** Only in a child (not inline): what it was told at boot. */
export const childGlobal = (): ChildGlobal | undefined => holder[key]

export const setChildGlobal = (child: ChildGlobal): void => {
  holder[key] = child
}
