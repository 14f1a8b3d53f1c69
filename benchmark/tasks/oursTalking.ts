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
    if (variant?.startsWith("stream") === true) {
      const options = variant === "stream, in chunks" ? { chunkSize: 1024 } : {}
      const messages = Stream.take(Connection.toStream(end, options), count)
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
  variant?.startsWith("stream") === true
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
  /** To warm up, and to measure. */
  readonly queues: readonly [Shared.SharedQueue.SharedQueue<number>, Shared.SharedQueue.SharedQueue<number>]
  /** Here the producers wait for each other when all is offered. */
  readonly offered: Shared.SharedBarrier.SharedBarrier
  /** All wait here before and after each part. */
  readonly gate: Shared.SharedBarrier.SharedBarrier
}

/** Consumers take what there is until the end, each as much as it can: a chunk knows no shares. */
const inChunks = "many, in chunks"

/** Twice, as the other side does. */
const betweenGates = (
  { gate, queues }: Work,
  share: number,
  some: (count: number, queue: Work["queues"][0]) => Effect.Effect<unknown, unknown>
): Effect.Effect<void, unknown> =>
  Effect.gen(function*() {
    for (const [index, count] of [warmUpOf(share), share].entries()) {
      yield* SharedBarrier.wait(gate)
      yield* some(count, queues[index]!)
      yield* SharedBarrier.wait(gate)
    }
  })

export const produce = Task.make("produce", {
  module,
  handler: (work: Work) => {
    const { offered, order: { items, producers, variant } } = work
    return betweenGates(work, items / producers, (count, queue) =>
      Effect.gen(function*() {
        if (variant?.startsWith("many") === true) {
          yield* SharedQueue.offerAll(queue, Array.from({ length: count }, (_, n) => n))
        } else {
          for (let n = 0; n < count; n++) yield* SharedQueue.offer(queue, n)
        }
        if (variant !== inChunks) return
        yield* SharedBarrier.wait(offered)
        yield* SharedQueue.end(queue)
      }))
  }
})

export const consume = Task.make("consume", {
  module,
  handler: (work: Work) => {
    const { order: { consumers, items, variant } } = work
    return betweenGates(work, items / consumers, (count, queue) =>
      variant === inChunks
        ? Stream.runDrain(SharedQueue.toStream(queue, { chunkSize: 1024 }))
        : variant === "many"
        ? Stream.runDrain(Stream.take(SharedQueue.toStream(queue), count))
        : Effect.gen(function*() {
          for (let n = 0; n < count; n++) yield* SharedQueue.take(queue)
        }))
  }
})
