/** A file of its own, as in `oursShared.ts`: pipes and queues between processes. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as Shared from "../../src/index.ts"
import { warmUpOf } from "../orders.ts"
import type { PipeOrder, QueueOrder } from "../orders.ts"
import { load, Task } from "../ours.ts"

const { Connection, SharedBarrier, SharedQueue } = await load()

const module = import.meta.url

type Bytes = Uint8Array
type End = Shared.Connection.Connection<Bytes>

/** As the other arms: a check by the way, of the last of them. */
const checkLength = (message: Bytes | undefined, bytes: number): Effect.Effect<void> =>
  message?.length === bytes ? Effect.void : Effect.die(new Error(`a message of ${message?.length} bytes`))

const receiveMany = ({ bytes, variant }: PipeOrder, end: End, count: number): Effect.Effect<void, unknown> =>
  Effect.gen(function*() {
    let last: Bytes | undefined
    if (variant === "stream") {
      const messages = Stream.take(Connection.toStream(end), count)
      yield* Stream.runForEachArray(messages, (some) => Effect.sync(() => void (last = some.at(-1))))
    } else {
      for (let i = 0; i < count; i++) last = yield* Connection.receive(end)
    }
    yield* checkLength(last, bytes)
  })

const messageOf = ({ bytes }: PipeOrder): Bytes => new Uint8Array(bytes).fill(0xa5)

const answerMany = (order: PipeOrder, end: End, count: number): Effect.Effect<void, unknown> =>
  Effect.gen(function*() {
    const message = messageOf(order)
    for (let i = 0; i < count; i++) {
      yield* Connection.receive(end)
      yield* Connection.send(end, message)
    }
  })

/** The other side: hears all, and says so; once to warm up, and once more. */
export const listen = Task.make("listen", {
  module,
  handler: ({ end, order }: { readonly end: End; readonly order: PipeOrder }) =>
    Effect.gen(function*() {
      for (const count of [warmUpOf(order.messages), order.messages]) {
        if (order.pattern === "pingPong") {
          yield* answerMany(order, end, count)
        } else {
          yield* receiveMany(order, end, count)
          yield* Connection.send(end, new Uint8Array(1))
        }
      }
    })
})

const sendMany = ({ variant }: PipeOrder, end: End, message: Bytes, count: number): Effect.Effect<void, unknown> =>
  variant === "stream"
    ? Stream.run(Stream.map(Stream.range(1, count), () => message), Connection.toSink(end))
    : Effect.gen(function*() {
      for (let i = 0; i < count; i++) yield* Connection.send(end, message)
    })

/** This side. */
export const talk = (order: PipeOrder, end: End, count: number): Effect.Effect<void, unknown> =>
  Effect.gen(function*() {
    const message = messageOf(order)
    if (order.pattern === "stream") {
      yield* sendMany(order, end, message, count)
      yield* Connection.receive(end)
    } else {
      for (let i = 0; i < count; i++) {
        yield* Connection.send(end, message)
        yield* Connection.receive(end)
      }
    }
  })

export interface Work {
  readonly order: QueueOrder
  readonly queue: Shared.SharedQueue.SharedQueue<number>
  /** All wait here before and after each part. */
  readonly gate: Shared.SharedBarrier.SharedBarrier
}

/** Twice, as the other side does. */
const betweenGates = (
  gate: Work["gate"],
  share: number,
  some: (count: number) => Effect.Effect<unknown, unknown>
): Effect.Effect<void, unknown> =>
  Effect.gen(function*() {
    for (const count of [warmUpOf(share), share]) {
      yield* SharedBarrier.wait(gate)
      yield* some(count)
      yield* SharedBarrier.wait(gate)
    }
  })

export const produce = Task.make("produce", {
  module,
  handler: ({ gate, order: { items, producers, variant }, queue }: Work) =>
    betweenGates(gate, items / producers, (count) =>
      variant === "many"
        ? SharedQueue.offerAll(queue, Array.from({ length: count }, (_, n) => n))
        : Effect.gen(function*() {
          for (let n = 0; n < count; n++) yield* SharedQueue.offer(queue, n)
        }))
})

export const consume = Task.make("consume", {
  module,
  handler: ({ gate, order: { consumers, items, variant }, queue }: Work) =>
    betweenGates(gate, items / consumers, (count) =>
      variant === "many"
        ? Stream.runDrain(Stream.take(SharedQueue.toStream(queue), count))
        : Effect.gen(function*() {
          for (let n = 0; n < count; n++) yield* SharedQueue.take(queue)
        }))
})
