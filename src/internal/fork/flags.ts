/**
 * The flags of Node that a process must run with so that its copies live.
 */

/** It resolves what it loads from the program's directory. */
export const serverFlags: ReadonlyArray<string> = ["--experimental-import-meta-resolve"]
