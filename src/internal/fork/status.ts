import { constants } from "node:os"
import type { ExitStatus } from "../../ProcessError.ts"

/** How a process has ended, from the number that waitpid gives. */
export const decodeStatus = (status: number): ExitStatus => {
  const number = status & 0x7f
  if (number === 0) return { _tag: "Exited", code: (status >> 8) & 0xff }
  const [signal] = Object.entries(constants.signals).find(([, value]) => value === number) ?? [`SIG${number}`]
  return { _tag: "Signaled", signal: signal as NodeJS.Signals, number } // a real-time signal has no name in Node
}
