/**
 * Ends of pipes: their line to each other goes through whatever processes have them. What is behind such a line is the hub
 * of the process that made the pipe, where the holders of the two ends find each other.
 */
import { householdNow } from "../handles/handle.ts"
import { knock, newTicket } from "../hub/door.ts"
import type { Address } from "../hub/door.ts"
import { linkTo, ownHub } from "../hub/hubs.ts"
import type { Link, Outcome } from "../hub/link.ts"
import { makePipeObject } from "../hub/pipe.ts"
import type { Claiming, Leaving, Told } from "../hub/pipe.ts"
import { close, freshLuggage, giveUp, makeEnd, pack, resumeOf } from "./end.ts"
import type { Luggage, Nature } from "./end.ts"
import { addCandidate, closeLine, flush, lines, meetHere, settle } from "./line.ts"
import { bytesOf, forsakeMessage, maxMessageBytes, messageOf } from "./message.ts"
import type { Message } from "./message.ts"
import { makeLine } from "./state.ts"
import type { Behind, Line, PipeReference } from "./state.ts"
import { makeLanding } from "./wire.ts"

/** How long what was sent before the end of a scope may be on its way. */
const farewellMillis = 1000

const linkOf = ({ hub }: PipeReference): Link => hub === undefined ? ownHub().link : linkTo(hub)

/** Every line that is handled here is an end of a pipe. */
const pipeOf = ({ behind }: Line): PipeReference => behind.pipe!

/** The hub of the process that made the pipe. */
const atHub = (pipe: PipeReference): Behind => ({
  pipe,
  // when the process that made a pipe ends, so does the pipe
  outlives: pipe.hub !== undefined,
  isFar: false,
  limit: maxMessageBytes,
  seek: claim,
  stop: (line) => {
    line.question++
    line.withdraw?.()
    line.withdraw = undefined
    line.isAsking = false
    line.unexpect?.()
    line.unexpect = undefined
  },
  leave: (line) => {
    if (line.isHubGone) return
    const leaving: Leaving = { side: line.nature.side, epoch: line.end.epoch }
    linkOf(pipe).tell(pipe.object, line.end.local === "moved" ? "release" : "leave", leaving)
  }
})

// ---------------------------------------------------------------------------------------------------- making, opening

/** Says at the hub that it is here. */
const begin = (line: Line): void => {
  if (line.end.over) {
    line.isFinished = true
    return
  }
  lines.set(line.ticket, line)
  line.home?.add(line.resident)
  line.unexpect = ownHub().expect(line.ticket, (socket) => void addCandidate(line, socket, undefined))
  claim(line, false)
}

/** Both ends of a new pipe, and how to end it. */
export const makePipe = (
  natures: readonly [Nature, Nature]
): { readonly lines: readonly [Line, Line]; readonly release: () => void } => {
  const hub = ownHub()
  const object = hub.put(makePipeObject)
  const make = (nature: Nature): Line => {
    const line = makeLine(atHub({ hub: undefined, object }), nature, freshLuggage, undefined, closeLine)
    begin(line)
    return line
  }
  return { lines: [make(natures[0]), make(natures[1])], release: () => hub.remove(object) }
}

/** What crosses instead of an end. */
export interface EndData {
  readonly hub: Address
  readonly object: number
  readonly nature: Nature
  readonly luggage: Luggage
}

const referenceOf = ({ hub, object }: Pick<EndData, "hub" | "object">): PipeReference => ({
  hub: ownHub().isAt(hub) ? undefined : hub,
  object
})

export const openEnd = (data: EndData): Line => {
  const line = makeLine(atHub(referenceOf(data)), data.nature, data.luggage, householdNow(), closeLine)
  begin(line)
  return line
}

/** It crosses as bytes of its own, and what was given away with it cannot be told of any more from here. */
const packed = (message: Message): Message => {
  const bytes = bytesOf(message)
  const isAlone = bytes.byteLength === bytes.buffer.byteLength && bytes.constructor === Uint8Array
  return messageOf(message.tag, isAlone ? bytes : new Uint8Array(bytes))
}

/** It leaves. It has to be open. */
export const sendAway = (line: Line): EndData => {
  const { hub, object } = pipeOf(line)
  const luggage = pack(line.end)
  const data: EndData = {
    hub: hub ?? ownHub().address(),
    object,
    nature: line.nature,
    luggage: { ...luggage, outbox: luggage.outbox.map(packed), inbox: luggage.inbox.map(packed) }
  }
  flush(line)
  return data
}

/** It has not left after all. */
export const comeBack = (line: Line, { luggage }: EndData): void => {
  line.end = makeEnd(line.nature, luggage)
  line.ticket = newTicket()
  line.met = undefined
  line.isFinished = false
  begin(line)
}

/** It has left, was never opened, and never will be. */
export const forsakeEnd = (data: EndData): void => {
  const { luggage, nature: { side }, object } = data
  const leaving: Leaving = { side, epoch: luggage.epoch }
  linkOf(referenceOf(data)).tell(object, "forsake", leaving)
  for (const message of luggage.inbox) forsakeMessage(message)
  for (const message of luggage.outbox) forsakeMessage(message)
}

/** Is it an end of the same pipe? */
export const isOfSamePipe = ({ behind: { pipe: one } }: Line, { behind: { pipe: other } }: Line): boolean =>
  one !== undefined && one.object === other?.object && one.hub?.path === other.hub?.path

// ---------------------------------------------------------------------------------------------------- the hub

/** Asks what is to be done: the answer comes when there is something. */
const claim = (line: Line, failed: boolean): void => {
  line.withdraw?.()
  line.withdraw = undefined
  line.isAsking = true
  const question = ++line.question
  const { met, nature: { side }, ticket } = line
  const pipe = pipeOf(line)
  const claiming: Claiming = {
    side,
    epoch: line.end.epoch,
    door: pipe.hub === undefined ? undefined : ownHub().address(),
    ticket,
    met,
    failed
  }
  const withdraw = linkOf(pipe).ask(pipe.object, "claim", claiming, (outcome) => {
    if (line.question !== question) return
    line.withdraw = undefined
    line.isAsking = false
    hearHub(line, outcome)
  })
  if (line.question === question && line.isAsking) line.withdraw = () => withdraw(() => {})
}

const hearHub = (line: Line, outcome: Outcome): void => {
  if (outcome._tag === "Withdrawn") return
  if (outcome._tag !== "Value") return scopeEnded(line)
  const told = outcome.value as Told // our own object answers
  if (told._tag === "Dial") return dial(line, told)
  // what the other side has said last may still be on its way here
  if (line.wire !== undefined || line.candidates.size > 0) return
  giveUp(line.end, "ended")
  settle(line)
}

const dial = (line: Line, { door, ticket }: Extract<Told, { readonly _tag: "Dial" }>): void => {
  const { hub } = pipeOf(line)
  const at = door ?? hub
  line.met = ticket
  if (at !== undefined && !ownHub().isAt(at)) {
    const landing = makeLanding()
    const wire = addCandidate(line, knock(at, ticket, landing.onread), ticket, landing)
    wire.write([resumeOf(line.end)])
    return claim(line, false)
  }
  const other = lines.get(ticket)
  const isMet = other !== undefined && meetHere(line, other)
  if (!line.isFinished) claim(line, !isMet)
}

/** The scope of the pipe has ended, or its process. What is on its way may arrive; nothing more is sent. */
const scopeEnded = (line: Line): void => {
  line.isHubGone = true
  if (line.isFinished) return
  const { end } = line
  if (end.local === "open") close(end, "scope")
  else if (line.wire === undefined) giveUp(end, "scope")
  settle(line)
  if (line.isFinished) return
  const timer = setTimeout(() => {
    if (line.end !== end || line.isFinished) return
    giveUp(end, "scope")
    settle(line)
  }, farewellMillis)
  timer.unref()
}
