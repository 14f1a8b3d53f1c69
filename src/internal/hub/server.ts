/**
 * The hub of a process: the objects that it owns, and the questions that other processes and its own fibers have asked them.
 *
 * The connection of a peer is the sign that it lives: when it closes, what the peer waited for is withdrawn, and what it
 * held is taken back by the objects.
 */
import type { Socket } from "node:net"
import { fromStreams } from "../channel/socket.ts"
import { maxFrameBytes } from "../protocol/frames.ts"
import { openDoor } from "./door.ts"
import type { Address, Door, Visitor } from "./door.ts"
import { closed, failed, ownSlot, withdrawn } from "./link.ts"
import type { HubObject, Link, Outcome, Peer } from "./link.ts"
import { isToHub, makeOutbox, Word } from "./wire.ts"
import type { ToHub, ToPeer } from "./wire.ts"

export interface Hub {
  /** Opens the door when it is asked for the first time. */
  readonly address: () => Address
  readonly isAt: (address: Address) => boolean
  /** The way of this process's own fibers. */
  readonly link: Link
  readonly has: (object: number) => boolean
  readonly put: (make: (isAlive: (slot: number) => boolean) => HubObject) => number
  /** All who ask it, and will, are told that it is closed. */
  readonly remove: (object: number) => void
  /** Who knocks with this ticket is given the socket. What is given ends that. The door stays open for it. */
  readonly expect: (ticket: string, onVisitor: (socket: Socket) => void) => () => void
}

interface Question {
  readonly peer: Peer
  readonly object: number
  /** Undefined until the object has said how. */
  withdraw: (() => void) | undefined
  settle: ((outcome: Outcome) => void) | undefined
}

export const makeHub = (): Hub => {
  const objects = new Map<number, HubObject>()
  const questions = new Set<Question>()
  const peers = new Map<number, Peer & { readonly hangUp: () => void }>()
  const expected = new Map<string, (socket: Socket) => void>()
  let lastObject = 0
  let lastSlot = ownSlot
  let door: Door | undefined
  let isAbandoned = false
  /** A batch of a peer: the microtask after it comes before anything of the user's. */
  let isHearing = false

  const isAlive = (slot: number): boolean => slot === ownSlot || peers.has(slot)

  const settle = (question: Question, outcome: Outcome): void => {
    const tell = question.settle
    if (tell === undefined) return
    question.settle = undefined
    questions.delete(question)
    tell(outcome)
  }

  const ask = (
    peer: Peer,
    object: number,
    operation: string,
    argument: unknown,
    onOutcome: (outcome: Outcome) => void
  ): Question => {
    const question: Question = { peer, object, withdraw: undefined, settle: onOutcome }
    const asked = objects.get(object)
    if (asked === undefined) {
      settle(question, closed)
    } else {
      questions.add(question)
      try {
        question.withdraw = asked.call(peer, operation, argument, (value) => settle(question, { _tag: "Value", value }))
      } catch (cause) {
        settle(question, failed(cause))
      }
    }
    return question
  }

  /** Answered questions stay answered: whoever has withdrawn one then hears the answer, and undoes it. */
  const withdraw = (question: Question): void => {
    if (question.settle === undefined) return
    question.withdraw?.()
    settle(question, withdrawn)
  }

  const leave = (peer: Peer): void => {
    peers.delete(peer.slot)
    for (const question of questions) if (question.peer === peer) withdraw(question)
    for (const object of objects.values()) object.gone(peer)
  }

  const welcome = (socket: Socket, { pid, ticket }: Visitor): void => {
    if (ticket === undefined) return serve(socket, pid)
    const onVisitor = expected.get(ticket)
    if (onVisitor === undefined) socket.destroy() // it has moved on, or is closed
    else onVisitor(socket)
  }

  const serve = (socket: Socket, pid: number): void => {
    const channel = fromStreams<ToPeer, ToHub>(socket, socket, maxFrameBytes)
    const peer = { slot: ++lastSlot, pid, hangUp: channel.close }
    const asked = new Map<number, Question>()
    const { say, sayNow } = makeOutbox<ToPeer>((batch) => channel.post(batch))
    peers.set(peer.slot, peer)
    sayNow([Word.Welcome, peer.slot])
    const hear = (message: unknown): void => {
      if (!isToHub(message)) throw new Error("Nothing that a hub is told.")
      if (message[0] === Word.Withdraw) {
        const question = asked.get(message[1])
        if (question !== undefined) withdraw(question)
        return
      }
      const [, request, object, operation, argument] = message
      let isSettled = false
      const question = ask(peer, object, operation, argument, (outcome) => {
        isSettled = true
        asked.delete(request)
        if (request === 0 && outcome._tag === "Failed") throw new Error(outcome.message)
        // what a message of a peer has brought about leaves with the others of its batch; this process may compute next
        if (request > 0) (isHearing ? say : sayNow)([Word.Outcome, request, outcome])
      })
      if (!isSettled) asked.set(request, question)
    }
    channel.listen((batch) => {
      isHearing = true
      try {
        for (const message of batch) hear(message)
      } catch {
        channel.close() // it does not speak our language
      } finally {
        isHearing = false
      }
    }, () => leave(peer))
  }

  /** Nothing is left that somebody could ask for. */
  const closeIfEmpty = (): void => {
    if (objects.size > 0 || expected.size > 0) return
    door?.close()
    door = undefined
    for (const { hangUp } of peers.values()) hangUp()
  }

  const open = (): Door => {
    if (door !== undefined) return door
    const opened = openDoor(welcome, () => {
      // no descriptors were left: the next handle that leaves tries again
      if (door === opened) door = undefined
    })
    return door = opened
  }

  const self: Peer = { slot: ownSlot, pid: process.pid }

  const link: Link = {
    slot: () => isAbandoned ? 0 : ownSlot,
    isClosed: () => isAbandoned,
    whenReady: (callback) => callback(),
    ask: (object, operation, argument, onOutcome) => {
      let undo: ((value: unknown) => void) | undefined
      const question = ask(self, object, operation, argument, (outcome) => {
        if (undo === undefined) onOutcome(outcome)
        else if (outcome._tag === "Value") undo(outcome.value)
      })
      return (given) => {
        undo = given
        withdraw(question)
      }
    },
    abandon: () => {
      isAbandoned = true
      objects.clear()
    },
    tell: (object, operation, argument) => {
      ask(self, object, operation, argument, (outcome) => {
        if (outcome._tag === "Failed") throw new Error(outcome.message)
      })
    }
  }

  return {
    address: () => open().address,
    isAt: ({ path }) => door?.address.path === path,
    link,
    has: (object) => objects.has(object),
    put: (make) => {
      objects.set(++lastObject, make(isAlive))
      return lastObject
    },
    remove: (object) => {
      objects.delete(object)
      for (const question of questions) if (question.object === object) settle(question, closed)
      closeIfEmpty()
    },
    expect: (ticket, onVisitor) => {
      expected.set(ticket, onVisitor)
      return () => {
        if (expected.delete(ticket)) closeIfEmpty()
      }
    }
  }
}
