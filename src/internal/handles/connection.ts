/**
 * An end of a pipe, as it crosses: it leaves this process, and lives where it is opened.
 */
import type { Gone } from "../memory/gone.ts"
import { closeLine } from "../line/line.ts"
import type { Line } from "../line/line.ts"
import { comeBack, forsakeEnd, isOfSamePipe, openEnd, sendAway } from "../line/pipe.ts"
import type { EndData } from "../line/pipe.ts"
import { installForsake, makeHandle } from "./handle.ts"
import type { Border, Handle } from "./handle.ts"

export const ConnectionTypeId = "~effect-multiprocessing/Connection" as const

/** What it stands for in the types only. */
export interface Variance<in Send, out Receive> {
  readonly _S: (_: Send) => void
  readonly _R: () => Receive
}

/** How messages are encoded and decoded: schemas, of which nothing is known here. They do not cross. */
export interface Codecs {
  readonly send: unknown
  readonly receive: unknown
}

export interface ConnectionHandle extends Handle {
  readonly [ConnectionTypeId]: Variance<never, unknown>
  readonly line: Line
  readonly codecs: Codecs
}

const name = "Connection"

const variance: Variance<never, never> = { _S: () => {}, _R: () => undefined as never }

const gone = (message: string): Gone => ({ _tag: "Gone", what: name, message })

const refusal = (line: Line, { kept, many, through }: Border): string | undefined => {
  const { local } = line.end
  if (local === "moved") throw gone(`This Connection was sent away already: it lives where it was sent to.`)
  if (local === "scope") throw gone("This Connection is closed: the scope that made its pipe has ended.")
  if (local === "closed") throw gone("This Connection is closed.")
  if (line.behind.pipe === undefined) {
    return "It belongs to a Listener, and stays in the process that accepted it or connected: make a Pipe, send one of its " +
      "ends, and pass on what comes; or connect from there."
  }
  if (many === true) {
    return "It lives in one process, and this goes to every worker: send each worker an end of its own."
  }
  if (kept === true) {
    return "It lives in one process, and nobody knows who will take it from the queue: send it in a payload, or through a pipe."
  }
  return through !== undefined && isOfSamePipe(line, through as Line) // what `borderThrough` gives
    ? "It is an end of the very pipe that it would be sent through: use another pipe, or a payload."
    : undefined
}

const noBorder: Border = { sharesMemory: false }

export const connectionOf = (line: Line, codecs: Codecs): ConnectionHandle =>
  makeHandle({ [ConnectionTypeId]: variance, line, codecs }, {
    name,
    moves: true,
    refusal: (border) => refusal(line, border),
    write: (_, given): EndData => {
      refusal(line, noBorder) // it may stand twice in one value, with different schemas
      const data = sendAway(line)
      given.push({ restore: () => comeBack(line, data), forsake: () => forsakeEnd(data) })
      return data
    }
  })

export const noCodecs: Codecs = { send: undefined, receive: undefined }

/**
 * Whoever was sent an end and has lost sight of it closes it, some time later: a worker that is done with an item may live
 * on for long. Whatever waits on it keeps it in sight.
 */
const unseen = new FinalizationRegistry<Line>((line) => {
  if (--line.faces === 0) closeLine(line)
})

/** The same end once more. */
export const watched = (handle: ConnectionHandle): ConnectionHandle => {
  handle.line.faces++
  unseen.register(handle, handle.line)
  return handle
}

export const openConnection = (data: EndData): ConnectionHandle => watched(connectionOf(openEnd(data), noCodecs))

installForsake((kind, data) => {
  if (kind === name) forsakeEnd(data as EndData) // what `write` has given
})
