/**
 * How two sides prove to each other that they have the same key, without input and output. The README beside this file
 * draws it.
 */
import { Buffer } from "node:buffer"
import { createHmac, timingSafeEqual } from "node:crypto"

export type Role = "client" | "server"

/** What one side brings along. */
export interface Means {
  readonly key: Uint8Array
  /** Fresh, and never used again. */
  readonly nonce: Uint8Array
  /** So many bytes may a message have that comes to this side. */
  readonly limit: number
}

/** `noise`: bytes that nobody says here. `busy`: nobody accepts what is there already. */
export type Failure = "noise" | "version" | "key" | "busy"

export type Outcome =
  | { readonly _tag: "Waiting" }
  /** `rest` is what the other side has said behind it. */
  | { readonly _tag: "Authenticated"; readonly peerLimit: number; readonly rest: Uint8Array }
  | { readonly _tag: "Failed"; readonly why: Failure }

/** What is awaited next. */
type Step = "hello" | "challenge" | "proof" | "welcome" | "nothing"

export interface State {
  readonly means: Means
  readonly step: Step
  /** Less than one frame. */
  readonly held: Buffer
  readonly peer: { readonly nonce: Uint8Array; readonly limit: number } | undefined
}

export interface Heard {
  readonly state: State
  readonly say: ReadonlyArray<Uint8Array>
  readonly outcome: Outcome
}

// ---------------------------------------------------------------------------------------------------- frames

export const nonceBytes = 32
const macBytes = 32
const limitBytes = 4

const word = Buffer.from("empl")
const version = 1
export const headerBytes = 8

const Kind = { Hello: 1, Challenge: 2, Proof: 3, Welcome: 4, Refused: 5 } as const

/** How long the body of each is. */
const lengths: Readonly<Record<number, number>> = {
  [Kind.Hello]: nonceBytes,
  [Kind.Challenge]: nonceBytes + limitBytes + macBytes,
  [Kind.Proof]: limitBytes + macBytes,
  [Kind.Welcome]: 0,
  [Kind.Refused]: 1
}

const refusals: ReadonlyArray<Failure> = ["key", "busy", "version"]

const frame = (kind: number, ...parts: ReadonlyArray<Uint8Array>): Buffer => {
  const body = Buffer.concat(parts)
  const header = Buffer.alloc(headerBytes)
  word.copy(header)
  header[4] = version
  header[5] = kind
  header.writeUInt16LE(body.length, 6)
  return Buffer.concat([header, body])
}

export const welcome = frame(Kind.Welcome)

export const refusal = (why: "key" | "busy" | "version"): Buffer =>
  frame(Kind.Refused, Buffer.from([refusals.indexOf(why)]))

const number = (value: number): Buffer => {
  const bytes = Buffer.alloc(limitBytes)
  bytes.writeUInt32LE(value)
  return bytes
}

// ---------------------------------------------------------------------------------------------------- proofs

interface Transcript {
  readonly client: Uint8Array
  readonly server: Uint8Array
  readonly serverLimit: number
  readonly clientLimit: number
}

/** Who proves it is a part of it, and so are both nonces: what one side has said is of no use to anybody but the other. */
const proof = (key: Uint8Array, role: Role, transcript: Transcript): Buffer =>
  createHmac("sha256", key)
    .update(`effect-multiprocessing listener ${version} ${role}\0`)
    .update(transcript.client)
    .update(transcript.server)
    .update(number(transcript.serverLimit))
    .update(number(role === "client" ? transcript.clientLimit : 0))
    .digest()

// ---------------------------------------------------------------------------------------------------- the machine

const begin = (means: Means, step: Step): State => ({ means, step, held: Buffer.alloc(0), peer: undefined })

/** The client speaks first. */
export const beginClient = (means: Means): readonly [State, Uint8Array] => [
  begin(means, "challenge"),
  frame(Kind.Hello, means.nonce)
]

export const beginServer = (means: Means): State => begin(means, "hello")

const failed = (state: State, why: Failure, ...say: ReadonlyArray<Uint8Array>): Heard => ({
  state: { ...state, step: "nothing", held: Buffer.alloc(0) },
  say,
  outcome: { _tag: "Failed", why }
})

const goOn = (state: State, step: Step, say: Uint8Array, peer: State["peer"]): Heard => ({
  state: { ...state, step, held: Buffer.alloc(0), peer },
  say: [say],
  outcome: { _tag: "Waiting" }
})

const through = (state: State, peerLimit: number, rest: Uint8Array): Heard => ({
  state: { ...state, step: "nothing", held: Buffer.alloc(0) },
  say: [],
  outcome: { _tag: "Authenticated", peerLimit, rest }
})

const onHello = (state: State, body: Buffer): Heard => {
  const { key, limit, nonce } = state.means
  const mac = proof(key, "server", { client: body, server: nonce, serverLimit: limit, clientLimit: 0 })
  return goOn(state, "proof", frame(Kind.Challenge, nonce, number(limit), mac), { nonce: body, limit: 0 })
}

const onChallenge = (state: State, body: Buffer): Heard => {
  const { key, limit, nonce } = state.means
  const server = body.subarray(0, nonceBytes)
  const serverLimit = body.readUInt32LE(nonceBytes)
  const transcript: Transcript = { client: nonce, server, serverLimit, clientLimit: limit }
  if (!timingSafeEqual(body.subarray(nonceBytes + limitBytes), proof(key, "server", transcript))) {
    return failed(state, "key")
  }
  const said = frame(Kind.Proof, number(limit), proof(key, "client", transcript))
  return goOn(state, "welcome", said, { nonce: server, limit: serverLimit })
}

const onProof = (state: State, body: Buffer): Heard => {
  const { key, limit, nonce } = state.means
  const clientLimit = body.readUInt32LE(0)
  const transcript: Transcript = { client: state.peer!.nonce, server: nonce, serverLimit: limit, clientLimit }
  return timingSafeEqual(body.subarray(limitBytes), proof(key, "client", transcript))
    ? through(state, clientLimit, Buffer.alloc(0))
    : failed(state, "key", refusal("key"))
}

/** Which frame may come now. Only behind a welcome may there be more. */
const awaited: Readonly<Record<Step, ReadonlyArray<number>>> = {
  hello: [Kind.Hello],
  challenge: [Kind.Challenge],
  proof: [Kind.Proof],
  welcome: [Kind.Welcome, Kind.Refused],
  nothing: []
}

/** What is wrong with the first bytes of a frame, as soon as it can be known. */
const objection = (step: Step, bytes: Buffer): Failure | undefined => {
  const start = bytes.subarray(0, word.length)
  if (!start.equals(word.subarray(0, start.length))) return "noise"
  if (bytes.length > 4 && bytes[4] !== version) return "version"
  if (bytes.length > 5 && !awaited[step].includes(bytes[5]!)) return "noise"
  return bytes.length >= headerBytes && bytes.readUInt16LE(6) !== lengths[bytes[5]!] ? "noise" : undefined
}

const onFrame = (state: State, kind: number, body: Buffer, rest: Buffer): Heard => {
  if (kind === Kind.Welcome) return through(state, state.peer!.limit, rest)
  if (rest.length > 0) return failed(state, "noise") // nobody speaks before they are answered
  switch (kind) {
    case Kind.Hello:
      return onHello(state, body)
    case Kind.Challenge:
      return onChallenge(state, body)
    case Kind.Proof:
      return onProof(state, body)
    default:
      return failed(state, refusals[body[0]!] ?? "noise")
  }
}

/** What has come of the other side's bytes, however they were cut. */
export const hear = (state: State, block: Uint8Array): Heard => {
  if (state.step === "nothing") return failed(state, "noise")
  const bytes = Buffer.concat([state.held, block])
  const why = objection(state.step, bytes)
  if (why !== undefined) {
    // a client of another version finds ours in its header
    return why === "version" && state.step === "hello" ? failed(state, why, refusal(why)) : failed(state, why)
  }
  const length = bytes.length < headerBytes ? undefined : headerBytes + bytes.readUInt16LE(6)
  if (length === undefined || bytes.length < length) {
    return { state: { ...state, held: bytes }, say: [], outcome: { _tag: "Waiting" } }
  }
  // copies: a block is a part of something larger
  const body = Buffer.from(bytes.subarray(headerBytes, length))
  return onFrame(state, bytes[5]!, body, bytes.subarray(length))
}
