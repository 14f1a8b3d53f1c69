/** The laws of pipes and their ends, for every start method. */
import { assert, describe } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Option, Schema, Scope, Stream } from "effect"
import { Connection, Pipe, Pool, Process, SharedMemory, SharedValue } from "../../src/index.ts"
import * as T from "../fixtures/pipe.ts"
import { failingInitializer } from "../fixtures/tasks.ts"
import { bounded, numbers, reasonOf } from "./assertions.ts"
import { makeEvents } from "./events.ts"
import { makeGate } from "./gate.ts"
import { laws } from "./law.ts"
import type { Method } from "./methods.ts"

const isDone = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Option.match(Exit.findErrorOption(exit), { onNone: () => false, onSome: Cause.isDone })

const receiveAll = <A>(end: Connection.Connection<never, A>) =>
  Stream.runCollect(Connection.toStream(end)).pipe(bounded("the end of the messages"))

const ended = (end: Connection.Connection<never, unknown>) =>
  Effect.map(Effect.exit(Connection.receive(end)), (exit) => assert.isTrue(isDone(exit), String(exit))).pipe(
    bounded("the end of a pipe", 3)
  )

const closedBecause = (exit: Exit.Exit<unknown, unknown>, words: RegExp): void => {
  const reason = reasonOf(exit)
  assert.strictEqual(reason._tag, "Closed")
  assert.match(reason.message, words)
}

const asks = (end: Connection.Connection<unknown>, message: unknown) =>
  Effect.andThen(Connection.send(end, message), Connection.receive(end)).pipe(bounded("an answer"))

export const suite = ({ claims, layer, name }: Method): void => {
  const law = laws(layer, 20_000)

  describe(`Pipe on ${name}`, () => {
    describe("an end that was sent", () => {
      law("to a child sends from there: the chapter's program", () =>
        Effect.gen(function*() {
          const [receiver, sender] = yield* Pipe.simplex<string>()
          yield* Process.start(T.greeter, sender)
          assert.strictEqual(yield* Connection.receive(receiver).pipe(bounded("a greeting")), "hello")
          yield* ended(receiver)
        }))

      law("is used up here, and says so", () =>
        Effect.gen(function*() {
          const [mine, theirs] = yield* Pipe.make<unknown>()
          const waiting = yield* Effect.forkChild(Connection.receive(theirs), { startImmediately: true })
          const child = yield* Process.start(T.echoes, theirs)
          closedBecause(yield* Fiber.await(waiting).pipe(bounded("the end of a wait")), /sent away/)
          closedBecause(yield* Effect.exit(Connection.send(theirs, 1)), /sent away/)
          closedBecause(yield* Effect.exit(Connection.poll(theirs)), /sent away/)
          closedBecause(yield* Effect.exit(Process.start(T.echoes, theirs)), /sent away/)
          yield* Connection.close(theirs)
          assert.strictEqual(yield* asks(mine, "still there"), "still there")
          yield* Connection.close(mine)
          yield* Process.join(child)
        }))

      law("sits at any depth, and twice is one", () =>
        Effect.gen(function*() {
          const [mine, theirs] = yield* Pipe.make<unknown>()
          yield* Process.start(T.echoesDeep, { ends: new Map([["one", theirs]]), again: theirs })
          assert.deepStrictEqual(yield* asks(mine, [1, { two: 2n }]), [1, { two: 2n }])
          yield* Connection.close(mine)
        }))

      law("to a grandchild talks from there", () =>
        Effect.gen(function*() {
          const [mine, theirs] = yield* Pipe.make<unknown>()
          yield* Process.start(T.passesOn, theirs)
          assert.strictEqual(yield* asks(mine, "far"), "far")
          yield* Connection.close(mine)
        }))

      law("talks to its other end in a sibling", () =>
        Effect.gen(function*() {
          const [receiver, sender] = yield* Pipe.simplex<number>()
          const adding = yield* Process.start(T.adds, receiver)
          yield* Process.start(T.countsUp, { end: sender, count: 1000 })
          assert.strictEqual(yield* Process.join(adding).pipe(bounded("a sum")), 499_500)
        }))

      law("comes back in a result, and is an end here again", () =>
        Effect.gen(function*() {
          const [mine, theirs] = yield* Pipe.make<unknown>()
          const child = yield* Process.start(T.givesBack, theirs)
          const { end } = yield* Process.join(child)
          yield* Connection.send(mine, "there")
          assert.strictEqual(yield* Connection.receive(end).pipe(bounded("a message")), "there")
          yield* Connection.send(end, "and back")
          assert.strictEqual(yield* Connection.receive(mine).pipe(bounded("a message")), "and back")
        }))

      law("moves with what was on its way: nothing is lost, nothing comes twice", () =>
        Effect.gen(function*() {
          const [first, sender] = yield* Pipe.simplex<number>({ capacity: 5 })
          const sending = yield* Effect.forkChild(
            Effect.forEach(numbers(40), (n) => Connection.send(sender, n), { discard: true })
          )
          let receiver: Connection.Connection<never, number> = first
          const all: Array<number> = []
          for (let round = 0; round < 3; round++) {
            const child = yield* Process.start(T.readsSome, { end: receiver, count: 7 })
            const { end, read } = yield* Process.join(child).pipe(bounded("seven messages"))
            all.push(...read)
            receiver = end
          }
          while (all.length < 40) all.push(yield* Connection.receive(receiver).pipe(bounded("a message")))
          assert.deepStrictEqual(all, [...numbers(40)])
          yield* Fiber.join(sending)
        }))

      if (claims.parallel) {
        law("moves on and on, as its other end does, while both talk", () =>
          Effect.gen(function*() {
            const rounds = numbers(12)
            const pool = yield* Pool.make({ processes: 2 })
            const pair = yield* Pipe.make<number>({ capacity: 5 })
            const play = Effect.fnUntraced(function*(side: 0 | 1) {
              let end = pair[side]
              let first = 0
              const all: Array<number> = []
              for (const round of rounds) {
                // both count alike: what the one sends in a round the other reads in it
                const [sends, reads] = [(round * 7 + side * 3) % 9, (round * 7 + (1 - side) * 3) % 9]
                const talked = yield* Pool.apply(pool, T.talks, { end, first, sends, reads })
                end = talked.end
                all.push(...talked.read)
                first += sends
              }
              return all
            })
            const [one, two] = yield* Effect.all([play(0), play(1)], { concurrency: 2 }).pipe(bounded("all messages"))
            const total = (side: number): number => rounds.reduce((sum, round) => sum + (round * 7 + side * 3) % 9, 0)
            assert.deepStrictEqual(one, [...numbers(total(1))])
            assert.deepStrictEqual(two, [...numbers(total(0))])
          }))
      }

      law(
        "takes along what was sent and is not read, and delivers it before its holder ends",
        () =>
          Effect.gen(function*() {
            const [receiver, sender] = yield* Pipe.simplex<unknown>()
            const collecting = yield* Process.start(T.collects, receiver)
            yield* Connection.send(sender, "one")
            yield* Process.start(T.endsAtOnce, sender)
            assert.deepStrictEqual(yield* Process.join(collecting).pipe(bounded("all messages")), ["one"])
          })
      )

      law("through another pipe arrives working", () =>
        Effect.gen(function*() {
          const [outerReceiver, outerSender] = yield* Pipe.simplex<Connection.Connection<string, never>>()
          const [receiver, sender] = yield* Pipe.simplex<string>()
          yield* Process.start(T.greetsThrough, outerReceiver)
          yield* Connection.send(outerSender, sender)
          assert.strictEqual(yield* Connection.receive(receiver).pipe(bounded("a message")), "through")
        }))

      law("of a child's own pipe lives as long as that child's scope", () =>
        Effect.gen(function*() {
          const gate = yield* makeGate
          const [outerReceiver, outerSender] = yield* Pipe.simplex<Connection.Connection<never, string>>()
          yield* Process.start(T.makesPipe, { end: outerSender, path: gate.path })
          const inner = yield* Connection.receive(outerReceiver).pipe(bounded("an end"))
          assert.strictEqual(yield* Connection.receive(inner).pipe(bounded("a message")), "from a child's pipe")
          const waiting = yield* Effect.forkChild(Connection.receive(inner), { startImmediately: true })
          yield* gate.open
          const exit = yield* Fiber.await(waiting).pipe(bounded("the end of a pipe", 5))
          // its maker's scope ends, and then its maker
          assert.isTrue(isDone(exit) || reasonOf(exit)._tag === "Closed")
        }))

      law("is given on by a child, whose copy is used up", () =>
        Effect.gen(function*() {
          const [mine, theirs] = yield* Pipe.make<unknown>()
          yield* Process.start(T.usesAfterGiving, theirs)
          assert.strictEqual(yield* Connection.receive(mine).pipe(bounded("an outcome")), "Failure")
        }))

      law("with what a refused payload held is still here", () =>
        Effect.gen(function*() {
          const [mine, theirs] = yield* Pipe.make<unknown>()
          const payload = { end: theirs, f: () => {} } as unknown as {
            readonly end: typeof theirs
            readonly path: string
          }
          assert.strictEqual(reasonOf(yield* Effect.exit(Process.start(T.holds, payload)))._tag, "CodecFailed")
          yield* Connection.send(theirs, "here")
          assert.strictEqual(yield* Connection.receive(mine), "here")
        }))

      law("with a process that did not start is still here", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const [receiver, sender] = yield* Pipe.simplex<string>()
          const initializer = failingInitializer({ name: "it", path: events.path })
          const exit = yield* Effect.exit(Process.start(T.greeter, sender, { initializer }))
          assert.strictEqual(reasonOf(exit)._tag, "StartFailed")
          yield* Connection.send(sender, "here")
          assert.strictEqual(yield* Connection.receive(receiver).pipe(bounded("a message")), "here")
        }))

      law("cannot go through its own pipe", () =>
        Effect.gen(function*() {
          const [mine, theirs] = yield* Pipe.make<unknown>()
          for (const end of [mine, theirs]) {
            assert.strictEqual(reasonOf(yield* Effect.exit(Connection.send(mine, end)))._tag, "NotShareable")
          }
          yield* Connection.send(mine, "both are here")
          assert.strictEqual(yield* Connection.receive(theirs), "both are here")
        }))
    })

    describe("messages", () => {
      law("are whole, in order, and empty ones are messages", () =>
        Effect.gen(function*() {
          const [mine, theirs] = yield* Pipe.make<unknown>()
          const child = yield* Process.start(T.collects, theirs as Connection.Connection<never, unknown>)
          const sent: ReadonlyArray<unknown> = [
            "",
            new Uint8Array(0),
            undefined,
            null,
            0,
            "text \ud83d\ude00 \ud800",
            [],
            new Map([["a", new Set([1n])]]),
            new Uint8Array([1, 2, 3]),
            new Date(7),
            Object.assign(new RangeError("no"), { _tag: "Odd" }),
            "last"
          ]
          for (const message of sent) yield* Connection.send(mine, message)
          yield* Connection.close(mine)
          const found = yield* Process.join(child).pipe(bounded("all messages"))
          assert.deepStrictEqual(
            found.filter((one) => !(one instanceof Error)),
            sent.filter((one) => !(one instanceof Error))
          )
          const error = found.find((one) => one instanceof Error) as RangeError & { readonly _tag: string }
          assert.deepStrictEqual([error.name, error.message, error._tag], ["RangeError", "no", "Odd"])
        }))

      law("are copies", () =>
        Effect.gen(function*() {
          const [mine, theirs] = yield* Pipe.make<Uint8Array>()
          const bytes = new Uint8Array([1])
          yield* Connection.send(mine, bytes)
          bytes[0] = 2
          const found = yield* Connection.receive(theirs)
          assert.strictEqual(found[0], 1)
          assert.strictEqual(found.buffer.byteLength, 1)
          const small = Buffer.from("pooled")
          yield* Connection.send(mine, small)
          assert.deepStrictEqual(yield* Connection.receive(theirs), new Uint8Array(small))
        }))

      law("may be large", () =>
        Effect.gen(function*() {
          const [mine, theirs] = yield* Pipe.make<unknown>()
          yield* Process.start(T.echoes, theirs)
          const bytes = new Uint8Array(64 * 1024 * 1024)
          for (let i = 0; i < bytes.length; i += 4099) bytes[i] = i
          const back = (yield* asks(mine, bytes)) as Uint8Array
          assert.strictEqual(Buffer.compare(bytes, back), 0)
          const floats = new Float64Array(1_000_000).map((_, i) => i)
          assert.deepStrictEqual(yield* asks(mine, { floats }), { floats })
          yield* Connection.close(mine)
        }))

      law("that are too large are refused, and what does not cross, and nothing is sent", () =>
        Effect.gen(function*() {
          const [mine, theirs] = yield* Pipe.make<unknown>()
          const huge = yield* Effect.exit(Connection.send(mine, new Uint8Array(2 ** 31)))
          assert.strictEqual(reasonOf(huge)._tag, "MessageTooLarge")
          const reason = reasonOf(yield* Effect.exit(Connection.send(mine, { f: () => {} })))
          assert.strictEqual(reason._tag, "CodecFailed")
          assert.include(reason.message, "message.f is a function")
          yield* Connection.send(mine, "next")
          assert.strictEqual(yield* Connection.receive(theirs), "next")
        }))

      // a message is bytes, also between threads
      if (SharedMemory.reach === "processes") {
        law("carry handles", () =>
          Effect.gen(function*() {
            const cell = yield* SharedValue.make("int32", 41)
            const [receiver, sender] = yield* Pipe.simplex<SharedValue.SharedValue<"int32">>()
            const child = yield* Process.start(T.bumps, receiver)
            yield* Connection.send(sender, cell)
            yield* Process.join(child).pipe(bounded("an update"))
            assert.strictEqual(yield* SharedValue.get(cell), 42)
          }))
      }

      law("arrive as classes where both sides have schemas", () =>
        Effect.gen(function*() {
          const [mine, theirs] = yield* Pipe.make({ schema: T.Order, replySchema: T.Receipt })
          yield* Process.start(T.sells, theirs)
          yield* Connection.send(mine, new T.Order({ id: 7, at: new Date(1) }))
          const receipt = yield* Connection.receive(mine).pipe(bounded("a receipt"))
          assert.instanceOf(receipt, T.Receipt)
          assert.strictEqual(receipt.id, 7)
          const exit = yield* Effect.exit(Connection.send(mine, { id: "x" } as unknown as T.Order))
          const reason = reasonOf(exit)
          assert.isTrue(reason._tag === "CodecFailed" && reason.phase === "message", String(exit))
        }))

      law("stream from a child to another", () =>
        Effect.gen(function*() {
          const [receiver, sender] = yield* Pipe.simplex<number>()
          const adding = yield* Process.start(T.adds, receiver)
          yield* Process.start(T.streamsUp, { end: sender, count: 20_000 })
          assert.strictEqual(yield* Process.join(adding).pipe(bounded("a sum")), 199_990_000)
        }))
    })

    describe("a sender", () => {
      law("waits while the other side does not read", () =>
        Effect.gen(function*() {
          const events = yield* makeEvents
          const [receiver, sender] = yield* Pipe.simplex<number>({ capacity: 3 })
          yield* Process.start(T.tellsWhatItSends, { end: sender, count: 10, path: events.path })
          yield* events.until("sent 2")
          // the pipe holds three: the fourth waits
          assert.isTrue(yield* Connection.poll(receiver, "5 seconds"))
          assert.notInclude(events.seen(), "sent 3")
          const all = yield* receiveAll(receiver)
          assert.deepStrictEqual(all, [...numbers(10)])
        }))

      law("that is interrupted while it waits has not sent", () =>
        Effect.gen(function*() {
          const [receiver, sender] = yield* Pipe.simplex<number>({ capacity: 1 })
          yield* Connection.send(sender, 1)
          const waiting = yield* Effect.forkChild(Connection.send(sender, 2), { startImmediately: true })
          yield* Fiber.interrupt(waiting)
          const later = yield* Effect.forkChild(Connection.send(sender, 3), { startImmediately: true })
          assert.strictEqual(yield* Connection.receive(receiver), 1)
          assert.strictEqual(yield* Connection.receive(receiver), 3)
          yield* Fiber.join(later)
        }))

      law("that is interrupted keeps the end that it was sending", () =>
        Effect.gen(function*() {
          const [outerReceiver, outerSender] = yield* Pipe.simplex<unknown>({ capacity: 1 })
          const [mine, theirs] = yield* Pipe.make<string>()
          yield* Connection.send(outerSender, 1)
          const waiting = yield* Effect.forkChild(Connection.send(outerSender, theirs), { startImmediately: true })
          yield* Fiber.interrupt(waiting)
          yield* Connection.send(theirs, "kept")
          assert.strictEqual(yield* Connection.receive(mine).pipe(bounded("a message")), "kept")
          assert.strictEqual(yield* Connection.receive(outerReceiver), 1)
        }))

      law("fails with Closed when the other end is closed", () =>
        Effect.gen(function*() {
          const [mine, theirs] = yield* Pipe.make<number>({ capacity: 1 })
          yield* Connection.send(mine, 1)
          const waiting = yield* Effect.forkChild(Connection.send(mine, 2), { startImmediately: true })
          yield* Connection.close(theirs)
          closedBecause(yield* Fiber.await(waiting).pipe(bounded("the end of a wait")), /other end/)
          closedBecause(yield* Effect.exit(Connection.send(mine, 3)), /other end/)
        }))
    })

    describe("a receiver", () => {
      law("loses nothing when it is interrupted, whenever that is", () =>
        Effect.gen(function*() {
          const count = 300
          const [receiver, sender] = yield* Pipe.simplex<number>({ capacity: 4 })
          yield* Process.start(T.countsUp, { end: sender, count })
          const all: Array<number> = []
          let random = 1
          while (all.length < count) {
            random = (random * 16807) % 2147483647
            const fiber = yield* Effect.forkChild(Connection.receive(receiver), { startImmediately: random % 2 === 0 })
            for (let turns = random % 5; turns > 0; turns--) yield* Effect.yieldNow
            yield* Fiber.interrupt(fiber)
            const exit = yield* Fiber.await(fiber)
            if (Exit.isSuccess(exit)) all.push(exit.value)
            else if (random % 3 === 0) all.push(yield* Connection.receive(receiver))
          }
          assert.deepStrictEqual(all, [...numbers(count)])
        }).pipe(bounded("all messages", 18)))

      law("loses nothing as the loser of a race", () =>
        Effect.gen(function*() {
          const count = 200
          const [receiver, sender] = yield* Pipe.simplex<number>({ capacity: 4 })
          const [ticks, ticker] = yield* Pipe.simplex<string>({ capacity: 1 })
          yield* Process.start(T.countsUp, { end: sender, count })
          yield* Effect.forkChild(Effect.forever(Connection.send(ticker, "tick")))
          const all: Array<number> = []
          while (all.length < count) {
            const winner = yield* Effect.race(Connection.receive(receiver), Connection.receive(ticks))
            if (typeof winner === "number") all.push(winner)
            else if (all.length % 2 === 0) all.push(yield* Connection.receive(receiver))
          }
          assert.deepStrictEqual(all, [...numbers(count)])
        }).pipe(bounded("all messages", 18)))

      law("as a stream merges with others, and leaves what it was not asked for", () =>
        Effect.gen(function*() {
          const [one, toOne] = yield* Pipe.simplex<number>()
          const [two, toTwo] = yield* Pipe.simplex<number>()
          yield* Process.start(T.countsUp, { end: toOne, count: 100 })
          yield* Process.start(T.countsUp, { end: toTwo, count: 100 })
          const merged = yield* Stream.runCollect(Stream.merge(Connection.toStream(one), Connection.toStream(two)))
          assert.deepStrictEqual([...merged].sort((a, b) => a - b), numbers(200).map((i) => Math.floor(i / 2)))
          const [mine, theirs] = yield* Pipe.make<number>()
          yield* Effect.forEach(numbers(5), (n) => Connection.send(mine, n))
          assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(Connection.toStream(theirs), 2)), [0, 1])
          assert.strictEqual(yield* Connection.receive(theirs), 2)
        }).pipe(bounded("all messages")))

      law("as a stream in chunks receives together what is there, in order", () =>
        Effect.gen(function*() {
          const [receiver, sender] = yield* Pipe.simplex<number>()
          yield* Process.start(T.streamsUp, { end: sender, count: 20_000 })
          const sizes: Array<number> = []
          const all = yield* Stream.runCollect(
            Connection.toStream(receiver, { chunkSize: 100 }).pipe(
              Stream.mapArray((chunk) => {
                sizes.push(chunk.length)
                return chunk
              })
            )
          )
          assert.deepStrictEqual(all, [...numbers(20_000)])
          assert.strictEqual(Math.max(...sizes), 100)
          const [mine, theirs] = yield* Pipe.make<number>()
          yield* Effect.forEach(numbers(5), (n) => Connection.send(mine, n))
          const some = Stream.take(Connection.toStream(theirs, { chunkSize: 3 }), 2)
          assert.deepStrictEqual(yield* Stream.runCollect(some), [0, 1])
          assert.strictEqual(yield* Connection.receive(theirs), 3)
        }).pipe(bounded("all messages")))

      law(
        "as a stream in chunks opens handles, and fails in its turn for what does not fit",
        () =>
          Effect.gen(function*() {
            const [mine, theirs] = yield* Pipe.make<unknown>()
            const [inner, sent] = yield* Pipe.make<unknown>()
            yield* Effect.forEach([0, sent, 2, 3], (value) => Connection.send(mine, value))
            const four = Stream.take(Connection.toStream(theirs, { chunkSize: 2 }), 4)
            const [, opened, ...rest] = yield* Stream.runCollect(four)
            assert.deepStrictEqual(rest, [2, 3])
            yield* Connection.send(opened as Connection.Connection<unknown>, "through it")
            assert.strictEqual(yield* Connection.receive(inner), "through it")
            const typed = yield* Schema.decodeUnknownEffect(Connection.schema(Schema.Number))(theirs)
            yield* Effect.forEach([0, 1, "text", 3], (value) => Connection.send(mine, value))
            const chunks: Array<ReadonlyArray<number>> = []
            const exit = yield* Effect.exit(
              Stream.runForEachArray(
                Connection.toStream(typed, { chunkSize: 10 }),
                (chunk) => Effect.sync(() => void chunks.push(chunk))
              )
            )
            assert.deepStrictEqual(chunks, [[0, 1]])
            assert.strictEqual(reasonOf(exit)._tag, "CodecFailed")
            assert.strictEqual(yield* Connection.receive(typed), 3)
          }).pipe(bounded("all messages"))
      )

      law("takes turns with others at the same end", () =>
        Effect.gen(function*() {
          const [receiver, sender] = yield* Pipe.simplex<number>()
          const fibers = yield* Effect.forEach(numbers(3), () =>
            Effect.forkChild(Connection.receive(receiver), { startImmediately: true }))
          yield* Effect.forEach(numbers(3), (n) =>
            Connection.send(sender, n))
          assert.deepStrictEqual(yield* Effect.forEach(fibers, Fiber.join), [0, 1, 2])
        }))

      law("asks whether a message is there, without taking it", () =>
        Effect.gen(function*() {
          const [mine, theirs] = yield* Pipe.make<unknown>()
          assert.isFalse(yield* Connection.poll(theirs))
          assert.isFalse(yield* Connection.poll(theirs, "10 millis"))
          yield* Connection.send(mine, "")
          assert.isTrue(yield* Connection.poll(theirs))
          assert.isTrue(yield* Connection.poll(theirs, "1 hour"))
          assert.strictEqual(yield* Connection.receive(theirs), "")
          yield* Process.start(T.echoes, theirs)
          yield* Connection.send(mine, 1)
          assert.isTrue(yield* Connection.poll(mine, "10 seconds"))
          assert.strictEqual(yield* Connection.receive(mine), 1)
          yield* Connection.close(mine)
          closedBecause(yield* Effect.exit(Connection.poll(mine)), /closed here/)
        }))

      law("in the wrong direction is refused, as a sender is", () =>
        Effect.gen(function*() {
          const [receiver, sender] = yield* Pipe.simplex<string>()
          const wrong = sender as unknown as Connection.Connection<never, string>
          closedBecause(yield* Effect.exit(Connection.receive(wrong)), /one direction/)
          closedBecause(yield* Effect.exit(Connection.poll(wrong)), /one direction/)
          const wrongToo = receiver as unknown as Connection.Connection<string, never>
          closedBecause(yield* Effect.exit(Connection.send(wrongToo, "x")), /one direction/)
        }))
    })

    describe("the end", () => {
      law("comes after all that was sent before, and stays", () =>
        Effect.gen(function*() {
          const [mine, theirs] = yield* Pipe.make<number>()
          yield* Effect.forEach(numbers(3), (n) => Connection.send(mine, n))
          yield* Connection.close(mine)
          yield* Connection.close(mine)
          assert.deepStrictEqual(yield* receiveAll(theirs), [0, 1, 2])
          yield* ended(theirs)
          assert.isFalse(yield* Connection.poll(theirs, "1 hour"))
          closedBecause(yield* Effect.exit(Connection.receive(mine)), /closed here/)
          closedBecause(yield* Effect.exit(Connection.send(mine, 1)), /closed here/)
        }))

      law("reaches an end that is on its way, after what was sent", () =>
        Effect.gen(function*() {
          const [receiver, sender] = yield* Pipe.simplex<unknown>()
          yield* Connection.send(sender, "before")
          const child = yield* Process.start(T.collects, receiver)
          yield* Connection.send(sender, "after")
          yield* Connection.close(sender)
          assert.deepStrictEqual(yield* Process.join(child).pipe(bounded("all messages")), ["before", "after"])
        }))

      law("wakes whoever waits", () =>
        Effect.gen(function*() {
          const [mine, theirs] = yield* Pipe.make<number>()
          const reading = yield* Effect.forkChild(Connection.receive(theirs), { startImmediately: true })
          const own = yield* Effect.forkChild(Connection.receive(mine), { startImmediately: true })
          yield* Connection.close(mine)
          assert.isTrue(isDone(yield* Fiber.await(reading).pipe(bounded("the end", 2))))
          closedBecause(yield* Fiber.await(own).pipe(bounded("the end", 2)), /closed here/)
        }))

      law("of the scope ends both, with Closed", () =>
        Effect.gen(function*() {
          const scope = yield* Scope.make()
          const [mine, theirs] = yield* Scope.provide(Pipe.make<unknown>(), scope)
          const [outer, toOuter] = yield* Scope.provide(Pipe.simplex<string>(), scope)
          const child = yield* Process.start(T.echoes, theirs)
          assert.strictEqual(yield* asks(mine, 1), 1)
          yield* Connection.send(toOuter, "had arrived")
          const waiting = yield* Effect.forkChild(Connection.receive(mine), { startImmediately: true })
          yield* Scope.close(scope, Exit.void)
          closedBecause(yield* Fiber.await(waiting).pipe(bounded("the end of a wait", 3)), /scope/)
          // without a schema, a task's error comes as what structured clone leaves of it
          const failure = yield* Effect.flip(Process.join(child)).pipe(bounded("the end of the child's wait", 3))
          assert.match(failure.message, /scope/)
          closedBecause(yield* Effect.exit(Connection.send(mine, 1)), /scope/)
          assert.strictEqual(yield* Connection.receive(outer), "had arrived")
          closedBecause(yield* Effect.exit(Connection.receive(outer)), /scope/)
        }))

      if (claims.exits) {
        law("comes when the other process has exited, after what it had sent", () =>
          Effect.gen(function*() {
            const [receiver, sender] = yield* Pipe.simplex<number>()
            const child = yield* Process.start(T.sendsAndExits, { end: sender, count: 20 })
            assert.deepStrictEqual(yield* receiveAll(receiver), [...numbers(20)])
            yield* Process.exited(child)
          }))
      }

      if (claims.signals) {
        law("comes when the other process was killed, after what it had sent", () =>
          Effect.gen(function*() {
            const [receiver, sender] = yield* Pipe.simplex<number>()
            const child = yield* Process.start(T.sendsAndDies, { end: sender, count: 20 })
            assert.deepStrictEqual(yield* receiveAll(receiver), [...numbers(20)])
            assert.deepInclude(yield* Process.exited(child), { signal: "SIGKILL" })
          }))

        law("comes within a second when a process that only holds its end is killed", () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const [mine, theirs] = yield* Pipe.make<unknown>()
            const child = yield* Process.start(T.holds, { end: theirs, path: events.path })
            yield* events.until("holds")
            yield* Connection.send(mine, "unread")
            const waiting = yield* Effect.forkChild(Connection.receive(mine), { startImmediately: true })
            yield* Process.kill(child)
            assert.isTrue(isDone(yield* Fiber.await(waiting).pipe(bounded("the end", 1))))
            closedBecause(yield* Effect.exit(Connection.send(mine, 1)), /other end/)
          }))

        law("reaches a sibling whose other side is killed", () =>
          Effect.gen(function*() {
            const events = yield* makeEvents
            const [one, two] = yield* Pipe.make<unknown>()
            const collecting = yield* Process.start(T.collects, one as Connection.Connection<never, unknown>)
            const holding = yield* Process.start(T.holds, { end: two, path: events.path })
            yield* events.until("holds")
            yield* Process.kill(holding)
            assert.deepStrictEqual(yield* Process.join(collecting).pipe(bounded("the end", 3)), [])
          }))
      }
    })

    describe("an end that was lost on the way is the end of the pipe:", () => {
      if (claims.exits) {
        law("its module cannot be imported", () =>
          Effect.gen(function*() {
            const [receiver, sender] = yield* Pipe.simplex<string>()
            const child = yield* Process.start(T.nowhere, sender)
            assert.strictEqual(reasonOf(yield* Process.wait(child))._tag, "TaskNotFound")
            yield* ended(receiver)
          }))
      }

      law("its item of a pool was interrupted before it began", () =>
        Effect.gen(function*() {
          const gate = yield* makeGate
          const pool = yield* Pool.make({ processes: 1 })
          const [receiver, sender] = yield* Pipe.simplex<string>()
          const first = yield* Effect.forkChild(Pool.apply(pool, T.waitsAtGate, { path: gate.path, end: undefined }))
          yield* gate.until(1)
          const second = yield* Effect.forkChild(Pool.apply(pool, T.waitsAtGate, { path: gate.path, end: sender }), {
            startImmediately: true
          })
          yield* Fiber.interrupt(second)
          yield* ended(receiver)
          yield* gate.open
          yield* Fiber.join(first)
        }))

      law("its message was never read", () =>
        Effect.gen(function*() {
          const [outerReceiver, outerSender] = yield* Pipe.simplex<unknown>()
          const [receiver, sender] = yield* Pipe.simplex<string>()
          yield* Connection.send(outerSender, { sender })
          const waiting = yield* Effect.forkChild(Connection.receive(receiver), { startImmediately: true })
          yield* Connection.close(outerReceiver)
          assert.isTrue(isDone(yield* Fiber.await(waiting).pipe(bounded("the end", 3))))
        }))

      if (claims.signals) {
        law("its pool was terminated", () =>
          Effect.gen(function*() {
            const gate = yield* makeGate
            const pool = yield* Pool.make({ processes: 1 })
            const [receiver, sender] = yield* Pipe.simplex<string>()
            const first = yield* Effect.forkChild(
              Effect.exit(Pool.apply(pool, T.waitsAtGate, { path: gate.path, end: undefined }))
            )
            yield* gate.until(1)
            const second = yield* Effect.forkChild(
              Effect.exit(Pool.map(pool, T.waitsAtGate, [{ path: gate.path, end: sender }])),
              { startImmediately: true }
            )
            yield* Pool.terminate(pool)
            yield* ended(receiver)
            yield* Fiber.join(first)
            assert.strictEqual(reasonOf(yield* Fiber.join(second))._tag, "Closed")
          }))
      }
    })

    describe("in a pool", () => {
      law("ends go with items of apply, map and imap", () =>
        Effect.gen(function*() {
          const pool = yield* Pool.make({ processes: 2 })
          const pipes = yield* Effect.forEach(numbers(6), () => Pipe.simplex<string>({ capacity: 4 }))
          const reading = yield* Effect.forkChild(
            Effect.forEach(pipes, ([receiver]) => Connection.receive(receiver)),
            { startImmediately: true }
          )
          const senders = pipes.map(([, sender]) => sender)
          yield* Pool.apply(pool, T.greeter, senders[0]!)
          yield* Pool.map(pool, T.greeter, senders.slice(1, 4))
          yield* Stream.runDrain(Pool.imap(pool, T.greeter, senders.slice(4)))
          assert.deepStrictEqual(yield* Fiber.join(reading).pipe(bounded("greetings")), new Array(6).fill("hello"))
          const [receiver, sender] = yield* Pipe.simplex<string>()
          const exit = yield* Effect.exit(Pool.broadcast(pool, T.greeter, sender))
          assert.strictEqual(reasonOf(exit)._tag, "NotShareable")
          yield* Connection.send(sender, "still here")
          assert.strictEqual(yield* Connection.receive(receiver), "still here")
        }))
    })

    if (claims.ownMemory) {
      law(
        "an end that its process has lost sight of is closed when its garbage is collected",
        () =>
          Effect.gen(function*() {
            const pool = yield* Pool.make({ processes: 1 })
            const [receiver, sender] = yield* Pipe.simplex<string>()
            yield* Pool.apply(pool, T.greeter, sender)
            assert.strictEqual(yield* Connection.receive(receiver).pipe(bounded("a greeting")), "hello")
            const reading = yield* Effect.forkChild(Connection.receive(receiver), { startImmediately: true })
            const cleaning = yield* Effect.forkChild(Effect.forever(Pool.apply(pool, T.collectsGarbage)))
            assert.isTrue(isDone(yield* Fiber.await(reading).pipe(bounded("the end"))))
            yield* Fiber.interrupt(cleaning)
          })
      )
    }

    law("options that are none are defects", () =>
      Effect.gen(function*() {
        for (const capacity of [0, -1, 1.5, NaN]) {
          const exit = yield* Effect.exit(Pipe.make({ capacity }))
          assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) instanceof RangeError)
          const [end] = yield* Pipe.make()
          const stream = yield* Effect.exit(Stream.runDrain(Connection.toStream(end, { chunkSize: capacity })))
          assert.isTrue(Exit.isFailure(stream) && Cause.squash(stream.cause) instanceof RangeError)
        }
      }))
  })
}
