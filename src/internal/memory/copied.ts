/**
 * Whether this process is a copy of another, whose connections are not its own.
 */
import { perThread } from "./perThread.ts"

const state = perThread("copied", () => ({ isCopy: false }))

export const isCopy = (): boolean => state.isCopy

export const markCopied = (): void => {
  state.isCopy = true
}
