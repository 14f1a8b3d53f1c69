/**
 * What a handle stands for is not there any more.
 */

/** Thrown when a segment cannot be found any more: its owner has let it go, or has ended. */
export interface Gone {
  readonly _tag: "Gone"
  readonly what: string
  readonly message: string
}

export const isGone = (u: unknown): u is Gone =>
  typeof u === "object" && u !== null && (u as Partial<Gone>)._tag === "Gone"

export const gone = (cause?: unknown): Gone => ({
  _tag: "Gone",
  what: "shared memory",
  message: `What it stands for is gone: its owner has let it go, or has ended${
    cause instanceof Error ? ` (${cause.message})` : ""
  }. Keep the scope that made it open while others use it.`
})
