/**
 * A connection to the hub of another process. It is made when it is first needed, serves all objects of that hub, and is
 * the sign of life of this process there.
 *
 * Nothing here limits how long a hub may take to say Welcome: one that says nothing belongs to a process that computes, and
 * will say it; the socket of one that has died is closed by the kernel. See the README.
 */
import { fromStreams } from "../channel/socket.ts"
import { maxFrameBytes } from "../protocol/frames.ts"
import { knock } from "./door.ts"
import type { Address } from "./door.ts"
import { closed } from "./link.ts"
import type { Link, Outcome } from "./link.ts"
import { makeOutbox, Word } from "./wire.ts"
import type { ToHub, ToPeer } from "./wire.ts"

interface Asked {
  onOutcome: (outcome: Outcome) => void
}

export const connectTo = (address: Address, onClose: () => void): Link => {
  const socket = knock(address)
  const channel = fromStreams<ToHub, ToPeer>(socket, socket, maxFrameBytes)
  const { say, sayNow } = makeOutbox<ToHub>((batch) => channel.post(batch))
  const asked = new Map<number, Asked>()
  let waiting: Array<() => void> = []
  let slot = 0
  let isClosed = false
  let lastRequest = 0

  const ready = (): void => {
    const callbacks = waiting
    waiting = []
    for (const callback of callbacks) callback()
  }

  const hear = (message: ToPeer): void => {
    if (message[0] === Word.Welcome) {
      slot = message[1]
      return ready()
    }
    const [, request, outcome] = message
    const question = asked.get(request)
    asked.delete(request)
    question?.onOutcome(outcome)
  }

  channel.listen((batch) => batch.forEach(hear), () => {
    isClosed = true
    onClose()
    ready()
    const all = [...asked.values()]
    asked.clear()
    for (const { onOutcome } of all) onOutcome(closed)
  })

  const abandon = (): void => {
    isClosed = true
    asked.clear()
  }

  return {
    slot: () => slot,
    isClosed: () => isClosed,
    abandon,
    whenReady: (callback) => {
      if (slot > 0 || isClosed) callback()
      else waiting.push(callback)
    },
    ask: (object, operation, argument, onOutcome) => {
      if (isClosed) {
        onOutcome(closed)
        return () => {}
      }
      const request = ++lastRequest
      const question: Asked = { onOutcome }
      asked.set(request, question)
      say([Word.Ask, request, object, operation, argument])
      return (undo) => {
        if (!asked.has(request)) return
        question.onOutcome = (outcome) => {
          if (outcome._tag === "Value") undo(outcome.value)
        }
        say([Word.Withdraw, request])
      }
    },
    tell: (object, operation, argument) => {
      if (!isClosed) sayNow([Word.Ask, 0, object, operation, argument])
    }
  }
}
