/** An object of a hub, asked as its hub asks it; what an object must never do is an error. */
import type { HubObject, Peer } from "../../../src/internal/hub/link.ts"

export interface Question {
  readonly slot: number
  readonly isOpen: () => boolean
  /** Undefined until it is answered. */
  readonly answer: () => unknown
  readonly isAnswered: () => boolean
  readonly withdraw: () => void
}

export interface Driver {
  readonly ask: (slot: number, operation: string, argument?: unknown) => Question
  /** As the hub does when a connection closes. */
  readonly kill: (slot: number) => void
  /** Those that are neither answered nor withdrawn, in the order in which they were asked. */
  readonly open: () => ReadonlyArray<Question>
}

const peerOf = (slot: number): Peer => ({ slot, pid: 1000 + slot })

export const drive = (make: (isAlive: (slot: number) => boolean) => HubObject): Driver => {
  const object = make(() => true)
  const questions: Array<Question> = []

  const ask = (slot: number, operation: string, argument?: unknown): Question => {
    let state: "open" | "answered" | "withdrawn" = "open"
    let answer: unknown
    const undo = object.call(peerOf(slot), operation, argument, (value) => {
      if (state !== "open") throw new Error(`${operation} of ${slot} is ${state}, and was answered`)
      state = "answered"
      answer = value
    })
    const question: Question = {
      slot,
      isOpen: () => state === "open",
      answer: () => answer,
      isAnswered: () => state === "answered",
      withdraw: () => {
        if (state !== "open") return
        state = "withdrawn"
        undo?.()
      }
    }
    questions.push(question)
    return question
  }

  const open = (): ReadonlyArray<Question> => questions.filter((question) => question.isOpen())

  const kill = (slot: number): void => {
    for (const question of open()) if (question.slot === slot) question.withdraw()
    object.gone(peerOf(slot))
  }

  return { ask, kill, open }
}
