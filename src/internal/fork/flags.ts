/** What a fork server runs with beside the program's own flags, and its copies do not pass on: it resolves what it loads from the program's directory. */
export const serverFlags: ReadonlyArray<string> = ["--experimental-import-meta-resolve"]
