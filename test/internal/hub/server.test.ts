/** Questions to a hub: each is settled once, whoever answers, withdraws, closes or dies first. */
import { assert, describe, it } from "@effect/vitest"
import { randomBytes } from "node:crypto"
import type { Socket } from "node:net"
import * as FC from "fast-check"
import { fromStreams } from "../../../src/internal/channel/socket.ts"
import { connectTo } from "../../../src/internal/hub/client.ts"
import { knock } from "../../../src/internal/hub/door.ts"
import type { Address } from "../../../src/internal/hub/door.ts"
import { ownSlot } from "../../../src/internal/hub/link.ts"
import type { HubObject, Link, Outcome, Peer } from "../../../src/internal/hub/link.ts"
import { makeHub } from "../../../src/internal/hub/server.ts"
import type { Hub } from "../../../src/internal/hub/server.ts"
import { Word } from "../../../src/internal/hub/wire.ts"
import type { ToHub, ToPeer } from "../../../src/internal/hub/wire.ts"

interface Asked {
  readonly peer: Peer
  readonly argument: unknown
  readonly answer: (value: unknown) => void
  withdrawals: number
  answers: number
}

/** An object that answers when the test says so, and an echo. */
const scripted = () => {
  const asked: Array<Asked> = []
  const gone: Array<Peer> = []
  const object: HubObject = {
    call: (peer, operation, argument, answer) => {
      if (operation === "echo") {
        answer(argument)
        return undefined
      }
      const one: Asked = {
        peer,
        argument,
        answer: (value) => {
          one.answers++
          answer(value)
        },
        withdrawals: 0,
        answers: 0
      }
      asked.push(one)
      return () => void one.withdrawals++
    },
    gone: (peer) => void gone.push(peer)
  }
  return { asked, gone, object }
}

const linked = (address: Address): Promise<Link> => {
  const link = connectTo(address, () => {})
  return new Promise((resolve) => link.whenReady(() => resolve(link)))
}

const echo = (link: Link, object: number, argument: unknown = "all"): Promise<Outcome> =>
  new Promise((resolve) => void link.ask(object, "echo", argument, resolve))

const ended = (link: Link): Promise<void> =>
  new Promise((resolve) => {
    const look = (): void => link.isClosed() ? resolve() : link.whenReady(() => setImmediate(look))
    look()
  })

const removed = (hub: Hub, objects: ReadonlyArray<number>): void => objects.forEach((object) => hub.remove(object))

describe("a hub", () => {
  it("gives each who comes a number of its own, and is told when it goes", async () => {
    const hub = makeHub()
    const { gone, object } = scripted()
    const isAlive: Array<(slot: number) => boolean> = []
    const id = hub.put((alive) => {
      isAlive.push(alive)
      return object
    })
    const lives = isAlive[0]!
    const links = await Promise.all([1, 2, 3].map(() => linked(hub.address())))
    const slots = links.map((link) => link.slot())
    assert.strictEqual(new Set([ownSlot, ...slots]).size, 4)
    assert.isTrue([ownSlot, ...slots].every(lives))
    assert.isFalse(lives(0) || lives(1000))
    const socket = knock(hub.address())
    const slot = await new Promise<number>((resolve) =>
      fromStreams<ToHub, ToPeer>(socket, socket, 1000).listen(([first]) => resolve(first![1]), () => {})
    )
    assert.notInclude(slots, slot)
    assert.isTrue(lives(slot))
    socket.destroy()
    while (gone.length === 0) await echo(links[0]!, id)
    assert.deepEqual(gone.map((peer) => [peer.slot, peer.pid]), [[slot, process.pid]])
    assert.isFalse(lives(slot))
    hub.remove(id)
    await Promise.all(links.map(ended))
  })

  it("answers what its object answers, whatever the value", async () => {
    const hub = makeHub()
    const id = hub.put(() => scripted().object)
    const link = await linked(hub.address())
    for (const value of [null, 0, -0, 1n, "", [undefined], new Map([[{}, new Set([1])]]), new Float64Array(100_000)]) {
      assert.deepEqual(await echo(hub.link, id, value), { _tag: "Value", value })
      assert.deepEqual(await echo(link, id, value), { _tag: "Value", value })
    }
    hub.remove(id)
    await ended(link)
  })

  it("says closed of what is not there: never made, removed, or the hub itself", async () => {
    const hub = makeHub()
    const [first, second] = [hub.put(() => scripted().object), hub.put(() => scripted().object)]
    const link = await linked(hub.address())
    for (const one of [link, hub.link]) assert.deepEqual(await echo(one, 99), { _tag: "Closed" })
    hub.remove(first)
    for (const one of [link, hub.link]) assert.deepEqual(await echo(one, first), { _tag: "Closed" })
    assert.deepEqual(await echo(link, second), { _tag: "Value", value: "all" })
    const address = hub.address()
    hub.remove(second)
    await ended(link)
    for (const one of [link, hub.link]) assert.deepEqual(await echo(one, second), { _tag: "Closed" })
    const late = connectTo(address, () => {})
    assert.deepEqual(await echo(late, second), { _tag: "Closed" })
    assert.isTrue(late.isClosed())
    assert.strictEqual(late.slot(), 0)
    // it opens again, elsewhere, when it has something again
    const third = hub.put(() => scripted().object)
    assert.notStrictEqual(hub.address().path, address.path)
    const again = await linked(hub.address())
    assert.deepEqual(await echo(again, third), { _tag: "Value", value: "all" })
    hub.remove(third)
    await ended(again)
  })

  it("knows its own address, and no other", () => {
    const [one, other] = [makeHub(), makeHub()]
    assert.isFalse(one.isAt({ path: "", secret: "", pid: process.pid }))
    assert.isTrue(one.isAt(one.address()))
    assert.isFalse(one.isAt(other.address()))
    for (const hub of [one, other]) hub.remove(hub.put(() => scripted().object))
  })

  it("hangs up on who does not speak its language, after the door as before it, and nobody else notices", async () => {
    const hub = makeHub()
    const id = hub.put(() => scripted().object)
    const link = await linked(hub.address())
    const noise: Array<(socket: Socket) => void> = [
      (socket) => void socket.write(randomBytes(1000)),
      (socket) => void socket.write("GET / HTTP/1.1\r\n\r\n"),
      (socket) => fromStreams<unknown, unknown>(socket, socket, 1000).post([7] as never),
      (socket) => fromStreams<unknown, unknown>(socket, socket, 1000).post([null]),
      (socket) => fromStreams<unknown, unknown>(socket, socket, 1000).post({ no: "batch" } as never)
    ]
    for (const make of noise) {
      const socket = knock(hub.address())
      const closed = new Promise((resolve) => socket.resume().once("close", resolve))
      make(socket)
      await closed
      assert.deepEqual(await echo(link, id), { _tag: "Value", value: "all" })
    }
    hub.remove(id)
    await ended(link)
  })

  it("answers a question that its object does not know, and goes on with whoever has asked", async () => {
    const hub = makeHub()
    const id = hub.put(() => ({
      call: (_peer, operation, argument, answer) => {
        if (operation !== "echo") throw new Error(`What is ${operation}?`)
        answer(argument)
        return undefined
      },
      gone: () => {}
    }))
    const link = await linked(hub.address())
    for (const from of [link, hub.link]) {
      const outcome = new Promise((resolve) => void from.ask(id, "sing", undefined, resolve))
      assert.deepEqual(await outcome, { _tag: "Failed", message: "What is sing?" })
      assert.deepEqual(await echo(from, id), { _tag: "Value", value: "all" })
    }
    assert.throws(() => hub.link.tell(id, "sing", undefined), "What is sing?")
    const other = await linked(hub.address())
    other.tell(id, "sing", undefined)
    await ended(other)
    assert.deepEqual(await echo(link, id), { _tag: "Value", value: "all" })
    hub.remove(id)
    await ended(link)
  })

  it("withdraws what a peer that dies has asked, before its objects hear of the death", async () => {
    const hub = makeHub()
    const order: Array<string> = []
    const id = hub.put(() => ({
      call: (_, operation) => {
        order.push(operation)
        return () => void order.push("withdrawn")
      },
      gone: () => void order.push("gone")
    }))
    const socket = knock(hub.address())
    const channel = fromStreams<ToHub, ToPeer>(socket, socket, 1000)
    channel.post([[Word.Ask, 1, id, "wait", undefined], [Word.Ask, 0, id, "told", undefined]])
    const closed = new Promise((resolve) => socket.resume().once("close", resolve))
    socket.end()
    await closed
    assert.deepEqual(order, ["wait", "told", "withdrawn", "withdrawn", "gone"])
    hub.remove(id)
  })
})

// ---------------------------------------------------------------------------------------------------- interleavings

type Act =
  | { readonly act: "ask"; readonly link: number; readonly object: number }
  | { readonly act: "withdraw" | "answer"; readonly which: number }
  | { readonly act: "remove"; readonly object: number }
  | { readonly act: "settle"; readonly link: number }

const acts: FC.Arbitrary<ReadonlyArray<Act>> = FC.array(
  FC.oneof(
    { weight: 5, arbitrary: FC.record({ act: FC.constant("ask"), link: FC.nat(2), object: FC.nat(1) }) },
    { weight: 3, arbitrary: FC.record({ act: FC.constant("withdraw"), which: FC.nat() }) },
    { weight: 4, arbitrary: FC.record({ act: FC.constant("answer"), which: FC.nat() }) },
    { weight: 3, arbitrary: FC.record({ act: FC.constant("settle"), link: FC.nat(2) }) },
    { weight: 1, arbitrary: FC.record({ act: FC.constant("remove"), object: FC.nat(1) }) }
  ) as FC.Arbitrary<Act>,
  { maxLength: 40 }
)

/** A question as the one who asked it sees it. */
interface Question {
  readonly id: number
  readonly outcomes: Array<string>
  readonly undone: Array<unknown>
  withdraw: (undo: (value: unknown) => void) => void
  isWithdrawn: boolean
}

const askOf = (link: Link, object: number, id: number): Question => {
  const question: Question = { id, outcomes: [], undone: [], withdraw: () => {}, isWithdrawn: false }
  question.withdraw = link.ask(object, "wait", id, (outcome) => {
    assert.isFalse(question.isWithdrawn, "an outcome after it was withdrawn")
    if (outcome._tag === "Value") assert.strictEqual(outcome.value, id)
    question.outcomes.push(outcome._tag)
  })
  return question
}

const play = async (plan: ReadonlyArray<Act>): Promise<void> => {
  const hub = makeHub()
  const objects = [scripted(), scripted()]
  const ids = objects.map(({ object }) => hub.put(() => object))
  const live = hub.put(() => scripted().object)
  const links = [hub.link, await linked(hub.address()), await linked(hub.address())]
  const questions: Array<Question> = []
  const pending = (): ReadonlyArray<Asked> =>
    objects.flatMap(({ asked }) => asked).filter(({ answers, withdrawals }) => answers + withdrawals === 0)
  for (const act of plan) {
    switch (act.act) {
      case "ask":
        questions.push(askOf(links[act.link]!, ids[act.object]!, questions.length))
        break
      case "withdraw": {
        const question = questions[act.which % Math.max(1, questions.length)]
        if (question === undefined || question.isWithdrawn || question.outcomes.length > 0) break
        question.isWithdrawn = true
        question.withdraw((value) => question.undone.push(value))
        break
      }
      case "answer": {
        const all = pending()
        const one = all[act.which % Math.max(1, all.length)]
        one?.answer(one.argument)
        break
      }
      case "remove":
        hub.remove(ids[act.object]!)
        break
      case "settle":
        await echo(links[act.link]!, live)
    }
  }
  removed(hub, ids)
  for (const link of links) await echo(link, live)
  check(questions, objects.flatMap(({ asked }) => asked))
  hub.remove(live)
  await Promise.all(links.slice(1).map(ended))
}

const check = (questions: ReadonlyArray<Question>, asked: ReadonlyArray<Asked>): void => {
  for (const { id, isWithdrawn, outcomes, undone } of questions) {
    const there = asked.filter(({ argument }) => argument === id)
    assert.isAtMost(there.length, 1, "asked once")
    assert.lengthOf(outcomes, isWithdrawn ? 0 : 1, "settled once")
    const { answers = 0, withdrawals = 0 } = there[0] ?? {}
    assert.isAtMost(answers + withdrawals, 1)
    const received = undone.length + outcomes.filter((tag) => tag === "Value").length
    // an answer to an object that was removed before is dropped with it
    if (received > 0) assert.strictEqual(answers, 1, "somebody has answered")
    if (answers === 0) assert.strictEqual(received, 0)
    assert.isAtMost(undone.length, 1)
    if (undone.length === 1) assert.deepEqual(undone, [id])
  }
}

describe("questions", () => {
  it(
    "are settled once, in any order of asking, answering, withdrawing and closing",
    () => FC.assert(FC.asyncProperty(acts, play), { numRuns: 150 }),
    60_000
  )

  it("whose answer has crossed the withdrawal are undone, once, with that answer", async () => {
    const hub = makeHub()
    const { asked, object } = scripted()
    const id = hub.put(() => object)
    const link = await linked(hub.address())
    const questions = Array.from({ length: 20 }, (_, index) => askOf(link, id, index))
    await echo(link, id)
    assert.lengthOf(asked, 20)
    questions.forEach((question, index) => {
      // both before either side has heard the other
      if (index % 2 === 0) asked[index]!.answer(index)
      question.isWithdrawn = true
      question.withdraw((value) => question.undone.push(value))
    })
    await echo(link, id)
    assert.deepEqual(questions.map(({ undone }) => undone), questions.map((_, index) => index % 2 === 0 ? [index] : []))
    assert.isTrue(questions.every(({ outcomes }) => outcomes.length === 0))
    assert.deepEqual(asked.map(({ withdrawals }) => withdrawals), asked.map((_, index) => index % 2))
    hub.remove(id)
    await ended(link)
  })

  it("that are answered stay answered: to withdraw one then does nothing, here as from elsewhere", async () => {
    const hub = makeHub()
    const { asked, object } = scripted()
    const id = hub.put(() => object)
    const link = await linked(hub.address())
    const questions = [hub.link, link].map((one, index) => askOf(one, id, index))
    await echo(link, id)
    for (const one of asked) one.answer(one.argument)
    await echo(link, id)
    for (const question of questions) {
      question.isWithdrawn = true
      question.withdraw((value) => question.undone.push(value))
    }
    await echo(link, id)
    assert.deepEqual(questions.map(({ outcomes, undone }) => [outcomes, undone]), [[["Value"], []], [["Value"], []]])
    assert.deepEqual(asked.map(({ withdrawals }) => withdrawals), [0, 0])
    hub.remove(id)
    await ended(link)
  })

  it("to a process that ends are closed, and those that were withdrawn are not heard of", async () => {
    const hub = makeHub()
    const id = hub.put(() => scripted().object)
    const link = await linked(hub.address())
    const [kept, left] = [askOf(link, id, 0), askOf(link, id, 1)]
    left.isWithdrawn = true
    left.withdraw((value) => left.undone.push(value))
    hub.remove(id)
    await ended(link)
    assert.deepEqual([kept.outcomes, left.outcomes, left.undone], [["Closed"], [], []])
    const late = askOf(link, id, 2)
    assert.deepEqual(late.outcomes, ["Closed"])
    late.isWithdrawn = true
    late.withdraw((value) => late.undone.push(value))
    assert.isEmpty(late.undone)
  })
})
