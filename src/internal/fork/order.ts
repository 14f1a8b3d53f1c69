/** What a copy of a fork server is told. The descriptors that go with it: to the child, back, and its stdout and stderr. */
export type CopyOrder =
  /** It tries what copies have died of, and ends. */
  | { readonly _tag: "Probe" }
  | {
    readonly _tag: "Child"
    readonly maxMessageBytes: number
    /** Where the run is noted: memory that it shares with the program. */
    readonly word: string
  }
