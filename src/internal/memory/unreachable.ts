/**
 * What a handle stands for is there, and this process cannot get to it.
 */

/** Thrown when a segment cannot be opened here: this process shares less than the one that sent it. */
export interface Unreachable {
  readonly _tag: "Unreachable"
  readonly what: string
  readonly message: string
}

export const isUnreachable = (u: unknown): u is Unreachable =>
  typeof u === "object" && u !== null && (u as Partial<Unreachable>)._tag === "Unreachable"

/** One sentence: why, and what to do. */
export const unreachable = (because: string): Unreachable => ({
  _tag: "Unreachable",
  what: "shared memory",
  message: `This process cannot open it, because ${because}. Or use StartMethod.layerThreads, or send a copy.`
})
