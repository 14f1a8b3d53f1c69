/** What an object of a hub does not know is not taken for something that it knows. */
import { assert, describe, it } from "@effect/vitest"
import { fromStreams } from "../../../src/internal/channel/socket.ts"
import { makeBarrierObject } from "../../../src/internal/hub/barrier.ts"
import { makeConditionObject } from "../../../src/internal/hub/condition.ts"
import { makeEventObject } from "../../../src/internal/hub/event.ts"
import { knock } from "../../../src/internal/hub/door.ts"
import type { HubObject } from "../../../src/internal/hub/link.ts"
import { makeLockObject } from "../../../src/internal/hub/lock.ts"
import { makePipeObject } from "../../../src/internal/hub/pipe.ts"
import { makeQueueObject } from "../../../src/internal/hub/queue.ts"
import { makeSemaphoreObject } from "../../../src/internal/hub/semaphore.ts"
import { makeHub } from "../../../src/internal/hub/server.ts"
import { Word } from "../../../src/internal/hub/wire.ts"
import type { ToHub, ToPeer } from "../../../src/internal/hub/wire.ts"

type Make = (isAlive: (slot: number) => boolean) => HubObject

/** Each with an argument that one of its operations takes, and a question that shows whether it is as it was. */
const objects: Readonly<Record<string, { readonly make: () => Make; readonly argument: unknown }>> = {
  lock: { make: () => makeLockObject(new Int32Array(4), "poison"), argument: undefined },
  condition: { make: () => makeConditionObject, argument: 1 },
  barrier: { make: () => makeBarrierObject(1, undefined), argument: undefined },
  pipe: { make: () => makePipeObject, argument: { side: 0, epoch: 0, door: undefined, ticket: "t" } },
  queue: { make: () => makeQueueObject(1), argument: 1 },
  semaphore: { make: () => makeSemaphoreObject(1, false, new Int32Array(16)), argument: 1 },
  event: { make: () => makeEventObject(new Int32Array(1)), argument: undefined }
}

const strange = ["", "Wait", "lock", "toString", "__proto__", "constructor"]

describe("an object of a hub that is asked for what it does not know", () => {
  for (const [name, { argument, make }] of Object.entries(objects)) {
    it(`refuses, and answers nothing: a ${name}`, () => {
      const object = make()(() => true)
      for (const operation of strange) {
        assert.throws(
          () => object.call({ slot: 2, pid: 1 }, operation, argument, () => assert.fail("it has answered")),
          `A ${name} does not know what ${operation} is.`
        )
      }
    })

    it(`says so to whoever asks, and ends the connection of whoever tells it, and nobody else's: a ${name}`, async () => {
      const hub = makeHub()
      const id = hub.put(make())
      const echo = hub.put(() => ({ call: (_, __, value, answer) => void answer(value), gone: () => {} }))
      const [bad, good] = [knock(hub.address()), knock(hub.address())]
      const told: Array<ToPeer> = []
      const badChannel = fromStreams<ToHub, ToPeer>(bad, bad, 1000)
      const goodChannel = fromStreams<ToHub, ToPeer>(good, good, 1000)
      const [both, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
      badChannel.listen((batch) => {
        told.push(...batch)
        if (told.length === 3) both.resolve()
      }, ended.resolve)
      badChannel.post([[Word.Ask, 1, id, "nonsense", argument], [Word.Ask, 2, echo, "echo", "all"]])
      await both.promise
      const message = `A ${name} does not know what nonsense is.`
      assert.deepEqual(told.filter(([word]) => word === Word.Outcome), [
        [Word.Outcome, 1, { _tag: "Failed", message }],
        [Word.Outcome, 2, { _tag: "Value", value: "all" }]
      ])
      badChannel.post([[Word.Ask, 0, id, "nonsense", argument]])
      await ended.promise
      const answered = new Promise((resolve) =>
        goodChannel.listen((batch) => batch.forEach((one) => one[0] === Word.Outcome && resolve(one[2])), () => {})
      )
      goodChannel.post([[Word.Ask, 1, echo, "echo", "all"]])
      assert.deepEqual(await answered, { _tag: "Value", value: "all" })
      for (const one of [id, echo]) hub.remove(one)
    })
  }
})
